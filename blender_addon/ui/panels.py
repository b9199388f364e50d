# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab "Uvatar" in the sidebar of the 3D View."""

from __future__ import annotations

import textwrap

import bpy

from ..core.problem import Problem, Remedy
from ..core.session import Job, JobState, Link
from . import state

_REMEDIES = {
    Remedy.START: ("uvatar.start_backend", "PLAY"),
    Remedy.CONNECT: ("uvatar.connect", "LINKED"),
    Remedy.PREFERENCES: ("uvatar.open_preferences", "PREFERENCES"),
    Remedy.LOG: ("uvatar.show_log", "TEXT"),
    Remedy.RUN: ("uvatar.run", "FILE_REFRESH"),
}
_LETTER, _MARGIN = 6.5, 8  # a letter's mean width in pixels; letters that box and icon take
_LINKS = {Link.OFF: ("Backend is off", "UNLINKED"), Link.CONNECTING: ("Connecting…", "SORTTIME"), Link.ON: ("Backend is ready", "LINKED")}


class UVATAR_UL_photos(bpy.types.UIList):
    """Photos with their thumbnails."""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
    ) -> None:
        """Called by Blender for each row."""
        file = item.file()
        thumbnail = state.thumbnail(str(file))
        layout.label(text=file.name, **({"icon_value": thumbnail} if thumbnail else {"icon": "ERROR"}))


class Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Uvatar"


class UVATAR_PT_photos(Panel, bpy.types.Panel):
    """From photos to avatars"""

    bl_idname = "UVATAR_PT_photos"
    bl_label = "Avatars from Photos"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings, session = self.layout, context.scene.uvatar, state.session()
        _draw_backend(layout)
        row = layout.row()
        row.template_list("UVATAR_UL_photos", "", settings, "photos", settings, "active_photo", rows=3)
        buttons = row.column(align=True)
        buttons.operator("uvatar.add_photos", icon="ADD", text="")
        buttons.operator("uvatar.remove_photo", icon="REMOVE", text="")
        if len(settings.photos) > 1:
            layout.prop(settings, "same_person")
        if session.running and session.job is not None:
            _draw_progress(layout, session.job)
        else:
            row = layout.row()
            row.scale_y = 1.5
            row.operator("uvatar.run", icon="OUTLINER_OB_ARMATURE")
        if session.job is not None:
            _draw_results(layout, session.job)


class UVATAR_PT_options(Panel, bpy.types.Panel):
    """How avatars are made and imported"""

    bl_label = "Options"
    bl_parent_id = "UVATAR_PT_photos"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.uvatar
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "texture_size")
        column = layout.column(heading="Make")
        column.prop(settings, "fast")
        clothing = column.row()
        clothing.active = not settings.fast
        clothing.prop(settings, "clothing")
        column = layout.column(heading="Import")
        column.prop(settings, "photo_pose")
        column.prop(settings, "camera")
        camera = column.row()
        camera.active = settings.camera
        camera.prop(settings, "use_camera")
        column.prop(settings, "unlit")


def _draw_backend(layout: bpy.types.UILayout) -> None:
    session = state.session()
    text, icon = _LINKS[session.link]
    row = layout.row()
    row.label(text=text, icon=icon)
    if session.link is Link.OFF:
        row.operator("uvatar.start_backend", text="Start")
        row.operator("uvatar.connect", text="Connect")
    if session.problem is not None:
        _draw_problem(layout, session.problem)


def _draw_progress(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row(align=True)
    left = "" if job.seconds_left is None else f" ({_duration(job.seconds_left)} left)"
    row.progress(factor=job.fraction, text=f"{job.message}{left}")
    row.operator("uvatar.cancel", icon="CANCEL", text="")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _draw_results(layout: bpy.types.UILayout, job: Job) -> None:
    if job.results and not state.can_import():
        layout.label(text="Avatars wait until you are back in Object Mode", icon="INFO")
        layout.operator("uvatar.import_now")
    if job.problem is not None:
        _draw_problem(layout, job.problem)
    for photo, problem in sorted(job.problems.items()):
        _draw_problem(layout, problem, job.photos[photo].name)
    if job.state is JobState.CANCELLED:
        layout.label(text="Cancelled", icon="CANCEL")
    if job.imported:
        layout.label(text="1 avatar imported" if job.imported == 1 else f"{job.imported} avatars imported", icon="CHECKMARK")


def _draw_problem(layout: bpy.types.UILayout, problem: Problem, about: str = "") -> None:
    box = layout.box()
    column = box.column(align=True)
    if about:
        column.label(text=about, icon="ERROR")
    draw_text(column, problem.message, "NONE" if about else "ERROR")
    draw_text(column, problem.fix)
    if problem.remedy in _REMEDIES:
        operator, icon = _REMEDIES[problem.remedy]
        box.operator(operator, icon=icon)


def draw_text(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """Text in as many lines as the sidebar's width asks for: labels do not wrap by themselves."""
    region = bpy.context.region
    pixels = region.width / bpy.context.preferences.system.ui_scale if region is not None else 10_000
    for number, line in enumerate(textwrap.wrap(text, max(20, int(pixels / _LETTER) - _MARGIN))):
        layout.label(text=line, icon=icon if number == 0 else "NONE")


CLASSES = (UVATAR_UL_photos, UVATAR_PT_photos, UVATAR_PT_options)
