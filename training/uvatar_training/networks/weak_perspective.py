"""The weak-perspective camera in PyTorch, batched and differentiable.

`uvatar.mesh_predictor.weak_perspective` is the NumPy version.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uvatar.data.camera import Camera
from uvatar.mesh_predictor.weak_perspective import PaddedSquare


def to_pixels(square: PaddedSquare, normalised: Tensor) -> Tensor:
    """Convert points (..., 2) in -1..1 across the padded square to pixels of the photo."""
    return (normalised + 1) * (square.side / 2) - _offset(square, normalised)


def to_normalised(square: PaddedSquare, pixels: Tensor) -> Tensor:
    """Convert pixels (..., 2) of the photo to -1..1 across the padded square."""
    return (pixels + _offset(square, pixels)) / (square.side / 2) - 1


def _offset(square: PaddedSquare, like: Tensor) -> Tensor:
    return torch.tensor([square.left, square.top], dtype=like.dtype, device=like.device)


def project_weakly(points: Tensor, camera: Tensor) -> Tensor:
    """Project body points (N, J, 3) with cameras (N, 3) s, tx, ty, to (N, J, 2) in -1..1 across the padded square."""
    return camera[:, None, :1] * points[..., :2] + camera[:, None, 1:]


def fit_weak_camera(joints: Tensor, seen: Tensor, use: Tensor) -> Tensor:
    """Fit weak-perspective cameras to joints by least squares.

    Args:
        joints: (N, J, 3) metres.
        seen: (N, J, 2) their positions in -1..1 across the padded square.
        use: (N, J) bool, which joints to use.

    Returns:
        (N, 3) s, tx, ty; s = 0 if fewer than two different joints are used.
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
    """Translations (N, 3), metres, that place bodies in the pinhole camera where the weak-perspective camera sees them.

    This is a least-squares problem over the joints (N, J, 3): f (X + tx) = u (Z + tz) is linear in the translation,
    where u is the target pixel relative to the principal point. It needs neither an initial value nor random numbers
    (ROMP uses EPnP with RANSAC).
    """
    target = to_pixels(square, project_weakly(joints, camera)) - torch.tensor(
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
