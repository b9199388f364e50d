# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that make avatars and bring them into the scene."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from . import state
from .drawing import draw_import_options
from .runs import begin, can_begin, linked


class UVATAR_OT_run(bpy.types.Operator):
    """Make an avatar of every person in the photos"""

    bl_idname = "uvatar.run"
    bl_label = "Make Avatars"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not can_begin(cls):
            return False
        if not context.scene.uvatar.chosen():
            cls.poll_message_set("Add photos first" if not context.scene.uvatar.photos else "Turn on a photo first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not linked(self, context):
            return {"CANCELLED"}
        begin(context.scene.uvatar.jobs(), state.pictures().wait)
        return {"FINISHED"}


class UVATAR_OT_cancel(bpy.types.Operator):
    """Cancel this run; finished avatars are kept"""

    bl_idname = "uvatar.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return state.session().running

    def execute(self, context: bpy.types.Context) -> set[str]:
        state.session().cancel()
        return {"FINISHED"}


class UVATAR_OT_resume(bpy.types.Operator):
    """Continue the run that was in progress when Blender was closed"""

    bl_idname = "uvatar.resume"
    bl_label = "Continue"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(state.session().unfinished) and not state.session().running

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not linked(self, context):
            return {"CANCELLED"}
        state.importer().begin_run()
        state.session().resume()
        state.watch()
        return {"FINISHED"}


class UVATAR_OT_forget(bpy.types.Operator):
    """Discard the unfinished run"""

    bl_idname = "uvatar.forget"
    bl_label = "Discard"

    def execute(self, context: bpy.types.Context) -> set[str]:
        state.session().forget_unfinished()
        return {"FINISHED"}


class UVATAR_OT_import_now(bpy.types.Operator):
    """Leave the current mode and import the finished avatars"""

    bl_idname = "uvatar.import_now"
    bl_label = "Import Now"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        session = state.session()
        return bool(session.fetched) or (session.run is not None and any(session.run.waiting()))

    def execute(self, context: bpy.types.Context) -> set[str]:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        state.watch()  # the timer imports from here on
        return {"FINISHED"}


class UVATAR_OT_import_again(bpy.types.Operator):
    """Import the people in this photo again with other options. Nothing is computed again"""

    bl_idname = "uvatar.import_again"
    bl_label = "Import Again"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    number: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not state.session().fetching

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Open a dialog with the options."""
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=320, confirm_text="Import")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the dialog."""
        draw_import_options(self.layout, context.scene.uvatar)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not linked(self, context):
            return {"CANCELLED"}
        state.session().fetch(self.job, self.number)
        state.watch()
        return {"FINISHED"}


CLASSES = (
    UVATAR_OT_run,
    UVATAR_OT_cancel,
    UVATAR_OT_resume,
    UVATAR_OT_forget,
    UVATAR_OT_import_now,
    UVATAR_OT_import_again,
)
