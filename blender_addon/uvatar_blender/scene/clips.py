# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample clips on an avatar: bones, and the face's shape keys."""

from __future__ import annotations

import bpy
import numpy as np

from ..core.clips import clip_motion
from ..protocol import gait
from ..protocol.clips import Clip, clip_expressions
from . import compat
from .mesh import expression_keys
from .motion import apply_motion, smpl_t_joints
from .rig import find_body, t_toe_tips

_OURS = "uvatar_clip"  # of an action: a clip made it


def apply_clip(
    rig: bpy.types.Object, clip: Clip, start: int = 0, rate: float = gait.RATE, in_place: bool = False
) -> bpy.types.Action:
    """Give the avatar a sample clip, in new actions of its bones and, where the clip moves the face, of its shape keys.

    Actions that they replace stay in the file.

    Args:
        rig: the avatar's armature object, which must not follow a control rig.
        clip: which.
        start: frame on which it begins.
        rate: frame rate of the scene.
        in_place: walk on the spot, one stride that can be repeated.

    Raises:
        RigError: the avatar is incomplete.
    """
    motion = clip_motion(clip, smpl_t_joints(rig), t_toe_tips(rig), in_place)
    action = apply_motion(rig, motion, clip.value.capitalize(), start, rate, ground=False)
    keys = {key.name: key for key in expression_keys(find_body(rig))}
    if keys:
        shapes = find_body(rig).data.shape_keys
        _leave_face_action(shapes)
        face = bpy.data.actions.new(f"{clip.value.capitalize()} face")
        face[_OURS] = True
        curve = compat.curve_maker(shapes, face, "KEY")
        for name, values in clip_expressions(clip, len(motion)).items():
            frames = start + np.arange(len(values)) * rate / gait.RATE
            compat.fill_curve(curve(f'key_blocks["{name}"].value', 0, "Face"), frames, values)
    return action


def _leave_face_action(shapes: bpy.types.Key) -> None:
    """Take leave of the present action of the shape keys: the user's stays in the file, a clip's leaves them at 0."""
    animation = shapes.animation_data
    if animation is None or animation.action is None:
        return
    action = animation.action
    if _OURS not in action:
        action.use_fake_user = True
        return
    moved = [curve.data_path.split('"')[1] for curve in compat.action_curves(shapes)]
    animation.action = None
    for name in moved:
        if name in shapes.key_blocks:
            shapes.key_blocks[name].value = 0.0
