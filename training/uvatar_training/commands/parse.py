"""Parses the command line into a command with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol, Union

import tyro

from uvatar_training.commands.data import ImportAgora, LifterPictures, Synthesize
from uvatar_training.commands.evaluate import Evaluate
from uvatar_training.commands.train import (
    TrainComplete,
    TrainGan,
    TrainJoint,
    TrainLifter,
    TrainMesh,
    TrainTexture,
)


class Command(Protocol):
    """The interface of all commands."""

    def run(self) -> None:
        """Run the command. Raises an error about files, recipes or the run."""
        ...


COMMANDS: dict[str, type[Command]] = {
    "synthesize": Synthesize,
    "mesh": TrainMesh,
    "gan": TrainGan,
    "complete": TrainComplete,
    "texture": TrainTexture,
    "joint": TrainJoint,
    "lifter-data": LifterPictures,
    "lifter": TrainLifter,
    "evaluate": Evaluate,
    "import-agora": ImportAgora,
}
_ABOUT = """Make data for Uvatar's networks, and train them. In order: synthesize makes pictures of people, mesh and
complete train on them, and evaluate measures the results. Each command has its own --help."""


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Parse ``arguments`` (by default the program's) into a command.

    Exits the program if they ask for help (code 0) or cannot be understood (code 2).
    """
    kinds = tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in COMMANDS.items())
    command: Command = tyro.cli(  # type: ignore[call-overload]
        Union[kinds],  # noqa: UP007
        prog="uvatar-train",
        description=_ABOUT,
        args=arguments,
        config=(tyro.conf.DisallowNone,),
    )
    return command
