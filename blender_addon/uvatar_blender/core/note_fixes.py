# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done about each note of a result.

Notes are sentences; {} stands for names and numbers in them. A test compares this table with the backend's sentences,
so that none is forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache


class Fix(Enum):
    """What a button beside a note does."""

    NONE = "NONE"  # the note only informs, or only another photo helps
    COMPARE = "COMPARE"  # look at the avatar through the photo's camera
    JOINTS = "JOINTS"  # the same, or drag the joints to where they are in the photo
    MASK = "MASK"  # the same, or paint what belongs to the person in the photo
    POSE = "POSE"  # pose limbs that the photo does not show by hand
    HEIGHT = "HEIGHT"  # say how tall the person is, and make the avatar again
    UNCERTAIN = "UNCERTAIN"  # make avatars of uncertain people as well
    EVERYBODY = "EVERYBODY"  # make avatars of as many people as possible
    SEPARATE = "SEPARATE"  # make avatars of a photo's people by themselves, not from several photos
    DEVICE = "DEVICE"  # choose another device in the preferences


UNCERTAIN = "It is uncertain whether this is a person, or how they stand: check the overlay."
# The beginning of a note, what is done about it, and the place, counted from 0, in which it names the photo concerned.
NOTES: tuple[tuple[str, Fix, int | None], ...] = (
    ("Outside the photo: {}. Unseen parts have a typical pose.", Fix.POSE, None),
    ("Hidden, given a typical pose: {}.", Fix.POSE, None),
    (UNCERTAIN, Fix.COMPARE, None),
    ("Some joints do not match the photo: check the overlay.", Fix.JOINTS, None),
    ("The body's outline does not match the person in the photo: check the overlay.", Fix.MASK, None),
    ("Small in the photo: pose and texture are rough.", Fix.NONE, None),
    ("Given a child's proportions.", Fix.HEIGHT, None),
    ("Given an adult's proportions, but may be a child: the photo does not tell.", Fix.HEIGHT, None),
    ("The skirt, dress or coat became part of the body's surface, because {}.", Fix.MASK, None),
    ("{} It was completed without the Texture Predictor.", Fix.NONE, None),
    ("{} Skin, hair and clothes were told apart by their colours alone.", Fix.NONE, None),
    ("Unseen parts were painted by the texture generator {}.", Fix.NONE, None),
    ("The texture generator {} painted nothing: what it paints is in the photo.", Fix.NONE, None),
    ("{} Unseen parts were completed without it.", Fix.NONE, None),
    ("The SMPL body has no texture: {} is missing. {}", Fix.NONE, None),
    ("{} people were found, and avatars were made of the {} most prominent ones. Increase the option max_people {} for "
     "more.", Fix.EVERYBODY, None),
    ("{} people were found, and an avatar was made of the most prominent one. Increase the option max_people {} for "
     "more.", Fix.EVERYBODY, None),
    ("{} people were found, and avatars were made of the {} most prominent ones. Crop the photo into parts for the "
     "others.", Fix.NONE, None),
    ("{} more may be people and were left out, because it is not certain: turn on the option uncertain to make avatars "
     "of all.", Fix.UNCERTAIN, None),
    ("One more may be a person and was left out, because it is not certain: turn on the option uncertain to make "
     "avatars of all.", Fix.UNCERTAIN, None),
    ("Not found again: {} of the people chosen in the photo. Find its people once more.", Fix.NONE, None),
    ("Nobody in {} looks like the person in {}, so it was left out. {}", Fix.SEPARATE, 0),
    ("{} was left out: nobody in it looks like this person.", Fix.SEPARATE, 0),
    ("{} shows {} people; {} was used.", Fix.SEPARATE, 0),
    ("The person in {} looks slightly different in the other photos: check that it is the same person.", Fix.SEPARATE,
     0),
    ("Others in {} look very similar: check that the right person was used, or crop the others out of the photo.",
     Fix.SEPARATE, 0),
    ("{} views of one person in {} became one avatar.", Fix.SEPARATE, 1),
    ("One more in {} looked different and was left out.", Fix.SEPARATE, 0),
    ("{} more in {} looked different and were left out.", Fix.SEPARATE, 1),
    ("Check that they show one person rather than several people dressed alike.", Fix.NONE, None),  # see above
    ("The {} people in {} look different, so each became a separate avatar.", Fix.NONE, None),
    ("Of the {} people in {}, only the {} most prominent were compared.", Fix.NONE, None),
    ("{} failed in the middle of a job ({}); from now on the CPU is used.", Fix.DEVICE, None),
    ("{} could not be started, so another device is used instead: {}", Fix.DEVICE, None),
    ("PyTorch has no {}, so that your own checkpoint runs on the CPU.", Fix.DEVICE, None),
)  # fmt: skip
# What stands in the places of notes, besides names and numbers; {} as above.
PARTS = (
    "the photo does not show enough of its hem", "the legs are bent", "the photo does not show its form",
    "head", "left arm", "right arm", "left leg", "right leg",
    "If it does show the same person, for example in other clothes, make a separate avatar from it.",
)  # fmt: skip
# What the buttons say that make a photo's people again.
BUTTONS = {
    Fix.HEIGHT: "Enter Height…",
    Fix.UNCERTAIN: "Include Uncertain People",
    Fix.EVERYBODY: "Include Everybody",
    Fix.SEPARATE: "Make Separate Avatars",
}
# The words for limbs in notes, and the joints of SMPL that pose them.
LIMBS = {
    "head": (12, 15),
    "left arm": (13, 16, 18, 20),
    "right arm": (14, 17, 19, 21),
    "left leg": (1, 4, 7),
    "right leg": (2, 5, 8),
}


@dataclass(frozen=True)
class NoteFix:
    """What can be done about a note.

    Attributes:
        fix: what.
        photo: name of the photo that the note names; "" if it concerns the avatar's own.
    """

    fix: Fix
    photo: str = ""


def fix_of(note: str) -> NoteFix | None:
    """Return what can be done about a note; None for one that this version does not know."""
    for expression, fix, place in _expressions():
        found = expression.fullmatch(note)
        if found:
            return NoteFix(fix, "" if place is None else found.groups()[place])
    return None


def joints_of(note: str) -> tuple[int, ...]:
    """Return the joints of the limbs that a note names, the first of each limb first."""
    return tuple(joint for limb, joints in LIMBS.items() if limb in note for joint in joints)


@cache
def _expressions() -> tuple[tuple[re.Pattern[str], Fix, int | None], ...]:
    return tuple(
        (re.compile("(.+?)".join(map(re.escape, text.split("{}"))), re.DOTALL), fix, place)
        for text, fix, place in NOTES
    )
