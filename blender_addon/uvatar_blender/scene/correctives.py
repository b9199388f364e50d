# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose correctives: SMPL's pose blend shapes as shape keys that the bones drive.

SMPL adds a shape to the body for each entry of (R - I) of 23 joints (Loper et al. 2015, equation 9). Here R is
expressed in the axes of each bone, where its entries are polynomials of the bone's quaternion.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..core.arrays import Floats
from ..core.result import AvatarData
from ..core.skeleton import ARMATURE_FROM_BODY, JOINTS
from ..protocol.bone_names import SMPL_NAMES
from .limb_correctives import add_limb_correctives
from .mesh import CORRECTIVE, add_key, is_corrective, key_vertices, to_armature_axes
from .pose_drivers import drive, rotation_entry
from .rig import bone_axes, joint_names, rest_frames

_LIMIT = 2.0  # no entry of R - I is larger
_AT_ONCE = 3  # shape keys in a slice; a joint has nine


def add_correctives(body: bpy.types.Object, rig: bpy.types.Object, avatar: AvatarData) -> Iterator[None]:
    """Give the body one driven shape key per pose blend shape, in slices.

    A body without pose blend shapes gets those of `limb_correctives`, if it is the open body.

    Args:
        body: the mesh object, with a Basis.
        rig: the armature object that drives the shape keys.
        avatar: the person; ``posedirs`` holds the pose blend shapes.

    Yields:
        None, after each slice.
    """
    if avatar.posedirs is None:
        yield from add_limb_correctives(body, rig, avatar)
        return
    basis = key_vertices(body.data.shape_keys.key_blocks[0])
    axes, names = bone_axes(rig), joint_names(rig)
    before, own = rest_frames(rig)
    for joint in range(1, JOINTS):
        # The joint's rotation relative to the T pose, in the body's axes, is left @ (the bone's rotation) @ right.
        left = ARMATURE_FROM_BODY.T @ before[joint].T @ axes[joint]
        right = axes[joint].T @ own[joint] @ ARMATURE_FROM_BODY
        # The entries of the body's rotation are mixtures of the bone's: one product, because einsum takes ten times
        # as long, which would be felt between two frames.
        mixing = np.kron(left, right.T).astype(np.float32)
        shapes = avatar.posedirs[:, :, 9 * (joint - 1) : 9 * joint]
        in_bone = (shapes.reshape(-1, 9) @ mixing).reshape(shapes.shape)
        for entry in range(9):
            row, column = divmod(entry, 3)
            key = add_key(body, _name(joint, row, column), basis + to_armature_axes(in_bone[:, :, entry]))
            key.slider_min, key.slider_max = -_LIMIT, _LIMIT
            drive(key, rig, [names[joint]], rotation_entry(row, column))
            if entry % _AT_ONCE == _AT_ONCE - 1:
                yield


def _name(joint: int, row: int, column: int) -> str:
    """Name a shape key by SMPL's name of the joint, whatever the bone is called."""
    return f"{CORRECTIVE}{SMPL_NAMES[joint]} {row}{column}"


def correctives(body: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """Return the shape keys that the pose drives."""
    return [key for key in body.data.shape_keys.key_blocks if is_corrective(key)] if body.data.shape_keys else []


def set_live(body: bpy.types.Object, live: bool) -> None:
    """Turn the correctives on or off. Without them, scenes with many avatars play faster."""
    for key in correctives(body):
        key.mute = not live


def follow_axes(body: bpy.types.Object, rig: bpy.types.Object, axes_before: Floats) -> None:
    """Express SMPL's correctives in the axes of the bones after these have changed.

    Those of limbs follow directions of bones, which a shape hardly changes.

    Args:
        body: the mesh object.
        rig: the armature object.
        axes_before: (24, 3, 3) the axes before the change, see `rig.bone_axes`.
    """
    keys = body.data.shape_keys.key_blocks
    basis = key_vertices(keys[0])
    if keys.get(_name(1, 0, 0)) is None:
        return
    for joint, (old, new) in enumerate(zip(axes_before, bone_axes(rig), strict=True)):
        own = [[keys.get(_name(joint, row, column)) for column in range(3)] for row in range(3)]
        if not all(key for row in own for key in row):
            continue
        shapes = np.stack([np.stack([key_vertices(key) - basis for key in row], -1) for row in own], -2)
        turned = np.einsum("vcab,ak,lb->vckl", shapes, old.T @ new, new.T @ old, optimize=True)
        for row in range(3):
            for column in range(3):
                own[row][column].points.foreach_set(
                    "co", (basis + turned[:, :, row, column]).astype(np.float32).ravel()
                )
