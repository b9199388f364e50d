"""Rotations in torch, batched and differentiable: 6D, matrices and axis-angle.

`uvatar.geometry.rotations` has those of numpy.
"""

from __future__ import annotations

import torch
from torch import Tensor


def matrices_from_6d(values: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3) rotation matrices (Zhou et al. 2019, "On the continuity of rotation representations", eq.

    15).

    The six numbers are a row-major 3x2 matrix, as ROMP and SPIN publish them: the first basis vector is elements 0, 2,
    4 and the second 1, 3, 5, so that the identity is 1, 0, 0, 1, 0, 0.  (PyTorch3D's layout is two vectors after each
    other.)
    """
    columns = values.unflatten(-1, (3, 2))
    first = torch.nn.functional.normalize(columns[..., 0], dim=-1)
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.cross(first, second, dim=-1)], -1)


def six_d_from_matrices(matrices: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first two columns, row-major; the inverse of `matrices_from_6d`."""
    return matrices[..., :2].flatten(-2)


def matrices_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """(..., 3) axis-angle in radians -> (..., 3, 3) rotations (Rodrigues), with gradients that are finite at zero."""
    x, y, z = axis_angle.unbind(-1)
    square = (axis_angle * axis_angle).sum(-1)
    # sin(a)/a and (1 - cos(a))/a^2 = (sin(a/2)/(a/2))^2 / 2; below 1e-3 rad their Taylor series, where the quotients
    # lose digits.
    small = square < 1e-6
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    s = torch.where(small, 1 - square / 6, angle.sin() / angle)
    half = torch.where(small, 1 - square / 24, 2 * (angle / 2).sin() / angle)
    c = half * half / 2
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    outer = axis_angle.unsqueeze(-1) * axis_angle.unsqueeze(-2)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity * (1 - c * square)[..., None, None] + s[..., None, None] * cross + c[..., None, None] * outer


def axis_angle_from_matrices(matrices: Tensor) -> Tensor:
    """(..., 3, 3) rotation matrices -> (..., 3) axis times angle in [0, pi], through quaternions (stable at every
    angle).
    """
    m = matrices
    diagonal = torch.diagonal(m, dim1=-2, dim2=-1)
    trace = diagonal.sum(-1)
    # Four ways to the quaternion (w, x, y, z), each scaled by a different component; the largest component is the
    # safest.
    candidates = torch.stack(
        [
            torch.stack(
                [1 + trace, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1
            ),
            torch.stack(
                [
                    m[..., 2, 1] - m[..., 1, 2],
                    1 + 2 * m[..., 0, 0] - trace,
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1 + 2 * m[..., 1, 1] - trace,
                    m[..., 1, 2] + m[..., 2, 1],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1 + 2 * m[..., 2, 2] - trace,
                ],
                -1,
            ),
        ],
        -2,
    )
    largest = torch.stack([trace, *diagonal.unbind(-1)], -1).argmax(-1)
    index = largest[..., None, None].expand(*largest.shape, 1, 4)
    quaternion = torch.nn.functional.normalize(candidates.gather(-2, index).squeeze(-2), dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = quaternion[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    # angle / sin(angle / 2) tends to 2 as the angle vanishes.
    return quaternion[..., 1:] * torch.where(sine > 1e-7, angle / sine.clamp_min(1e-7), torch.full_like(sine, 2.0))
