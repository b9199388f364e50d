"""Words of the command line -> a command with its options."""

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
    """What every command can do."""

    def run(self) -> None:
        """Do it; what is wrong with files, recipes and runs is raised."""
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
_ABOUT = """Make data for Uvatar's networks and train them. In order: synthesize makes pictures of people, mesh and
complete train on them, evaluate scores what they learnt; each command has its own --help."""


def parse(arguments: Sequence[str] | None = None) -> Command:
    """The command that ``arguments`` (by default the program's) give.

    Ends the program where they ask for help (code 0) or cannot be understood (code 2).
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
