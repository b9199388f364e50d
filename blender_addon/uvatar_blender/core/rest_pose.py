# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose that a body's mesh is modelled in: SMPL's T, or an A for game engines. Only numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Integers
from .skeleton import JOINTS, rotation_matrices

if TYPE_CHECKING:
    from .result import AvatarData

A_POSE_DROP = np.radians(45.0)  # how far the arms hang below the T's: between Mixamo's and Unreal's A
_SHOULDERS = {16: -1.0, 17: 1.0}  # left, right: turning about the body's z axis lowers them


class RestPose(Enum):
    """How the rest body holds its arms."""

    T = "T"
    A = "A"


def local_rotations(rest: RestPose) -> NDArray[np.float64]:
    """(24, 3, 3) what takes the T to this pose: each joint's rotation against its parent, in the body's axes."""
    turns = np.zeros((JOINTS, 3))
    if rest is RestPose.A:
        for joint, sign in _SHOULDERS.items():
            turns[joint, 2] = sign * A_POSE_DROP
    return rotation_matrices(turns)


def chained(local: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """(..., 24, 3, 3) rotations against the parents -> against the world. Parents come before their children."""
    whole = np.array(local, np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            whole[..., joint, :, :] = whole[..., parent, :, :] @ whole[..., joint, :, :]
    return whole


def unchained(whole: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """Inverse of `chained`."""
    local = np.array(whole, np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[..., joint, :, :] = np.swapaxes(whole[..., parent, :, :], -1, -2) @ whole[..., joint, :, :]
    return local


def swung_joints(joints: Floats, whole: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """Where rest joints get when the body is turned about them; the root stays.

    Args:
        joints: (..., 24, 3).
        whole: (..., 24, 3, 3) rotations against the world.
    """
    placed = np.array(np.broadcast_to(joints, (*whole.shape[:-3], JOINTS, 3)), np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            bone = joints[..., joint, :] - joints[..., parent, :]
            placed[..., joint, :] = placed[..., parent, :] + np.einsum(
                "...ab,...b->...a", whole[..., parent, :, :], bone
            )
    return placed


def in_rest_pose(avatar: AvatarData, rest: RestPose) -> AvatarData:
    """The same person modelled in another rest pose; from the T only.

    The skinned, corrected body of the pose becomes the rest body. It stays linear in the betas, since the rotations are
    fixed and joints are linear in them (Loper et al. 2015, equations 2 to 4). ``pose`` and ``posedirs`` stay relative
    to the T.
    """
    if rest is avatar.rest:
        return avatar
    if avatar.rest is not RestPose.T:
        raise ValueError(f"A body in the {avatar.rest.value} pose cannot be converted; start from the T pose.")
    local = local_rotations(rest)
    whole = chained(local, avatar.parents)
    mixing = _dense(avatar.skin_joints, avatar.skin_weights)
    turn = (mixing @ whole.reshape(JOINTS, 9).astype(np.float32)).reshape(-1, 3, 3)
    template, posedirs = avatar.template, avatar.posedirs
    if posedirs is not None:
        template = template + posedirs @ (local[1:] - np.eye(3)).ravel().astype(np.float32)
        posedirs = turn @ posedirs
    # The mean body and what each beta adds to it, side by side: they turn alike.
    vertices = np.concatenate([template[:, :, None], avatar.shapedirs], 2)
    joints = np.concatenate([avatar.joint_template[:, :, None], avatar.joint_shapedirs], 2)
    placed = np.stack([swung_joints(joints[:, :, k], whole, avatar.parents) for k in range(joints.shape[2])], 2)
    steps = (placed - whole @ joints).astype(np.float32)
    skinned = turn @ vertices + (mixing @ steps.reshape(JOINTS, -1)).reshape(vertices.shape)
    return replace(
        avatar,
        template=skinned[:, :, 0],
        joint_template=placed[:, :, 0].astype(np.float32),
        shapedirs=skinned[:, :, 1:],
        joint_shapedirs=placed[:, :, 1:].astype(np.float32),
        offsets=(turn @ avatar.offsets[:, :, None])[:, :, 0],
        posedirs=posedirs,
        rest=rest,
    )


def back_to_t(
    vertices: Floats,
    joints: Floats,
    rest: RestPose,
    parents: Sequence[int],
    skin_joints: Integers,
    skin_weights: Floats,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vertices (V, 3) and joints (24, 3) modelled in a rest pose -> in the T: the exact inverse of skinning."""
    whole = chained(local_rotations(rest), parents)
    straight = swung_joints(joints, np.swapaxes(whole, -1, -2), parents)
    mixing = _dense(skin_joints, skin_weights).astype(np.float64)
    steps = mixing @ (joints - np.einsum("jab,jb->ja", whole, straight))
    turn = (mixing @ whole.reshape(JOINTS, 9)).reshape(-1, 3, 3)
    return np.linalg.solve(turn, (vertices - steps)[..., None])[..., 0], straight


def _dense(skin_joints: Integers, skin_weights: Floats) -> NDArray[np.float32]:
    """(V, 24) skin weights of all joints, from the few (V, 4) that are not zero."""
    dense = np.zeros((len(skin_joints), JOINTS), np.float32)
    np.add.at(dense, (np.arange(len(skin_joints))[:, None], skin_joints), skin_weights)
    return dense
