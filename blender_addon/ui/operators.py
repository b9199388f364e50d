# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel's buttons do."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

from ..core.backend_process import log_tail
from ..core.result import ResultError
from ..core.session import Link
from ..scene.avatar import import_people
from . import state
from .preferences import extension, preferences

PHOTO_FILES = "*.jpg;*.jpeg;*.png;*.webp;*.heic;*.heif;*.tif;*.tiff;*.bmp"
LOG_TEXT = "Uvatar log"


class UVATAR_OT_add_photos(bpy.types.Operator):
    """Choose photos of people"""

    bl_idname = "uvatar.add_photos"
    bl_label = "Add Photos"
    bl_options = {"REGISTER", "UNDO"}

    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement)  # type: ignore[valid-type]
    directory: bpy.props.StringProperty(subtype="DIR_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default=PHOTO_FILES, options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        known = {photo.file() for photo in settings.photos}
        chosen = [Path(self.directory, file.name) for file in self.files if file.name]
        for path in chosen:
            if path not in known:
                settings.photos.add().path = str(path)
        if not chosen:
            self.report({"WARNING"}, "No photo was chosen")
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_remove_photo(bpy.types.Operator):
    """Take the photo off the list"""

    bl_idname = "uvatar.remove_photo"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return 0 <= context.scene.uvatar.active_photo < len(context.scene.uvatar.photos)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        settings.photos.remove(settings.active_photo)
        settings.active_photo = max(0, min(settings.active_photo, len(settings.photos) - 1))
        return {"FINISHED"}


def _link_up(context: bpy.types.Context, start: bool) -> None:
    """Connect to the backend; this computer's own is started where it does not run and ``start``. ValueError for a wrong address."""
    chosen = preferences(context)
    address = chosen.fixed_address()
    if address is not None:
        state.session().connect(address, chosen.token)
    elif start:
        state.session().start(bpy.path.abspath(chosen.backend) if chosen.backend else "")
    else:
        state.session().connect()
    state.watch()


class UVATAR_OT_start_backend(bpy.types.Operator):
    """Start the backend on this computer, and connect to it"""

    bl_idname = "uvatar.start_backend"
    bl_label = "Start Backend"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            _link_up(context, start=True)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_connect(bpy.types.Operator):
    """Connect to a backend that runs already"""

    bl_idname = "uvatar.connect"
    bl_label = "Connect"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            _link_up(context, start=False)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_run(bpy.types.Operator):
    """Make an avatar of every person in the photos"""

    bl_idname = "uvatar.run"
    bl_label = "Make Avatars"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if state.session().running:
            cls.poll_message_set("The last run is still under way")
            return False
        if not context.scene.uvatar.photos:
            cls.poll_message_set("Add photos first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        session, settings = state.session(), context.scene.uvatar
        if session.link is Link.OFF:
            try:
                _link_up(context, start=True)
            except ValueError as error:
                self.report({"ERROR"}, str(error))
                return {"CANCELLED"}
        session.run([photo.file() for photo in settings.photos], settings.job_options())
        state.watch()
        return {"FINISHED"}


class UVATAR_OT_cancel(bpy.types.Operator):
    """Stop this run; avatars that are done stay"""

    bl_idname = "uvatar.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return state.session().running

    def execute(self, context: bpy.types.Context) -> set[str]:
        state.session().cancel()
        return {"FINISHED"}


class UVATAR_OT_import_result(bpy.types.Operator):
    """Import the people of one photo"""

    bl_idname = "uvatar.import_result"
    bl_label = "Import Avatars"
    bl_options = {"UNDO", "INTERNAL"}

    photo: bpy.props.IntProperty()  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        job = state.session().job
        if job is None or self.photo not in job.results:
            self.report({"ERROR"}, "This result is here no more: make the avatars again")
            return {"CANCELLED"}
        try:
            imported = import_people(job.results[self.photo], context.scene, options=context.scene.uvatar.import_options())
        except ResultError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job.imported += len(imported.rigs)
        return {"FINISHED"}


class UVATAR_OT_import_now(bpy.types.Operator):
    """Leave the mode you are in and import the avatars that have come"""

    bl_idname = "uvatar.import_now"
    bl_label = "Import Now"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        job = state.session().job
        return job is not None and bool(job.results)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        state.watch()  # the timer imports from here on
        return {"FINISHED"}


class UVATAR_OT_open_preferences(bpy.types.Operator):
    """Say where the backend is"""

    bl_idname = "uvatar.open_preferences"
    bl_label = "Preferences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        bpy.ops.preferences.addon_show(module=extension)
        return {"FINISHED"}


class UVATAR_OT_show_log(bpy.types.Operator):
    """Put what the backend has written into a text that can be read and copied in the Text Editor"""

    bl_idname = "uvatar.show_log"
    bl_label = "Show Log"

    def execute(self, context: bpy.types.Context) -> set[str]:
        text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
        text.from_string(log_tail() or "The backend was not started by this Blender, or has written nothing.")
        self.report({"INFO"}, f"See the text “{LOG_TEXT}” in the Text Editor")
        return {"FINISHED"}


CLASSES = (
    UVATAR_OT_add_photos,
    UVATAR_OT_remove_photo,
    UVATAR_OT_start_backend,
    UVATAR_OT_connect,
    UVATAR_OT_run,
    UVATAR_OT_cancel,
    UVATAR_OT_import_result,
    UVATAR_OT_import_now,
    UVATAR_OT_open_preferences,
    UVATAR_OT_show_log,
)
