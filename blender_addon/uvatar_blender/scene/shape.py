# SPDX-License-Identifier: GPL-3.0-or-later
"""Joints that follow the body's shape: after its sliders, after sculpting, and when the shape is made its own."""

from __future__ import annotations

import json

import bpy
import numpy as np

from ..core import skeleton
from ..core.rest_pose import back_to_t, chained, local_rotations, swung_joints
from .correctives import follow_axes
from .mesh import CLOTHING_KEY, key_vertices, mixed_vertices, raise_by, set_slider, shape_values, skin
from .rig import (
    GROUND,
    LED_BY,
    POINT_DIRECTIONS,
    POINTS,
    REGRESSOR,
    TIPS,
    VERTICES,
    RigError,
    beta_names,
    bone_axes,
    check_own,
    edit_mode,
    find_body,
    get_rotations,
    joint_names,
    parents,
    place_bones,
    rest_joints,
    rest_pose,
    root_offset,
    set_root_offset,
    set_rotations,
)

_OFF = 0.001  # metres by which a joint may be off before the panel says so
_MOST_STEPS, _CLOSE = 20, 1e-5  # of finding a sculpted body's joints; metres


def refresh_joints(rig: bpy.types.Object) -> None:
    """Move the rest bones to where the shape sliders put the joints, exactly, and the soles back to z = 0.

    The current pose is kept: rotations are carried over to the new bones' axes. Needs object mode. Raises RigError.
    """
    _move_joints(rig, _own_body(rig))


def joints_are_off(rig: bpy.types.Object) -> bool:
    """Whether the shape sliders ask for joints elsewhere than where the bones are. Raises RigError."""
    points = np.reshape(rig.data[POINTS], (-1, 3))
    directions = np.reshape(rig.data[POINT_DIRECTIONS], (*points.shape, -1))
    asked = skeleton.rest_bones(points + directions @ shape_values(find_body(rig), beta_names(rig)), parents(rig)).heads
    return bool(np.abs(asked + (0.0, 0.0, rig.data[GROUND]) - rest_joints(rig)).max() > _OFF)


def refit(rig: bpy.types.Object) -> None:
    """Move the rest bones to where the mesh, sculpted or not, has its joints; soles back to z = 0, the pose is kept.

    The joints are the body model's: weighted sums of the unclothed mesh's vertices. The sliders move them on from
    there. Needs object mode. Raises RigError if the mesh has lost or won vertices, or the model's sums are not
    known.
    """
    body, armature = _own_body(rig), rig.data
    joints, vertices, weights = (np.array(part) for part in json.loads(armature.get(REGRESSOR, "[[], [], []]")))
    if not len(joints):
        raise RigError(
            f"{rig.name} does not store how its joints follow the mesh because an older backend made it. Import the "
            "avatar again."
        )
    if len(body.data.vertices) != armature[VERTICES]:
        raise RigError(
            f"{body.name} has {len(body.data.vertices)} vertices instead of {armature[VERTICES]}; sculpt without "
            "remeshing."
        )
    names, rest, betas = joint_names(rig), rest_pose(rig), shape_values(body, beta_names(rig))
    axes = skeleton.ARMATURE_FROM_BODY
    mesh = (mixed_vertices(body, [CLOTHING_KEY]) - (0, 0, armature[GROUND])) @ axes  # in the body's frame
    points = np.reshape(armature[POINTS], (-1, 3))
    directions = np.reshape(armature[POINT_DIRECTIONS], (*points.shape, -1))
    skin_joints, skin_weights = skin(body, names)
    whole = chained(local_rotations(rest), parents(rig))
    placed = (points + directions @ betas)[: skeleton.JOINTS]
    for _ in range(
        _MOST_STEPS
    ):  # where the joints are decides how the mesh gets to the T, and there the joints are found
        straight, _ = back_to_t(mesh, placed, rest, parents(rig), skin_joints, skin_weights)
        found = np.zeros((skeleton.JOINTS, 3))
        np.add.at(found, joints, weights[:, None] * straight[vertices])
        before, placed = placed, swung_joints(found, whole, parents(rig))
        if np.abs(placed - before).max() < _CLOSE:
            break
    tips = np.array(armature[TIPS])
    ends = np.where(tips[:, None] >= 0, mesh[tips], placed[list(skeleton.TIPPED)])
    armature[POINTS] = (np.concatenate([placed, ends]) - directions @ betas).ravel().tolist()
    _move_joints(rig, body)


def apply_shape(rig: bpy.types.Object) -> None:
    """Make the shape as it is now the body's own, and move the joints to it: all shape sliders start at 0 from there.

    Clothing, and shape keys of the artist's, stay keys. Needs object mode. Raises RigError.
    """
    body = _own_body(rig)
    names = beta_names(rig)
    keys = body.data.shape_keys.key_blocks
    betas = shape_values(body, names)
    others = [key.name for key in keys if key.name not in names]
    shift = mixed_vertices(body, others) - key_vertices(keys[0])
    for key in keys:
        key.data.foreach_set("co", (key_vertices(key) + shift).ravel())
    for name in names:
        set_slider(keys[name], 0.0)
    body.data.vertices.foreach_set("co", key_vertices(keys[0]).ravel())
    body.data.update()
    points = np.reshape(rig.data[POINTS], (-1, 3))
    directions = np.reshape(rig.data[POINT_DIRECTIONS], (*points.shape, -1))
    rig.data[POINTS] = (points + directions @ betas).ravel().tolist()
    _move_joints(rig, body)


def _own_body(rig: bpy.types.Object) -> bpy.types.Object:
    """The body of a rig whose joints may be moved."""
    if LED_BY in rig:
        raise RigError(
            f"{rig.name} follows its control rig, whose bones would stay where they are; leave the control rig first."
        )
    body = find_body(rig)
    check_own(rig.data, body.data)
    return body


def _move_joints(rig: bpy.types.Object, body: bpy.types.Object) -> None:
    """Put the bones where points and sliders say, and the soles on the ground, in the current pose."""
    betas = shape_values(body, beta_names(rig))
    rotations, offset = get_rotations(rig), root_offset(rig)
    sunk = -float(mixed_vertices(body)[:, 2].min())
    raise_by(body, sunk)
    rig.data[GROUND] += sunk
    axes = bone_axes(rig)
    with edit_mode(rig):
        place_bones(rig, betas)
    follow_axes(body, rig, axes)
    set_rotations(rig, rotations)
    set_root_offset(rig, offset)
