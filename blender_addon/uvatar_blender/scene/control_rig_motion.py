# SPDX-License-Identifier: GPL-3.0-or-later
"""Transferring the pose or motion of an avatar to the control rig that will drive it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
from mathutils import Euler, Matrix, Quaternion, Vector

from ..core.skeleton import JOINTS
from ..protocol.rig import FINGERS, JAW, LEFT_EYE, LEFT_HAND, RIGHT_EYE, RIGHT_HAND
from . import compat
from .control_rig_limbs import limbs, pole_matrix
from .rig import edit_mode, joint_names

_SIDES = ("L", "R")
# Rigify's controls that together can hold every pose, parents first, and the joint that each moves with. FK and IK
# controls of the limbs are both set, so that the pose is the same whichever the user continues with.
_TRUNK = (
    ("torso", 0),
    ("spine_fk", 0),
    ("spine_fk.001", 3),
    ("spine_fk.002", 6),
    ("spine_fk.003", 9),
    ("neck", 12),
    ("head", 15),
)
_LIMBS = (
    ("shoulder", 13), ("upper_arm_fk", 16), ("forearm_fk", 18), ("hand_fk", 20), ("upper_arm_ik", 16), ("hand_ik", 20),
    ("thigh_fk", 1), ("shin_fk", 4), ("foot_fk", 7), ("toe_fk", 10), ("thigh_ik", 1), ("foot_ik", 7), ("toe_ik", 10),
)  # fmt: skip
_CONTROLS = (*_TRUNK, *((f"{name}.{side}", joint + step) for name, joint in _LIMBS for step, side in enumerate(_SIDES)))
# Those of jaw, eyes and fingers, for an avatar that has them.
FINE_CONTROLS = (
    ("jaw", JAW),
    ("eye.L", LEFT_EYE),
    ("eye.R", RIGHT_EYE),
    *(
        (f"{'' if finger == 'thumb' else 'f_'}{finger}.0{k + 1}.{side}", hand.start + 3 * number + k)
        for side, hand in zip(_SIDES, (LEFT_HAND, RIGHT_HAND), strict=True)
        for number, finger in enumerate(FINGERS)
        for k in range(3)
    ),
)
_TEMPORARY = "uvatar carries "


def has_motion(rig: bpy.types.Object) -> bool:
    """Whether keyframes or strips move the avatar's bones."""
    animation = rig.animation_data
    strips = (
        animation is not None
        and animation.use_nla
        and any(track.strips and not track.mute for track in animation.nla_tracks)
    )
    return strips or any(curve.data_path.startswith("pose.bones") for curve in compat.action_curves(rig))


def is_at_rest(rig: bpy.types.Object) -> bool:
    """Whether the avatar has neither pose nor motion."""
    posed = any(rig.pose.bones[name].matrix_basis != Matrix.Identity(4) for name in joint_names(rig))
    return not posed and not has_motion(rig)


def transfer_motion(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Give the control rig the pose of the avatar, or its motion in a new action.

    Both rigs must be at the same place, the avatar must not follow the control rig yet, and Blender must be in Object
    Mode. Controls that an edited metarig lacks are skipped.

    Raises:
        RigError: the avatar's armature is linked from another file.
    """
    scene = bpy.context.scene
    known = _CONTROLS if len(joint_names(rig)) == JOINTS else (*_CONTROLS, *FINE_CONTROLS)
    controls = {name: joint for name, joint in known if name in control.pose.bones}
    if is_at_rest(rig):
        return  # and so is the control rig
    moving = has_motion(rig)
    frames = moving_frames(rig, scene) if moving else [scene.frame_current]
    before = scene.frame_current
    with _constrained(rig, control, controls):
        poses = [_local_pose(rig, control, list(controls), frame) for frame in frames]
    if moving:
        _write_action(rig, control, frames, poses)
    else:
        for name, matrix in poses[0].items():
            control.pose.bones[name].matrix_basis = matrix
    scene.frame_set(before)


def moving_frames(rig: bpy.types.Object, scene: bpy.types.Scene) -> range:
    """Return the frames of a rig's action; those of the scene if NLA strips move it."""
    animation = rig.animation_data
    if animation.action is None:
        return range(scene.frame_start, scene.frame_end + 1)
    first, last = animation.action.frame_range
    return range(math.floor(first), math.ceil(last) + 1)


@contextmanager
def _constrained(rig: bpy.types.Object, control: bpy.types.Object, controls: dict[str, int]) -> Iterator[None]:
    """Constrain each control to a temporary bone of the avatar that moves with the control's joint."""
    rests = {name: (control.data.bones[name].matrix_local.copy(), control.data.bones[name].length) for name in controls}
    joints = joint_names(rig)
    with edit_mode(rig):
        for name, joint in controls.items():
            bone = rig.data.edit_bones.new(_TEMPORARY + name)
            bone.length = rests[name][1]
            bone.matrix = rests[name][0]
            bone.length = rests[name][1]
            bone.parent, bone.use_deform = rig.data.edit_bones[joints[joint]], False
    made = []
    try:
        for name in controls:
            constraint = control.pose.bones[name].constraints.new("COPY_TRANSFORMS")
            constraint.target, constraint.subtarget = rig, _TEMPORARY + name
            made.append((control.pose.bones[name], constraint))
        yield
    finally:
        for bone, constraint in made:
            bone.constraints.remove(constraint)
        with edit_mode(rig):
            for name in controls:
                rig.data.edit_bones.remove(rig.data.edit_bones[_TEMPORARY + name])


def _local_pose(
    rig: bpy.types.Object, control: bpy.types.Object, names: Sequence[str], frame: int
) -> dict[str, Matrix]:
    """Return the local transforms of the controls, poles of the limbs included, at a frame."""
    bpy.context.scene.frame_set(frame)
    bones = control.pose.bones
    wanted = {name: bones[name].matrix for name in names}
    wanted |= {limb.pole: pole_matrix(bones[limb.pole], limb.place) for limb in limbs(rig, control)}
    local = {
        name: control.convert_space(pose_bone=bones[name], matrix=matrix, from_space="POSE", to_space="LOCAL")
        for name, matrix in wanted.items()
    }
    return {name: Matrix.LocRotScale(*matrix.decompose()[:2], None) for name, matrix in local.items()}


def _write_action(
    rig: bpy.types.Object, control: bpy.types.Object, frames: Sequence[int], poses: Sequence[dict[str, Matrix]]
) -> None:
    """Give every control a keyframe on every frame, in a new action."""
    name = rig.animation_data.action.name if rig.animation_data.action else rig.name
    curve = compat.curve_maker(control, bpy.data.actions.new(f"{name} control"))
    for bone_name in poses[0]:
        bone = control.pose.bones[bone_name]
        path = f'pose.bones["{bpy.utils.escape_identifier(bone_name)}"].'
        mode = bone.rotation_mode if bone.rotation_mode not in ("QUATERNION", "AXIS_ANGLE") else ""
        bone.rotation_mode = mode or "QUATERNION"
        locations: list[Vector] = []
        rotations: list[Euler | Quaternion] = []
        for pose in poses:
            location, rotation, _ = pose[bone_name].decompose()
            if mode:
                rotations.append(rotation.to_euler(mode, rotations[-1]) if rotations else rotation.to_euler(mode))
            else:
                rotations.append(-rotation if rotations and rotation.dot(rotations[-1]) < 0 else rotation)
            locations.append(location)
        for channel in range(3 if mode else 4):
            rotation_path = path + ("rotation_euler" if mode else "rotation_quaternion")
            compat.fill_curve(
                curve(rotation_path, channel, bone_name), frames, [turned[channel] for turned in rotations]
            )
        for channel in range(3):
            if not bone.lock_location[channel] and not (bone.bone.use_connect and bone.parent):
                compat.fill_curve(
                    curve(path + "location", channel, bone_name), frames, [moved[channel] for moved in locations]
                )
