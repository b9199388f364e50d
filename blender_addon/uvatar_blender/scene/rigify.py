# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigify: a metarig on the avatar's joints, and the generated control rig that drives the avatar.

The avatar keeps its own bones, which copy those of the control rig, so that export, poses and pose correctives work as
before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import addon_utils
import bpy
from mathutils import Vector

from ..core.skeleton import JOINTS, SMPL_OF_RIG
from ..protocol.rig import BODY_JOINTS, LEFT_HAND
from .control_rig_motion import FINE_CONTROLS, is_at_rest, transfer_motion
from .rig import AVATAR, LED_BY, RigError, check_own, edit_mode, joint_names

METARIG = "uvatar_metarig_of"
_FOLLOW = "Uvatar follows Rigify"  # name of the constraints
_COLLECTION = "Uvatar"  # bone collection of the bones that the avatar copies
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
# The deform bone of the control rig that each joint follows.
_DEFORM = (
    "spine", "thigh.L", "thigh.R", "spine.001", "shin.L", "shin.R", "spine.002", "foot.L", "foot.R", "spine.003",
    "toe.L", "toe.R",
    "spine.004", "shoulder.L", "shoulder.R", "spine.006", "upper_arm.L", "upper_arm.R", "forearm.L", "forearm.R",
    "hand.L", "hand.R",
    "hand.L", "hand.R",
)  # fmt: skip
# Bones that are added for an avatar with fingers, jaw and eyes, by joint, and the types of their controls. A finger's
# type is that of its first bone.
_FINE = {joint: name for name, joint in FINE_CONTROLS}
_FINE_TYPES = {
    name: "basic.super_copy" if joint < LEFT_HAND.start else "limbs.super_finger"
    for joint, name in _FINE.items()
    if joint < LEFT_HAND.start or ".01." in name
}
_SMALLEST_BEND = 0.004  # metres; from a straighter limb Rigify cannot tell which way it bends
_UNUSED = ("breast", "pelvis")


def make_metarig(rig: bpy.types.Object) -> bpy.types.Object:
    """Add Rigify's basic human metarig, with its bones on the avatar's joints. Needs Object Mode.

    Raises:
        RigError: Rigify cannot be enabled, or the avatar is incomplete.
    """
    _enable()
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
    for bone in metarig.pose.bones:
        if bone.name in _FINE_TYPES:
            bone.rigify_type = _FINE_TYPES[bone.name]
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
    for joint, name in _FINE.items():
        own, bone = rig.data.bones[names[joint]], edit_bones.new(name)
        bone.head, bone.tail = own.head_local, own.tail_local
        bone.align_roll(own.z_axis)
        if joint < LEFT_HAND.start:
            bone.parent = edit_bones["spine.006"]
            continue
        side, number = name[-1], int(name.split(".")[1])
        bone.parent = edit_bones[_FINE[joint - 1] if number > 1 else f"hand.{side}"]
        bone.use_connect = number > 1


def find_metarig(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Return the metarig that was made for this avatar; None if there is none."""
    made = (thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE" and METARIG in thing)
    return next((thing for thing in made if thing[METARIG] in (rig, rig.name)), None)  # older versions stored the name


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
        raise RigError(f"{rig.name} already follows a control rig; leave that one first.")
    if rig.library is not None:
        check_own(rig)
    if not is_at_rest(rig):  # pose and motion are transferred with temporary bones
        check_own(rig.data)
    metarig = metarig or find_metarig(rig) or make_metarig(rig)
    _enable()
    before = set(bpy.data.objects)
    layer = bpy.context.view_layer
    for thing in layer.objects.selected:
        thing.select_set(False)
    metarig.hide_set(False)
    metarig.select_set(True)
    layer.objects.active = metarig
    try:
        bpy.ops.pose.rigify_generate()
    except RuntimeError as error:
        raise RigError(f"Rigify could not generate a rig: {str(error).strip().splitlines()[-1]}") from error
    control = metarig.data.rigify_target_rig or next(
        thing for thing in set(bpy.data.objects) - before if thing.type == "ARMATURE"
    )
    control.name, control[AVATAR] = f"{rig.name} control", rig
    control.matrix_world = rig.matrix_world
    _add_leaders(rig, control)
    lead(rig, control)
    metarig.hide_set(True)
    if layer.objects.get(rig.name) == rig:  # otherwise its collection is excluded
        rig.hide_set(True)
    return control


def lead(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Transfer the avatar's pose and motion to the control rig, and make the avatar follow it."""
    transfer_motion(rig, control)
    follow(rig, control)


def follow(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Make the avatar's bones copy those of the control rig."""
    unfollow(rig)
    for name in joint_names(rig):
        constraint = rig.pose.bones[name].constraints.new("COPY_TRANSFORMS")
        constraint.name, constraint.target, constraint.subtarget = _FOLLOW, control, f"{_COLLECTION}-{name}"
    rig[LED_BY] = control.name


def control_rig(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Return the control rig that drives the avatar, whatever its name; None if there is none or it was deleted."""
    constraints = (constraint for name in joint_names(rig) for constraint in rig.pose.bones[name].constraints)
    return next(
        (constraint.target for constraint in constraints if constraint.name.startswith(_FOLLOW) and constraint.target),
        None,
    )


def unfollow(rig: bpy.types.Object) -> None:
    """Detach the avatar from its control rig, so that its own bones can be posed again."""
    for name in joint_names(rig):
        bone = rig.pose.bones[name]
        for constraint in [constraint for constraint in bone.constraints if constraint.name.startswith(_FOLLOW)]:
            bone.constraints.remove(constraint)
    rig.pop(LED_BY, None)


def _add_leaders(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Add bones to the control rig that match the avatar's, rolls included, as children of its deform bones."""
    rests = {name: (rig.data.bones[name].matrix_local.copy(), rig.data.bones[name].length) for name in joint_names(rig)}
    collection = control.data.collections.new(_COLLECTION)
    collection.is_visible = False
    with edit_mode(control):
        deforms = _DEFORM if len(rests) == JOINTS else (*_DEFORM[:BODY_JOINTS], *_FINE.values())
        for name, deform in zip(rests, deforms, strict=True):
            parent = control.data.edit_bones.get(f"DEF-{deform}")
            if parent is None:
                raise RigError(
                    f"The generated rig has no bone DEF-{deform}; the metarig was changed too much to drive the avatar."
                )
            bone = control.data.edit_bones.new(f"{_COLLECTION}-{name}")
            bone.length = rests[name][1]
            bone.matrix = rests[name][0]
            bone.length = rests[name][1]
            bone.parent, bone.use_deform = parent, False
            for other in list(bone.collections):
                other.unassign(bone)
            collection.assign(bone)


def _bend(upper: bpy.types.EditBone, lower: bpy.types.EditBone, outward: Vector) -> None:
    """Move the middle joint of a limb that is too straight a little outward."""
    along = (lower.tail - upper.head).normalized()
    across = (upper.tail - upper.head) - (upper.tail - upper.head).dot(along) * along
    if across.dot(outward) < _SMALLEST_BEND:
        moved = upper.tail + (_SMALLEST_BEND - across.dot(outward)) * outward
        upper.tail = lower.head = moved


def _place_heel(edit_bones: bpy.types.ArmatureEditBones, side: str) -> None:
    ankle, toe = edit_bones[f"foot.{side}"].head, edit_bones[f"toe.{side}"].tail
    length = abs(toe.y - ankle.y)
    middle = Vector((ankle.x, ankle.y + 0.3 * length, toe.z))
    heel = edit_bones[f"heel.02.{side}"]
    half = Vector((0.15 * length if side == "L" else -0.15 * length, 0, 0))
    heel.head, heel.tail = middle - half, middle + half


def _enable() -> None:
    # Rigify's preferences must exist before it registers. With default_set it is enabled as in the Preferences window.
    if not addon_utils.check("rigify")[1] and addon_utils.enable("rigify", default_set=True) is None:
        raise RigError("Rigify, which comes with Blender, could not be enabled; see Edit > Preferences > Add-ons.")
