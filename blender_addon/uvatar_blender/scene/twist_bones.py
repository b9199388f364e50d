# SPDX-License-Identifier: GPL-3.0-or-later
"""The mannequin's twist bones, which keep forearms from wringing where the hand is twisted, in exported copies."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Floats
from ..protocol.linear_skinning import twist_shares
from ..protocol.rig import RIG_NAMES
from . import compat
from .rig import edit_mode, joint_names

TWIST_BONES = ("lowerarm_twist_01_l", "lowerarm_twist_01_r")  # the names that Unreal's mannequin has
_SHARE = 0.5  # of the hand's twist


def add_twist_bones(rig: bpy.types.Object, body: bpy.types.Object) -> None:
    """Give each forearm of a copy at rest a bone half-way to the hand, with weights, and with keyframes if it moves.

    One that has a bone of this name already is left alone.

    Args:
        rig: the armature object; its hands may have a keyframe on every frame.
        body: the mesh object, in the axes of the armature.
    """
    names = joint_names(rig)
    for bone, side in zip(TWIST_BONES, ("left", "right"), strict=True):
        if bone in rig.data.bones:
            continue
        forearm, hand = (names[RIG_NAMES.index(f"{side}_{joint}")] for joint in ("elbow", "wrist"))
        begin, end = (np.array(rig.data.bones[name].head_local) for name in (forearm, hand))
        with edit_mode(rig):
            lower, made = rig.data.edit_bones[forearm], rig.data.edit_bones.new(bone)
            made.head, made.tail = lower.head, lower.tail
            made.matrix = lower.matrix  # its roll as well
            shift = lower.head.lerp(rig.data.edit_bones[hand].head, _SHARE) - lower.head
            made.head, made.tail = made.head + shift, made.tail + shift
            made.parent = lower
        _divide(body, forearm, bone, begin, end)
        if compat.action_curves(rig):
            _key(rig, forearm, hand, bone, end - begin)


def _divide(body: bpy.types.Object, forearm: str, bone: str, begin: Floats, end: Floats) -> None:
    """Give a twist bone its share of the forearm's weights."""
    if forearm not in body.vertex_groups:
        return
    group, twist = body.vertex_groups[forearm], body.vertex_groups.new(name=bone)
    own = [
        (vertex.index, entry.weight) for vertex in body.data.vertices for entry in vertex.groups
        if entry.group == group.index and entry.weight > 0
    ]  # fmt: skip
    places = np.array([body.data.vertices[vertex].co for vertex, _ in own]).reshape(-1, 3)
    for (vertex, weight), (stays, goes) in zip(own, twist_shares(places, begin, end, [_SHARE]).tolist(), strict=True):
        if goes > 0:
            twist.add((vertex,), weight * goes, "REPLACE")
            if stays > 0:
                group.add((vertex,), weight * stays, "REPLACE")
            else:
                group.remove((vertex,))


def _key(rig: bpy.types.Object, forearm: str, hand: str, bone: str, along: Floats) -> None:
    """Turn a twist bone with the hand on each frame."""
    path = f'pose.bones["{bpy.utils.escape_identifier(hand)}"].rotation_quaternion'
    curves = {curve.array_index: curve for curve in compat.action_curves(rig) if curve.data_path == path}
    if len(curves) < 4:
        return
    keys = np.empty((4, 2 * len(curves[0].keyframe_points)), np.float32)
    for channel, row in enumerate(keys):
        curves[channel].keyframe_points.foreach_get("co", row)
    frames, (w, *vector) = keys[0, 0::2], keys[:, 1::2].astype(np.float64)
    lower, own = (np.array(rig.data.bones[name].matrix_local.to_3x3()) for name in (forearm, hand))
    axis = along / np.linalg.norm(along)
    turned = np.stack(vector, -1) @ (own.T @ axis)  # the part of the rotation about the forearm
    angles = _SHARE * np.unwrap(_wrapped(2 * np.arctan2(turned, w)))
    rig.pose.bones[bone].rotation_mode = "QUATERNION"
    values = np.concatenate([np.cos(angles / 2)[:, None], np.sin(angles / 2)[:, None] * (lower.T @ axis)], 1)
    maker = compat.more_curves(rig)
    for channel, row in enumerate(values.T):
        curve = maker(f'pose.bones["{bone}"].rotation_quaternion', channel, bone)
        compat.fill_curve(curve, frames, row)


def _wrapped(angles: Floats) -> NDArray[np.float64]:
    """Angles from minus pi to pi."""
    wrapped: NDArray[np.float64] = (np.asarray(angles) + np.pi) % (2 * np.pi) - np.pi
    return wrapped
