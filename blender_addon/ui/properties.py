# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist chooses: kept in the scene, so that it is saved with the file."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path
from typing import Any

import bpy

from ..scene.avatar import ImportOptions


class UVATAR_PG_photo(bpy.types.PropertyGroup):
    """A chosen photo."""

    path: bpy.props.StringProperty(name="Path", subtype="FILE_PATH")  # type: ignore[valid-type]

    def file(self) -> Path:
        """The photo's file; paths may be relative to the .blend."""
        return Path(bpy.path.abspath(self.path))


class UVATAR_PG_scene(bpy.types.PropertyGroup):
    """Photos and options."""

    photos: bpy.props.CollectionProperty(type=UVATAR_PG_photo)  # type: ignore[valid-type]
    active_photo: bpy.props.IntProperty()  # type: ignore[valid-type]

    texture_size: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Texture",
        description="Pixels on a side of the texture",
        items=[(size, f"{size} px", "") for size in ("512", "1024", "2048", "4096")],
        default="1024",
    )
    clothing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Clothes and hair",
        description="Shape the body's outline to clothes and hair, as a shape key that can be turned off",
        default=True,
    )
    fast: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Fast", description="A first look in about a third of the time, without clothes and hair"
    )
    same_person: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="All photos show one person", description="Merge all photos into one avatar, with the texture of all of them"
    )
    photo_pose: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Photo's pose", description="Import in the photo's pose. The rest pose is a T either way", default=True
    )
    camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Photo's camera", description="Add the camera that took the photo, with the photo behind the avatar", default=True
    )
    use_camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Render through it", description="Make it the scene's camera and give renders the photo's size"
    )
    unlit: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Unlit", description="Show the photo's colours as they are, without light"
    )

    def job_options(self) -> dict[str, Any]:
        """The backend's options."""
        return {
            "texture_size": int(self.texture_size),
            "clothing": self.clothing,
            "fast": self.fast,
            "same_person": self.same_person and len(self.photos) > 1,
        }

    def import_options(self) -> ImportOptions:
        """How results come into the scene."""
        return ImportOptions(self.photo_pose, self.unlit, self.camera, self.use_camera)


CLASSES = (UVATAR_PG_photo, UVATAR_PG_scene)
