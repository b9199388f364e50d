# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of exported meshes: engines skin linearly, while Blender skins with dual quaternions."""

from __future__ import annotations

import bpy
import numpy as np

from ..protocol.linear_skinning import narrowed
from .rig import joint_names, parents


def narrow_weights(body: bpy.types.Object, rig: bpy.types.Object) -> None:
    """Give the copy of a body the weights that linear skinning needs; see `protocol.linear_skinning`.

    Nothing is done for a body that Blender skins linearly as well. Weights of groups that are no joint's, such as those
    of an accessory's bone, stay as they are.

    Args:
        body: the mesh object; its vertex groups have the names of the bones.
        rig: the armature object.
    """
    if not any(modifier.type == "ARMATURE" and modifier.use_deform_preserve_volume for modifier in body.modifiers):
        return
    groups = {
        body.vertex_groups[name].index: joint
        for joint, name in enumerate(joint_names(rig))
        if name in body.vertex_groups
    }
    shared = []  # vertices of several joints, with their (group, weight)
    for vertex in body.data.vertices:
        own = [(entry.group, entry.weight) for entry in vertex.groups if entry.group in groups and entry.weight > 0]
        if len(own) > 1:
            shared.append((vertex.index, own))
    if not shared:
        return
    joints = np.zeros((len(shared), max(len(own) for _, own in shared)), np.int64)
    weights = np.zeros(joints.shape)
    for row, (_, own) in enumerate(shared):
        joints[row, : len(own)] = [groups[group] for group, _ in own]
        weights[row, : len(own)] = [weight for _, weight in own]
    sums = weights.sum(1, keepdims=True)
    narrow = sums * narrowed(joints, weights / sums, parents(rig))
    changed = np.abs(narrow - weights).max(1) > 1e-6
    for row in np.flatnonzero(changed):
        vertex, own = shared[row]
        for (group, _), weight in zip(own, narrow[row].tolist(), strict=False):
            body.vertex_groups[group].add((vertex,), weight, "REPLACE")
