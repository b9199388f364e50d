"""Random values of the garments' file, drawn from a seed; `garments.yaml` describes their forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uvatar_training.synthesis.fabrics import random_colour, random_fabric, random_print

REFERENCE = "$"


@dataclass(frozen=True)
class Draw:
    """What values are drawn with.

    Attributes:
        rng: the source of everything.
        group: "male", "female" or "child", whoever is dressed.
        patterns: of fabrics, and how often each is worn.
        numbers: what was drawn before in the same garment, by name.
    """

    rng: np.random.Generator
    group: str
    patterns: Mapping[str, float]
    numbers: dict[str, Any] = field(default_factory=dict)

    def value(self, entry: Any) -> Any:
        """The value of an entry; numbers from a choice stay NumPy's, for results depend on their precision."""
        if isinstance(entry, str) and entry.startswith(REFERENCE):
            return self.numbers[entry.removeprefix(REFERENCE)]
        if isinstance(entry, Mapping):
            kind = kind_of(entry)
            return KINDS[kind](self, entry)
        if isinstance(entry, list):
            return np.array(entry, np.float32)
        return entry

    def values(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        """All values, drawn in their order."""
        return {name: self.value(entry) for name, entry in entries.items()}

    def happens(self, entry: Mapping[str, Any]) -> bool:
        """Whether ``chance``, ``groups``, ``when`` and ``unless`` of an entry hold, tried in the order in which they
        are written, but for groups, which come first; nothing is drawn after the first that does not hold.
        """
        if "groups" in entry and self.group not in entry["groups"]:
            return False
        return all(CONDITIONS[name](self, wanted) for name, wanted in entry.items() if name in CONDITIONS)

    def _is(self, wanted: str | Mapping[str, Any]) -> bool:
        """``name``, or {name: value}, or {name: {above: limit}}."""
        if isinstance(wanted, str):
            return bool(self.numbers[wanted])
        return all(
            self.numbers[name] > value["above"] if isinstance(value, Mapping) else self.numbers[name] == value
            for name, value in wanted.items()
        )


def kind_of(entry: Mapping[str, Any]) -> str:
    """Which of `KINDS` an entry is: its first key. Raises ValueError if that is none."""
    kind = next(iter(entry), "")
    if kind not in KINDS:
        raise ValueError(f"There is no kind of value {kind!r}: choose from {', '.join(KINDS)}.")
    return kind


def _one_of(draw: Draw, entry: Mapping[str, Any]) -> Any:
    options = [draw.value(option) for option in entry["one_of"]]
    chosen = draw.rng.choice(options, p=entry.get("shares"))
    if isinstance(options[0], str):
        return str(chosen)
    return chosen + draw.rng.normal(0, entry["spread"]) if "spread" in entry else chosen


def _chance(draw: Draw, entry: Mapping[str, Any]) -> Any:
    return draw.value(entry.get("then", True) if draw.happens(entry) else entry.get("otherwise", False))


def _if(draw: Draw, entry: Mapping[str, Any]) -> Any:
    return draw.value(entry["then"] if draw.value(entry["if"]) else entry["otherwise"])


def _by(draw: Draw, entry: Mapping[str, Any]) -> Any:
    return draw.values(entry["of"])[draw.value(entry["by"])]


def _fabric(draw: Draw, entry: Mapping[str, Any]) -> Any:
    pattern = draw.value(entry["fabric"])
    return random_fabric(draw.rng, draw.patterns, None if pattern == "any" else pattern)


KINDS: dict[str, Callable[[Draw, Mapping[str, Any]], Any]] = {
    "uniform": lambda draw, entry: draw.rng.uniform(*entry["uniform"]),
    "count": lambda draw, entry: int(draw.rng.integers(*entry["count"])),
    "one_of": _one_of,
    "chance": _chance,
    "if": _if,
    "by": _by,
    "colour": lambda draw, entry: random_colour(draw.rng, entry["colour"]),
    "fabric": _fabric,
    "print": lambda draw, entry: random_print(draw.rng, entry["print"]),
}
CONDITIONS: dict[str, Callable[[Draw, Any], bool]] = {
    # What always happens asks for no random number.
    "chance": lambda draw, chance: chance >= 1 or bool(draw.rng.random() < chance),
    "when": lambda draw, wanted: draw._is(wanted),
    "unless": lambda draw, wanted: not draw._is(wanted),
}
