# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions: presets of the face's shape keys."""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from ..protocol.expressions import EXPRESSIONS, MOODS, VISEMES
from .face_board import has_board
from .face_drive import is_led, key_board, set_board
from .mesh import expression_keys
from .rig import RigError, find_body
from .rigify import control_rig

PHOTO_EXPRESSION = "uvatar_expression"  # of the armature's object: the weights of the expression in the photo
PHOTO = "photo"  # the preset with these weights
PRESETS: tuple[str, ...] = (*MOODS, *VISEMES, PHOTO)


def set_expression(rig: bpy.types.Object, preset: str, keyed: bool = False) -> None:
    """Set all expression keys of an avatar, or the controls of the face board that drives them.

    Args:
        rig: the avatar's armature object.
        preset: one of `PRESETS`.
        keyed: insert a keyframe for each key on the current frame.

    Raises:
        RigError: the avatar has no expression keys, or is incomplete.
    """
    keys = expression_keys(find_body(rig))
    if not keys:
        raise RigError(f"{rig.name} has no expression keys; make the avatar again with this version.")
    weights = _weights(rig, preset)
    control = control_rig(rig) if is_led(rig) else None
    if control is not None and has_board(control):
        set_board(control, weights)
        if keyed:
            key_board(control)
        return
    for key in keys:
        key.value = weights.get(key.name, 0.0)
        if keyed:
            key.keyframe_insert("value")


def _weights(rig: bpy.types.Object, preset: str) -> Mapping[str, float]:
    if preset == PHOTO:
        return dict(zip(EXPRESSIONS, rig.get(PHOTO_EXPRESSION, ()), strict=False))
    return MOODS.get(preset) or VISEMES.get(preset, {})
