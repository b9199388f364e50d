"""Corrections by hand: joints that somebody has put where they are in the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from uvatar.data.landmarks import ANKLES, HEELS, INDICES, PINKIES, THUMBS, TOES, WRISTS, Landmark
from uvatar.data.person import Person
from uvatar.perception.geometry import same_person


@dataclass(frozen=True)
class PinSettings:
    """When a correction contradicts what was seen.

    Attributes:
        moved: share of the box side by which a wrist is moved from where the hand model sees it, from which on that
            hand is taken for another one: the length of half a hand.
    """

    moved: float = 0.05


DEFAULT_SETTINGS = PinSettings()
# What goes with a joint that is moved, unless it is corrected itself: fingers with the wrist, the foot with the ankle.
_FOLLOWERS: dict[int, list[Landmark]] = {
    **{wrist: fingers for wrist, *fingers in zip(WRISTS, PINKIES, INDICES, THUMBS, strict=True)},
    **{ankle: foot for ankle, *foot in zip(ANKLES, HEELS, TOES, strict=True)},
}


def pinned(
    people: Sequence[Person], pins: Sequence[Sequence[float]], settings: PinSettings = DEFAULT_SETTINGS
) -> list[Person]:
    """The people with landmarks where somebody has put them.

    Args:
        people: of a photo.
        pins: rows of `uvatar.protocol.given_people.PIN` numbers; those whose box is nobody's have no effect.
        settings: tuned numbers.
    """
    own: dict[int, dict[int, tuple[float, float]]] = {}
    whose = same_person([pin[:4] for pin in pins], [person.box for person in people])
    for index, (*_, landmark, x, y) in zip(whose, pins, strict=True):
        if index >= 0:
            own.setdefault(int(index), {})[int(landmark)] = (x, y)
    return [_corrected(person, own[i], settings) if i in own else person for i, person in enumerate(people)]


def _corrected(person: Person, places: dict[int, tuple[float, float]], settings: PinSettings) -> Person:
    """A person with these landmarks at these pixels, also in metres, where their depth stays."""
    landmarks, world = person.landmarks.copy(), person.world_landmarks.copy()
    scale, steps = _metres_per_pixel(person), {}
    for number, place in places.items():
        steps[number] = np.array(place) - person.landmarks[number, :2]
        for moved in (number, *(other for other in _FOLLOWERS.get(number, []) if other not in places)):
            landmarks[moved, :2] += steps[number]
            world[moved, :2] += scale * steps[number]
        landmarks[number, 2] = 1.0
    hands = [
        None if wrist in steps and np.linalg.norm(steps[wrist]) > settings.moved * person.side else hand
        for wrist, hand in zip(WRISTS, (person.left_hand, person.right_hand), strict=True)
    ]
    return replace(
        person,
        landmarks=landmarks,
        world_landmarks=world,
        pinned=tuple(places),
        left_hand=hands[0],
        right_hand=hands[1],
    )


def _metres_per_pixel(person: Person) -> float:
    """How large a pixel is at the person, from how far its landmarks are apart in both."""
    spread = [np.sqrt(points[:, :2].var(0).sum()) for points in (person.world_landmarks, person.landmarks)]
    return float(spread[0] / max(spread[1], 1e-6))
