# SPDX-License-Identifier: GPL-3.0-or-later
"""Joints that follow the shape sliders by themselves, shortly after the last movement of a slider."""

from __future__ import annotations

import bpy

from ..scene.control_rig_motion import has_motion
from ..scene.rig import LED_BY, RigError
from ..scene.shape import joints_are_off, refresh_joints
from . import state
from .importing import can_import

_PAUSE = 0.4  # seconds without a change: long enough that a drag is over, short enough to seem immediate
_waiting: set[str] = set()  # names of the armature objects whose sliders were moved


def follow_soon(rig: bpy.types.Object) -> None:
    """Fit the joints to the shape when the user pauses, unless that is turned off."""
    if not bpy.context.scene.uvatar.live_joints:
        return
    _waiting.add(rig.name)
    if bpy.app.timers.is_registered(fit_waiting):
        bpy.app.timers.unregister(fit_waiting)
    bpy.app.timers.register(fit_waiting, first_interval=_PAUSE)


def fit_waiting() -> float | None:
    """Fit the joints of the avatars that wait for it; Blender's timer calls this.

    Animated avatars, and those that follow a control rig, keep their joints: fitting them would change their motion.

    Returns:
        When to try again, in seconds, because the user is in the middle of something; None if all is done.
    """
    if not can_import():
        return _PAUSE
    fitted = False
    while _waiting:
        rig = bpy.data.objects.get(_waiting.pop())
        if rig is None or LED_BY in rig or has_motion(rig):
            continue
        try:
            if joints_are_off(rig):
                refresh_joints(rig)
                fitted = True
        except RigError:  # incomplete, or linked from another file: the panel says so
            continue
    if fitted:
        bpy.ops.ed.undo_push(message="Joints Follow")  # else undoing what comes next would undo the joints as well
    state.redraw()
    return None


def stop() -> None:
    """Forget what waits; the add-on is being disabled."""
    _waiting.clear()
    if bpy.app.timers.is_registered(fit_waiting):
        bpy.app.timers.unregister(fit_waiting)
