# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist chooses: kept in the scene, so that it is saved with the file."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..core.jobs import grouped
from ..core.naming import Naming
from ..scene.avatar import ImportOptions
from .job_options import chosen_options, option_properties

NOBODY = "ANY"  # a photo that is not said to show a certain person
_PERSONS = [(NOBODY, "All", "Every person in the photo becomes an avatar")] + [
    (letter, letter, f"All photos marked {letter} show one person: one avatar, with the texture of all of them")
    for letter in "ABCDEFGH"
]
NAMINGS = [
    (Naming.SMPL.value, "SMPL", "left_hip, left_knee, …"),
    (Naming.MIXAMO.value, "Mixamo", "mixamorig:LeftUpLeg, …: Mixamo's motions and Unity's humanoids"),
    (Naming.UNREAL.value, "Unreal", "thigh_l, calf_l, …: Unreal's mannequin"),
    (Naming.RIGIFY.value, "Rigify", "DEF-thigh.L, …: the bones that Rigify's rigs deform with"),
]


class UVATAR_PG_photo(bpy.types.PropertyGroup):
    """A chosen photo."""

    path: bpy.props.StringProperty(name="Path", subtype="FILE_PATH")  # type: ignore[valid-type]
    include: bpy.props.BoolProperty(name="Use", description="Make avatars from this photo", default=True)  # type: ignore[valid-type]
    person: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Person",
        description="Photos with the same letter, or several views in one, make one avatar",
        items=_PERSONS,
    )

    def file(self) -> Path:
        """The photo's file; paths may be relative to the .blend."""
        return Path(bpy.path.abspath(self.path))


class UVATAR_PG_scene(bpy.types.PropertyGroup):
    """Photos and options: those of a job (below), and how avatars come into the scene."""

    photos: bpy.props.CollectionProperty(type=UVATAR_PG_photo)  # type: ignore[valid-type]
    active_photo: bpy.props.IntProperty()  # type: ignore[valid-type]

    rest_pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Rest pose",
        description="What mesh and bones rest in",
        items=[
            ("T", "T", "Arms level, as SMPL has them"),
            ("A", "A", "Arms lowered by 45 degrees, as game engines like it"),
        ],
    )
    naming: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Bone names",
        description="What the bones are called. It can be changed later",
        items=NAMINGS,
    )
    placement: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Place",
        description="Where avatars stand",
        items=[
            (
                "PHOTO",
                "As in the photo",
                "The people of a photo as they stand in it, beside avatars that are there already",
            ),
            ("ROW", "In a row", "Beside each other and beside avatars that are there already"),
        ],
    )
    photo_pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Pose",
        description="The pose in which avatars arrive. The other one is a click away",
        items=[
            ("PHOTO", "As in the photo", "The photo's pose is on the bones"),
            ("REST", "Rest pose", "The bones are at rest"),
        ],
    )
    camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Photo's camera",
        description="Add the camera that took the photo, with the photo behind the avatar",
        default=True,
    )
    use_camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Render through it",
        description="Make it the scene's camera and give renders the photo's size",
        default=False,
    )
    unlit: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Unlit", description="Show the photo's colours as they are, without light"
    )

    show: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Show them",
        description="Move the 3D View to new avatars until you turn it, and show their textures in Solid shading",
        default=True,
    )
    textures_shown: bpy.props.BoolProperty(options={"HIDDEN"})  # type: ignore[valid-type]

    def chosen(self) -> list[UVATAR_PG_photo]:
        """The photos that are switched on."""
        return [photo for photo in self.photos if photo.include]

    def jobs(self) -> list[tuple[list[Path], Mapping[str, Any]]]:
        """The photos of each job, with its options."""
        marked = [(photo.file(), "" if photo.person == NOBODY else photo.person) for photo in self.chosen()]
        return [(paths, self.job_options(one_person)) for paths, one_person in grouped(marked)]

    def job_options(self, same_person: bool = False) -> dict[str, Any]:
        """The backend's options."""
        return {**chosen_options(self), "same_person": same_person}

    def import_options(self) -> ImportOptions:
        """How results come into the scene."""
        return ImportOptions(
            photo_pose=self.photo_pose == "PHOTO",
            unlit=self.unlit,
            camera=self.camera,
            use_camera=self.use_camera,
            rest_pose=self.rest_pose,
            naming=self.naming,
            placement=self.placement,
        )


UVATAR_PG_scene.__annotations__.update(option_properties())

CLASSES = (UVATAR_PG_photo, UVATAR_PG_scene)
