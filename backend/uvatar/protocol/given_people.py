"""What a client says of a photo's people (the option ``given_people``; docs/protocol.md).

Either people as another estimator sees them, or corrections: joints that somebody has put where they are in the photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Numbers in a row, a row per person; and where a photo's words come from.
GIVEN = {"thetas": 72, "camera": 3, "betas": 10, "confidence": 1, "center": 2}
GIVEN_WORDS = {"betas_of": ("smpl", "open_body"), "center_in": ("photo", "square")}
# A correction: the person's box (x0, y0, x1, y1), the landmark's number, and its place, in pixels of the upright photo.
PIN = 7
MOST_PINS = 1000  # of one photo
# BlazePose's numbers of what can be corrected: shoulders, elbows, wrists, hips, knees, ankles, toes.
PINNABLE = (*range(11, 17), *range(23, 29), 31, 32)
MOST_GIVEN = 256  # people of one photo
LARGEST_GIVEN = 1e9  # number that means anything


def are_people(value: Any) -> bool:
    """Whether this is a list with the people of photos, and nothing else."""
    return isinstance(value, list) and all(_are_of_photo(photo) for photo in value)


def _are_of_photo(photo: Any) -> bool:
    """Whether these are numbers of people, or corrections, and the photo's name, and nothing else."""
    if isinstance(photo, dict) and set(photo) == {"photo", "pins"}:
        return isinstance(photo["photo"], str) and _are_pins(photo["pins"])
    if (
        not isinstance(photo, dict)
        or set(photo) != {"photo", *GIVEN, *GIVEN_WORDS}
        or not isinstance(photo["photo"], str)
    ):
        return False
    if any(photo[name] not in words for name, words in GIVEN_WORDS.items()):
        return False
    if not all(
        isinstance(photo[name], list) and len(photo[name]) == len(photo["thetas"]) <= MOST_GIVEN for name in GIVEN
    ):
        return False
    return all(
        isinstance(row, list) and len(row) == size and all(map(_is_number, row))
        for name, size in GIVEN.items()
        for row in photo[name]
    )


def _are_pins(pins: Any) -> bool:
    return (
        isinstance(pins, list)
        and len(pins) <= MOST_PINS
        and all(
            isinstance(pin, list) and len(pin) == PIN and all(map(_is_number, pin)) and pin[4] in PINNABLE
            for pin in pins
        )
    )


def estimates(given: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]] | None:
    """The photos in checked ``given_people`` whose people another estimator has seen; None if there are none."""
    return [photo for photo in given or () if "thetas" in photo] or None


def pins_of(given: Sequence[Mapping[str, Any]] | None, photo: str) -> list[list[float]]:
    """The corrections of a photo, by its name, in checked ``given_people``."""
    return [pin for one in given or () if one["photo"] == photo for pin in one.get("pins", ())]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_GIVEN
