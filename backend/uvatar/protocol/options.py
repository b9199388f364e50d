"""The options of a job: each is declared once, here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Code, UvatarError


@dataclass(frozen=True)
class Option:
    """One thing that can be chosen for a job.

    Attributes:
        default: the value where a job does not say.
        choices: the only values, or None.
        low, high: the range of a number, both included; None for no number.
        optional: None is a value too.
        people: people of photos as another estimator sees them (`given_people` below).
    """

    default: Any
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    optional: bool = False
    people: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether a job may have this value."""
        if value is None:
            return self.optional
        if self.people:
            return isinstance(value, list) and all(_are_people(photo) for photo in value)
        if self.choices is not None:
            return any(type(value) is type(choice) and value == choice for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        whole = isinstance(value, int) or not isinstance(self.default, int)
        return whole and self.low is not None and self.high is not None and self.low <= value <= self.high

    def describe(self) -> str:
        """The values that are accepted, in words."""
        if self.people:
            values = (
                f"for each photo its name and {', '.join(GIVEN)}: rows of {', '.join(map(str, GIVEN.values()))} numbers"
            )
        else:
            values = (
                " or ".join(str(choice) for choice in self.choices)
                if self.choices
                else f"between {self.low:g} and {self.high:g}"
            )
        return f"{values} or nothing" if self.optional else values


# People of a photo as another estimator sees them: numbers in a row, a row per person; and where its words come from.
GIVEN = {"thetas": 72, "camera": 3, "betas": 10, "confidence": 1, "center": 2}
GIVEN_WORDS = {"betas_of": ("smpl", "open_body"), "center_in": ("photo", "square")}
MOST_GIVEN = 256  # people of one photo
LARGEST_GIVEN = 1e9  # number that means anything


def _are_people(photo: Any) -> bool:
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


_SWITCH = (True, False)
# What a texture is made of: the photo and what completes it; that, changed by the Texture Predictor all over; changed
# where no photo looks.
TEXTURES = ("projected", "predicted", "combined")
# Which body avatars have: the one that ships, or SMPL, whose files the user brings.
BODIES = ("open_body", "smpl")
OPTIONS: Mapping[str, Option] = {
    "body": Option("open_body", choices=BODIES),  # people are fitted on the open body and carried over to the other
    "texture_size": Option(1024, choices=(512, 1024, 2048, 4096)),  # pixels on a side
    "texture": Option(
        None, choices=TEXTURES, optional=True
    ),  # None: combined, or with `fast` or without weights projected
    "texture_seed": Option(0, low=0, high=1_000_000),  # 0: the most likely prediction; others: variations of it
    "fast": Option(False, choices=_SWITCH),  # fewer steps, no clothing: a first look
    "clothing": Option(True, choices=_SWITCH),  # shape the outline to clothes and hair
    "same_person": Option(False, choices=_SWITCH),  # all photos, or all views in one photo, show one person: one avatar
    "max_people": Option(32, low=1, high=64),  # of each photo, the most prominent first
    "uncertain": Option(False, choices=_SWITCH),  # also make avatars of who may be no person
    "focal": Option(None, low=10, high=1_000_000, optional=True),  # pixels; None: what the photo says
    "turntable": Option(False, choices=_SWITCH),  # also render a sheet of views around every person
    "refine": Option(
        True, choices=_SWITCH
    ),  # fit to the photo; without, the Mesh Predictor's prediction alone is the result
    "given_people": Option(None, people=True, optional=True),  # another estimator's people: no prediction
    "complete_texture": Option(
        False, choices=_SWITCH
    ),  # the "photos" are a painted texture and its labels: fill what is not marked
    "export_npz": Option(False, choices=_SWITCH),  # also give the people in the keys of ROMP's result files
}


def checked_options(given: Any) -> dict[str, Any]:
    """The options of a job, with the defaults for what is not given.

    Raises UvatarError for unknown names and unusable values.
    """
    fix = "Choose another value."
    if not isinstance(given, Mapping):
        raise UvatarError("The options are not a dictionary.", Code.BAD_OPTION, fix)
    for name, value in given.items():
        if name not in OPTIONS:
            raise UvatarError(
                f"There is no option {str(name)[:40]!r}. Options are: {', '.join(OPTIONS)}.", Code.BAD_OPTION
            )
        if not OPTIONS[name].accepts(value):
            raise UvatarError(f"The option {name} must be {OPTIONS[name].describe()}.", Code.BAD_OPTION, fix)
    return {name: given.get(name, option.default) for name, option in OPTIONS.items()}
