"""Errors in 3D between a body and the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.joints import JOINT_NAMES

# Trunk, head and limbs; hands and toes say nothing that wrists and ankles do not.
BODY_JOINTS = [i for i, name in enumerate(JOINT_NAMES) if name.split("_")[-1] not in ("hand", "foot")]
_LIMB_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# The joints that landmark models know too, in the order of `LIMB_LANDMARKS`.
LIMB_JOINTS = [JOINT_NAMES.index(f"{side}_{name}") for name in _LIMB_JOINTS for side in ("left", "right")]
LIMB_LANDMARKS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
_HIPS, _SHOULDERS = (
    [JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right")],
    [JOINT_NAMES.index(f"{side}_shoulder") for side in ("left", "right")],
)


def mpjpe(joints: NDArray, truth: NDArray, root: int | list[int] = 0) -> float:
    """Mean distance of joints (J, 3) from the true ones after both are moved so that ``root`` (mean of several) is at
    the origin.
    """

    def centred(points: NDArray) -> NDArray:
        points = np.asarray(points, np.float64)
        return points - np.atleast_2d(points[root]).mean(0)

    return float(np.linalg.norm(centred(joints) - centred(truth), axis=-1).mean())


def pa_mpjpe(joints: NDArray, truth: NDArray) -> float:
    """Mean distance of joints (J, 3) from the true ones after the best similarity transform."""
    return float(np.linalg.norm(procrustes(joints, truth) - truth, axis=-1).mean())


def procrustes(points: NDArray, target: NDArray) -> NDArray[np.float64]:
    """``points`` (N, 3) rotated, scaled and moved onto ``target`` (N, 3) with least squares (Umeyama 1991, eq.

    40-42).
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    source, goal = points - points.mean(0), target - target.mean(0)
    u, scale, vt = np.linalg.svd(goal.T @ source)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    size = (scale * signs).sum() / max((source**2).sum(), 1e-12)
    return size * source @ rotation.T + target.mean(0)


def torso_direction_error(joints: NDArray, truth: NDArray) -> float:
    """Degrees between the directions from the middle of the hips to the middle of the shoulders; joints (24, 3)."""

    def upward(points: NDArray) -> NDArray:
        return points[_SHOULDERS].mean(0) - points[_HIPS].mean(0)

    return _degrees_between(upward(joints), upward(truth))


def facing_error(joints: NDArray, truth: NDArray) -> float:
    """Degrees between the directions in which the trunks face; joints (24, 3)."""

    def forward(points: NDArray) -> NDArray:
        across = points[_SHOULDERS[0]] + points[_HIPS[0]] - points[_SHOULDERS[1]] - points[_HIPS[1]]
        return np.cross(across, points[_SHOULDERS].mean(0) - points[_HIPS].mean(0))

    return _degrees_between(forward(joints), forward(truth))


def _degrees_between(a: NDArray, b: NDArray) -> float:
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
