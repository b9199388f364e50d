# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control rig's face board does: it takes over the avatar's expression, drives its keys, and lets go of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import bpy
from mathutils import Matrix, Vector

from ..core.face_layout import CONTROLS, GAZE_KEYS, TRAVEL, contributions, pulled, sign_of
from ..protocol.rig import LEFT_EYE, RIGHT_EYE
from . import compat
from .face_board import EYE_TARGETS, LIDS, LOOK, LOOK_AT, add_property_variable, has_board
from .mesh import expression_keys
from .rig import find_body, joint_names

_BEFORE = "uvatar_face_before"  # of the armature object: the weights that the keys had before the board drove them
_BESIDE = "beside"  # name of a variable, by which the board's drivers are known
_FULL_GAZE = math.radians(
    30
)  # turn of an eye for the full weight of a key that moves the lids, as capture software has
_TURNED = 1e-3  # radians; below, eyes look straight ahead
_LEAST = 1e-5  # weight; a smaller one beside what a control gives is the rounding of 32-bit numbers
_STILL = 1e-4  # weight by which a key moves at least to get keyframes: rounding in 32 bits made 1.6e-5 of a blink
Weights = dict[str, float]


def lead_face(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Give the face board the avatar's expression, or its motion, and let it drive the avatar's keys and eyes.

    Nothing that is seen changes. The avatar's bones must not follow the control rig yet.
    """
    if not has_board(control):
        return
    body = find_body(rig)
    shapes, keys = body.data.shape_keys, {key.name: key for key in expression_keys(body)}
    moved = _curves(shapes, keys)
    rig[_BEFORE] = {name: 0.0 if name in moved else key.value for name, key in keys.items()}
    turned = any(abs(angle) > _TURNED for joint in (LEFT_EYE, RIGHT_EYE) for angle in _gaze(rig, joint))
    moving = _eyes_move(rig)
    look = control.pose.bones[LOOK]
    look[LOOK_AT] = float(not (moving and turned))
    look[LIDS] = float(not (moving and turned) and not any(name in moved for name in GAZE_KEYS))
    if turned and not moving:
        _look_as(rig, control)
    given = _gaze_weights(rig) if look[LIDS] else {}
    if moved:
        frames = _frames(moved.values())
        over_time = [
            {name: _at(moved.get(name), frame, key.value) for name, key in keys.items()} for frame in frames
        ]  # fmt: skip
        _key_board(control, frames, over_time, given, shapes.animation_data.action.name)
    else:
        set_board(control, {name: key.value for name, key in keys.items()}, given)
    for key in keys.values():
        if not _driver(shapes, key):
            _add_driver(rig, control, key)
    control.update_tag()


def free_face(rig: bpy.types.Object) -> None:
    """Remove the board's drivers; the keys have the weights or the motion again that they had before."""
    before = rig.get(_BEFORE)
    if before is None:
        return
    for key in expression_keys(find_body(rig)):
        if _is_led(key):
            key.driver_remove("value")
            key.value = before.get(key.name, 0.0)
    del rig[_BEFORE]


def is_led(rig: bpy.types.Object) -> bool:
    """Whether a face board drives the avatar's expressions."""
    return _BEFORE in rig


def shown_weights(rig: bpy.types.Object) -> Weights:
    """Return the weights of the expressions that a face board drives, as they are on the present frame."""
    body = find_body(rig)
    shapes = body.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {key.name: shapes.key_blocks[key.name].value for key in expression_keys(body) if _is_led(key)}


def keep_face(rig: bpy.types.Object, frames: Sequence[int], weights: Sequence[Weights]) -> None:
    """Put what a face board showed onto the avatar's own keys; `free_face` must have been called.

    Args:
        frames: of a motion; one for an expression that does not move.
        weights: for each frame.
    """
    body = find_body(rig)
    keys = {key.name: key for key in expression_keys(body) if weights and key.name in weights[0]}
    shapes = body.data.shape_keys
    values = {name: [one[name] for one in weights] for name in keys}
    moving = {name: line for name, line in values.items() if max(line) - min(line) > _STILL}
    for name, key in keys.items():
        key.value = values[name][0]
    if shapes.animation_data is not None and shapes.animation_data.action is not None:
        shapes.animation_data.action.use_fake_user = True
        shapes.animation_data.action = None
    if moving:
        curve = compat.curve_maker(shapes, bpy.data.actions.new(f"{rig.name} face"), "KEY")
        for name, line in moving.items():
            compat.fill_curve(curve(f'key_blocks["{name}"].value', 0, "Face"), frames, line)


def set_board(
    control: bpy.types.Object, weights: Mapping[str, float], given: Mapping[str, float] | None = None
) -> list[bpy.types.PoseBone]:
    """Set the face board's controls to an expression.

    Args:
        control: the control rig.
        weights: of the keys.
        given: weights of the keys of the gaze that the eyes give.

    Returns:
        The controls.
    """
    for bone, place, beside in _settings(control, weights, given or {}):
        bone.location = (*place, 0.0)
        for key, value in beside.items():
            bone[key] = value
    look = control.pose.bones[LOOK]
    for key in GAZE_KEYS:
        look[key] = _beside(weights.get(key, 0.0), (given or {}).get(key, 0.0))
    return [control.pose.bones[one.name] for one in CONTROLS]


def key_board(control: bpy.types.Object) -> None:
    """Insert keyframes for all controls of the face board on the present frame."""
    for one in CONTROLS:
        bone = control.pose.bones[one.name]
        bone.keyframe_insert("location", group=one.name)
        for key in one.keys.values():
            bone.keyframe_insert(f'["{key}"]', group=one.name)


def _settings(
    control: bpy.types.Object, weights: Mapping[str, float], given: Mapping[str, float]
) -> Iterable[tuple[bpy.types.PoseBone, tuple[float, float], Weights]]:
    """Yield each control's bone, its location along x and y, and the weights beside what that gives."""
    for one in CONTROLS:
        bone = control.pose.bones[one.name]
        pull = pulled(one, weights)
        pull = (max(-1.0, min(pull[0], 1.0)), max(-1.0, min(pull[1], 1.0)))  # as far as the control can be pulled
        gives = contributions(one, pull)
        step = TRAVEL * bone.bone.length
        beside = {key: _beside(weights.get(key, 0.0), gives[key]) for key in one.keys.values()}
        yield bone, (step * pull[0], step * pull[1]), beside


def _beside(wanted: float, gives: float) -> float:
    return wanted - gives if abs(wanted - gives) > _LEAST else 0.0


def _key_board(
    control: bpy.types.Object,
    frames: Sequence[int],
    weights: Sequence[Weights],
    given: Mapping[str, float],
    name: str,
) -> None:
    """Give the controls keyframes on these frames, in the control rig's action or a new one; still ones are set."""
    set_board(control, weights[0], given)
    lines: dict[tuple[str, str, int], list[float]] = {}
    for row in weights:
        for bone, place, beside in _settings(control, row, given):
            path = f'pose.bones["{bone.name}"]'
            for axis in (0, 1):
                lines.setdefault((bone.name, f"{path}.location", axis), []).append(place[axis])
            for key, value in beside.items():
                lines.setdefault((bone.name, f'{path}["{key}"]', 0), []).append(value)
        for key in GAZE_KEYS:
            value = _beside(row.get(key, 0.0), given.get(key, 0.0))
            lines.setdefault((LOOK, f'pose.bones["{LOOK}"]["{key}"]', 0), []).append(value)
    curve = _curve_maker(control, name)
    for (bone_name, path, axis), values in lines.items():
        if max(values) - min(values) > _LEAST * TRAVEL:
            compat.fill_curve(curve(path, axis, bone_name), frames, values)


def _curve_maker(control: bpy.types.Object, name: str) -> Callable[[str, int, str], bpy.types.FCurve]:
    """Return `compat.more_curves` of the action that the control rig has just been given, or of a new one."""
    taken = {(curve.data_path, curve.array_index) for curve in compat.action_curves(control)}
    ours = f'pose.bones["{CONTROLS[0].name}"'
    if not taken or any(path.startswith(ours) for path, _ in taken):
        return compat.curve_maker(control, bpy.data.actions.new(f"{name} control"))
    return compat.more_curves(control)


def _curves(shapes: bpy.types.Key, keys: Mapping[str, object]) -> dict[str, bpy.types.FCurve]:
    """Return the F-Curves of the expressions by their names."""
    paths = {f'key_blocks["{name}"].value': name for name in keys}
    return {
        paths[curve.data_path]: curve
        for curve in compat.action_curves(shapes)
        if curve.data_path in paths and not curve.mute
    }


def _frames(curves: Iterable[bpy.types.FCurve]) -> range:
    ends = [curve.range() for curve in curves]
    return range(math.floor(min(first for first, _ in ends)), math.ceil(max(last for _, last in ends)) + 1)


def _at(curve: bpy.types.FCurve | None, frame: int, otherwise: float) -> float:
    return otherwise if curve is None else min(max(curve.evaluate(frame), 0.0), 1.0)


def _driver(shapes: bpy.types.Key, key: bpy.types.ShapeKey) -> bpy.types.Driver | None:
    path = f'key_blocks["{key.name}"].value'
    drivers = shapes.animation_data.drivers if shapes.animation_data is not None else ()
    return next((curve.driver for curve in drivers if curve.data_path == path), None)


def _is_led(key: bpy.types.ShapeKey) -> bool:
    driver = _driver(key.id_data, key)
    return driver is not None and any(variable.name == _BESIDE for variable in driver.variables)


def _add_driver(rig: bpy.types.Object, control: bpy.types.Object, key: bpy.types.ShapeKey) -> None:
    """Drive a key by its control, or by an eye. The expressions are simple: Blender evaluates them without Python."""
    one, way = next(((one, way) for one in CONTROLS for way, name in one.keys.items() if name == key.name), (None, ""))
    driver = key.driver_add("value").driver
    driver.type = "SCRIPTED"
    if one is not None:
        axis, sign = sign_of(way)
        add_property_variable(driver, _BESIDE, control, one.name, key.name)
        _add_channel(driver, "pull", control, one.name, f"LOC_{'XY'[axis]}")
        full = sign / (TRAVEL * control.data.bones[one.name].length)
        driver.expression = f"min(max(max(pull * {full:.6f}, 0) + {_BESIDE}, 0), 1)"
        return
    joint, axis, full = _gaze_axis(rig, key.name)
    add_property_variable(driver, _BESIDE, control, LOOK, key.name)
    add_property_variable(driver, "follow", control, LOOK, LIDS)
    _add_channel(driver, "turn", rig, joint_names(rig)[joint], f"ROT_{'XYZ'[axis]}")
    driver.expression = f"min(max(max(turn * {full:.6f}, 0) * follow + {_BESIDE}, 0), 1)"


def _add_channel(driver: bpy.types.Driver, name: str, thing: bpy.types.Object, bone: str, channel: str) -> None:
    variable = driver.variables.new()
    variable.name, variable.type = name, "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.bone_target, target.transform_type = thing, bone, channel
    target.transform_space, target.rotation_mode = "LOCAL_SPACE", "XYZ"


def _gaze_axis(rig: bpy.types.Object, key: str) -> tuple[int, int, float]:
    """Return the joint of the eye that moves a key of the lids, the axis of its turn, and the weight per radian.

    An eye's bone points along the gaze: a turn about its x axis leads the gaze to its z axis, one about z against x.
    """
    left = key.endswith("Left")
    joint = LEFT_EYE if left else RIGHT_EYE
    rest = rig.data.bones[joint_names(rig)[joint]].matrix_local
    up, to_left = math.copysign(1, rest.col[2].z), math.copysign(1, -rest.col[0].x)
    way = key.removeprefix("eyeLook").removesuffix("Left" if left else "Right")
    if way in ("Up", "Down"):
        return joint, 0, (up if way == "Up" else -up) / _FULL_GAZE
    outward = (way == "Out") == left  # to the person's left
    return joint, 2, (to_left if outward else -to_left) / _FULL_GAZE


def _gaze(rig: bpy.types.Object, joint: int) -> tuple[float, float, float]:
    bone = rig.pose.bones[joint_names(rig)[joint]]
    x, y, z = bone.matrix_basis.to_euler("XYZ")
    return x, y, z


def _gaze_weights(rig: bpy.types.Object) -> Weights:
    """Return the weights that the drivers of the keys of the gaze give in the avatar's present pose."""
    weights = {}
    for key in GAZE_KEYS:
        joint, axis, full = _gaze_axis(rig, key)
        weights[key] = max(_gaze(rig, joint)[axis] * full, 0.0)
    return weights


def _eyes_move(rig: bpy.types.Object) -> bool:
    eyes = tuple(f'pose.bones["{joint_names(rig)[joint]}"]' for joint in (LEFT_EYE, RIGHT_EYE))
    return any(curve.data_path.startswith(eyes) for curve in compat.action_curves(rig))


def _look_as(rig: bpy.types.Object, control: bpy.types.Object) -> None:
    """Put the targets where the avatar's eyes look, as far away as they are at rest."""
    bones, places = control.pose.bones, {}
    bpy.context.view_layer.update()
    for name, (_, joint) in EYE_TARGETS.items():
        eye = rig.pose.bones[joint_names(rig)[joint]]
        rest = control.data.bones[name].head_local - eye.bone.head_local
        gaze = (eye.matrix @ eye.bone.matrix_local.inverted()).to_3x3() @ rest
        places[name] = eye.matrix.translation + gaze
    for name, place in {LOOK: 0.5 * sum(places.values(), Vector()), **places}.items():
        matrix = bones[name].matrix.copy()
        matrix.translation = place
        bones[name].matrix_basis = Matrix.Identity(4)
        bpy.context.view_layer.update()
        bones[name].matrix = matrix
        bones[name].matrix_basis = Matrix.Translation(bones[name].matrix_basis.translation)
        bpy.context.view_layer.update()
