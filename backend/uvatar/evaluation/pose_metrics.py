"""Errors in 3D between a body and the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.joints import (
    ANKLE_JOINTS,
    ELBOW_JOINTS,
    FOOT_JOINTS,
    HAND_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    SHOULDER_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.data.landmarks import ANKLES, ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS

# Trunk, head and limbs; hands and toes add nothing to wrists and ankles.
BODY_JOINTS = [joint for joint in Joint if joint not in (*HAND_JOINTS, *FOOT_JOINTS)]
# The joints that landmark models have, too, in the order of `LIMB_LANDMARKS`.
LIMB_JOINTS = [*SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS, *HIP_JOINTS, *KNEE_JOINTS, *ANKLE_JOINTS]
LIMB_LANDMARKS = [*SHOULDERS, *ELBOWS, *WRISTS, *HIPS, *KNEES, *ANKLES]


def mpjpe(joints: Floats, truth: Floats, root: int | list[int] = 0) -> float:
    """Mean distance of joints (J, 3) from the true ones, after aligning ``root`` (the mean of several joints)."""

    def centred(points: Floats) -> Floats:
        points = np.asarray(points, np.float64)
        moved: Floats = points - np.atleast_2d(points[root]).mean(0)
        return moved

    return float(np.linalg.norm(centred(joints) - centred(truth), axis=-1).mean())


def pa_mpjpe(joints: Floats, truth: Floats) -> float:
    """Mean distance of joints (J, 3) from the true ones after the best similarity transform."""
    return float(np.linalg.norm(procrustes(joints, truth) - truth, axis=-1).mean())


def procrustes(points: Floats, target: Floats) -> NDArray[np.float64]:
    """Rotate, scale and move ``points`` (N, 3) onto ``target`` (N, 3) by least squares (Umeyama 1991, eq. 40-42)."""
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    source, goal = points - points.mean(0), target - target.mean(0)
    u, scale, vt = np.linalg.svd(goal.T @ source)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    size = (scale * signs).sum() / max((source**2).sum(), 1e-12)
    moved: NDArray[np.float64] = size * source @ rotation.T + target.mean(0)
    return moved


def torso_direction_error(joints: Floats, truth: Floats) -> float:
    """Degrees between the directions from the middle of the hips to the middle of the shoulders; joints (24, 3)."""

    def upward(points: Floats) -> Floats:
        direction: Floats = points[SHOULDER_JOINTS].mean(0) - points[HIP_JOINTS].mean(0)
        return direction

    return _degrees_between(upward(joints), upward(truth))


def facing_error(joints: Floats, truth: Floats) -> float:
    """Degrees between the directions in which the trunks face; joints (24, 3)."""

    def forward(points: Floats) -> Floats:
        across = points[SHOULDER_JOINTS[0]] + points[HIP_JOINTS[0]] - points[SHOULDER_JOINTS[1]] - points[HIP_JOINTS[1]]
        direction: Floats = np.cross(across, points[SHOULDER_JOINTS].mean(0) - points[HIP_JOINTS].mean(0))
        return direction

    return _degrees_between(forward(joints), forward(truth))


def _degrees_between(a: Floats, b: Floats) -> float:
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
