"""Names of things that come in pairs, left and right."""

from __future__ import annotations

_OTHER = {"LEFT": "RIGHT", "RIGHT": "LEFT"}


def other_side(name: str) -> str:
    """The name of the same thing on the other side of the body: LEFT_HIP -> RIGHT_HIP; others stay as they are."""
    return "_".join(_OTHER.get(word, word) for word in name.split("_"))
