"""People of a photo as another estimator sees them (the option ``given_people``; docs/protocol.md)."""

from __future__ import annotations

from typing import Any

# Numbers in a row, a row per person; and where a photo's words come from.
GIVEN = {"thetas": 72, "camera": 3, "betas": 10, "confidence": 1, "center": 2}
GIVEN_WORDS = {"betas_of": ("smpl", "open_body"), "center_in": ("photo", "square")}
MOST_GIVEN = 256  # people of one photo
LARGEST_GIVEN = 1e9  # number that means anything


def are_people(value: Any) -> bool:
    """Whether this is a list with the people of photos, and nothing else."""
    return isinstance(value, list) and all(_are_of_photo(photo) for photo in value)


def _are_of_photo(photo: Any) -> bool:
    """Whether these are numbers of people and the photo's name, and nothing else."""
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_GIVEN
