# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for SMPL's skeleton, and the files of SMPL poses that AMASS made common. Only numpy."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .rest_pose import chained, swung_joints
from .skeleton import ARMATURE_FROM_BODY, JOINTS, WORLD_FROM_CAMERA, rotation_matrices

LONGEST = 200_000  # frames: half an hour at 120 frames a second
_BODY_JOINTS = 22  # that SMPL, SMPL-H and SMPL-X have in common: all but the hands
_SOLES, _TOES = (7, 8, 10, 11), (10, 11)
# Metres of flesh around joints that a body may rest on: pelvis, knees, head, elbows, wrists, knuckles.
_CLEARANCE = {0: 0.11, 4: 0.06, 5: 0.06, 15: 0.1, 18: 0.05, 19: 0.05, 20: 0.03, 21: 0.03, 22: 0.02, 23: 0.02}


class MotionError(ValueError):
    """A motion file that cannot be used; the message is one sentence for the artist."""


@dataclass(frozen=True)
class Motion:
    """Poses of SMPL's skeleton over time, in the armature's axes (x to the person's left, y backward, z up).

    Attributes:
        rotations: (F, 24, 3, 3) of each joint against its parent and relative to the T pose; the first: armature to world.
        pelvis: (F, 3) metres that the pelvis is away from its rest place.
        rate: frames per second.
        betas: (K,) SMPL's shape coefficients, where the file has them.
    """

    rotations: NDArray[np.float64]
    pelvis: NDArray[np.float64]
    rate: float
    betas: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rotations)


def load_smpl_motion(path: Path) -> Motion:
    """An npz of SMPL, SMPL-H or SMPL-X poses with AMASS's keys: ``poses`` (F, 72 / 156 / 165), or ``root_orient`` and ``pose_body``;
    ``trans`` (F, 3); ``mocap_framerate`` or ``mocap_frame_rate``; ``betas``.

    The world's up axis is found from how the people stand in it (AMASS: z; others: y; of a camera: -y). Raises MotionError, OSError.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file.files if key in _KEYS + _RATES}
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise MotionError(f"{path.name} is not an npz file of SMPL poses ({error}).") from error
    poses = _poses(content, path.name)
    frames = len(poses)
    if not 1 <= frames <= LONGEST:
        raise MotionError(f"{path.name} has {frames} frames; 1 to {LONGEST} can be imported.")
    trans = np.asarray(content.get("trans", content.get("transl", np.zeros((frames, 3)))), np.float64)
    if trans.shape != (frames, 3) or not np.isfinite(trans).all() or not np.isfinite(poses).all():
        raise MotionError(f"{path.name} is damaged: its poses and places do not fit together.")
    rate = float(next((np.ravel(content[key])[0] for key in _RATES if key in content), 30.0))
    if not 1 <= rate <= 1000:
        raise MotionError(f"{path.name} is damaged: {rate:g} frames per second.")
    betas = np.ravel(content["betas"]).astype(np.float64)[:10] if "betas" in content else None
    rotations = rotation_matrices(poses)
    world = _world_axes(rotations[:, 0])
    turned = ARMATURE_FROM_BODY @ rotations @ ARMATURE_FROM_BODY.T
    turned[:, 0] = world @ rotations[:, 0] @ ARMATURE_FROM_BODY.T
    return Motion(turned, trans @ world.T, rate, betas)


_KEYS = ("poses", "root_orient", "pose_body", "global_orient", "body_pose", "trans", "transl", "betas")
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")


def _poses(content: dict[str, NDArray], name: str) -> NDArray[np.float64]:
    """(F, 24, 3) axis-angle; hands stay at rest where the file has fingers instead."""
    if "poses" in content:
        flat = np.asarray(content["poses"], np.float64)
    elif {"root_orient", "pose_body"} <= content.keys():
        flat = np.concatenate([content["root_orient"], content["pose_body"]], -1).astype(np.float64)
    elif {"global_orient", "body_pose"} <= content.keys():
        parts = [np.asarray(content[key], np.float64) for key in ("global_orient", "body_pose")]
        flat = np.concatenate([part.reshape(len(part), -1) for part in parts], -1)
    else:
        raise MotionError(f"{name} holds no SMPL poses: none of its arrays is called poses or pose_body.")
    if not flat.size:
        raise MotionError(f"{name} holds 0 frames.")
    flat = flat.reshape(len(flat), -1)
    if flat.shape[1] < 3 * 22 or flat.shape[1] % 3:
        raise MotionError(f"{name} holds poses of {flat.shape[1]} numbers; SMPL has 72, SMPL-H 156, SMPL-X 165.")
    poses = np.zeros((len(flat), JOINTS, 3))
    joints = JOINTS if flat.shape[1] == 3 * JOINTS else _BODY_JOINTS
    poses[:, :joints] = flat[:, : 3 * joints].reshape(-1, joints, 3)
    return poses


def _world_axes(orientations: NDArray) -> NDArray[np.float64]:
    """(3, 3) the file's world -> Blender's, from which of its axes people's heads point along."""
    up = orientations[:, :, 1].mean(0)
    if max(abs(up[0]), abs(up[1])) <= up[2]:
        return np.eye(3)
    return ARMATURE_FROM_BODY if up[1] > 0 else WORLD_FROM_CAMERA


def resampled(motion: Motion, rate: float) -> Motion:
    """The motion at another frame rate: rotations by the shortest way, places along straight lines."""
    count = max(1, int(np.floor((len(motion) - 1) * rate / motion.rate + 1e-6)) + 1)
    times = np.minimum(np.arange(count) * motion.rate / rate, len(motion) - 1)
    before = np.minimum(times.astype(int), max(len(motion) - 2, 0))
    after = np.minimum(before + 1, len(motion) - 1)
    share = times - before
    quaternions = quaternions_from(motion.rotations)
    start, end = quaternions[before], quaternions[after]
    mixed = _slerp(start, end, share[:, None, None])
    pelvis = motion.pelvis[before] + share[:, None] * (motion.pelvis[after] - motion.pelvis[before])
    return replace(motion, rotations=matrices_from(mixed), pelvis=pelvis, rate=rate)


def grounded(motion: Motion, joints: NDArray, toes: NDArray, parents: Sequence[int]) -> Motion:
    """The motion raised or lowered as a whole so that its lowest moment touches the ground: with soles, hands, knees or the seat.

    Args:
        joints: (24, 3) rest joints in the T, armature's axes; toes: (2, 3) tips of the left and the right foot there.
    """
    whole = chained(motion.rotations, parents)
    placed = swung_joints(joints, whole, parents) + motion.pelvis[:, None]
    tips = [placed[:, foot] + whole[:, foot] @ (toe - joints[foot]) for foot, toe in zip(_TOES, toes, strict=True)]
    touching = [*_CLEARANCE, *_SOLES]
    low = [*_CLEARANCE.values(), *joints[list(_SOLES), 2]]  # how high a joint is above what touches the ground with it
    heights = np.concatenate([placed[:, touching, 2] - low, np.stack(tips, 1)[..., 2] - toes[:, 2]], 1)
    return replace(motion, pelvis=motion.pelvis - np.array([0, 0, heights.min()]))


def starting_here(motion: Motion) -> Motion:
    """The motion moved sideways so that it starts above the origin."""
    return replace(motion, pelvis=motion.pelvis - motion.pelvis[0] * np.array([1, 1, 0]))


def quaternions_from(matrices: NDArray) -> NDArray[np.float64]:
    """(..., 3, 3) rotations -> (..., 4) unit quaternions w, x, y, z (Shepperd 1978: the largest of the four is divided by)."""
    m = np.asarray(matrices, np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    squares = np.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    doubled = np.sqrt(np.maximum(1 - trace[..., None] + 2 * squares, 1e-12))
    doubled[..., 0] = np.sqrt(np.maximum(1 + trace, 1e-12))
    w, x, y, z = (doubled[..., k] for k in range(4))
    largest = squares.argmax(-1)
    plus = {(0, 1): m[..., 1, 0] + m[..., 0, 1], (1, 2): m[..., 2, 1] + m[..., 1, 2], (0, 2): m[..., 0, 2] + m[..., 2, 0]}
    minus = (m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1])
    candidates = [
        np.stack([w, minus[0] / w, minus[1] / w, minus[2] / w], -1),
        np.stack([minus[0] / x, x, plus[0, 1] / x, plus[0, 2] / x], -1),
        np.stack([minus[1] / y, plus[0, 1] / y, y, plus[1, 2] / y], -1),
        np.stack([minus[2] / z, plus[0, 2] / z, plus[1, 2] / z, z], -1),
    ]
    chosen = np.take_along_axis(np.stack(candidates, -2), largest[..., None, None], -2)[..., 0, :]
    return chosen / np.linalg.norm(chosen, axis=-1, keepdims=True)


def matrices_from(quaternions: NDArray) -> NDArray[np.float64]:
    """Inverse of `quaternions_from`."""
    w, x, y, z = np.moveaxis(np.asarray(quaternions, np.float64), -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, -1).reshape(*np.shape(w), 3, 3)


def without_flips(quaternions: NDArray) -> NDArray[np.float64]:
    """(F, ..., 4) the same rotations with signs such that each follows its predecessor by the short way: curves that can be edited."""
    signs = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    steady = quaternions.copy()
    steady[1:] *= np.cumprod(signs, axis=0)[..., None]
    return steady


def _slerp(start: NDArray, end: NDArray, share: NDArray) -> NDArray:
    cosine = (start * end).sum(-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    small = angle < 1e-6
    sine = np.where(small, 1, np.sin(angle))
    mixed = np.where(small, (1 - share) * start + share * end, (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / sine)
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
