"""Rotations in numpy, batched: vectors (axis times angle), matrices and the derivatives that the solver needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats

_SMALL = 1e-4  # radians, below which the series replaces the closed form
_TINY = 1e-30  # radians, which sin(a) / a takes for 0


def skew(vectors: Floats) -> Floats:
    """(..., 3) -> (..., 3, 3) matrices K with K x = v cross x."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    matrices: Floats = np.stack(rows, -1).reshape(*vectors.shape[:-1], 3, 3)
    return matrices


def exp(vectors: Floats) -> Floats:
    """Rotation vectors (..., 3), radians -> rotation matrices (..., 3, 3) (Rodrigues)."""
    return _series(vectors, _sine_ratio, _cosine_ratio)


def left_jacobian(vectors: Floats) -> Floats:
    """(..., 3) -> (..., 3, 3) matrix J with exp(v + d) ~ exp(J d) exp(v) for small d (Sola et al. 2018,
    equation 145).
    """
    return _series(vectors, _cosine_ratio, _cubic_ratio)


def log(matrices: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) -> rotation vectors (..., 3) of at most pi radians."""
    vectors: Floats = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(*matrices.shape[:-2], 3)
    return vectors


def twist(matrix: Floats, axis: Floats) -> float:
    """The angle about a unit ``axis`` (3,) by which a rotation (3, 3) turns, radians, -pi..pi: what is left when the
    smallest rotation that tilts the axis as much is taken away.
    """
    x, y, z, w = Rotation.from_matrix(matrix).as_quat()
    angle = 2 * float(np.arctan2(axis @ np.array([x, y, z]), w))
    return (angle + np.pi) % (2 * np.pi) - np.pi


def angle(one: Floats, other: Floats) -> NDArray[np.float64]:
    """The angles (...) between rotations (..., 3, 3), radians, 0..pi."""
    return np.asarray(np.linalg.norm(log(np.swapaxes(one, -1, -2) @ other), axis=-1), np.float64)


def about_y(turned: float) -> NDArray[np.float64]:
    """The rotation (3, 3) about the y axis by ``turned`` radians, from z to x."""
    c, s = np.cos(turned), np.sin(turned)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def between(source: Floats, target: Floats) -> Floats:
    """The smallest rotation (3, 3) that takes direction ``source`` (3,) to ``target`` (3,)."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    sine, cosine = float(np.linalg.norm(axis)), float(source @ target)
    if sine < 1e-8:
        if cosine > 0:
            return np.eye(3)
        axis, sine = np.cross(source, np.eye(3)[np.abs(source).argmin()]), 0.0
    return exp(axis / np.linalg.norm(axis) * np.arctan2(sine, cosine))


def nearest(matrices: Floats) -> Floats:
    """The rotations (..., 3, 3) nearest to ``matrices``, least squares; of a sum of rotations, their mean."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., :, 2] *= np.linalg.det(u @ vt)[..., None]
    rotation: Floats = u @ vt
    return rotation


def _series(vectors: Floats, first: Callable[[Floats], Floats], second: Callable[[Floats], Floats]) -> Floats:
    """I + first(angle) K + second(angle) K^2, with K^2 = v v' - angle^2 I."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    xx, yy, zz = x * x, y * y, z * z
    angle = np.sqrt(xx + yy + zz)
    a, b = first(angle), second(angle)
    ax, ay, az = a * x, a * y, a * z
    bxy, bxz, byz = b * x * y, b * x * z, b * y * z
    result = np.empty((*angle.shape, 3, 3))
    result[..., 0, 0], result[..., 0, 1], result[..., 0, 2] = 1 - b * (yy + zz), bxy - az, bxz + ay
    result[..., 1, 0], result[..., 1, 1], result[..., 1, 2] = bxy + az, 1 - b * (xx + zz), byz - ax
    result[..., 2, 0], result[..., 2, 1], result[..., 2, 2] = bxz - ay, byz + ax, 1 - b * (xx + yy)
    return result


def _sine_ratio(angle: Floats) -> Floats:
    """sin(a) / a."""
    safe = np.maximum(angle, _TINY)
    ratio: Floats = np.sin(safe) / safe
    return ratio


def _cosine_ratio(angle: Floats) -> Floats:
    """(1 - cos(a)) / a^2, as sin^2(a/2) so that nothing cancels."""
    return 0.5 * _sine_ratio(angle / 2) ** 2


def _cubic_ratio(angle: Floats) -> Floats:
    """(a - sin(a)) / a^3."""
    safe = np.where(angle < _SMALL, 1.0, angle)
    return np.where(angle < _SMALL, 1 / 6, (safe - np.sin(safe)) / safe**3)
