"""Between the network's weak-perspective camera over the padded square and the photo's own pinhole camera.

`uvatar_training.networks.weak_perspective` has the same in PyTorch, with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.mesh_predictor.maps import INPUT_SIDE


@dataclass(frozen=True)
class PaddedSquare:
    """How a photo was laid into a square.

    Attributes:
        side: of the square, pixels of the photo: the longer of width and height.
        top, left: black pixels above and left of the photo.
    """

    side: int
    top: int
    left: int

    @classmethod
    def around(cls, width: int, height: int) -> PaddedSquare:
        """The square around a photo of this size, pixels."""
        side = max(width, height)
        return cls(side, (side - height) // 2, (side - width) // 2)

    def to_pixels(self, normalised: Floats) -> Floats:
        """(..., 2) in -1..1 across the square -> pixels of the photo, in the type of floats that is given."""
        pixels: Floats = (normalised + 1) * (self.side / 2) - self._offset(normalised)
        return pixels

    def to_normalised(self, pixels: Floats) -> Floats:
        """(..., 2) pixels of the photo -> -1..1 across the square, in the type of floats that is given."""
        normalised: Floats = (pixels + self._offset(pixels)) / (self.side / 2) - 1
        return normalised

    def _offset(self, like: Floats) -> Floats:
        return np.array([self.left, self.top], like.dtype)


def network_input(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], PaddedSquare]:
    """(H, W, 3) sRGB photo -> (1, 3, 512, 512) float in [0, 1], padded to a square with black, resized bicubically as
    ROMP does.

    Raises ValueError for a photo under 32 pixels on a side.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 32:
        raise ValueError(
            f"The photo is {width}x{height} pixels, too small to find people in. Use one with at least 32 pixels per "
            "side."
        )
    square = PaddedSquare.around(width, height)
    bottom, right = square.side - height - square.top, square.side - width - square.left
    padded = cv2.copyMakeBorder(pixels, square.top, bottom, square.left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    small = cv2.resize(padded, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32)[None] / np.float32(255), square


def project_weakly(points: Floats, camera: Floats) -> Floats:
    """(N, J, 3) body points, (N, 3) s, tx, ty -> (N, J, 2) in -1..1 across the padded square."""
    seen: Floats = camera[:, None, :1] * points[..., :2] + camera[:, None, 1:]
    return seen


def fit_weak_camera(joints: Floats, seen: Floats, use: NDArray[np.bool_]) -> Floats:
    """The weak-perspective camera that sees joints (N, J, 3) nearest to ``seen`` (N, J, 2), least squares over ``use``
    (N, J) bool.

    Returns (N, 3) s, tx, ty; s = 0 where fewer than two different joints are used.
    """
    weight = use.astype(joints.dtype)[..., None]
    total = np.maximum(weight.sum(1, keepdims=True), 1)
    mean_joint, mean_seen = ((part * weight).sum(1, keepdims=True) / total for part in (joints[..., :2], seen))
    p, q = (joints[..., :2] - mean_joint) * weight, (seen - mean_seen) * weight
    scale = (p * q).sum((1, 2)) / np.maximum((p * p).sum((1, 2)), 1e-12)
    camera: Floats = np.concatenate([scale[:, None], (mean_seen - scale[:, None, None] * mean_joint)[:, 0]], 1)
    return camera


def translation(joints: Floats, camera: Floats, square: PaddedSquare, pinhole: Camera) -> Floats:
    """(N, 3) metres to add to the body so that the photo's pinhole camera sees it where the weak-perspective one does.

    Least squares over the joints (N, J, 3): f (X + tx) = u (Z + tz) is linear in the translation, u being the target
    pixel relative to the principal point. It needs no start and no random numbers (ROMP: EPnP with RANSAC).
    """
    target = square.to_pixels(project_weakly(joints, camera)) - np.array(pinhole.center, joints.dtype)
    target = target / joints.dtype.type(pinhole.focal)
    # Per joint and axis: t_axis - u t_z = u Z - X.
    ones, zeros = np.ones_like(target[..., :1]), np.zeros_like(target[..., :1])
    rows = np.concatenate(
        [np.concatenate([ones, zeros, -target[..., :1]], -1), np.concatenate([zeros, ones, -target[..., 1:]], -1)], 1
    )
    values = np.concatenate(
        [target[..., 0] * joints[..., 2] - joints[..., 0], target[..., 1] * joints[..., 2] - joints[..., 1]], 1
    )
    transposed = rows.swapaxes(1, 2)
    transl: Floats = np.linalg.solve(transposed @ rows, transposed @ values[..., None])[..., 0]
    return transl
