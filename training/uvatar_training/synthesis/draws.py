"""Random values of the garment file, drawn from a seed; `garments.yaml` describes their syntax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uvatar_training.synthesis.fabrics import random_colour, random_fabric, random_print

REFERENCE = "$"


@dataclass(frozen=True)
class Draw:
    """State from which values are drawn.

    Attributes:
        rng: source of all randomness.
        group: "male", "female" or "child": the person to be dressed.
        patterns: fabric pattern -> how often it is worn.
        numbers: name -> value drawn earlier for the same garment.
    """

    rng: np.random.Generator
    group: str
    patterns: Mapping[str, float]
    numbers: dict[str, Any] = field(default_factory=dict)

    def value(self, entry: Any) -> Any:
        """The value of an entry. Numbers from a choice stay NumPy scalars, since results depend on their precision."""
        if isinstance(entry, str) and entry.startswith(REFERENCE):
            return self.numbers[entry.removeprefix(REFERENCE)]
        if isinstance(entry, Mapping):
            kind = kind_of(entry)
            return KINDS[kind](self, entry)
        if isinstance(entry, list):
            return np.array(entry, np.float32)
        return entry

    def values(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        """All values by name, drawn in the order of ``entries``."""
        return {name: self.value(entry) for name, entry in entries.items()}

    def happens(self, entry: Mapping[str, Any]) -> bool:
        """Whether ``chance``, ``groups``, ``when`` and ``unless`` of an entry hold.

        ``groups`` is tested first, the others in the order in which they are written. Nothing is drawn after the first
        condition that fails.
        """
        if "groups" in entry and self.group not in entry["groups"]:
            return False
        return all(CONDITIONS[name](self, wanted) for name, wanted in entry.items() if name in CONDITIONS)

    def _is(self, wanted: str | Mapping[str, Any]) -> bool:
        """Whether a condition holds: ``name``, {name: value} or {name: {above: limit}}."""
        if isinstance(wanted, str):
            return bool(self.numbers[wanted])
        return all(
            self.numbers[name] > value["above"] if isinstance(value, Mapping) else self.numbers[name] == value
            for name, value in wanted.items()
        )


def kind_of(entry: Mapping[str, Any]) -> str:
    """The name in `KINDS` of an entry, which is its first key.

    Raises:
        ValueError: the first key is not in `KINDS`.
    """
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
    # No random number is drawn for what always happens.
    "chance": lambda draw, chance: chance >= 1 or bool(draw.rng.random() < chance),
    "when": lambda draw, wanted: draw._is(wanted),
    "unless": lambda draw, wanted: not draw._is(wanted),
}
