"""Heights of people as somebody types them."""

from __future__ import annotations

import re

SHORTEST, TALLEST = 40.0, 260.0  # centimetres
_UNKNOWN = "-"


def heights_of(text: str) -> list[float | None]:
    """The heights in a text such as "172" or "172, -, 165": centimetres, None where there is a dash.

    Raises:
        ValueError: it is something else.
    """
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    return [None if word == _UNKNOWN else _height(word) for word in words]


def are_heights(text: object) -> bool:
    """Whether this is a text with heights, of which there may be none."""
    if not isinstance(text, str) or len(text) > 1000:
        return False
    try:
        heights_of(text)
    except ValueError:
        return False
    return True


def _height(word: str) -> float:
    if not re.fullmatch(r"\d{2,3}(\.\d+)?", word) or not SHORTEST <= float(word) <= TALLEST:
        raise ValueError(f"{word} is not a height in centimetres.")
    return float(word)
