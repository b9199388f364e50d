# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a control rig: its motion is baked onto the avatar's bones, or it is just removed."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

from ..core.arrays import Floats
from ..core.rotations import without_flips
from . import compat
from .control_rig_motion import has_motion, moving_frames
from .face_drive import keep_face, shown_weights
from .metarig import find_metarig
from .rig import LED_BY, RigError, check_own, joint_names
from .rigify import control_rig, unfollow

_STILL = 1e-4  # metres, and parts of a quaternion, by which a pose may differ and still be the same
_SLIDE = 5e-4  # metres by which a bone must move beside its parent to get keys of its location


def bake_to_avatar(rig: bpy.types.Object) -> int:
    """Give the avatar's own bones the motion, or the pose, that its control rig shows, and detach them from it.

    So are the expressions that its face board shows.

    Needs Object Mode.

    Returns:
        The number of frames; 0 for a pose.

    Raises:
        RigError: the avatar follows no control rig, or is linked from another file.
    """
    control = _control_of(rig)
    scene, names = bpy.context.scene, joint_names(rig)
    before, moving = scene.frame_current, has_motion(control)
    if moving:
        frames: Sequence[int] = moving_frames(control, scene)
    else:  # a hand that is tied to something that moves, or keyframes of the control rig as an object
        ends = np.array([_shown_pose(rig, names, frame) for frame in (scene.frame_start, scene.frame_end)])
        moving = bool(np.abs(np.diff(ends, axis=0)).max() > _STILL)
        frames = range(scene.frame_start, scene.frame_end + 1) if moving else [before]
    poses, faces = [], []
    for frame in frames:
        poses.append(_shown_pose(rig, names, frame))
        faces.append(shown_weights(rig))
    unfollow(rig)
    keep_face(rig, frames, faces)
    if moving:
        animation = control.animation_data
        action = bpy.data.actions.new(animation.action.name if animation.action else rig.name)
        _write(rig, action, names, frames, np.array(poses))  # (F, J, 7)
    else:
        for name, pose in zip(names, poses[0], strict=True):
            bone = rig.pose.bones[name]
            bone.matrix_basis = Matrix.LocRotScale(Vector(pose[:3]), Quaternion(pose[3:]), None)
    scene.frame_set(before)
    return len(frames) if moving else 0


def remove_control_rig(rig: bpy.types.Object) -> None:
    """Remove the avatar's control rig with all that came with it; the avatar has its own pose or motion again.

    Actions of the control rig stay in the file.

    Raises:
        RigError: the avatar follows no control rig, or is linked from another file.
    """
    check_own(rig)
    control = control_rig(rig)
    if control is None and LED_BY not in rig:
        raise RigError(f"{rig.name} follows no control rig; press Control Rig to make one.")
    unfollow(rig)
    if control is None:  # deleted by hand
        show(rig)
    else:
        remove_rig_objects(rig, control)


def remove_rig_objects(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Remove a control rig that leads nobody any more, its metarig, and the shapes and script that Rigify made."""
    if control.animation_data is not None and control.animation_data.action is not None:
        control.animation_data.action.use_fake_user = True
    shapes = {bone.custom_shape for bone in control.pose.bones if bone.custom_shape is not None}
    folders = {folder for shape in shapes for folder in shape.users_collection}
    script = None
    for thing in (control, find_metarig(rig)):
        if thing is not None:
            data = thing.data
            script = script or getattr(data, "rigify_rig_ui", None)  # of the metarig
            bpy.data.objects.remove(thing)
            if data.users == 0:
                bpy.data.armatures.remove(data)
    for shape in shapes:
        mesh = shape.data
        if shape.users <= len(shape.users_collection):
            bpy.data.objects.remove(shape)
            if mesh is not None and mesh.users == 0:
                bpy.data.meshes.remove(mesh)
    for folder in folders:
        if not folder.all_objects and folder.name.startswith("WGTS_"):
            bpy.data.collections.remove(folder)
    if script is not None:
        bpy.data.texts.remove(script)
    show(rig)


def show(rig: bpy.types.Object) -> None:
    """Show the avatar's armature, which a control rig hides, and make it the selected one."""
    rig.hide_set(False)
    layer = bpy.context.view_layer
    if layer.objects.get(rig.name) == rig:
        rig.select_set(True)
        layer.objects.active = rig


def _control_of(rig: bpy.types.Object) -> bpy.types.Object:
    control = control_rig(rig)
    if control is None and LED_BY in rig:
        raise RigError(f"The control rig of {rig.name} is gone; press Remove Control Rig.")
    if control is None:
        raise RigError(f"{rig.name} follows no control rig; press Control Rig to make one.")
    check_own(rig)
    return control


def _shown_pose(rig: bpy.types.Object, names: Sequence[str], frame: int) -> list[list[float]]:
    """Return (J, 7) local location and quaternion (w, x, y, z) of each joint's bone at a frame, as seen."""
    bpy.context.scene.frame_set(frame)
    pose = []
    for name in names:
        bone = rig.pose.bones[name]
        local = rig.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
        pose.append([*local.to_translation(), *local.to_quaternion()])
    return pose


def _write(
    rig: bpy.types.Object, action: bpy.types.Action, names: Sequence[str], frames: Sequence[int], poses: Floats
) -> None:
    """Give each joint's bone keyframes of its rotation on these frames, and of its location where it moves."""
    curve = compat.curve_maker(rig, action)
    turns = without_flips(poses[..., 3:])
    for joint, name in enumerate(names):
        bone, path = rig.pose.bones[name], f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        bone.rotation_mode = "QUATERNION"
        for channel in range(4):
            compat.fill_curve(curve(path + "rotation_quaternion", channel, name), frames, turns[:, joint, channel])
        slides = not bone.bone.use_connect and np.abs(poses[:, joint, :3]).max() > _SLIDE
        if joint > 0 and not slides:
            bone.location = (0, 0, 0)
            continue
        for channel in range(3):
            compat.fill_curve(curve(path + "location", channel, name), frames, poses[:, joint, channel])
