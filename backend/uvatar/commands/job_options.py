"""Command-line flags for the job options, made from their declarations (`uvatar.protocol.option`)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from uvatar.protocol.errors import UvatarError
from uvatar.protocol.option import Flag, Option
from uvatar.protocol.options import checked_options, declared

PLACE = "options"  # the parameter of a command's function that stands for all of its flags


def with_job_options(command: str, function: Callable[..., None]) -> Callable[..., None]:
    """Give a command's function a flag for each option that is declared for this command.

    A value that is refused ends the command like any other wrong usage.

    Args:
        command: the command's name in the declarations.
        function: has a parameter ``options``, which receives all options of a job, checked. In ``--help`` the flags
            appear in the place of this parameter.
    """
    flags = {
        name: option
        for name, option in declared().items()
        if option.flag is not None and command in option.flag.commands
    }

    @functools.wraps(function)
    def with_flags(**given: Any) -> None:
        try:
            options = checked_options({name: option.typed(given.pop(name)) for name, option in flags.items()})
        except UvatarError as error:
            raise typer.BadParameter(f"{error.message} {error.fix}") from error
        function(options=options, **given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.name == PLACE:
            parameters += [_parameter(name, option, command) for name, option in flags.items()]
        else:
            parameters.append(parameter)
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    with_flags.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return with_flags


def spelling(name: str, option: Option) -> str:
    """How an option's flag is written; a switch that is on by default for any command also gets ``--no-``."""
    words = name.replace("_", "-")
    on_somewhere = option.flag is not None and any((option.default, *option.flag.defaults.values()))
    return f"--{words}/--no-{words}" if option.kind is bool and on_somewhere else f"--{words}"


def _parameter(name: str, option: Option, command: str) -> inspect.Parameter:
    """An option as a parameter from which typer makes a flag."""
    flag = option.flag or Flag()
    kind = option.kind | None if option.optional else option.kind
    default = flag.defaults.get(command, option.default)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=str(default) if option.kind is str and default is not None else default,
        annotation=Annotated[kind, typer.Option(spelling(name, option), help=flag.help or option.about)],
    )
