# SPDX-License-Identifier: GPL-3.0-or-later
"""Making avatars from all photos in a folder."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import os
from pathlib import Path

import bpy

from . import state
from .panels import SidebarPanel
from .photos import is_photo
from .runs import begin, can_begin, linked
from .translation import tr


class UVATAR_OT_batch(bpy.types.Operator):
    """Make avatars from every photo in a folder, and import them or save each person as a separate .blend"""

    bl_idname = "uvatar.batch"
    bl_label = "Make Avatars from a Folder"

    directory: bpy.props.StringProperty(subtype="DIR_PATH")  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    keep: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Avatars",
        items=[
            ("IMPORT", "Import", "Import into this file, using the panel's options"),
            (
                "SAVE",
                "Save",
                "Save each person as a .blend in the folder “avatars” beside the photos; this file is not changed",
            ),
        ],
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_begin(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Open the file browser to choose the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory))
        try:
            photos = sorted(path for path in folder.iterdir() if is_photo(path) and path.is_file())
            avatars = folder / "avatars"
            if self.keep == "SAVE" and photos:
                avatars.mkdir(exist_ok=True)
                if not os.access(avatars, os.W_OK):
                    raise PermissionError(13, "permission denied", str(avatars))
        except OSError as error:
            self.report({"ERROR"}, tr(f"The folder cannot be used: {error.strerror or error}."))
            return {"CANCELLED"}
        if not photos:
            self.report({"ERROR"}, tr(f"There are no photos in {folder.name or folder}."))
            return {"CANCELLED"}
        if not linked(self, context):
            return {"CANCELLED"}
        options = context.scene.uvatar.job_options()
        run = begin([(photos, options)])
        state.importer().folders = {job.id: avatars for job in run.jobs} if self.keep == "SAVE" else {}
        self.report({"INFO"}, tr("1 photo" if len(photos) == 1 else f"{len(photos)} photos"))
        return {"FINISHED"}


class UVATAR_PT_batch(SidebarPanel, bpy.types.Panel):
    """Make avatars from all photos in a folder"""

    bl_idname = "UVATAR_PT_batch"
    bl_label = "A Whole Folder"
    bl_parent_id = "UVATAR_PT_photos"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("uvatar.batch", text="Import All", icon="IMPORT").keep = "IMPORT"
        column.operator("uvatar.batch", text="Save a .blend Each", icon="FILE_BLEND").keep = "SAVE"


CLASSES = (UVATAR_OT_batch, UVATAR_PT_batch)
