# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations in the notations of motion files and of Blender."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .skeleton import rotation_matrices


def quaternions_from(matrices: Floats) -> NDArray[np.float64]:
    """Convert rotation matrices (..., 3, 3) to unit quaternions (..., 4) w, x, y, z.

    The largest of the four is the divisor (Shepperd 1978).
    """
    m = np.asarray(matrices, np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    squares = np.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    doubled = np.sqrt(np.maximum(1 - trace[..., None] + 2 * squares, 1e-12))
    doubled[..., 0] = np.sqrt(np.maximum(1 + trace, 1e-12))
    w, x, y, z = (doubled[..., k] for k in range(4))
    largest = squares.argmax(-1)
    plus = {
        (0, 1): m[..., 1, 0] + m[..., 0, 1],
        (1, 2): m[..., 2, 1] + m[..., 1, 2],
        (0, 2): m[..., 0, 2] + m[..., 2, 0],
    }
    minus = (m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1])
    candidates = [
        np.stack([w, minus[0] / w, minus[1] / w, minus[2] / w], -1),
        np.stack([minus[0] / x, x, plus[0, 1] / x, plus[0, 2] / x], -1),
        np.stack([minus[1] / y, plus[0, 1] / y, y, plus[1, 2] / y], -1),
        np.stack([minus[2] / z, plus[0, 2] / z, plus[1, 2] / z, z], -1),
    ]
    chosen = np.take_along_axis(np.stack(candidates, -2), largest[..., None, None], -2)[..., 0, :]
    unit_length: NDArray[np.float64] = chosen / np.linalg.norm(chosen, axis=-1, keepdims=True)
    return unit_length


def matrices_from(quaternions: Floats) -> NDArray[np.float64]:
    """Convert unit quaternions (..., 4) w, x, y, z to rotation matrices (..., 3, 3)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternions, np.float64), -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    matrices: NDArray[np.float64] = np.stack(rows, -1).reshape(*np.shape(w), 3, 3)
    return matrices


def without_flips(quaternions: Floats) -> NDArray[np.float64]:
    """Choose the signs of quaternions (F, ..., 4) so that each is near its predecessor, which gives smooth F-Curves."""
    signs = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    steady = quaternions.copy()
    steady[1:] *= np.cumprod(signs, axis=0)[..., None]
    return steady


def slerp(start: Floats, end: Floats, share: Floats) -> NDArray[np.float64]:
    """Interpolate between unit quaternions (..., 4) by the shorter way; ``share`` (..., 1) is 0 to 1."""
    cosine = (start * end).sum(-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    small = angle < 1e-6
    sine = np.where(small, 1, np.sin(angle))
    mixed = np.where(
        small,
        (1 - share) * start + share * end,
        (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / sine,
    )
    unit_length: NDArray[np.float64] = mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
    return unit_length


class Notation(Enum):
    """How a file writes a rotation; the value is how many numbers it takes."""

    AXIS_ANGLE = 3
    QUATERNION = 4
    SIX = 6
    MATRIX = 9


# Radians. No joint rotates by more than a full turn; roots may have made one more turn.
_LARGEST_ANGLE, _LARGEST_OF_ROOT = 2 * np.pi + 1e-3, 4 * np.pi
_LARGEST_NUMBER = 1e6  # degrees of a root that has turned for hours
_KNEES = (4, 5)
# A knee that bends this far shows which way it bends: ten times as far as it can bend forward.
_LEAST_BEND = np.radians(3.0)


def matrices_of(numbers: Floats, notation: Notation, first: int = 0) -> NDArray[np.float64]:
    """Convert rotations from a file to matrices.

    Args:
        numbers: (F, J, k) rotations.
        notation: how they are written.
        first: SMPL's number of the first joint; 0 for the root.

    Returns:
        (F, J, 3, 3) rotation matrices.

    Raises:
        ValueError: they are not rotations, or their notation is ambiguous; the message is part of a sentence.
    """
    numbers = np.asarray(numbers, np.float64)
    if not (np.abs(numbers) < _LARGEST_NUMBER).all():
        raise ValueError("not all of its rotations are finite numbers")
    if notation is Notation.AXIS_ANGLE:
        angles = np.linalg.norm(numbers, axis=-1)
        limits = np.where(np.arange(first, first + numbers.shape[1]) == 0, _LARGEST_OF_ROOT, _LARGEST_ANGLE)
        if (angles > limits).any():
            raise ValueError(
                f"its joints rotate by up to {angles.max():.0f} radians; save axis-angle in radians, not degrees"
            )
        return rotation_matrices(numbers)
    if notation is Notation.QUATERNION:
        return _of_quaternions(numbers)
    if notation is Notation.SIX:
        return _of_six(numbers, first)
    return _of_nine(numbers.reshape(*numbers.shape[:2], 3, 3))


def _of_quaternions(numbers: Floats) -> NDArray[np.float64]:
    """Convert quaternions with the real part first or last: it is the largest, because most joints rotate little."""
    lengths = np.linalg.norm(numbers, axis=-1, keepdims=True)
    if (np.abs(lengths - 1) > 0.05).any():
        raise ValueError("its quaternions are not of unit length")
    sizes = np.abs(numbers).mean((0, 1))
    if max(sizes[0], sizes[3]) < 1.2 * min(sizes[0], sizes[3]):
        raise ValueError(
            "it is ambiguous whether its quaternions have the real part first or last; save axis-angle instead"
        )
    return matrices_from((numbers if sizes[0] > sizes[3] else np.roll(numbers, 1, -1)) / lengths)


def _of_nine(matrices: Floats) -> NDArray[np.float64]:
    products = matrices @ np.swapaxes(matrices, -1, -2)
    off = np.abs(products - np.eye(3)).max()
    if off > 0.05 or (np.linalg.det(matrices) < 0).any():
        raise ValueError("its 3 x 3 matrices are not rotations")
    return matrices if off < 1e-6 else _orthonormal(matrices[..., 0, :], matrices[..., 1, :])


def _of_six(numbers: Floats, first: int) -> NDArray[np.float64]:
    """Convert two rows or two columns of matrices, also with alternating numbers of the columns.

    Which it is follows from orthogonality and from the direction in which the knees bend.
    """
    apart, mixed = (numbers[..., :3], numbers[..., 3:]), (numbers[..., 0::2], numbers[..., 1::2])
    errors = [np.abs(_gram(*pair) - (1, 1, 0)).max() for pair in (apart, mixed)]
    if min(errors) > 0.05:
        raise ValueError("its rotations of six numbers are not two rows or columns of rotation matrices")
    if errors[1] < errors[0]:
        return np.swapaxes(_orthonormal(*mixed), -1, -2)
    rows = _orthonormal(*apart)
    knees = [joint - first for joint in _KNEES if 0 <= joint - first < numbers.shape[1]]
    if not knees:  # a root alone does not show it: rows are assumed
        return rows
    x_turns = np.arctan2(rows[:, knees, 2, 1] - rows[:, knees, 1, 2], np.trace(rows[:, knees], axis1=-2, axis2=-1) - 1)
    bend = float(x_turns[np.abs(x_turns).argmax(0), np.arange(len(knees))].mean())
    if abs(bend) < _LEAST_BEND:
        raise ValueError(
            "it is ambiguous whether its rotations of six numbers are matrix rows or columns; save axis-angle instead"
        )
    return rows if bend > 0 else np.swapaxes(rows, -1, -2)


def _gram(one: Floats, other: Floats) -> NDArray[np.float64]:
    return np.stack([(one * one).sum(-1), (other * other).sum(-1), (one * other).sum(-1)], -1)


def _orthonormal(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Return rotations (..., 3, 3) whose first two rows are nearly these (Gram-Schmidt)."""
    one = one / np.linalg.norm(one, axis=-1, keepdims=True)
    other = other - (one * other).sum(-1, keepdims=True) * one
    other = other / np.linalg.norm(other, axis=-1, keepdims=True)
    return np.stack([one, other, np.cross(one, other)], -2)


def swing(start: Floats, end: Floats) -> NDArray[np.float64]:
    """Return the smallest rotations (..., 3, 3) from directions (..., 3) to others."""
    start = start / np.maximum(np.linalg.norm(start, axis=-1, keepdims=True), 1e-12)
    end = end / np.maximum(np.linalg.norm(end, axis=-1, keepdims=True), 1e-12)
    cross, cosine = np.cross(start, end), (start * end).sum(-1)[..., None, None]
    x, y, z = np.moveaxis(cross, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    # Opposite directions have no unique smallest rotation: half a turn about any perpendicular axis will do.
    across = np.cross(start, np.where(np.abs(start[..., :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0]))
    across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    half_turn = 2 * across[..., :, None] * across[..., None, :] - np.eye(3)
    return np.where(cosine > -1 + 1e-9, np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-12), half_turn)
