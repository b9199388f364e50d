"""The one place that knows the order of the stages: photo bytes in, people with fitted, clothed, textured bodies out.

    decode_photo -> Perception.people -> fit_people -> clothing_offsets -> texture_person

Two stages have a seat kept for a learned model.  `fit_people` takes further starts beside the landmarks' own (the
Mesh Predictor), and `texture_person` takes a predicted texture in place of the smooth completion (the Texture
Predictor).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.body import BodyModel, load_open_body
from backend.camera import Camera
from backend.fitting.clothing import clothing_offsets
from backend.fitting.fit import Fit
from backend.fitting.fitter import FitOptions, fit_people
from backend.perception import Perception
from backend.perception.person import Person
from backend.photo import Photo, PhotoError, decode_photo
from backend.texturing import View, texture_person
from backend.texturing.texture import Texture
from backend.weights import weights_folder

# stage name, fraction of the photo done (0..1), message in the artist's words
Progress = Callable[[str, float, str], None]

TEXTURE_SIZES = (512, 1024, 2048, 4096)


class OptionsError(ValueError):
    """An option that cannot be used; the message says which values can."""


class NobodyFound(PhotoError):
    """There is no person in the photo."""


@dataclass(frozen=True)
class Options:
    """What the artist chooses for a job.

    Attributes:
        texture_size: pixels on a side of the texture.
        fast: fewer fitting steps and no clothing offsets: about a third of the time, for a first look.
        clothing: shape the body's outline to clothes and hair.
        same_person: all photos show one person: merge them into one avatar.
        max_people: at most this many people of each photo, the most prominent first.
        focal: focal length in pixels where the artist knows better than the photo's EXIF, else None.
        turntable: also render a sheet of views around every person.
    """

    texture_size: int = 1024
    fast: bool = False
    clothing: bool = True
    same_person: bool = False
    max_people: int = 32
    focal: float | None = None
    turntable: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Options:
        """Options from untrusted key-value pairs. Raises OptionsError for an unknown key or an unusable value."""
        known = {item.name for item in fields(cls)}
        unknown = set(values) - known
        if unknown:
            raise OptionsError(f"Unknown option {sorted(unknown)[0]!r}. Options are: {', '.join(sorted(known))}.")
        options = cls(**values)
        for name in ("fast", "clothing", "same_person", "turntable"):
            if not isinstance(getattr(options, name), bool):
                raise OptionsError(f"Option {name} must be true or false.")
        if options.texture_size not in TEXTURE_SIZES or isinstance(options.texture_size, bool):
            raise OptionsError(f"Texture size must be one of {', '.join(map(str, TEXTURE_SIZES))} pixels.")
        if not isinstance(options.max_people, int) or not 1 <= options.max_people <= 64:
            raise OptionsError("The number of people per photo must be between 1 and 64.")
        if options.focal is not None and not (isinstance(options.focal, (int, float)) and 10 <= options.focal <= 1e6):
            raise OptionsError("The focal length must be between 10 and 1000000 pixels.")
        return options


@dataclass(frozen=True)
class PersonResult:
    """One person of one photo, all stages done.

    Attributes:
        seconds: time spent on this person by stage; the batched stages count their share.
    """

    person: Person
    fit: Fit
    texture: Texture
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PhotoResult:
    """One photo, all stages done. ``timings``: seconds by stage."""

    photo: Photo
    camera: Camera
    people: list[PersonResult]
    timings: Mapping[str, float]
