# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigify's metarig on the avatar's joints, from which its control rig is generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import addon_utils
import bpy
from mathutils import Vector

from ..core.skeleton import JOINTS, SMPL_OF_RIG
from ..protocol.rig import LEFT_HAND
from .control_rig_motion import FINE_CONTROLS
from .rig import AVATAR, RigError, edit_mode, joint_names

METARIG = "uvatar_metarig_of"
# Bones of Rigify's basic human metarig: (name, head, tail). A number is a joint, "tip" the tail of its bone, a pair the
# point half-way between two joints.
_TRUNK = (
    ("spine", 0, 3), ("spine.001", 3, 6), ("spine.002", 6, 9), ("spine.003", 9, 12), ("spine.004", 12, (12, 15)),
    ("spine.005", (12, 15), 15), ("spine.006", 15, "tip"),
)  # fmt: skip
_SIDES = (
    ("shoulder", 13, 16), ("upper_arm", 16, 18), ("forearm", 18, 20), ("hand", 20, 22), ("thigh", 1, 4), ("shin", 4, 7),
    ("foot", 7, 10), ("toe", 10, "tip"),
)  # fmt: skip
# Bones that are added for an avatar with fingers, jaw and eyes, by joint, and the types of their controls. A finger's
# type is that of its first bone.
FINE_BONES = {joint: name for name, joint in FINE_CONTROLS}
_FACE = ("jaw", "eye.L", "eye.R")
_FINE_TYPES = {
    name: "basic.super_copy" if joint < LEFT_HAND.start else "limbs.super_finger"
    for joint, name in FINE_BONES.items()
    if joint < LEFT_HAND.start or ".01." in name
}
# Bone collections that Rigify's basic metarig lacks: name, row on the rig's panel, colour set.
_FINE_COLLECTIONS = (("Face", 3, 1), ("Fingers.L", 12, 6), ("Fingers.R", 12, 6))
_DETAIL = "Fingers (Tweak)"
_SMALLEST_BEND = 0.001  # metres; from a straighter limb Rigify cannot tell which way it bends
_UNUSED = ("breast", "pelvis")


def make_metarig(rig: bpy.types.Object) -> bpy.types.Object:
    """Add Rigify's basic human metarig, with its bones on the avatar's joints. Needs Object Mode.

    Raises:
        RigError: Rigify cannot be enabled, or the avatar is incomplete.
    """
    enable_rigify()
    bpy.ops.object.armature_basic_human_metarig_add()
    metarig = bpy.context.object
    metarig.name = f"{rig.name} metarig"
    metarig.matrix_world = rig.matrix_world
    metarig[METARIG] = metarig[AVATAR] = rig
    names = joint_names(rig)
    point = _joint_points(rig, names)
    with edit_mode(metarig):
        edit_bones = metarig.data.edit_bones
        for bone in [bone for bone in edit_bones if bone.name.split(".")[0] in _UNUSED]:
            edit_bones.remove(bone)
        placed = [(name, start, end) for name, start, end in _TRUNK]
        for side, step in (("L", 0), ("R", 1)):
            placed += [
                (f"{name}.{side}", start + step, end + step if isinstance(end, int) else end)
                for name, start, end in _SIDES
            ]
        for name, start, end in placed:
            joint = start if isinstance(start, int) else start[0]
            bone = edit_bones[name]
            bone.head, bone.tail = point(start, joint), point(end, joint)
        for side in "LR":
            _bend(edit_bones[f"upper_arm.{side}"], edit_bones[f"forearm.{side}"], Vector((0, 1, 0)))
            _bend(edit_bones[f"thigh.{side}"], edit_bones[f"shin.{side}"], Vector((0, -1, 0)))
            _place_heel(edit_bones, side)
        for name, *_ in placed:
            bone = edit_bones[name]
            bone.align_roll(Vector((0, 0, 1)) if name[:4] in ("foot", "toe.") else Vector((0, -1, 0)))
        if len(names) > JOINTS:
            _add_fine_bones(rig, edit_bones, names)
    if len(names) > JOINTS:
        _collect_fine_bones(metarig)
    for bone in metarig.pose.bones:
        if bone.name in _FINE_TYPES:
            bone.rigify_type = _FINE_TYPES[bone.name]
            if hasattr(bone.rigify_parameters, "tweak_coll_refs"):
                reference = bone.rigify_parameters.tweak_coll_refs.add()
                reference.set_collection(metarig.data.collections_all[_DETAIL])
        if hasattr(bone.rigify_parameters, "segments"):
            bone.rigify_parameters.segments = 1  # one deform bone per limb segment, as SMPL's skin weights have
    return metarig


_Where = int | str | tuple[int, int]


def _joint_points(rig: bpy.types.Object, names: Sequence[str]) -> Callable[[_Where, int], Vector]:
    """Return the function from a place, as in `_SIDES`, and SMPL's joint of its bone to a point of the armature."""
    bones, smpl = rig.data.bones, range(JOINTS) if len(names) == JOINTS else SMPL_OF_RIG

    def point(where: _Where, joint: int) -> Vector:
        if where == "tip":
            return bones[names[smpl[joint]]].tail_local.copy()
        if isinstance(where, tuple):
            return 0.5 * (point(where[0], joint) + point(where[1], joint))
        return bones[names[smpl[int(where)]]].head_local.copy()

    return point


def _add_fine_bones(rig: bpy.types.Object, edit_bones: bpy.types.ArmatureEditBones, names: Sequence[str]) -> None:
    """Add the bones of jaw, eyes and fingers to the metarig, where the avatar has them."""
    for joint, name in FINE_BONES.items():
        own, bone = rig.data.bones[names[joint]], edit_bones.new(name)
        bone.head, bone.tail = own.head_local, own.tail_local
        bone.align_roll(own.z_axis)
        if joint < LEFT_HAND.start:
            bone.parent = edit_bones["spine.006"]
            continue
        side, number = name[-1], int(name.split(".")[1])
        bone.parent = edit_bones[FINE_BONES[joint - 1] if number > 1 else f"hand.{side}"]
        bone.use_connect = number > 1


def _collect_fine_bones(metarig: bpy.types.Object) -> None:
    """Put the bones of face and fingers into collections of their own, which the rig's panel shows and hides."""
    for name, row, colour in _FINE_COLLECTIONS:
        collection = metarig.data.collections.new(name)
        collection.rigify_ui_row, collection.rigify_color_set_id = row, colour
        for bone in FINE_BONES.values():
            part = "Face" if bone in _FACE else f"Fingers.{bone[-1]}"
            if part == name:
                collection.assign(metarig.data.bones[bone])
    metarig.data.collections.new(_DETAIL)  # without a row: the fingers' own controls are enough


def find_metarig(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Return the metarig that was made for this avatar; None if there is none."""
    made = (thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE" and METARIG in thing)
    return next((thing for thing in made if thing[METARIG] in (rig, rig.name)), None)  # older versions stored the name


def _bend(upper: bpy.types.EditBone, lower: bpy.types.EditBone, outward: Vector) -> None:
    """Move the middle joint of a limb so that the limb bends outward at rest, and not sideways.

    Rigify takes the plane of the limb as that of the joint's hinge. Knees that touch or bowed legs would give it a
    hinge that swings the shin to the side. The avatar's own joint keeps its place beside the moved one.
    """
    along = (lower.tail - upper.head).normalized()
    outward = (outward - outward.dot(along) * along).normalized()
    step = upper.tail - upper.head
    moved = upper.head + step.dot(along) * along + max(step.dot(outward), _SMALLEST_BEND) * outward
    upper.tail = lower.head = moved


def _place_heel(edit_bones: bpy.types.ArmatureEditBones, side: str) -> None:
    ankle, toe = edit_bones[f"foot.{side}"].head, edit_bones[f"toe.{side}"].tail
    length = abs(toe.y - ankle.y)
    middle = Vector((ankle.x, ankle.y + 0.3 * length, toe.z))
    heel = edit_bones[f"heel.02.{side}"]
    half = Vector((0.15 * length if side == "L" else -0.15 * length, 0, 0))
    heel.head, heel.tail = middle - half, middle + half


def enable_rigify() -> None:
    """Enable Rigify, which comes with Blender.

    Raises:
        RigError: it cannot be enabled.
    """
    # Rigify's preferences must exist before it registers. With default_set it is enabled as in the Preferences window.
    if not addon_utils.check("rigify")[1] and addon_utils.enable("rigify", default_set=True) is None:
        raise RigError("Rigify, which comes with Blender, could not be enabled; see Edit > Preferences > Add-ons.")
