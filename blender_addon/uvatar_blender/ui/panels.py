# SPDX-License-Identifier: GPL-3.0-or-later
"""The Uvatar tab in the sidebar of the 3D View: from photos to avatars."""

from __future__ import annotations

import bpy

from ..core.jobs import STAGES, JobGroup, JobState
from ..core.session import Link
from ..protocol.options import FIND_PEOPLE
from . import state
from .backend import draw_backend
from .choosing import draw_people_found
from .drawing import draw_import_options, draw_problem, draw_text, duration
from .importing import ImportedPhoto, can_import
from .job_options import draw_job_options
from .note_fixes import draw_note
from .people import draw_people
from .translation import tr

_MOST_RESULTS = 8  # the results of the last so many photos are shown
# Sizes in heights of a button: the selected photo, a person's preview, a photo with boxes around its people.
_PHOTO, _PREVIEW, _BOXES = 5.0, 7.0, 10.0


_FINDING = ("reading", "finding people")  # the stages of a job that only finds people


class SidebarPanel:
    """Base of all panels: where they appear, and the page and section of the guide that their Help button opens."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Uvatar"
    guide: tuple[str, str] | None = None

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """Draw the Help button at the right end of the header."""
        if self.guide is not None:
            button = self.layout.operator("uvatar.guide", text="", icon="QUESTION", emboss=False)  # type: ignore[attr-defined]
            button.page, button.section = self.guide


class UVATAR_PT_photos(SidebarPanel, bpy.types.Panel):
    """Make avatars from photos"""

    bl_idname = "UVATAR_PT_photos"
    bl_label = "Avatars from Photos"
    guide = ("artist-guide", "")

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings, session = self.layout, context.scene.uvatar, state.session()
        draw_backend(layout, context)
        if session.unfinished and not session.running:
            _draw_unfinished(layout)
        _draw_photos(layout, settings)
        if session.running and session.run is not None:
            _draw_progress(layout, session.run)
        else:
            if not draw_people_found(layout, settings):
                _draw_chosen(layout, settings)
            row = layout.row()
            row.scale_y = 1.5
            row.operator("uvatar.run", icon="OUTLINER_OB_ARMATURE")
        if session.run is not None:
            _draw_outcome(layout, session.run)


class UVATAR_PT_results(SidebarPanel, bpy.types.Panel):
    """Results of the last run"""

    bl_idname = "UVATAR_PT_results"
    bl_label = "Results"
    guide = ("artist-guide", "4-make-avatars")
    bl_parent_id = "UVATAR_PT_photos"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(state.importer().summaries)

    def draw(self, context: bpy.types.Context) -> None:
        summaries = state.importer().summaries
        for summary in summaries[-_MOST_RESULTS:]:
            _draw_summary(self.layout, summary)
        if len(summaries) > _MOST_RESULTS:
            self.layout.label(text=tr(f"and {len(summaries) - _MOST_RESULTS} earlier photos"))


class UVATAR_PT_options(SidebarPanel, bpy.types.Panel):
    """Options for making and importing avatars"""

    bl_idname = "UVATAR_PT_options"
    bl_label = "Options"
    guide = ("addon", "from-photos-to-avatars")
    bl_parent_id = "UVATAR_PT_photos"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.uvatar
        layout.use_property_split = True
        layout.use_property_decorate = False
        draw_job_options(layout, settings, {"body": _draw_body})
        layout.separator()
        draw_import_options(layout, settings)


def _draw_body(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """Draw the choice of body and, if the backend has no SMPL file, how to add one."""
    session = state.session()
    lacking = session.link is Link.ON and bool(session.bodies) and "smpl" not in session.bodies
    row = layout.row(align=True)
    row.prop(settings, "body")
    if lacking and settings.body == "smpl":
        row.operator("uvatar.connect", text="", icon="FILE_REFRESH")
        draw_text(
            layout.column(align=True),
            f"To use SMPL, put your SMPL_NEUTRAL.pkl and smpl_uv.obj into {session.models_folder}",
            "INFO",
        )


def _draw_photos(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    row = layout.row()
    row.template_list(
        "UVATAR_UL_photos", "", settings, "photos", settings, "active_photo", rows=5 if len(settings.photos) > 1 else 3
    )
    buttons = row.column(align=True)
    buttons.operator("uvatar.add_photos", icon="ADD", text="")
    buttons.operator("uvatar.remove_photo", icon="REMOVE", text="")
    if len(settings.photos) > 1:
        buttons.separator()
        buttons.operator("uvatar.move_photo", icon="TRIA_UP", text="").step = -1
        buttons.operator("uvatar.move_photo", icon="TRIA_DOWN", text="").step = 1
        row = layout.row(align=True)
        row.operator("uvatar.group_photos", icon="USER", text="Same Person").one = True
        row.operator("uvatar.group_photos", icon="COMMUNITY", text="Different People").one = False
    if not settings.photos:
        layout.label(text="Add photos, or drop them here", icon="IMAGE_DATA")


def _draw_chosen(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    """Draw the photo selected in the list, large enough to be recognised."""
    if not 0 <= settings.active_photo < len(settings.photos):
        return
    file = settings.photos[settings.active_photo].file()
    if icon := state.thumbnail(file) if file.is_file() else 0:
        layout.template_icon(icon_value=icon, scale=_PHOTO)


def _draw_unfinished(layout: bpy.types.UILayout) -> None:
    photos = sum(len(job.photos) for job in state.session().unfinished)
    box = layout.box()
    draw_text(
        box.column(align=True),
        f"An earlier run of {photos} photos is not finished"
        if photos > 1
        else "An earlier run of 1 photo is not finished",
        "RECOVER_LAST",
    )
    row = box.row()
    row.operator("uvatar.resume", icon="PLAY")
    row.operator("uvatar.forget", icon="X")


def _draw_progress(layout: bpy.types.UILayout, run: JobGroup) -> None:
    job = run.current
    column = layout.column(align=True)
    row = column.row(align=True)
    left = "" if run.seconds_left is None else tr(f", {duration(run.seconds_left)} left")
    row.progress(factor=run.fraction, text=f"{run.fraction * 100:.0f} %{left}")
    row.operator("uvatar.cancel", icon="CANCEL", text="")
    photos = sum(len(one.photos) for one in run.jobs)
    if photos > 1 and job.stage:
        done = sum(len(one.ended) for one in run.jobs)
        column.label(text=tr(f"{job.photos[job.photo].name}, photo {min(done + 1, photos)} of {photos}"))
    if job.stage not in STAGES:  # it waits, or starts
        column.label(text=tr(job.message), icon="SORTTIME")
        return
    names = [stage for stage in STAGES if stage in _FINDING or not job.options.get(FIND_PEOPLE)]
    for index, stage in enumerate(names):
        place = index - names.index(job.stage)
        line = column.row()
        line.active = place <= 0
        line.label(
            text=tr(job.message if place == 0 else STAGES[stage]),
            icon="CHECKMARK" if place < 0 else "PLAY" if place == 0 else "DOT",
        )


def _draw_outcome(layout: bpy.types.UILayout, run: JobGroup) -> None:
    if (building := state.importer().progress) is not None:
        fraction, name = building
        layout.progress(factor=fraction, text=tr(f"Building {name}"))
    if any(run.waiting()) and not can_import():
        layout.label(text="Avatars are imported when you return to Object Mode", icon="INFO")
        layout.operator("uvatar.import_now")
    for photo, problem in run.problems():
        draw_problem(layout, problem, photo.name if photo is not None else "")
    if run.state is JobState.CANCELLED:
        layout.label(text="Cancelled", icon="CANCEL")
    if run.people:
        layout.label(
            text=tr("1 avatar imported" if run.people == 1 else f"{run.people} avatars imported"), icon="CHECKMARK"
        )


def _draw_summary(layout: bpy.types.UILayout, summary: ImportedPhoto) -> None:
    box = layout.box()
    row = box.row()
    row.label(text=summary.name, icon="IMAGE_DATA")
    again = row.operator("uvatar.import_again", text="Import Again…", icon="IMPORT")
    again.job, again.number = summary.job, summary.number
    if summary.boxes is not None and (icon := state.thumbnail(summary.boxes)):
        box.template_icon(icon_value=icon, scale=_BOXES)
    pictures = box.grid_flow(row_major=True, columns=2 if len(summary.people) > 1 else 1, even_columns=True)
    for person in summary.people:
        column = pictures.column(align=True)
        if person.preview is not None and (icon := state.thumbnail(person.preview)):
            column.template_icon(icon_value=icon, scale=_PREVIEW)
        if person.confidence is not None:
            column.progress(factor=person.confidence, text=tr(f"{person.confidence * 100:.0f} % sure"))
    draw_people(box, summary)
    for note in summary.notes:
        draw_note(box, note, summary.name)


CLASSES = (UVATAR_PT_photos, UVATAR_PT_results, UVATAR_PT_options)
