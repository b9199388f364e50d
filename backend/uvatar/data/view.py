"""A photo of the person, with all that texturing needs of it."""

from __future__ import annotations

from dataclasses import dataclass

from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo


@dataclass(frozen=True)
class View:
    """One photo of the person with everything that was estimated from it."""

    photo: Photo
    person: Person
    camera: Camera
    fit: Fit
