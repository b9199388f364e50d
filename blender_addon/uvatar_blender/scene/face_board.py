# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of a control rig's face board beside the head, and of the target that the eyes look at."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
from mathutils import Vector

from ..core import face_drawing
from ..core.face_layout import CONTROLS, GAZE_KEYS, LABELLED, Control
from ..core.skeleton import JOINTS
from ..protocol.rig import LEFT_EYE, RIGHT_EYE
from .mesh import expression_keys
from .rig import edit_mode, find_body, joint_names

BOARD = "face_board"
LOOK = "face_look"  # what both eyes look at; its children are for one eye each
EYE_TARGETS = {"face_look.L": ("eye.L", LEFT_EYE), "face_look.R": ("eye.R", RIGHT_EYE)}
LOOK_AT, LIDS, HEAD = "eyes_follow", "lids_follow", "with_head"  # properties of `LOOK`, from 0 to 1
_CARRIER = "MCH-face_look"
_ABOUT = {
    LOOK_AT: "How far the eyes look at this target; at 0 they turn by their own bones",
    LIDS: "How far the lids follow the eyes",
    HEAD: "How far this target moves with the head; at 0 it stays where it is while the head turns",
}
UNIT = 0.15  # metres of a unit of the board, so that its face is as large as a head; the same for all avatars, so that
# expressions can be copied from one to another
_BESIDE = 2.4  # units from the middle of the head to that of the board
_AHEAD = 3.5  # lengths of the head's bone from the eyes to their target: an arm's length
_WORLD_FRONT = Vector((0, -1, 0))  # avatars face -y in their armature's axes
_SIDE_COLOURS = {".L": "THEME04", ".R": "THEME01"}  # Blender's own sets: blue left, red right, as in Rigify
_MIDDLE_COLOUR = "THEME09"


def has_board(control: bpy.types.Object) -> bool:
    """Whether a control rig has a face board, all of it."""
    bones = control.pose.bones
    return all(name in bones for name in (BOARD, LOOK, *(one.name for one in CONTROLS)))


def build_face_board(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Add the bones of the face board to a control rig; needs Object Mode.

    Nothing happens for an avatar without eyes or expressions, one whose expressions are linked from another file, and
    a control rig whose metarig was edited so that it has no head or eyes.
    """
    needed = ("head", *(eye for eye, _ in EYE_TARGETS.values()))
    if len(joint_names(rig)) == JOINTS or any(name not in control.pose.bones for name in needed):
        return
    keys = find_body(rig).data.shape_keys
    if not expression_keys(find_body(rig)) or keys.library is not None or keys.override_library is not None:
        return
    with edit_mode(control):
        _add_bones(control.data)
    _dress(control)
    _aim(control)


def _add_bones(armature: bpy.types.Armature) -> None:
    edit_bones = armature.edit_bones
    head = edit_bones["head"]
    eyes = {name: edit_bones[eye] for name, (eye, _) in EYE_TARGETS.items()}
    faces = armature.collections_all.get("Face") or armature.collections.new("Face")
    hidden = armature.collections_all.get("MCH") or faces

    def add(
        name: str, place: Vector, parent: bpy.types.EditBone | None, collection: bpy.types.BoneCollection = faces
    ) -> bpy.types.EditBone:
        bone = edit_bones.new(name)
        bone.head, bone.tail = place, place + Vector((0, 0, UNIT))
        bone.align_roll(_WORLD_FRONT)  # then x is the person's left and y up, as on the board
        bone.parent, bone.use_deform = parent, False
        for other in list(bone.collections):
            other.unassign(bone)
        collection.assign(bone)
        return bone

    middle = 0.5 * sum((eye.head for eye in eyes.values()), Vector())
    board = add(BOARD, middle + Vector((_BESIDE * UNIT, 0, -0.3 * UNIT)), head)
    for control in CONTROLS:
        x, y = control.place
        add(control.name, board.head + UNIT * Vector((x, 0, y)), board)
    ahead = _AHEAD * head.length * _WORLD_FRONT
    carrier = add(_CARRIER, middle + ahead, None, hidden)
    look = add(LOOK, middle + ahead, carrier)
    for name, eye in eyes.items():
        add(name, eye.head + ahead, look)


def _dress(control: bpy.types.Object) -> None:
    """Give the bones their symbols, colours, limits and properties."""
    bones = control.pose.bones
    eyes = [control.data.bones[name].head_local.x for name in EYE_TARGETS]
    symbols = {
        BOARD: _symbol("board", face_drawing.board(), _labels()),
        LOOK: _symbol("look", face_drawing.target(abs(eyes[0] - eyes[1]) / UNIT)),
        "line": _symbol("line", face_drawing.knob(flat=True)),
        "plane": _symbol("plane", face_drawing.knob(flat=False)),
    }
    for name in (BOARD, LOOK, *EYE_TARGETS):
        _show(bones[name], symbols.get(name, symbols["plane"]), _colour(name))
        if name != BOARD:
            bones[name].lock_rotation, bones[name].lock_scale = (True,) * 3, (True,) * 3
            bones[name].lock_rotation_w = True
    for one in CONTROLS:
        bone = bones[one.name]
        flat = one.axis(0) == (None, None)
        _show(bone, symbols["line" if flat else "plane"], _colour(one.name))
        bone.lock_location = (flat, False, True)
        bone.lock_rotation, bone.lock_scale, bone.lock_rotation_w = (True,) * 3, (True,) * 3, True
        _limit(bone, one)
        for key in one.keys.values():
            _add_property(bone, key, 0.0, "Weight of this expression beside what the control gives", -1.0)
    for key in GAZE_KEYS:
        _add_property(bones[LOOK], key, 0.0, "Weight of this expression beside what the eyes give", -1.0)
    for name, about in _ABOUT.items():
        _add_property(bones[LOOK], name, 1.0, about)


def _aim(control: bpy.types.Object) -> None:
    """Let the eyes look at their targets, and the targets move with the head."""
    bones = control.pose.bones
    for name, (eye, _) in EYE_TARGETS.items():
        track = bones[eye].constraints.new("DAMPED_TRACK")
        track.target, track.subtarget, track.track_axis = control, name, "TRACK_Y"
        _drive(control, track, "influence", LOOK_AT, "follow")
    carried = bones[_CARRIER].constraints.new("ARMATURE")
    for name, expression in (("head", "follow"), ("root", "1 - follow")):
        if name in bones:
            target = carried.targets.new()
            target.target, target.subtarget = control, name
            _drive(control, target, "weight", HEAD, expression)


def _drive(control: bpy.types.Object, thing: bpy.types.bpy_struct, what: str, follows: str, expression: str) -> None:
    driver = thing.driver_add(what).driver
    driver.type, driver.expression = "SCRIPTED", expression  # simple: Blender evaluates it without Python
    add_property_variable(driver, "follow", control, LOOK, follows)


def add_property_variable(
    driver: bpy.types.Driver, name: str, control: bpy.types.Object, bone: str, of_bone: str
) -> None:
    """Add a variable to a driver that reads a bone's custom property."""
    variable = driver.variables.new()
    variable.name = name
    variable.targets[0].id = control
    variable.targets[0].data_path = f'pose.bones["{bone}"]["{of_bone}"]'


def _add_property(bone: bpy.types.PoseBone, name: str, value: float, about: str, low: float = 0.0) -> None:
    bone[name] = value
    bone.id_properties_ui(name).update(min=low, max=1.0, default=value, description=about)


def _limit(bone: bpy.types.PoseBone, one: Control) -> None:
    limit = bone.constraints.new("LIMIT_LOCATION")
    limit.owner_space, limit.use_transform_limit = "LOCAL", True
    for axis, letter in enumerate("xy"):
        low, high = face_drawing.limits(one, axis)
        for end, value in (("min", low), ("max", high)):
            setattr(limit, f"use_{end}_{letter}", True)
            setattr(limit, f"{end}_{letter}", value * UNIT)


def _colour(name: str) -> str:
    return _SIDE_COLOURS.get(name[-2:], _MIDDLE_COLOUR)


def _show(bone: bpy.types.PoseBone, symbol: bpy.types.Object, colour: str) -> None:
    bone.custom_shape, bone.bone.show_wire = symbol, True
    bone.color.palette = bone.bone.color.palette = colour


def _symbol(
    name: str, drawing: face_drawing.Drawing, more: Mapping[str, tuple[float, float]] | None = None
) -> bpy.types.Object:
    """Make the object that Blender draws for a bone; it is in no scene."""
    for text, place in (more or {}).items():
        _write(drawing, text, place)
    mesh = bpy.data.meshes.new(f"WGT-face_{name}")
    mesh.from_pydata([(x, y, 0.0) for x, y in drawing.points], drawing.lines, [])
    return bpy.data.objects.new(mesh.name, mesh)


def _labels() -> dict[str, tuple[float, float]]:
    """Return the words on the board, and where each begins."""
    places = {one.name: one.place for one in CONTROLS}
    return {
        name.capitalize(): (places[f"face_{name}"][0] + 0.12, places[f"face_{name}"][1] - 0.03) for name in LABELLED
    }


def _write(drawing: face_drawing.Drawing, text: str, place: tuple[float, float]) -> None:
    """Add the outlines of a text to a drawing."""
    curve = bpy.data.curves.new("word", "FONT")
    curve.body, curve.size, curve.fill_mode, curve.resolution_u = text, 0.13, "NONE", 2
    written = bpy.data.objects.new("word", curve)
    try:
        mesh = written.to_mesh()
        first = len(drawing.points)
        drawing.points += [(place[0] + vertex.co.x, place[1] + vertex.co.y) for vertex in mesh.vertices]
        drawing.lines += [(first + edge.vertices[0], first + edge.vertices[1]) for edge in mesh.edges]
        written.to_mesh_clear()
    finally:
        bpy.data.objects.remove(written)
        bpy.data.curves.remove(curve)
