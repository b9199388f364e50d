# SPDX-License-Identifier: GPL-3.0-or-later
"""The user interface: panels, operators, properties and preferences."""

from __future__ import annotations

import bpy

from . import (
    avatar_panels,
    backend,
    batch,
    choosing,
    corrections,
    export_operators,
    guide,
    hands_and_face,
    live_joints,
    motion_operators,
    note_fixes,
    operators,
    panels,
    people,
    photos,
    pose_library_operator,
    preferences,
    properties,
    rigify_operators,
    sliders,
    state,
    tilt,
    tools,
    translation,
)

_MODULES = (
    preferences,
    properties,
    sliders,
    tilt,
    backend,
    photos,
    choosing,
    operators,
    note_fixes,
    people,
    corrections,
    tools,
    motion_operators,
    rigify_operators,
    pose_library_operator,
    export_operators,
    guide,
    panels,
    batch,
    avatar_panels,
    hands_and_face,
)


def register() -> None:
    """Register all classes and properties, and open the session."""
    for module in _MODULES:
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    translation.register()
    bpy.types.Scene.uvatar = bpy.props.PointerProperty(type=properties.UVATAR_PG_scene)
    bpy.types.Object.uvatar_shape = bpy.props.PointerProperty(type=sliders.UVATAR_PG_shape)
    bpy.types.Object.uvatar_tilt = bpy.props.PointerProperty(type=tilt.UVATAR_PG_tilt)
    bpy.types.IMAGE_MT_image.append(photos.draw_image_menu)
    state.open_session()


def unregister() -> None:
    """Close the session, even during a run, and unregister everything."""
    state.close_session()
    live_joints.stop()
    translation.unregister()
    bpy.types.IMAGE_MT_image.remove(photos.draw_image_menu)
    del bpy.types.Object.uvatar_tilt
    del bpy.types.Object.uvatar_shape
    del bpy.types.Scene.uvatar
    for module in reversed(_MODULES):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
