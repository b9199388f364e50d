"""The common sample type of all sources: a picture, its camera, and the labels of its people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar_training.data.problems import DataError

BODIES = ("open_body", "smpl-neutral", "smpl-male", "smpl-female", "smplx-neutral", "smplx-male", "smplx-female")


@dataclass(frozen=True)
class PersonLabel:
    """The labels of one person: metres in the camera frame (x right, y down, z forward), angles in radians.

    Attributes:
        body: the body that betas and pose belong to, one of `BODIES`.
        betas: (10,), or (11,) for a child in SMPL's kid space; NaN where unknown.
        global_orient: (3,), body_pose: (23, 3), transl: (3,), as in SMPL; NaN where unknown.
        joints: (24, 3) positions in the picture's scene, NaN where unknown.
        joints_2d: (24, 2) pixels.
        visible: (24,) bool, inside the picture and not hidden by another object.
        texture: (N, N, 3) uint8 sRGB in the body's UV layout, or None.
        stand_off: (V,) distance of clothes and hair from the body along the rest shape's normals, metres, or None.
        facts: further properties by which tables are split, as text and numbers.
    """

    body: str
    betas: NDArray[np.float32]
    global_orient: NDArray[np.float32]
    body_pose: NDArray[np.float32]
    transl: NDArray[np.float32]
    joints: NDArray[np.float32]
    joints_2d: NDArray[np.float32]
    visible: NDArray[np.bool_]
    texture: NDArray[np.uint8] | None = None
    stand_off: NDArray[np.float32] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> BodyParameters:
        """The body parameters in the type that fitting uses."""
        return BodyParameters(self.betas, self.global_orient, self.body_pose, self.transl)


@dataclass(frozen=True)
class Sample:
    """A picture and its labels.

    Attributes:
        name: unique in its source; for messages.
        source: "synthetic", "agora", ...
        split: "train" or "held_out".
        image: (H, W, 3) uint8 sRGB.
        camera: the picture's camera.
        people: labels in the order of ``mask``.
        mask: (H, W) uint8, k where person k - 1 is nearest, 0 where nobody is visible; None if unknown.
        labels: (H, W) uint8 classes (`uvatar.data.parsing.ParseClass`), or None if unknown.
        labelled: whether every person in the picture is among ``people``.
    """

    name: str
    source: str
    split: str
    image: NDArray[np.uint8]
    camera: Camera
    people: tuple[PersonLabel, ...]
    mask: NDArray[np.uint8] | None
    labelled: bool = True
    labels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Raise DataError if the parts are inconsistent, or NaN where this is not allowed."""
        height, width = self.image.shape[:2]
        if (self.camera.width, self.camera.height) != (width, height):
            raise DataError(
                self.name, f"the picture is {width}x{height}, its camera's {self.camera.width}x{self.camera.height}"
            )
        if self.split not in ("train", "held_out"):
            raise DataError(self.name, f"belongs to the split {self.split!r}, neither 'train' nor 'held_out'")
        if self.mask is not None and self.mask.shape != (height, width):
            raise DataError(self.name, f"the mask has shape {self.mask.shape}, the picture {(height, width)}")
        if self.labels is not None and self.labels.shape != (height, width):
            raise DataError(self.name, f"the labels have shape {self.labels.shape}, the picture {(height, width)}")
        for number, person in enumerate(self.people):
            self._check(number, person)

    def _check(self, number: int, person: PersonLabel) -> None:
        shapes = {
            "global_orient": (3,),
            "body_pose": (23, 3),
            "transl": (3,),
            "joints": (24, 3),
            "joints_2d": (24, 2),
            "visible": (24,),
        }
        if person.body not in BODIES:
            raise DataError(self.name, f"person {number} has an unknown body {person.body!r}")
        if person.betas.shape not in ((10,), (11,)):
            raise DataError(
                self.name, f"person {number} has betas of shape {person.betas.shape}, expected (10,) or (11,)"
            )
        for key, shape in shapes.items():
            value = getattr(person, key)
            if value.shape != shape:
                raise DataError(self.name, f"person {number} has {key} of shape {value.shape}, expected {shape}")
        for key in ("betas", "global_orient", "body_pose", "transl"):
            value = getattr(person, key)
            if np.isinf(value).any() or 0 < np.isnan(value).sum() < value.size:
                raise DataError(self.name, f"person {number} has {key} that are not all numbers")
        if not np.isfinite(person.joints_2d[person.visible]).all():
            raise DataError(self.name, f"person {number} has visible joints without a place")
        if self.mask is not None and person.visible.any() and not (self.mask == number + 1).any():
            raise DataError(self.name, f"the mask of person {number} is empty")
