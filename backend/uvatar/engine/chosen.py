"""The people of a photo whom somebody has chosen by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from uvatar.data.person import Person
from uvatar.perception.geometry import same_person


def as_chosen(people: Sequence[Person], chosen: Sequence[Sequence[float]]) -> list[Person]:
    """The people with the numbers and heights that somebody has given them.

    Args:
        people: found in the photo for these boxes, each of which is one person's at most.
        chosen: rows as `uvatar.protocol.given_people.CHOSEN` has them.
    """
    named = list(people)
    whose = same_person([row[1:5] for row in chosen], [person.box for person in people])
    for index, (number, *_, height) in zip(whose, chosen, strict=True):
        if index >= 0:
            named[index] = replace(named[index], number=int(number), stature=height / 100 if height else None)
    return named
