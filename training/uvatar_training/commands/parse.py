"""Parses the command line into a command with its options."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Annotated, Protocol, Union

import tyro

from uvatar_training.commands.data import ImportAgora, LifterPictures, ParserCrops, Synthesize
from uvatar_training.commands.evaluate import Evaluate
from uvatar_training.commands.train import (
    TrainComplete,
    TrainGan,
    TrainJoint,
    TrainLifter,
    TrainMesh,
    TrainParser,
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
    "parser-data": ParserCrops,
    "parser": TrainParser,
    "evaluate": Evaluate,
    "import-agora": ImportAgora,
}
_ABOUT = """Make training data for Uvatar's networks, train them, and measure the results.

For example, for a Mesh Predictor:

    uvatar-train synthesize --out data --count 20000
    uvatar-train synthesize --out data --count 1000 --split held_out
    uvatar-train mesh --data data --out runs/mesh
    uvatar-train evaluate --weights runs/mesh/mesh_predictor.safetensors --data data --out scores

A command that was stopped continues if you run it again with the same options. `uvatar-train COMMAND --help` explains a
command; docs/training.md describes data and recipes."""


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Parse ``arguments`` (by default the program's) into a command.

    Exits the program if they ask for help (code 0) or cannot be understood (code 2).
    """
    given = sys.argv[1:] if arguments is None else arguments
    kinds = tuple(
        Annotated[kind, tyro.conf.subcommand(name, description=_about(kind, whole=name in given[:1]))]
        for name, kind in COMMANDS.items()
    )
    command: Command = tyro.cli(  # type: ignore[call-overload]
        Union[kinds],  # noqa: UP007
        prog="uvatar-train",
        description=_ABOUT,
        args=arguments,
        config=(tyro.conf.DisallowNone,),
    )
    return command


def _about(kind: type[Command], whole: bool) -> str:
    """What a command's docstring says before its attributes; in the list of commands only the first paragraph."""
    about = (inspect.getdoc(kind) or "").partition("\n\nAttributes:")[0]
    return about if whole else about.partition("\n\n")[0]
