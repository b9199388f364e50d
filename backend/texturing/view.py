"""What texturing knows of one photo of the person."""

from __future__ import annotations

from dataclasses import dataclass

from backend.camera import Camera
from backend.fitting.fit import Fit
from backend.perception.person import Person
from backend.photo import Photo


@dataclass(frozen=True)
class View:
    """One photo of the person with everything that was estimated from it."""

    photo: Photo
    person: Person
    camera: Camera
    fit: Fit
