# SPDX-License-Identifier: GPL-3.0-or-later
"""A library of poses for Blender's asset browser and the asset shelf of Pose Mode."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ..core.face_layout import CONTROLS, TRAVEL, contributions, pulled
from ..core.motion import grounded, rotations_for
from ..core.poses import body_poses
from ..core.rest_pose import RestPose
from ..core.thumbnails import draw, view_axes
from ..protocol.bone_names import naming_of
from ..protocol.expressions import MOODS
from ..protocol.rig import BODY_JOINTS, FINGER_POSES, LEFT_HAND, RIGHT_HAND, SMPL_PARENTS
from . import compat
from .copies import nothing_left, own_copy
from .correctives import set_live
from .face_board import UNIT
from .fingers import has_fingers, pose_fingers, relaxed_hands
from .mesh import evaluated_vertices, expression_keys
from .motion import smpl_t_joints
from .posing import take_pose
from .rig import clear_pose, find_body, joint_names, rest_pose, set_root_offset, set_rotations, t_toe_tips

LIBRARY = "Uvatar"  # name of the library in Blender's preferences
_CATALOGUES = ("Body", "Hands", "Face board")
_NAMESPACE = uuid.UUID("6f2c5a0e-6c0b-4c0f-9b4e-0b9a1f6f3d55")  # of this library's catalogues: any fixed number
_WITH_HAND = {"Waving": "flat", "Pointing": "point"}  # poses of the body that need a pose of the right hand
_BODY_VIEW, _HAND_VIEW, _FACE_VIEW = (25.0, 8.0), (0.0, 35.0), (15.0, 0.0)  # degrees: yaw, pitch
_HAND_HALF, _FACE_HALF = 0.12, 0.17  # metres from the middle of a picture to its sides


@dataclass(frozen=True)
class _Model:
    """Temporary copies of an avatar that take the poses for the pictures."""

    rig: bpy.types.Object
    body: bpy.types.Object
    triangles: NDArray[np.int32]

    def picture(
        self, view: tuple[float, float], centre: Sequence[float] | None, half: float = 0.0
    ) -> NDArray[np.float32]:
        """Draw the copy as it is posed now, all of it if no centre is given."""
        bpy.context.view_layer.update()
        vertices = evaluated_vertices(self.body)
        if centre is None:
            low, high = vertices.min(0), vertices.max(0)
            centre, half = (low + high) / 2, 0.53 * float((high - low).max())
        return draw(vertices, self.triangles, view_axes(*view), np.asarray(centre), half)


def write_pose_library(rig: bpy.types.Object, folder: Path) -> int:
    """Write poses of body and hands for the avatar's own bones, and expressions for control rigs, as a .blend.

    They suit every avatar with these bone names and this rest pose. Nothing in the scene changes; needs Object Mode.

    Returns:
        The number of poses.

    Raises:
        RigError: the avatar is incomplete.
        OSError: the file cannot be written.
    """
    naming, names = naming_of(joint_names(rig)), joint_names(rig)
    kind = f"{naming.value if naming is not None else rig.name} {rest_pose(rig).value} {len(names)}"
    path = folder / f"poses {bpy.path.clean_name(kind).replace('_', ' ')}.blend"
    folder.mkdir(parents=True, exist_ok=True)
    with nothing_left():
        model = _model(rig)
        poses = [*_body_poses(model), *_hand_poses(model), *_expressions(model)]
        try:
            bpy.data.libraries.write(str(path), set(poses), fake_user=True, compress=True)
        except RuntimeError as error:
            raise OSError(f"{path} cannot be written.") from error
        count = len(poses)
    lines = [f"{_catalogue(name)}:{LIBRARY}/{name}:{LIBRARY}-{name}" for name in _CATALOGUES]
    (folder / "blender_assets.cats.txt").write_text("\n".join(("VERSION 1", "", *lines, "")), encoding="utf-8")
    return count


def register_library(folder: Path) -> None:
    """Add a folder to the asset libraries in Blender's preferences, unless it is there."""
    libraries = bpy.context.preferences.filepaths.asset_libraries
    if any(Path(library.path) == folder for library in libraries):
        return
    libraries.new(name=LIBRARY, directory=str(folder))


def _model(rig: bpy.types.Object) -> _Model:
    """Copy an avatar, without the control rig and the motion that lead it, into the present scene."""
    body = find_body(rig)
    copy, skin = own_copy(rig), own_copy(body)
    skin.data = own_copy(body.data)
    for thing in (copy, skin, skin.data.shape_keys):
        if thing is not None:
            thing.animation_data_clear()
    set_live(skin, False)  # without their drivers they would stay those of the avatar's pose
    for thing in (copy, skin):
        bpy.context.scene.collection.objects.link(thing)
        thing.hide_viewport = False
    for bone in copy.pose.bones:
        bone.rotation_mode = "QUATERNION"
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
    for modifier in list(skin.modifiers):
        if modifier.type == "ARMATURE":
            modifier.object, modifier.show_viewport = copy, True
        else:
            skin.modifiers.remove(modifier)
    skin.parent = copy
    copy.matrix_world = skin.matrix_world = Matrix.Identity(4)
    for key in expression_keys(skin):
        key.value = 0.0
    skin.data.calc_loop_triangles()
    triangles = np.empty(3 * len(skin.data.loop_triangles), np.int32)
    skin.data.loop_triangles.foreach_get("vertices", triangles)
    return _Model(copy, skin, triangles.reshape(-1, 3))


def _body_poses(model: _Model) -> Iterator[bpy.types.Action]:
    rig, names = model.rig, joint_names(model.rig)
    joints, toes = smpl_t_joints(rig), t_toe_tips(rig)
    for pose in RestPose:
        take_pose(rig, pose)
        yield _pose_asset(model, f"{pose.value} pose", names[:BODY_JOINTS], "Body", model.picture(_BODY_VIEW, None))
    for name, motion in body_poses(joints, toes).items():
        motion = grounded(motion, joints, toes, SMPL_PARENTS)
        clear_pose(rig)
        set_rotations(rig, rotations_for(motion, len(names), relaxed_hands(rig))[0])
        set_root_offset(rig, Vector(motion.pelvis[0]))
        moved = list(names[:BODY_JOINTS])
        if name in _WITH_HAND and has_fingers(rig):
            pose_fingers(rig, _WITH_HAND[name], "RIGHT")
            moved += names[RIGHT_HAND]
        yield _pose_asset(model, name, moved, "Body", model.picture(_BODY_VIEW, None))


def _hand_poses(model: _Model) -> Iterator[bpy.types.Action]:
    rig, names = model.rig, joint_names(model.rig)
    if not has_fingers(rig):
        return
    take_pose(rig, RestPose.T)
    for side, hand in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        for pose in FINGER_POSES:
            pose_fingers(rig, pose, side.upper())
            bpy.context.view_layer.update()
            centre = np.mean([rig.pose.bones[name].tail for name in names[hand]], 0)
            picture = model.picture(_HAND_VIEW, centre, _HAND_HALF)
            yield _pose_asset(model, f"{pose.capitalize()}, {side} hand", names[hand], "Hands", picture)


def _expressions(model: _Model) -> Iterator[bpy.types.Action]:
    """Yield an asset for each mood that sets the controls of a face board, which are alike on all control rigs."""
    keys = {key.name: key for key in expression_keys(model.body)}
    if not keys:
        return
    clear_pose(model.rig)
    head = model.rig.pose.bones[joint_names(model.rig)[15]]
    bpy.context.view_layer.update()
    centre = (np.array(head.head) + np.array(head.tail)) / 2
    for mood, weights in MOODS.items():
        for name, key in keys.items():
            key.value = weights.get(name, 0.0)
        picture = model.picture(_FACE_VIEW, centre, _FACE_HALF)
        yield _asset(model, mood.capitalize(), _board_curves(weights), "Face board", picture)


def _board_curves(weights: Mapping[str, float]) -> Iterator[tuple[str, int, str, float]]:
    """Yield data path, index, group and value of what a face board needs for an expression."""
    for one in CONTROLS:
        pull = pulled(one, weights)
        path = f'pose.bones["{one.name}"]'
        for axis in (0, 1):
            yield f"{path}.location", axis, one.name, TRAVEL * UNIT * pull[axis]
        for key, given in contributions(one, pull).items():
            yield f'{path}["{key}"]', 0, one.name, weights.get(key, 0.0) - given


def _pose_asset(
    model: _Model, name: str, bones: Iterable[str], catalogue: str, picture: NDArray[np.float32]
) -> bpy.types.Action:
    """Make an asset of the model's present pose of these bones."""
    root = joint_names(model.rig)[0]
    curves: list[tuple[str, int, str, float]] = []
    for bone in bones:
        path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].'
        posed = model.rig.pose.bones[bone]
        curves += [
            (path + "rotation_quaternion", channel, bone, posed.rotation_quaternion[channel]) for channel in range(4)
        ]
        if bone == root:
            curves += [(path + "location", channel, bone, posed.location[channel]) for channel in range(3)]
    return _asset(model, name, curves, catalogue, picture)


def _asset(
    model: _Model,
    name: str,
    curves: Iterable[tuple[str, int, str, float]],
    catalogue: str,
    picture: NDArray[np.float32],
) -> bpy.types.Action:
    action = bpy.data.actions.new(name)
    add = compat.curve_maker(model.rig, action)
    for path, index, group, value in curves:
        compat.fill_curve(add(path, index, group), [1], [value])
    model.rig.animation_data_clear()  # or the action would keep the model in this pose
    action.asset_mark()
    action.asset_data.catalog_id = _catalogue(catalogue)
    action.asset_data.author = LIBRARY
    preview = action.preview_ensure()
    preview.image_size = picture.shape[1], picture.shape[0]
    preview.image_pixels_float.foreach_set(picture.ravel())
    return action


def _catalogue(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))
