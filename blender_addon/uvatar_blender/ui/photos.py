# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of photos: adding, dropping, sorting and grouping them."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

from ..protocol import discovery
from ..protocol.photo_lists import PHOTO_SUFFIXES
from ..scene.compat import save_copy
from ..scene.material import read_pixels
from . import state
from .properties import NOBODY
from .translation import tr

_THUMBNAIL = 1.6  # size of the photos in the list, in heights of a button
_HIDDEN = {"HIDDEN", "SKIP_SAVE"}  # so that an operator does not start with the files of the last time


class UVATAR_OT_add_photos(bpy.types.Operator):
    """Choose photos of people. You can also drop them on the 3D View"""

    bl_idname = "uvatar.add_photos"
    bl_label = "Add to Uvatar's Photos"
    bl_options = {"REGISTER", "UNDO"}

    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options=_HIDDEN)  # type: ignore[valid-type]
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options=_HIDDEN)  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(  # type: ignore[valid-type]
        default=";".join(f"*{suffix}" for suffix in PHOTO_SUFFIXES), options={"HIDDEN"}
    )

    # Blender's file browser reads its view from these: thumbnails, by which photos are recognised.
    display_type: bpy.props.EnumProperty(  # type: ignore[valid-type]
        items=[
            (name, name, "", number)
            for number, name in enumerate(("DEFAULT", "LIST_VERTICAL", "LIST_HORIZONTAL", "THUMBNAIL"))
        ],
        default="THUMBNAIL",
        options=_HIDDEN,
    )
    filter_image: bpy.props.BoolProperty(default=True, options=_HIDDEN)  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Open the file browser, unless files were dropped: then they are already set."""
        if self.directory and any(file.name for file in self.files):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = [Path(self.directory, file.name) for file in self.files if file.name]
        photos = [path for path in chosen if is_photo(path)]
        if not photos:
            self.report({"WARNING"}, tr("These files are not photos" if chosen else "No photo was chosen"))
            return {"CANCELLED"}
        add(context.scene, photos)
        return {"FINISHED"}


class UVATAR_FH_photos(bpy.types.FileHandler):
    """Photos dropped on the 3D View or its sidebar"""

    bl_idname = "UVATAR_FH_photos"
    bl_label = "Uvatar: make avatars from photos"
    bl_import_operator = "uvatar.add_photos"
    bl_file_extensions = ";".join(PHOTO_SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class UVATAR_OT_add_image(bpy.types.Operator):
    """Add this picture to Uvatar's photos"""

    bl_idname = "uvatar.add_image"
    bl_label = "Add Picture to Uvatar's Photos"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        image = getattr(context.space_data, "image", None)
        return image is not None and (image.has_data or image.source == "FILE")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            add(context.scene, [file_of(context.space_data.image)])
        except (OSError, RuntimeError) as error:
            self.report(
                {"ERROR"},
                tr(f"The picture could not be written for the backend: {str(error).removeprefix('Error: ').strip()}"),
            )
            return {"CANCELLED"}
        state.watch()
        self.report({"INFO"}, tr("Added: see the Uvatar tab in the 3D View's sidebar"))
        return {"FINISHED"}


class UVATAR_OT_remove_photo(bpy.types.Operator):
    """Remove the photo from the list"""

    bl_idname = "uvatar.remove_photo"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        chosen: bool = 0 <= context.scene.uvatar.active_photo < len(context.scene.uvatar.photos)
        return chosen

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        settings.photos.remove(settings.active_photo)
        settings.active_photo = max(0, min(settings.active_photo, len(settings.photos) - 1))
        return {"FINISHED"}


class UVATAR_OT_remove_unreadable(bpy.types.Operator):
    """Remove photos that are missing or cannot be read from the list"""

    bl_idname = "uvatar.remove_unreadable"
    bl_label = "Remove Missing Photos"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        for index in reversed(range(len(settings.photos))):
            file = settings.photos[index].file()
            if state.pictures().writing(file):
                continue
            try:
                with open(file, "rb"):
                    pass
            except OSError:
                settings.photos.remove(index)
        settings.active_photo = max(0, min(settings.active_photo, len(settings.photos) - 1))
        return {"FINISHED"}


class UVATAR_OT_move_photo(bpy.types.Operator):
    """Move the photo up or down in the list"""

    bl_idname = "uvatar.move_photo"
    bl_label = "Move Photo"
    bl_options = {"REGISTER", "UNDO"}

    step: bpy.props.IntProperty(default=1, options=_HIDDEN)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return len(context.scene.uvatar.photos) > 1

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        there = settings.active_photo + self.step
        if not 0 <= there < len(settings.photos):
            return {"CANCELLED"}
        settings.photos.move(settings.active_photo, there)
        settings.active_photo = there
        return {"FINISHED"}


class UVATAR_OT_group_photos(bpy.types.Operator):
    """Mark all photos as showing one person, or as showing different people"""

    bl_idname = "uvatar.group_photos"
    bl_label = "All the Same Person"
    bl_options = {"REGISTER", "UNDO"}

    one: bpy.props.BoolProperty(default=True, options=_HIDDEN)  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        for photo in context.scene.uvatar.photos:
            photo.person = "A" if self.one else NOBODY
        return {"FINISHED"}


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
        """Draw a row of the list: check box, thumbnail, name and person."""
        file = item.file()
        row = layout.row()
        row.prop(item, "include", text="")
        name = row.row()
        name.active = item.include
        if thumbnail := state.thumbnail(file) if file.is_file() else 0:
            picture = name.row()
            picture.ui_units_x, picture.alignment = _THUMBNAIL, "LEFT"  # not wider, so that the name has the room
            picture.template_icon(icon_value=thumbnail, scale=_THUMBNAIL)
            name.label(text=file.name)
        else:
            name.label(text=file.name, icon="TIME" if state.pictures().writing(file) else "ERROR")
        if len(data.photos) > 1:
            person = row.row()
            person.ui_units_x, person.alignment = 2.1, "LEFT"
            person.active = item.include
            person.prop(item, "person", text="")


class UVATAR_PT_image(bpy.types.Panel):
    """Add the picture in the Image Editor to the list of photos"""

    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Uvatar"
    bl_label = "Avatars from Photos"

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.operator("uvatar.add_image", icon="ADD")


def draw_image_menu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    """Draw the entry of the Image Editor's Image menu."""
    menu.layout.separator()
    menu.layout.operator("uvatar.add_image")


def is_photo(path: Path) -> bool:
    """Whether the name of a file is that of a photo.

    Hidden files are not photos: macOS writes one beside each file on foreign disks (``._me.jpg``).
    """
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def add(scene: bpy.types.Scene, photos: list[Path]) -> None:
    """Add photos to the list, except those that are already on it."""
    settings = scene.uvatar
    known = {photo.file() for photo in settings.photos}
    for path in dict.fromkeys(photos):
        if path not in known:
            settings.photos.add().path = str(path)
            settings.active_photo = len(settings.photos) - 1


def file_of(image: bpy.types.Image) -> Path:
    """Return the file of an image, or write a copy into the data folder if it has none that is up to date.

    Images that were painted on, packed, generated or rendered are copied. The copy may not be finished when this
    returns (see `state.pictures`), because encoding takes seconds at 4096 pixels, while reading Blender's pixels takes
    some hundredths of one. Blender itself encodes, here, what has no pixels to read (renders) or linear ones (floats).

    Raises:
        OSError: the copy cannot be written.
        RuntimeError: Blender cannot write the copy.
    """
    file = Path(bpy.path.abspath(image.filepath_from_user()))
    if image.source == "FILE" and not image.is_dirty and image.packed_file is None and file.is_file():
        return file
    folder = discovery.private_subfolder("photos")
    name = Path(image.name)
    stem = bpy.path.clean_name(name.stem if name.suffix.lower() in PHOTO_SUFFIXES else name.name) or "picture"
    if image.packed_file is not None and not image.is_dirty:
        suffix = {b"\xff\xd8": ".jpg", b"\x89P": ".png"}.get(bytes(image.packed_file.data[:2]), file.suffix or ".png")
        copy = folder / f"{stem}{suffix}"
        state.pictures().write(copy, bytes(image.packed_file.data))
        return copy
    copy = folder / f"{stem}.png"
    if image.source == "VIEWER":
        image.save_render(str(copy))
        return copy
    if not image.is_float:
        pixels = read_pixels(image)
        if not pixels.size:
            raise OSError("it is empty.")
        state.pictures().write(copy, pixels)
        return copy
    save_copy(image, copy)
    return copy


CLASSES = (
    UVATAR_OT_add_photos,
    UVATAR_FH_photos,
    UVATAR_OT_add_image,
    UVATAR_OT_remove_photo,
    UVATAR_OT_remove_unreadable,
    UVATAR_OT_move_photo,
    UVATAR_OT_group_photos,
    UVATAR_UL_photos,
    UVATAR_PT_image,
)
