"""The common sample type of all sources: a picture, its camera, and its people with their bodies."""

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
    """What is known of one person. Lengths in metres, camera frame (x right, y down, z forward), angles in radians.

    Attributes:
        body: whose betas and pose these are, one of `BODIES`.
        betas: (10,), or (11,) of a child in SMPL's kid space; NaN where unknown.
        global_orient: (3,), body_pose: (23, 3), transl: (3,): SMPL's; NaN where unknown.
        joints: (24, 3) as the picture shows them, NaN where unknown.
        joints_2d: (24, 2) pixels; visible: (24,) bool, inside the picture and not hidden by another thing.
        texture: (N, N, 3) uint8 in the body's UV, or None.
        stand_off: (V,) metres that clothes and hair stand off the body, along the rest shape's normals; None where
            unknown.
        facts: anything else that tables are split by, as plain text and numbers.
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
        """As fitting has them."""
        return BodyParameters(self.betas, self.global_orient, self.body_pose, self.transl)


@dataclass(frozen=True)
class Sample:
    """A picture and what it shows.

    Attributes:
        name: unique in its source; for messages.
        source: "synthetic", "agora", ...
        split: "train" or "held_out".
        image: (H, W, 3) uint8 sRGB.
        camera: of the picture.
        people: in the order of ``mask``.
        mask: (H, W) uint8: 0 nobody, k where person k - 1 is nearest; None if there is none.
        labelled: every person of the picture is among ``people``.
    """

    name: str
    source: str
    split: str
    image: NDArray[np.uint8]
    camera: Camera
    people: tuple[PersonLabel, ...]
    mask: NDArray[np.uint8] | None
    labelled: bool = True

    def __post_init__(self) -> None:
        """Raises DataError naming the sample where its parts do not belong together or hold NaN where they must not."""
        height, width = self.image.shape[:2]
        if (self.camera.width, self.camera.height) != (width, height):
            raise DataError(
                self.name, f"the picture is {width}x{height}, its camera's {self.camera.width}x{self.camera.height}"
            )
        if self.split not in ("train", "held_out"):
            raise DataError(self.name, f"belongs to the split {self.split!r}, neither 'train' nor 'held_out'")
        if self.mask is not None and self.mask.shape != (height, width):
            raise DataError(self.name, f"the mask has shape {self.mask.shape}, the picture {(height, width)}")
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
