"""What a client says of a photo's people (the option ``given_people``; docs/protocol.md).

Either people as another estimator sees them, or what somebody has said by hand: who becomes an avatar, where joints are
in the photo, and which pixels belong to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .heights import SHORTEST, TALLEST

# Numbers in a row, a row per person; and where a photo's words come from.
GIVEN = {"thetas": 72, "camera": 3, "betas": 10, "confidence": 1, "center": 2}
GIVEN_WORDS = {"betas_of": ("smpl", "open_body"), "center_in": ("photo", "square")}
# A correction: the person's box (x0, y0, x1, y1), the landmark's number, and its place, in pixels of the upright photo.
PIN = 7
MOST_PINS = 1000  # of one photo
# BlazePose's numbers of what can be corrected: shoulders, elbows, wrists, hips, knees, ankles, toes.
PINNABLE = (*range(11, 17), *range(23, 29), 31, 32)
MOST_GIVEN = 256  # people of one photo
# A person who becomes an avatar: the number that names the avatar ("p3"), the box, and the height in centimetres, 0 for
# an unknown one.
CHOSEN = 6
# A stroke of a brush: the person's box, 1 where it adds to the person's mask and 0 where it takes away, the radius, and
# then x and y of one point after the other, all in pixels of the upright photo.
STROKE = 6
MOST_STROKES = 500  # of one photo
MOST_STROKE_POINTS = 5000  # of one photo's strokes together
LARGEST_GIVEN = 1e9  # number that means anything


def are_people(value: Any) -> bool:
    """Whether this is a list with the people of photos, and nothing else; by hand, each photo is spoken of once."""
    if not (isinstance(value, list) and all(_are_of_photo(photo) for photo in value)):
        return False
    by_hand = [photo["photo"] for photo in value if "thetas" not in photo]
    return len(set(by_hand)) == len(by_hand)


def _are_of_photo(photo: Any) -> bool:
    """Whether these are numbers of people, or corrections, and the photo's name, and nothing else."""
    if isinstance(photo, dict) and "thetas" not in photo:
        given = set(photo) - {"photo"}
        return (
            isinstance(photo.get("photo"), str)
            and bool(given)
            and all(name in _BY_HAND and _BY_HAND[name](photo[name]) for name in given)
        )
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


def _are_chosen(people: Any) -> bool:
    return (
        isinstance(people, list)
        and 0 < len(people) <= MOST_GIVEN
        and all(
            isinstance(row, list)
            and len(row) == CHOSEN
            and all(map(_is_number, row))
            and row[0] in range(MOST_GIVEN)
            and (row[5] == 0 or SHORTEST <= row[5] <= TALLEST)
            for row in people
        )
        and len({row[0] for row in people}) == len(people)
    )


def _are_strokes(strokes: Any) -> bool:
    return (
        isinstance(strokes, list)
        and len(strokes) <= MOST_STROKES
        and all(
            isinstance(row, list)
            and len(row) >= STROKE + 2
            and len(row) % 2 == 0
            and all(map(_is_number, row))
            and row[4] in (0, 1)
            and row[5] > 0
            for row in strokes
        )
        and sum(len(row) - STROKE for row in strokes) <= 2 * MOST_STROKE_POINTS
    )


_BY_HAND: Mapping[str, Callable[[Any], bool]] = {"pins": _are_pins, "chosen": _are_chosen, "strokes": _are_strokes}


def estimates(given: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]] | None:
    """The photos in checked ``given_people`` whose people another estimator has seen; None if there are none."""
    return [photo for photo in given or () if "thetas" in photo] or None


def rows_of(given: Sequence[Mapping[str, Any]] | None, photo: str, what: str) -> list[list[float]]:
    """What checked ``given_people`` says by hand of a photo, by its name: its "pins", "chosen" or "strokes"."""
    return [row for one in given or () if one["photo"] == photo for row in one.get(what, ())]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_GIVEN
