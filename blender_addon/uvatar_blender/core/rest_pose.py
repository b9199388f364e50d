# SPDX-License-Identifier: GPL-3.0-or-later
"""The rest pose, in which the mesh of a body is modelled: SMPL's T pose, or an A pose for game engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Integers
from .parts import turned_part
from .skeleton import JOINTS, rotation_matrices

if TYPE_CHECKING:
    from .result import AvatarData

A_POSE_DROP = np.radians(45.0)  # of the arms, below the T pose: between Mixamo's and Unreal's A pose
_SHOULDERS = {16: -1.0, 17: 1.0}  # left, right: sign of the rotation about the body's z axis that lowers the arm


class RestPose(Enum):
    """How the rest body holds its arms."""

    T = "T"
    A = "A"


def local_rotations(rest: RestPose, joints: int = JOINTS) -> NDArray[np.float64]:
    """Return the rotations (J, 3, 3) from the T pose to this pose, relative to the parents, in the body's axes."""
    rotations = np.zeros((joints, 3))
    if rest is RestPose.A:
        for joint, sign in _SHOULDERS.items():
            rotations[joint, 2] = sign * A_POSE_DROP
    return rotation_matrices(rotations)


def chained(local: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """Convert rotations (..., J, 3, 3) relative to the parents to rotations relative to the world.

    Parents must come before their children.
    """
    whole = np.array(local, np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            whole[..., joint, :, :] = whole[..., parent, :, :] @ whole[..., joint, :, :]
    return whole


def unchained(whole: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """Convert rotations (..., J, 3, 3) relative to the world to rotations relative to the parents."""
    local = np.array(whole, np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[..., joint, :, :] = np.swapaxes(whole[..., parent, :, :], -1, -2) @ whole[..., joint, :, :]
    return local


def swung_joints(joints: Floats, whole: Floats, parents: Sequence[int]) -> NDArray[np.float64]:
    """Pose the joints of a body; the root stays where it is.

    Args:
        joints: (..., J, 3) at rest.
        whole: (..., J, 3, 3) rotations relative to the world.
        parents: (J,) parent of each joint, -1 for the root.

    Returns:
        (..., J, 3) posed joints.
    """
    placed = np.array(np.broadcast_to(joints, (*whole.shape[:-3], len(parents), 3)), np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            bone = joints[..., joint, :] - joints[..., parent, :]
            placed[..., joint, :] = placed[..., parent, :] + np.einsum(
                "...ab,...b->...a", whole[..., parent, :, :], bone
            )
    return placed


def in_rest_pose(avatar: AvatarData, rest: RestPose) -> AvatarData:
    """Convert a person from the T pose to another rest pose.

    The skinned body in that pose, with pose correctives, becomes the rest body. It is still linear in the betas,
    because the rotations are fixed and the joints are linear in the betas (Loper et al. 2015, equations 2 to 4).
    ``pose`` and ``posedirs`` stay relative to the T pose.

    Raises:
        ValueError: the person is neither in the T pose nor in the pose asked for.
    """
    if rest is avatar.rest:
        return avatar
    if avatar.rest is not RestPose.T:
        raise ValueError(f"A body in the {avatar.rest.value} pose cannot be converted; start from the T pose.")
    local = local_rotations(rest, len(avatar.parents))
    whole = chained(local, avatar.parents)
    mixing = _dense(avatar.skin_joints, avatar.skin_weights, len(avatar.parents))
    turn = (mixing @ whole.reshape(len(whole), 9).astype(np.float32)).reshape(-1, 3, 3)
    template, posedirs = avatar.template, avatar.posedirs
    if posedirs is not None:
        template = template + posedirs @ (local[1:] - np.eye(3)).ravel().astype(np.float32)
        posedirs = turn @ posedirs
    # The mean body and what each beta adds to it, side by side, because they are rotated alike.
    vertices = np.concatenate([template[:, :, None], avatar.shapedirs], 2)
    joints = np.concatenate([avatar.joint_template[:, :, None], avatar.joint_shapedirs], 2)
    placed = np.stack([swung_joints(joints[:, :, k], whole, avatar.parents) for k in range(joints.shape[2])], 2)
    steps = (placed - whole @ joints).astype(np.float32)
    skinned = turn @ vertices + (mixing @ steps.reshape(len(steps), -1)).reshape(vertices.shape)
    person = steps[:, :, 0] + steps[:, :, 1:] @ avatar.betas
    parts = []
    for part in avatar.parts:
        own = _dense(part.skin_joints, part.skin_weights, len(whole))
        parts.append(turned_part(part, own, whole, person, steps[:, :, 1:]))
    return replace(
        avatar,
        parts=tuple(parts),
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
    """Convert a body from a rest pose to the T pose, by the exact inverse of skinning.

    Args:
        vertices: (V, 3) in the rest pose, body frame, metres.
        joints: (J, 3) in the rest pose.
        rest: the rest pose.
        parents: (J,) parent of each joint, -1 for the root.
        skin_joints: (V, 4) joints of each vertex.
        skin_weights: (V, 4) their weights.

    Returns:
        (V, 3) vertices and (J, 3) joints in the T pose.
    """
    whole = chained(local_rotations(rest, len(parents)), parents)
    straight = swung_joints(joints, np.swapaxes(whole, -1, -2), parents)
    mixing = _dense(skin_joints, skin_weights, len(parents)).astype(np.float64)
    steps = mixing @ (joints - np.einsum("jab,jb->ja", whole, straight))
    turn = (mixing @ whole.reshape(len(whole), 9)).reshape(-1, 3, 3)
    return np.linalg.solve(turn, (vertices - steps)[..., None])[..., 0], straight


def _dense(skin_joints: Integers, skin_weights: Floats, joints: int) -> NDArray[np.float32]:
    """Return the skin weights of all joints, (V, J), from those that are not zero, (V, 4)."""
    dense = np.zeros((len(skin_joints), joints), np.float32)
    np.add.at(dense, (np.arange(len(skin_joints))[:, None], skin_joints), skin_weights)
    return dense
