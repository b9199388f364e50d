"""Between the network's weak-perspective camera over the padded square and the photo's own pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvatar.data.camera import Camera
from uvatar.mesh_predictor.network import INPUT_SIDE


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

    def to_pixels(self, normalised: Tensor) -> Tensor:
        """(..., 2) in -1..1 across the square -> pixels of the photo."""
        offset = torch.tensor([self.left, self.top], dtype=normalised.dtype, device=normalised.device)
        return (normalised + 1) * (self.side / 2) - offset

    def to_normalised(self, pixels: Tensor) -> Tensor:
        """(..., 2) pixels of the photo -> -1..1 across the square."""
        offset = torch.tensor([self.left, self.top], dtype=pixels.dtype, device=pixels.device)
        return (pixels + offset) / (self.side / 2) - 1


def network_input(pixels: NDArray[np.uint8]) -> tuple[Tensor, PaddedSquare]:
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
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255, square


def project_weakly(points: Tensor, camera: Tensor) -> Tensor:
    """(N, J, 3) body points, (N, 3) s, tx, ty -> (N, J, 2) in -1..1 across the padded square."""
    return camera[:, None, :1] * points[..., :2] + camera[:, None, 1:]


def fit_weak_camera(joints: Tensor, seen: Tensor, use: Tensor) -> Tensor:
    """The weak-perspective camera that sees joints (N, J, 3) nearest to ``seen`` (N, J, 2), least squares over ``use``
    (N, J) bool.

    Returns (N, 3) s, tx, ty; s = 0 where fewer than two different joints are used.
    """
    weight = use.to(joints.dtype)[..., None]
    total = weight.sum(1, keepdim=True).clamp_min(1)
    mean_joint, mean_seen = (
        (joints[..., :2] * weight).sum(1, keepdim=True) / total,
        (seen * weight).sum(1, keepdim=True) / total,
    )
    p, q = (joints[..., :2] - mean_joint) * weight, (seen - mean_seen) * weight
    scale = (p * q).sum((1, 2)) / p.square().sum((1, 2)).clamp_min(1e-12)
    return torch.cat([scale[:, None], (mean_seen - scale[:, None, None] * mean_joint)[:, 0]], 1)


def translation(joints: Tensor, camera: Tensor, square: PaddedSquare, pinhole: Camera) -> Tensor:
    """(N, 3) metres to add to the body so that the photo's pinhole camera sees it where the weak-perspective one does.

    Least squares over the joints (N, J, 3): f (X + tx) = u (Z + tz) is linear in the translation, u being the target
    pixel relative to the principal point. It needs no start and no random numbers (ROMP: EPnP with RANSAC).
    """
    target = square.to_pixels(project_weakly(joints, camera)) - torch.tensor(
        pinhole.center, dtype=joints.dtype, device=joints.device
    )
    target = target / pinhole.focal
    # Per joint and axis: t_axis - u t_z = u Z - X.
    ones, zeros = torch.ones_like(target[..., :1]), torch.zeros_like(target[..., :1])
    rows = torch.cat(
        [torch.cat([ones, zeros, -target[..., :1]], -1), torch.cat([zeros, ones, -target[..., 1:]], -1)], 1
    )
    values = torch.cat(
        [target[..., 0] * joints[..., 2] - joints[..., 0], target[..., 1] * joints[..., 2] - joints[..., 1]], 1
    )
    transposed = rows.transpose(1, 2)
    transl: Tensor = torch.linalg.solve(transposed @ rows, transposed @ values[..., None]).squeeze(-1)
    return transl
