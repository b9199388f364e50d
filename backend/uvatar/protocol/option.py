"""How an option of a job is declared: its values, its flag on the command line, its place in Blender's panel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .given_people import GIVEN, are_people
from .heights import SHORTEST, TALLEST, are_heights

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RECONSTRUCT, BATCH = "reconstruct", "batch"  # the commands that make avatars


@dataclass(frozen=True)
class Flag:
    """An option on the command line. It is called as the option, with hyphens.

    Attributes:
        help: what ``--help`` says of it; empty for what the option is about.
        commands: those that have it.
        defaults: of commands where it is not the option's own.
    """

    help: str = ""
    commands: tuple[str, ...] = (RECONSTRUCT, BATCH)
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """An option in Blender's panel. A switch is a checkbox, one of several choices a menu, a number a number field.

    Attributes:
        label: its name; empty for the option's name.
        tooltip: what Blender says of it, without a full stop at its end; empty for what the option is about.
        choices: identifier in the .blend, label and tooltip of each choice, in the menu's order; empty where the
            values speak for themselves.
        group: heading of the column that it is in; empty for a line of its own.
        shown_if: another option -> the values of it with which this one is shown.
        active_if: another option -> the value of it without which this one has no effect and is greyed out.
    """

    label: str = ""
    tooltip: str = ""
    choices: Mapping[Any, tuple[str, str, str]] = field(default_factory=dict)
    group: str = "Make"
    shown_if: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    active_if: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Option:
    """The declaration of an option.

    Attributes:
        default: the value where a job does not say.
        about: what it does, in a sentence.
        choices: the only values, or None.
        low, high: the range of a number, both included; None for no number.
        optional: None is a value too.
        people: people of photos as another estimator sees them (`protocol.given_people`).
        heights: a text with people's heights (`protocol.heights`).
        named: the name of something that may be installed with the backend.
        flag: how it appears on the command line; None if it makes no sense there.
        panel: how it appears in Blender's panel; None if it makes no sense there.
    """

    default: Any
    about: str
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    optional: bool = False
    people: bool = False
    heights: bool = False
    named: bool = False
    flag: Flag | None = Flag()
    panel: Panel | None = Panel()

    @property
    def kind(self) -> type:
        """Type of its values, None aside: bool, int, float, list for people, or str, also for choices of several."""
        if self.people:
            return list
        if self.choices is not None and len({type(choice) for choice in self.choices}) > 1:
            return str
        value = self.default if self.choices is None else self.choices[0]
        return float if value is None else type(value)

    def typed(self, value: Any) -> Any:
        """The value that somebody has typed, where it is one of several choices."""
        return next((choice for choice in self.choices or () if str(choice) == value), value)

    def accepts(self, value: Any) -> bool:
        """Whether a job may have this value."""
        if value is None:
            return self.optional
        if self.people:
            return are_people(value)
        if self.heights:
            return are_heights(value)
        if self.named:
            return isinstance(value, str) and _NAME.fullmatch(value) is not None
        if self.choices is not None:
            return any(type(value) is type(choice) and value == choice for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        whole = isinstance(value, int) or not isinstance(self.default, int)
        return whole and self.low is not None and self.high is not None and self.low <= value <= self.high

    def describe(self) -> str:
        """The values that are accepted, in words."""
        if self.people:
            numbers = ", ".join(map(str, GIVEN.values()))
            values = f"for each photo its name and {', '.join(GIVEN)}: rows of {numbers} numbers"
        elif self.heights:
            values = f"heights in centimetres, {SHORTEST:g} to {TALLEST:g}, separated by commas, - for an unknown one"
        elif self.named:
            values = "a name of at most 64 letters, digits, dots, hyphens and underscores"
        elif self.choices:
            values = " or ".join(map(str, self.choices))
        else:
            values = f"between {self.low:,} and {self.high:,}"
        return f"{values} or nothing" if self.optional else values


def option(default: Any, about: str, **facts: Any) -> Any:
    """A field of `Options`; the further arguments are those of `Option`. A default of True or False makes a switch."""
    if isinstance(default, bool):
        facts["choices"] = (True, False)
    return field(default=default, metadata={"option": Option(default, about, **facts)})
