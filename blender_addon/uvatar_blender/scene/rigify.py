# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigify's control rig, which is generated from the avatar's metarig and drives the avatar.

The avatar keeps its own bones, which copy those of the control rig, so that export, poses and pose correctives work as
before.
"""

from __future__ import annotations

import bpy
from mathutils import Matrix

from ..core.skeleton import JOINTS
from ..protocol.rig import BODY_JOINTS
from . import compat
from .control_rig_limbs import limbs, switch
from .control_rig_motion import has_motion, is_at_rest, transfer_motion
from .face_board import build_face_board
from .face_drive import free_face, lead_face
from .metarig import FINE_BONES, enable_rigify, find_metarig, make_metarig
from .rig import AVATAR, LED_BY, RigError, check_own, edit_mode, joint_names
from .selection import select_only

_FOLLOW = "Uvatar follows Rigify"  # name of the constraints
_CONNECTED = "uvatar_connected"  # of the armature: joints whose bones are connected while nothing leads them
_COLLECTION = "Uvatar"  # bone collection of the bones that the avatar copies
# The bone of the metarig whose control each joint follows.
_DEFORM = (
    "spine", "thigh.L", "thigh.R", "spine.001", "shin.L", "shin.R", "spine.002", "foot.L", "foot.R", "spine.003",
    "toe.L", "toe.R",
    "spine.004", "shoulder.L", "shoulder.R", "spine.006", "upper_arm.L", "upper_arm.R", "forearm.L", "forearm.R",
    "hand.L", "hand.R",
    "hand.L", "hand.R",
)  # fmt: skip
# Limbs follow the bones that Rigify's FK and IK chains end in, which twist as the controls do; its deform bones spread
# the twist over segments that the avatar does not have.
_LIMB_BONES = ("thigh", "shin", "foot", "toe", "upper_arm", "forearm", "hand")


def generate_control_rig(rig: bpy.types.Object, metarig: bpy.types.Object | None = None) -> bpy.types.Object:
    """Generate a control rig with Rigify, which takes some ten seconds, and make the avatar follow it.

    Needs Object Mode.

    Args:
        rig: the avatar's armature object.
        metarig: the metarig to generate from; by default the one that was made for this avatar, or a new one.

    Returns:
        The control rig.

    Raises:
        RigError: the avatar cannot follow a control rig, in which case nothing was made, or Rigify failed.
    """
    if control_rig(rig) is not None:  # it would take over the motion that it drives itself
        raise RigError(f"{rig.name} already follows a control rig; remove that one first.")
    if rig.library is not None:
        check_own(rig)
    if not is_at_rest(rig):  # pose and motion are transferred with temporary bones
        check_own(rig.data)
    metarig = metarig or find_metarig(rig) or make_metarig(rig)
    enable_rigify()
    before, armatures = set(bpy.data.objects), set(bpy.data.armatures)
    metarig.hide_set(False)
    select_only(metarig)
    try:
        bpy.ops.pose.rigify_generate()
    except RuntimeError as error:
        raise RigError(f"Rigify could not generate a rig: {str(error).strip().splitlines()[-1]}") from error
    control = metarig.data.rigify_target_rig or next(
        thing for thing in set(bpy.data.objects) - before if thing.type == "ARMATURE"
    )
    for armature in set(bpy.data.armatures) - armatures:
        if armature.users == 0:  # Rigify's copy of the metarig
            bpy.data.armatures.remove(armature)
    control.name, control[AVATAR] = f"{rig.name} control", rig
    control.matrix_world = rig.matrix_world
    _add_leaders(rig, control)
    build_face_board(rig, control)
    compat.deselect_bones(control)
    lead(rig, control)
    metarig.hide_set(True)
    if bpy.context.view_layer.objects.get(rig.name) == rig:  # otherwise its collection is excluded
        rig.hide_set(True)
    return control


def lead(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Transfer the avatar's pose or motion to the control rig, and make the avatar follow it.

    A pose is led by IK (limbs that bend backward by FK), exactly: what the controls cannot express, such as a thigh's
    twist about itself, stays as a constant on hidden bones. A motion is led by FK, which follows it most closely; the
    IK controls are keyed as well. The face board takes over the expression in the same way.
    """
    leaders = [control.pose.bones[_leader(name)] for name in joint_names(rig)]
    for bone in leaders:
        bone.matrix_basis = Matrix.Identity(4)
    switch(control, set())  # stops limbs from stretching, which would go into the transferred pose
    transfer_motion(rig, control)
    bent, moving = limbs(rig, control), has_motion(rig)
    switch(control, {limb.switch for limb in bent if moving or limb.backward})
    lead_face(rig, control)
    if not moving:
        bpy.context.view_layer.update()
        for name, bone in zip(joint_names(rig), leaders, strict=True):
            bone.matrix = rig.pose.bones[name].matrix.copy()
    follow(rig, control)


def follow(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Make the avatar's bones copy those of the control rig."""
    _uncopy(rig)
    for name in joint_names(rig):
        constraint = rig.pose.bones[name].constraints.new("COPY_TRANSFORMS")
        constraint.name, constraint.target, constraint.subtarget = _FOLLOW, control, _leader(name)
    _disconnect(rig)
    rig[LED_BY] = control.name


def _leader(name: str) -> str:
    """Return the name of the control rig's bone that the avatar's bone of this name copies."""
    return f"{_COLLECTION}-{name}"


def control_rig(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Return the control rig that drives the avatar, whatever its name; None if there is none or it was deleted."""
    constraints = (constraint for name in joint_names(rig) for constraint in rig.pose.bones[name].constraints)
    return next(
        (constraint.target for constraint in constraints if constraint.name.startswith(_FOLLOW) and constraint.target),
        None,
    )


def unfollow(rig: bpy.types.Object) -> None:
    """Detach the avatar from its control rig, so that its own bones and expressions can be posed again."""
    free_face(rig)
    _uncopy(rig)


def _uncopy(rig: bpy.types.Object) -> None:
    for name in joint_names(rig):
        bone = rig.pose.bones[name]
        for constraint in [constraint for constraint in bone.constraints if constraint.name.startswith(_FOLLOW)]:
            bone.constraints.remove(constraint)
    rig.pop(LED_BY, None)
    _reconnect(rig)


def _disconnect(rig: bpy.types.Object) -> None:
    """Let constraints move the joints: a connected bone stays at its parent's end, a few millimetres beside a control.

    A linked armature cannot be edited and stays as it is.
    """
    if rig.data.library is not None or rig.data.override_library is not None:
        return
    names = joint_names(rig)
    rig.data[_CONNECTED] = [joint for joint, name in enumerate(names) if rig.data.bones[name].use_connect]
    with edit_mode(rig):
        for name in names:
            rig.data.edit_bones[name].use_connect = False


def _reconnect(rig: bpy.types.Object) -> None:
    if _CONNECTED not in rig.data:
        return
    names, connected = joint_names(rig), list(rig.data[_CONNECTED])
    with edit_mode(rig):
        for joint in connected:
            rig.data.edit_bones[names[joint]].use_connect = True
    del rig.data[_CONNECTED]


def _add_leaders(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Add bones to the control rig that match the avatar's, rolls included, as children of those that they follow."""
    rests = {name: (rig.data.bones[name].matrix_local.copy(), rig.data.bones[name].length) for name in joint_names(rig)}
    collection = control.data.collections.new(_COLLECTION)
    collection.is_visible = False
    with edit_mode(control):
        deforms = _DEFORM if len(rests) == JOINTS else (*_DEFORM[:BODY_JOINTS], *FINE_BONES.values())
        for name, deform in zip(rests, deforms, strict=True):
            led = f"{'ORG' if deform.split('.')[0] in _LIMB_BONES else 'DEF'}-{deform}"
            parent = control.data.edit_bones.get(led)
            if parent is None:
                raise RigError(
                    f"The generated rig has no bone {led}; the metarig was changed too much to drive the avatar."
                )
            bone = control.data.edit_bones.new(_leader(name))
            bone.length = rests[name][1]
            bone.matrix = rests[name][0]
            bone.length = rests[name][1]
            bone.parent, bone.use_deform = parent, False
            for other in list(bone.collections):
                other.unassign(bone)
            collection.assign(bone)
