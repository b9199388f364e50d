# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels of the selected avatar."""

from __future__ import annotations

import json

import bpy

from ..scene.mesh import CLOTHING_KEY
from ..scene.rig import RigError, beta_names, find_body, find_rig
from .panels import Panel, draw_text


class UVATAR_PT_avatar(Panel, bpy.types.Panel):
    """The selected avatar"""

    bl_idname = "UVATAR_PT_avatar"
    bl_label = "Avatar"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return find_rig(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        try:
            body = find_body(rig)
        except RigError as error:
            draw_text(layout, str(error), "ERROR")
            return
        keys = body.data.shape_keys.key_blocks
        column = layout.column(align=True)
        for name in beta_names(rig):
            column.prop(keys[name], "value", text=name.capitalize(), slider=True)
        layout.operator("uvatar.refresh_joints", icon="BONE_DATA")
        if CLOTHING_KEY in keys:
            layout.prop(keys[CLOTHING_KEY], "value", text="Clothes and hair", slider=True)
        layout.operator("uvatar.export_glb", icon="EXPORT")
        for note in json.loads(rig.get("uvatar_notes", "[]")):
            draw_text(layout, note, "INFO")


CLASSES = (UVATAR_PT_avatar,)
