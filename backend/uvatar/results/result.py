"""The result of reconstruction: a photo's people with fitted, clothed, textured bodies, and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.gravity import Gravity
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.texture import Texture
from uvatar.mesh_predictor.prediction import Prediction
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.parts import Part


class NobodyFound(PhotoError):
    """There is no person in the photo."""


class NotFitted(PhotoError):
    """A person was found, but no avatar could be made of them."""


class NobodyAlike(PhotoError):
    """Nobody in the photo looks like the person in the other photos."""


@dataclass(frozen=True)
class PersonResult:
    """One person of one photo, all stages done, on the open body.

    Attributes:
        outline: overlap (IoU) of the body, clothing included, with the person's mask; NaN where neither is seen.
        prediction: of the Mesh Predictor or a result file, where it is not refined.
        seconds: time spent on this person by stage; stages that work on all people at once are not in it.
        parts: further meshes that were made from the photo, on the open body's rig.
    """

    person: Person
    fit: Fit
    texture: Texture
    outline: float = float("nan")
    prediction: Prediction | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class PhotoResult:
    """One photo, all stages done.

    Attributes:
        timings: seconds by stage.
        prediction: everybody whom the Mesh Predictor, or the given file, found in it; None if there was neither.
        notes: what to know about the photo as a whole, in sentences.
        failures: people of whom no avatar could be made, and why.
        gravity: which way is up, and where the ground is.
    """

    photo: Photo
    camera: Camera
    people: list[PersonResult]
    timings: Mapping[str, float]
    prediction: Prediction | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[NotFitted, ...] = ()
    gravity: Gravity = field(default_factory=Gravity)


@dataclass(frozen=True)
class PersonOnBody:
    """A person on the body that the job asks for: the open body or the user's own.

    Attributes:
        texture: None if that body has no UV layout.
        outline: overlap (IoU) of this body with the person's mask; NaN where neither is seen.
        metrics: how far the body is from the one that was fitted; empty where it is the same.
        parts: further meshes on this body's skeleton.
    """

    fit: Fit
    texture: Texture | None
    outline: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
