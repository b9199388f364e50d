# SPDX-License-Identifier: GPL-3.0-or-later
"""The tilt of a photo's camera as two sliders."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import math

import bpy

from ..scene.camera import UP, photo_camera
from ..scene.tilt import set_tilt, tilt_of

_PITCH, _ROLL = math.radians(60), math.radians(45)


def _read(number: int, group: bpy.types.PropertyGroup) -> float:
    return tilt_of(group.id_data)[number]


def _write(number: int, group: bpy.types.PropertyGroup, value: float) -> None:
    tilt = list(tilt_of(group.id_data))
    tilt[number] = value
    if group.id_data.library is None and UP in group.id_data:
        set_tilt(group.id_data, *tilt)


class UVATAR_PG_tilt(bpy.types.PropertyGroup):
    """How a photo's camera was held. The properties read and turn camera and people."""

    pitch: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Pitch",
        description="How far down the photo's camera looks. Increase it if the people lean back, decrease it if they "
        "lean forward; the photo stays behind them",
        subtype="ANGLE",
        min=-_PITCH,
        max=_PITCH,
        options=set(),
        get=lambda group: _read(0, group),
        set=lambda group, value: _write(0, group, value),
    )
    roll: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Roll",
        description="How far the photo's camera was tilted to its left, so that the people lean to the right in the "
        "photo",
        subtype="ANGLE",
        min=-_ROLL,
        max=_ROLL,
        options=set(),
        get=lambda group: _read(1, group),
        set=lambda group, value: _write(1, group, value),
    )


def draw_tilt(layout: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    """Draw the sliders for the camera that was imported with an avatar, if there is one."""
    camera = photo_camera(rig)
    if camera is not None and UP in camera:
        column = layout.column(align=True)
        column.label(text="Photo's camera")
        column.prop(camera.uvatar_tilt, "pitch", slider=True)
        column.prop(camera.uvatar_tilt, "roll", slider=True)


CLASSES = (UVATAR_PG_tilt,)
