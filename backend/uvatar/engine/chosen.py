"""The people of a photo whom somebody has chosen by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uvatar.data.person import Person
from uvatar.perception.geometry import box_iou
from uvatar.perception.perception import SAME_PERSON


def as_chosen(people: Sequence[Person], chosen: Sequence[Sequence[float]]) -> list[Person]:
    """The people with the numbers and heights that somebody has given them.

    Args:
        people: found in the photo for these boxes, each of which is one person's at most.
        chosen: rows as `uvatar.protocol.given_people.CHOSEN` has them.
    """
    named = list(people)
    if people:
        boxes = np.array([person.box for person in people])
        for number, *box, height in chosen:
            overlaps = box_iou(np.array([box]), boxes)[0]
            if overlaps.max() >= SAME_PERSON:
                index = int(np.argmax(overlaps))
                named[index] = replace(named[index], number=int(number), stature=height / 100 if height else None)
    return named
