# SPDX-License-Identifier: GPL-3.0-or-later
"""The armature of an avatar: rest bones from the shape, the photo's pose, and joints that follow the shape sliders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ..core import skeleton
from ..core.arrays import Floats
from ..core.rest_pose import RestPose, chained, local_rotations, swung_joints
from ..core.result import AvatarData
from ..protocol.bone_names import Naming
from ..protocol.bone_names import joint_names as names_in
from ..protocol.rig import BODY_JOINTS, LEFT_HAND, RIGHT_HAND

# Custom properties of the armature's data: what is needed to move the joints with the shape.
POINTS, POINT_DIRECTIONS, GROUND = "uvatar_points", "uvatar_point_directions", "uvatar_ground"
_JOINT_NAMES, _BETA_NAMES, _PARENTS = "uvatar_joint_names", "uvatar_beta_names", "uvatar_parents"
_REST, REGRESSOR, TIPS, VERTICES = "uvatar_rest", "uvatar_regressor", "uvatar_tips", "uvatar_vertices"
JOINT = "uvatar_joint"  # of a bone: the joint that it is, by its number in the skeleton, whatever its name becomes
FINGER_AXES = "uvatar_finger_axes"  # (5, 2, 3), of an armature with fingers; see `protocol.rig`
# Custom property of the armature's object: the control rig that drives its bones.
LED_BY = "uvatar_control_rig"
PART = "uvatar_part"  # of the mesh object of a part: its name
AVATAR = "uvatar_avatar"  # of Rigify's metarig and control rig: the avatar's armature object


class RigError(ValueError):
    """An avatar's rig is incomplete or cannot be changed as asked; the message is one sentence for the user."""


def build_armature(avatar: AvatarData, name: str, collection: bpy.types.Collection, ground: float) -> bpy.types.Object:
    """Build an armature object in its rest pose, facing -y, linked to ``collection``.

    Args:
        avatar: the person.
        name: of object and armature.
        collection: must be visible in the current view layer, because bones can only be added in Edit Mode.
        ground: metres by which the body was raised, see `build_mesh`.
    """
    armature = bpy.data.armatures.new(name)
    armature.display_type = "STICK"  # thin, so that the person can be seen
    rig = bpy.data.objects.new(name, armature)
    rig.show_in_front = True
    collection.objects.link(rig)
    strongest = avatar.skin_joints[np.arange(len(avatar.skin_joints)), avatar.skin_weights.argmax(1)]
    tips = skeleton.tip_vertices(avatar.joint_template, avatar.template, strongest)
    points, directions = skeleton.skeleton_points(
        avatar.joint_template, avatar.joint_shapedirs, avatar.template, avatar.shapedirs, tips
    )
    armature[POINTS], armature[POINT_DIRECTIONS] = points.ravel().tolist(), directions.ravel().tolist()
    armature[_PARENTS], armature[GROUND] = list(avatar.parents), ground
    armature[_REST], armature[TIPS], armature[VERTICES] = avatar.rest.value, tips.tolist(), len(avatar.template)
    sums = avatar.regressor
    armature[REGRESSOR] = json.dumps(
        [sums.joints.tolist(), sums.vertices.tolist(), sums.weights.astype(float).round(6).tolist()]
    )
    armature[_JOINT_NAMES], armature[_BETA_NAMES] = "\n".join(avatar.joint_names), "\n".join(avatar.beta_names)
    if avatar.finger_axes is not None:
        armature[FINGER_AXES] = avatar.finger_axes.astype(float).ravel().tolist()
    with edit_mode(rig):
        for joint, bone in enumerate(avatar.joint_names):
            armature.edit_bones.new(bone)[JOINT] = joint
        place_bones(rig, avatar.betas)
        if avatar.finger_axes is not None:
            _collect_bones(armature, avatar.joint_names)
    for bone in rig.pose.bones:
        bone.rotation_mode = "QUATERNION"
    return rig


def _collect_bones(armature: bpy.types.Armature, names: Sequence[str]) -> None:
    """Put the bones into collections, so that fingers can be hidden and selected together; needs Edit Mode."""
    parts = {
        "Body": slice(0, BODY_JOINTS),
        "Face": slice(BODY_JOINTS, LEFT_HAND.start),
        "Left fingers": LEFT_HAND,
        "Right fingers": RIGHT_HAND,
    }
    for part, joints in parts.items():
        collection = armature.collections.new(part)
        for name in names[joints]:
            collection.assign(armature.edit_bones[name])


def attach(body: bpy.types.Object, rig: bpy.types.Object, preserve_volume: bool) -> None:
    """Add the Armature modifier with which the rig deforms the body.

    Args:
        body: the mesh object.
        rig: the armature object.
        preserve_volume: skin with dual quaternions, which keep the volume of bent elbows and twisted wrists. Pose
            correctives are made for linear skinning.
    """
    body.parent = rig
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    modifier.use_deform_preserve_volume = preserve_volume


def joint_names(rig: bpy.types.Object) -> list[str]:
    """Return the current names of the bones in the order of the joints; also in Edit Mode.

    A bone is identified by the joint number stored in it, so it may be renamed; avatars of older versions only have the
    names. If a bone was duplicated, which copies the number, the one with the stored name counts, otherwise the first.

    Raises:
        RigError: the bone of a joint was deleted.
    """
    armature = rig.data
    numbers = {bone.name: bone.get(JOINT) for bone in (armature.edit_bones if armature.is_editmode else armature.bones)}
    carriers: dict[int, list[str]] = {}
    for name, number in numbers.items():
        if isinstance(number, int):
            carriers.setdefault(number, []).append(name)
    found = []
    for joint, stored in enumerate(armature[_JOINT_NAMES].split("\n")):
        names = carriers.get(joint, [])
        if not names and numbers.get(stored, joint) is not None:  # no bone of this name, or it is another joint
            raise RigError(
                f"{rig.name} no longer has a bone for {_words(rig, joint)} ({stored}); undo, or import the avatar "
                "again."
            )
        found.append(stored if not names or stored in names else names[0])
    return found


def _words(rig: bpy.types.Object, joint: int) -> str:
    return f"the {names_in(Naming.SMPL, len(parents(rig)))[joint].replace('_', ' ')}"


def check_own(*things: bpy.types.ID) -> None:
    """Check that data-blocks belong to this .blend file; otherwise a change would fail half-way or be lost.

    Raises:
        RigError: one of them is linked from another file.
    """
    for thing in things:
        origin = thing.library or (thing.override_library and thing.override_library.reference.library)
        if origin:
            place = bpy.path.basename(origin.filepath)
            raise RigError(
                f"{thing.name} is linked from {place}; change it there, or use Object > Relations > Make Local first."
            )


def beta_names(rig: bpy.types.Object) -> list[str]:
    """Return the names of the shape sliders, in the order of the betas."""
    names: list[str] = rig.data[_BETA_NAMES].split("\n")
    return names


def is_rig(candidate: bpy.types.Object | None) -> bool:
    """Whether this is the armature object of an avatar."""
    return candidate is not None and candidate.type == "ARMATURE" and POINTS in candidate.data


def find_rig(candidate: bpy.types.Object | None) -> bpy.types.Object | None:
    """Return the avatar's armature object for any object that belongs to an avatar, otherwise None.

    These are the armature, its mesh, what is parented to either (glasses, a hat), the metarig, and the control rig.
    """
    while candidate is not None:
        avatar = candidate if is_rig(candidate) else candidate.get(AVATAR)
        # A deleted armature stays in the file, in no scene, while a custom property refers to it.
        if isinstance(avatar, bpy.types.Object) and is_rig(avatar) and avatar.users_scene:
            return avatar
        candidate = candidate.parent
    return None


def find_body(rig: bpy.types.Object) -> bpy.types.Object:
    """Return the mesh object with the shape sliders.

    Raises:
        RigError: it was deleted, or its shape keys were applied.
    """
    for child in rig.children:
        if (
            child.type == "MESH"
            and PART not in child
            and child.data.shape_keys
            and all(name in child.data.shape_keys.key_blocks for name in beta_names(rig))
        ):
            return child
    raise RigError(f"{rig.name} no longer has a mesh with the shape sliders; undo, or import the avatar again.")


@contextmanager
def edit_mode(rig: bpy.types.Object) -> Iterator[None]:
    """Put an armature into Edit Mode, even if it is hidden or excluded; needs Object Mode and returns to it.

    Raises:
        RigError: the armature is linked from another file.
    """
    check_own(rig.data)
    layer = bpy.context.view_layer
    before = layer.objects.active
    with _shown(rig, layer):
        layer.objects.active = rig
        # The rig may not be in the scene that the window shows; then only the override makes it the active object.
        with bpy.context.temp_override(active_object=rig, object=rig):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                yield
            finally:
                bpy.ops.object.mode_set(mode="OBJECT")
                layer.objects.active = before


@contextmanager
def _shown(rig: bpy.types.Object, layer: bpy.types.ViewLayer) -> Iterator[None]:
    """Show an object in the view layer, as Edit Mode requires; afterwards it is as hidden as before."""
    disabled, root = rig.hide_viewport, bpy.context.scene.collection
    if disabled:
        rig.hide_viewport = False
    excluded = layer.objects.get(rig.name) != rig  # because its collections are
    if excluded:
        root.objects.link(rig)
    hidden = rig.hide_get()
    rig.hide_set(False)
    try:
        yield
    finally:
        rig.hide_set(hidden)
        if excluded:
            root.objects.unlink(rig)
        if disabled:
            rig.hide_viewport = True


def place_bones(rig: bpy.types.Object, betas: Floats) -> None:
    """Move the edit bones to the joints of a shape, given by its betas (K,); needs Edit Mode."""
    armature, bones = rig.data, rig.data.edit_bones
    points = np.reshape(armature[POINTS], (-1, 3))
    directions = np.reshape(armature[POINT_DIRECTIONS], (*points.shape, -1))
    parents = list(armature[_PARENTS])
    rest = skeleton.rest_bones(points + directions @ betas, parents)
    raised = np.array([0.0, 0.0, armature[GROUND]])
    names = joint_names(rig)
    for name in names:
        bones[name].use_connect = False  # otherwise moving the tail of one bone would move the head of the next
    for joint, name in enumerate(names):
        bone = bones[name]
        bone.head, bone.tail = Vector(rest.heads[joint] + raised), Vector(rest.tails[joint] + raised)
        bone.align_roll(Vector(rest.z_axes[joint]))
        bone.parent = bones[names[parents[joint]]] if parents[joint] >= 0 else None
    for name, connected in zip(names, rest.connected, strict=True):
        bones[name].use_connect = connected


def bone_axes(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return the axes of the rest bones as columns, (J, 3, 3), in the armature's axes and the joints' order."""
    return np.array([rig.data.bones[name].matrix_local.to_3x3() for name in joint_names(rig)])


def parents(rig: bpy.types.Object) -> list[int]:
    """Return the parent of each of the joints, -1 for the root."""
    return list(rig.data[_PARENTS])


def rest_pose(rig: bpy.types.Object) -> RestPose:
    """Return the rest pose of mesh and bones."""
    return RestPose(rig.data.get(_REST, RestPose.T.value))


def rest_frames(rig: bpy.types.Object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotations (J, 3, 3) of each joint's parent and of the joint in the rest pose, relative to the T pose.

    Both are in the armature's axes.
    """
    axes = skeleton.ARMATURE_FROM_BODY
    own = chained(axes @ local_rotations(rest_pose(rig), len(parents(rig))) @ axes.T, parents(rig))
    return np.stack([own[parent] if parent >= 0 else np.eye(3) for parent in parents(rig)]), own


def basis_rotations(rig: bpy.types.Object, rotations: Floats) -> NDArray[np.float64]:
    """Convert rotations of the joints to those of the pose bones.

    Args:
        rig: the avatar's armature object.
        rotations: (..., J, 3, 3) in the armature's axes, each relative to its parent and to the T pose.

    Returns:
        (..., J, 3, 3) in the axes of each bone, relative to its rest pose.
    """
    before, own = rest_frames(rig)
    return skeleton.to_bone_axes(before @ rotations @ np.swapaxes(own, -1, -2), bone_axes(rig))


def set_rotations(rig: bpy.types.Object, rotations: Floats, joints: slice = slice(None)) -> None:
    """Rotate the pose bones, in whichever rotation mode they have.

    Args:
        rig: the avatar's armature object.
        rotations: (J, 3, 3) in the armature's axes, each relative to its parent and to the T pose.
        joints: those to rotate.
    """
    names, turns = joint_names(rig)[joints], basis_rotations(rig, rotations)[joints]
    for name, rotation in zip(names, turns, strict=True):
        bone, turned = rig.pose.bones[name], Matrix(rotation.tolist())
        if bone.rotation_mode == "QUATERNION":
            bone.rotation_quaternion = turned.to_quaternion()
        elif bone.rotation_mode == "AXIS_ANGLE":
            axis, angle = turned.to_quaternion().to_axis_angle()
            bone.rotation_axis_angle = (angle, *axis)
        else:
            bone.rotation_euler = turned.to_euler(bone.rotation_mode)


def get_rotations(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Read the rotations (J, 3, 3) of the pose bones; the inverse of `set_rotations`."""
    local = np.array([rig.pose.bones[name].matrix_basis.to_quaternion().to_matrix() for name in joint_names(rig)])
    before, own = rest_frames(rig)
    return np.swapaxes(before, -1, -2) @ skeleton.from_bone_axes(local, bone_axes(rig)) @ own


def stand_as_in_photo(rig: bpy.types.Object, avatar: AvatarData) -> None:
    """Place the rig in the photo's world, whose origin is the camera, and give it the photo's pose.

    The object goes below the person, at z = 0, upright and unscaled. The pelvis bone has the rest of location and
    rotation, so that clearing the pose leaves the person at rest in the same place, facing -y.
    """
    pelvis = skeleton.WORLD_FROM_CAMERA @ (avatar.joints()[0] + avatar.transl).astype(np.float64)
    rig.location = (pelvis[0], pelvis[1], 0.0)
    set_rotations(rig, skeleton.armature_rotations(avatar.pose))
    rest = rig.data.bones[joint_names(rig)[0]].matrix_local.translation
    set_root_offset(rig, Vector((0.0, 0.0, pelvis[2])) - rest)


def root_offset(rig: bpy.types.Object) -> Vector:
    """Return the translation of the pelvis bone from its rest position, in metres and the armature's axes."""
    root = joint_names(rig)[0]
    return rig.data.bones[root].matrix_local.to_3x3() @ rig.pose.bones[root].location


def set_root_offset(rig: bpy.types.Object, offset: Vector) -> None:
    """Translate the pelvis bone from its rest position; the inverse of `root_offset`."""
    root = joint_names(rig)[0]
    rig.pose.bones[root].location = rig.data.bones[root].matrix_local.to_3x3().transposed() @ offset


def clear_pose(rig: bpy.types.Object) -> None:
    """Return the bones to the rest pose; the object stays where it is."""
    for name in joint_names(rig):
        bone = rig.pose.bones[name]
        bone.matrix_basis = Matrix.Identity(4)


def rest_joints(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return the heads (J, 3) of the rest bones, in metres and the armature's axes."""
    return np.array([rig.data.bones[name].head_local for name in joint_names(rig)])


def t_joints(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return the joints (J, 3) in the T pose, whatever the rest pose is, in metres and the armature's axes."""
    _, own = rest_frames(rig)
    return swung_joints(rest_joints(rig), np.swapaxes(own, -1, -2), parents(rig))


def t_toe_tips(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return the tips (2, 3) of the feet, left and right, in metres and the armature's axes; all rest poses agree."""
    names = joint_names(rig)
    return np.array(
        [rig.data.bones[names[foot]].tail_local for foot in skeleton.tipped(len(names))[skeleton.FEET_TIPS]]
    )


def rename_joints(rig: bpy.types.Object, names: Sequence[str]) -> None:
    """Rename the bones of the joints; vertex groups, keyframes and constraints follow.

    Args:
        rig: the avatar's armature object.
        names: of the joints, in order.

    Raises:
        RigError: other bones have these names, or the armature is linked from another file.
    """
    check_own(rig.data)
    old = joint_names(rig)
    taken = set(rig.data.bones.keys()) - set(old)
    if len(set(names)) != len(old) or taken & set(names):
        raise RigError(
            f"{rig.name} has other bones named {', '.join(sorted(taken & set(names))[:3])}; rename them first."
        )
    bones = [rig.data.bones[name] for name in old]
    # In two steps: a new name may be another bone's old one.
    for stage in ([f"uvatar renames {joint}" for joint in range(len(old))], names):
        for joint, (bone, name) in enumerate(zip(bones, stage, strict=True)):
            bone.name, bone[JOINT] = name, joint  # avatars of older versions have no numbers yet
    rig.data[_JOINT_NAMES] = "\n".join(names)
