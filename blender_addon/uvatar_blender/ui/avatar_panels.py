# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels of the selected avatar: shape and texture, tools, export."""

from __future__ import annotations

import json
from contextlib import suppress

import bpy

from ..core.export_presets import Target
from ..protocol.bone_names import naming_of
from ..protocol.clips import Clip
from ..scene.avatar import PHOTO_NOTES
from ..scene.camera import photo_camera
from ..scene.close_up import is_subdivided
from ..scene.correctives import correctives
from ..scene.even_light import has_light, is_even
from ..scene.face_board import HEAD, LIDS, LOOK, LOOK_AT, has_board
from ..scene.material import LABELS, avatar_material, shown_sources, source_image, texture_image
from ..scene.material_slots import can_split, is_split
from ..scene.measures import measurements
from ..scene.mesh import CLOTHING_KEY
from ..scene.rig import LED_BY, RigError, find_body, find_rig, joint_names
from ..scene.rigify import control_rig
from ..scene.shape import joints_are_off
from ..scene.skin import has_subsurface, skin_material
from .asking import ask_again
from .drawing import draw_text
from .note_fixes import draw_note, photo_file
from .panels import SidebarPanel
from .properties import NAMINGS
from .sliders import draw_sliders
from .tilt import draw_tilt
from .translation import tr
from .view import textures_are_hidden

EDITED = (
    "Edit Mode shows the mean body (Basis), not this person: edits there also affect the person. Sculpt "
    "Mode shows the person."
)
_ICONS = {
    "Seen": "COLORSET_03_VEC",
    "Mirrored": "COLORSET_04_VEC",
    "Completed": "COLORSET_02_VEC",
    "Predicted": "COLORSET_05_VEC",
}


class _AvatarPanel(SidebarPanel):
    """Base of the panels that are shown while an avatar is selected."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return find_rig(context.object) is not None


class UVATAR_PT_avatar(_AvatarPanel, bpy.types.Panel):
    """Shape and texture of the selected avatar"""

    guide = ("artist-guide", "5-look-at-it-shape-it")

    bl_idname = "UVATAR_PT_avatar"
    bl_label = "Avatar"

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        try:
            body = find_body(rig)
        except RigError as error:
            draw_text(layout, str(error), "ERROR")
            return
        keys = body.data.shape_keys.key_blocks
        if context.mode == "EDIT_MESH" and context.object == body:
            draw_text(layout.column(align=True), EDITED, "INFO")
        _draw_notes(layout, rig, context.scene.uvatar)
        draw_sliders(layout.column(align=True), rig, body)
        try:
            _draw_measurements(layout, rig)
            _draw_fit(layout, rig, context.scene.uvatar)
        except RigError as error:
            draw_text(layout, str(error), "ERROR")
        if CLOTHING_KEY in keys:
            layout.prop(keys[CLOTHING_KEY], "value", text="Clothes and hair", slider=True)
            _draw_shoes(layout, rig)
        _draw_texture(layout, rig, body)
        draw_tilt(layout, rig)
        driven = correctives(body)
        if driven:
            live = not driven[0].mute
            text = "Pose correctives are live" if live else "Pose correctives are off"
            layout.operator(
                "uvatar.live_correctives", text=text, icon="CHECKBOX_HLT" if live else "CHECKBOX_DEHLT"
            ).live = not live


def _draw_notes(layout: bpy.types.UILayout, rig: bpy.types.Object, settings: bpy.types.PropertyGroup) -> None:
    """Draw the notes on the person with what can be done about them, and the buttons that fit the person again."""
    photo = rig.get("uvatar_photo", "")
    for note in json.loads(rig.get("uvatar_notes", "[]")):
        draw_note(layout, note, photo, rig)
    column = layout.column(align=True)
    if photo_file(settings, photo) is not None:
        if photo_camera(rig) is not None:
            column.operator("uvatar.correct_on_photo", icon="CURSOR")
        ask_again(column.operator("uvatar.make_again", text="Make Again…", icon="FILE_REFRESH"), rig, "OPTIONS")
    column.operator("uvatar.remove_person", icon="X").rig = rig.name


def _draw_fit(layout: bpy.types.UILayout, rig: bpy.types.Object, settings: bpy.types.PropertyGroup) -> None:
    """Draw the joint buttons, with a reminder if a slider was moved since the joints were last fitted."""
    off = LED_BY not in rig and not rig.data.is_editmode and joints_are_off(rig)
    column = layout.column(align=True)
    if off:
        draw_text(column, "The joints do not match this shape yet: press Fit Joints.", "ERROR")
    row = column.row(align=True)
    row.operator("uvatar.refresh_joints", text="Fit Joints", icon="BONE_DATA", depress=off)
    row.operator("uvatar.apply_shape", text="Apply Shape")
    column.prop(settings, "live_joints")


def _draw_measurements(layout: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    box = layout.box().column(align=True)
    for name, value in measurements(rig).items():
        row = box.row()
        row.label(text=tr(name.replace("_", " ").capitalize()))
        row.label(text=f"{value:.1f} cm")


def _draw_shoes(layout: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    """Say what the photo, or the job's option, put on the feet; results of older backends do not."""
    worn = json.loads(rig.get("uvatar_shoes", "{}"))
    if worn:
        kinds = sorted({kind or "none" for kind in worn.values()})
        layout.label(text=tr(f"Shoes: {', '.join(tr(kind) for kind in kinds)}"))


def _draw_texture(layout: bpy.types.UILayout, rig: bpy.types.Object, body: bpy.types.Object) -> None:
    material = avatar_material(body)
    if material is None or source_image(material) is None:
        return
    shown = shown_sources(material)
    column = layout.column(align=True)
    row = column.row(align=True)
    if textures_are_hidden(bpy.context.space_data):
        column.operator("uvatar.show_textures", icon="SHADING_TEXTURE")
    row.label(text="Show")
    for text, share in (("Texture", 0.0), ("Both", 0.6), ("Sources", 1.0)):
        row.operator("uvatar.show_sources", text=text, depress=abs(shown - share) < 0.01).share = share
    if has_light(texture_image(material)):
        row = column.row(align=True)
        row.label(text="Light")
        even = is_even(texture_image(material))
        row.operator("uvatar.texture_light", text="As Photographed", depress=not even).even = False
        row.operator("uvatar.texture_light", text="Even", depress=even).even = True
    if shown > 0:
        metrics = json.loads(rig.get("uvatar_metrics", "{}"))
        for name, _ in LABELS[1:]:
            part = metrics.get(f"texels_{name.lower()}")
            if part:
                column.label(text=f"{tr(name)}: {100 * part:.0f} %", icon=_ICONS[name])
    column.operator("uvatar.complete_texture", icon="BRUSH_DATA")
    if can_split(body):
        column.operator("uvatar.material_slots", icon="MATERIAL").split = True
    elif is_split(body):
        column.operator("uvatar.material_slots", text="One Material", icon="MATERIAL").split = False
        if skin_material(body) is not None:
            soft = has_subsurface(body)
            column.operator("uvatar.skin_subsurface", icon="SHADING_RENDERED", depress=soft).on = not soft
    smooth = is_subdivided(rig)
    column.operator("uvatar.subdivide", icon="MOD_SUBSURF", depress=smooth).on = not smooth
    if photo_camera(rig) is not None:
        column.operator("uvatar.look_through", icon="CAMERA_DATA")


class UVATAR_PT_animate(_AvatarPanel, bpy.types.Panel):
    """Control rig and motion of the selected avatar"""

    guide = ("artist-guide", "6-pose-and-animate")

    bl_idname = "UVATAR_PT_animate"
    bl_label = "Animate"

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        column = layout.column(align=True)
        if LED_BY in rig:
            column.operator("uvatar.bake_control_rig", icon="ACTION")
            column.operator("uvatar.remove_control_rig", icon="X")
            _draw_gaze(layout.column(align=True), rig)
        else:
            large = column.row()
            large.scale_y = 1.3
            large.operator("uvatar.generate_control_rig", icon="ARMATURE_DATA")
            column.operator("uvatar.make_metarig", icon="OUTLINER_OB_ARMATURE")
        column = layout.column(align=True)
        column.label(text="Sample clips")
        row = column.row(align=True)
        for clip in Clip:
            row.operator("uvatar.play_clip", text=clip.value.capitalize()).clip = clip.value
        layout.operator("uvatar.import_motion", icon="ANIM")


def _draw_gaze(column: bpy.types.UILayout, rig: bpy.types.Object) -> None:
    """Draw what the eyes' target does, where the control rig has one; the values can be keyed."""
    control = control_rig(rig)
    if control is None or not has_board(control):
        return
    look = control.pose.bones[LOOK]
    column.prop(look, f'["{LOOK_AT}"]', text="Eyes follow the target", slider=True)
    column.prop(look, f'["{LIDS}"]', text="Lids follow the eyes", slider=True)
    column.prop(look, f'["{HEAD}"]', text="Target moves with the head", slider=True)


class UVATAR_PT_tools(_AvatarPanel, bpy.types.Panel):
    """Poses and bones of the selected avatar"""

    guide = ("addon", "tools")

    bl_idname = "UVATAR_PT_tools"
    bl_label = "Tools"

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        column = layout.column(align=True)
        column.label(text="Pose")
        row = column.row(align=True)
        for pose in ("T", "A", "PHOTO", "REST"):
            row.operator("uvatar.pose", text=pose.capitalize()).pose = pose
        column.operator("uvatar.add_pose_library", icon="ASSET_MANAGER")
        layout.operator("uvatar.snap_to_ground", icon="IMPORT")
        layout.operator("uvatar.refit", icon="SCULPTMODE_HLT")
        try:
            now = naming_of(joint_names(rig))
        except RigError as error:  # a bone of a joint was deleted
            draw_text(layout, str(error), "ERROR")
            return
        column = layout.column(align=True)
        column.label(text="Bone names")
        row = column.row(align=True)
        for value, text, _ in NAMINGS:
            row.operator("uvatar.name_bones", text=text, depress=now is not None and now.value == value).naming = value


class UVATAR_PT_export(_AvatarPanel, bpy.types.Panel):
    """Files of the selected avatar for game engines"""

    guide = ("artist-guide", "7-export")

    bl_idname = "UVATAR_PT_export"
    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for target in Target:
            column.operator("uvatar.export", text=target.preset.button, icon="EXPORT").target = target.value


class UVATAR_PT_origin(_AvatarPanel, bpy.types.Panel):
    """Where the selected avatar comes from"""

    bl_idname = "UVATAR_PT_origin"
    bl_label = "Origin"
    bl_parent_id = "UVATAR_PT_avatar"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        column = layout.column(align=True)
        draw_text(
            column, f"Photo: {rig.get('uvatar_photo', 'unknown')} ({str(rig.get('uvatar_photo_digest', ''))[:12]}…)"
        )
        for note in json.loads(rig.get(PHOTO_NOTES, "[]")):
            draw_note(column, note, rig.get("uvatar_photo", ""))
        draw_text(
            column, f"Body: {rig.get('uvatar_body_model', 'unknown')}, made by Uvatar {rig.get('uvatar_version', '')}"
        )
        with suppress(ValueError, AttributeError):
            for what, licence in json.loads(rig.get("uvatar_licence", "{}")).items():
                draw_text(column, f"{what.replace('_', ' ').capitalize()}: {licence}")


CLASSES = (UVATAR_PT_avatar, UVATAR_PT_origin, UVATAR_PT_animate, UVATAR_PT_tools, UVATAR_PT_export)
