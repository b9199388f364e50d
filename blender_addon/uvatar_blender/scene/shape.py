# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting the joints to the shape of the body: after sliders were moved, after sculpting, and when it is applied."""

from __future__ import annotations

import json

import bpy
import numpy as np

from ..core import skeleton
from ..core.rest_pose import back_to_t, chained, local_rotations, swung_joints
from .correctives import follow_axes
from .mesh import CLOTHING_KEY, key_vertices, mixed_vertices, raise_by, set_slider, shape_values, skin
from .parts import apply_shape_to_part, find_parts, take_values
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
_MOST_STEPS, _CLOSE = 20, 1e-5  # iterations, and convergence in metres, of finding the joints of a sculpted body


def refresh_joints(rig: bpy.types.Object) -> None:
    """Move the rest bones to the joints of the current shape, and the soles back to z = 0.

    The pose is kept: rotations are transferred to the axes of the new bones. Needs Object Mode.

    Raises:
        RigError: the avatar is incomplete, linked, or follows a control rig.
    """
    _move_joints(rig, _own_body(rig))


def joints_are_off(rig: bpy.types.Object) -> bool:
    """Whether the joints of the current shape are not where the bones are.

    Raises:
        RigError: the avatar is incomplete.
    """
    points = np.reshape(rig.data[POINTS], (-1, 3))
    directions = np.reshape(rig.data[POINT_DIRECTIONS], (*points.shape, -1))
    asked = skeleton.rest_bones(points + directions @ shape_values(find_body(rig), beta_names(rig)), parents(rig)).heads
    return bool(np.abs(asked + (0.0, 0.0, rig.data[GROUND]) - rest_joints(rig)).max() > _OFF)


def refit(rig: bpy.types.Object) -> None:
    """Move the rest bones to the joints of the mesh, which may be sculpted, and the soles back to z = 0.

    The joints are those of the body model: weighted sums of the vertices of the unclothed mesh. From there the sliders
    move them as before. The pose is kept. Needs Object Mode.

    Raises:
        RigError: the mesh has another number of vertices, the avatar does not store the weights of its joints, or it is
            incomplete, linked, or follows a control rig.
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
    whole = chained(local_rotations(rest, len(names)), parents(rig))
    placed = (points + directions @ betas)[: len(names)]
    # The joints are found on the mesh in the T pose, and how the mesh gets there depends on the joints.
    for _ in range(_MOST_STEPS):
        straight, _ = back_to_t(mesh, placed, rest, parents(rig), skin_joints, skin_weights)
        found = np.zeros((len(names), 3))
        np.add.at(found, joints, weights[:, None] * straight[vertices])
        before, placed = placed, swung_joints(found, whole, parents(rig))
        if np.abs(placed - before).max() < _CLOSE:
            break
    tips = np.array(armature[TIPS])
    ends = np.where(tips[:, None] >= 0, mesh[tips], placed[list(skeleton.tipped(len(names)))])
    armature[POINTS] = (np.concatenate([placed, ends]) - directions @ betas).ravel().tolist()
    _move_joints(rig, body)


def apply_shape(rig: bpy.types.Object) -> None:
    """Make the current shape the Basis, with all shape sliders at 0, and fit the joints to it.

    Clothing and the user's own shape keys stay shape keys. Needs Object Mode.

    Raises:
        RigError: the avatar is incomplete, linked, or follows a control rig.
    """
    body = _own_body(rig)
    names = beta_names(rig)
    keys = body.data.shape_keys.key_blocks
    betas = shape_values(body, names)
    others = [key.name for key in keys if key.name not in names]
    for part in find_parts(rig):
        take_values(part, body)
        apply_shape_to_part(part, names, others)
    shift = mixed_vertices(body, others) - key_vertices(keys[0])
    for key in keys:
        key.points.foreach_set("co", (key_vertices(key) + shift).ravel())
    for name in names:
        set_slider(keys[name], 0.0)
    body.data.vertices.foreach_set("co", key_vertices(keys[0]).ravel())
    body.data.update()
    points = np.reshape(rig.data[POINTS], (-1, 3))
    directions = np.reshape(rig.data[POINT_DIRECTIONS], (*points.shape, -1))
    rig.data[POINTS] = (points + directions @ betas).ravel().tolist()
    _move_joints(rig, body)


def _own_body(rig: bpy.types.Object) -> bpy.types.Object:
    """Return the mesh object of a rig whose joints may be moved; RigError if they may not."""
    if LED_BY in rig:
        raise RigError(
            f"{rig.name} follows its control rig, whose bones would stay where they are; remove the control rig first."
        )
    body = find_body(rig)
    check_own(rig.data, body.data)
    return body


def _move_joints(rig: bpy.types.Object, body: bpy.types.Object) -> None:
    """Move the bones to the joints of the current shape, and the soles to the ground; the pose is kept."""
    betas = shape_values(body, beta_names(rig))
    rotations, offset = get_rotations(rig), root_offset(rig)
    sunk = -float(mixed_vertices(body)[:, 2].min())
    for thing in (body, *find_parts(rig)):
        raise_by(thing, sunk)
    rig.data[GROUND] += sunk
    axes = bone_axes(rig)
    with edit_mode(rig):
        place_bones(rig, betas)
    follow_axes(body, rig, axes)
    set_rotations(rig, rotations)
    set_root_offset(rig, offset)
