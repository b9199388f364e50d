# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's choices. They are stored in the scene, so that they are saved with the file."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..core.choices import given_people, height_of_one, told_apart
from ..core.jobs import grouped
from ..protocol.bone_names import Naming
from ..scene.avatar import ImportOptions
from .found import UVATAR_PG_person, choices
from .job_options import chosen_options, option_properties

NOBODY = "ANY"  # the person of a photo that has no letter
_PERSONS = [(NOBODY, "All", "Every person in the photo becomes an avatar")] + [
    (letter, letter, f"All photos marked {letter} show one person and make one avatar, textured from all of them")
    for letter in "ABCDEFGH"
]
NAMINGS = [
    (Naming.SMPL.value, "SMPL", "left_hip, left_knee, …"),
    (Naming.MIXAMO.value, "Mixamo", "mixamorig:LeftUpLeg, …: Mixamo's motions and Unity's humanoids"),
    (Naming.UNREAL.value, "Unreal", "thigh_l, calf_l, …: Unreal's mannequin"),
    (Naming.UNITY.value, "Unity", "LeftUpperLeg, LeftLowerLeg, …: Unity's humanoid avatars"),
    (Naming.VRM.value, "VRM", "leftUpperLeg, leftLowerLeg, …: VRM 1.0"),
    (Naming.RIGIFY.value, "Rigify", "DEF-thigh.L, …: the bones that Rigify's rigs deform with"),
]


class UVATAR_PG_photo(bpy.types.PropertyGroup):
    """A chosen photo."""

    path: bpy.props.StringProperty(name="Path", subtype="FILE_PATH")  # type: ignore[valid-type]
    include: bpy.props.BoolProperty(name="Use", description="Make avatars from this photo", default=True)  # type: ignore[valid-type]
    person: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Person",
        description="Photos with the same letter, or several views in one photo, make one avatar",
        items=_PERSONS,
    )

    people: bpy.props.CollectionProperty(type=UVATAR_PG_person)  # type: ignore[valid-type]
    active_person: bpy.props.IntProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    size: bpy.props.IntVectorProperty(size=2, options={"HIDDEN"})  # type: ignore[valid-type]
    picture: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]

    def wanted(self) -> bool:
        """Whether avatars are to be made from it: it is turned on, and somebody in it is."""
        return self.include and (not self.people or any(person.include for person in self.people))

    def file(self) -> Path:
        """Return the file of the photo; the property may hold a path relative to the .blend."""
        return Path(bpy.path.abspath(self.path))


class UVATAR_PG_scene(bpy.types.PropertyGroup):
    """Photos, import options and, added below, the options of a job."""

    photos: bpy.props.CollectionProperty(type=UVATAR_PG_photo)  # type: ignore[valid-type]
    active_photo: bpy.props.IntProperty()  # type: ignore[valid-type]

    rest_pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Rest pose",
        description="The rest pose of mesh and bones",
        items=[
            ("T", "T", "Arms horizontal, as in SMPL"),
            ("A", "A", "Arms lowered by 45 degrees, as game engines prefer"),
        ],
    )
    naming: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Bone names",
        description="The bones' naming convention. You can change it later",
        items=NAMINGS,
    )
    placement: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Place",
        description="Where new avatars are placed",
        items=[
            (
                "PHOTO",
                "As in the photo",
                "Keep the people's positions in the photo, beside existing avatars",
            ),
            ("ROW", "In a row", "Side by side, beside existing avatars"),
        ],
    )
    level: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Level the Scene",
        description="Turn the photo's people and its camera so that up in the photo is up in the scene. You can change "
        "the tilt later",
        default=True,
    )
    photo_pose: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Pose",
        description="The pose in which avatars are imported. You can switch to the other one later",
        items=[
            ("PHOTO", "As in the photo", "The bones are posed as in the photo"),
            ("REST", "Rest pose", "The bones are at rest"),
        ],
    )
    camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Photo's camera",
        description="Add the camera that took the photo, with the photo as its background",
        default=True,
    )
    use_camera: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Render through it",
        description="Make it the scene's camera and set the render size to the photo's",
        default=False,
    )
    unlit: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Unlit", description="Show the photo's colours unchanged, without lighting"
    )
    split: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Material slots",
        description="Give skin, hair, shoes and each garment a material of its own. They share the texture. You can do "
        "it later, too",
    )
    show: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Show new avatars",
        description="Move the 3D View to new avatars until you move it, and show their textures in Solid shading",
        default=True,
    )
    live_joints: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Joints follow",
        description="Fit the joints to the shape whenever you have moved a slider. Animated avatars keep their joints",
        default=True,
    )
    textures_shown: bpy.props.BoolProperty(options={"HIDDEN"})  # type: ignore[valid-type]

    def chosen(self) -> list[UVATAR_PG_photo]:
        """Return the photos that are turned on."""
        return [photo for photo in self.photos if photo.wanted()]

    def active(self) -> UVATAR_PG_photo | None:
        """Return the photo that is selected in the list, if there is one."""
        return self.photos[self.active_photo] if 0 <= self.active_photo < len(self.photos) else None

    def jobs(self) -> list[tuple[list[Path], Mapping[str, Any]]]:
        """Return the photos of each job, with its options."""
        marked = [(photo.file(), "" if photo.person == NOBODY else photo.person) for photo in self.chosen()]
        people = {photo.file(): choices(photo) for photo in self.chosen() if photo.people}
        jobs: list[tuple[list[Path], Mapping[str, Any]]] = []
        for paths, one_person in grouped(marked):
            chosen = {path: people[path] for path in paths if path in people}
            for part in [paths] if one_person or not chosen else told_apart(paths):
                options = self.job_options(one_person)
                given = given_people({path: chosen[path] for path in part if path in chosen})
                options |= {} if given is None else {"given_people": given}
                if one_person:
                    options["height"] = options["height"] or height_of_one(
                        [one for some in chosen.values() for one in some]
                    )
                jobs.append((part, options))
        return jobs

    def given(self, path: Path) -> list[dict[str, Any]] | None:
        """Return the option ``given_people`` of a job of this photo alone: who was chosen in it, if anybody was."""
        photo = next((one for one in self.photos if one.people and one.file() == path), None)
        return None if photo is None else given_people({path: choices(photo)})

    def job_options(self, same_person: bool = False) -> dict[str, Any]:
        """Return the options of a job."""
        return {**chosen_options(self), "same_person": same_person}

    def import_options(self) -> ImportOptions:
        """Return the options for importing results into the scene."""
        return ImportOptions(
            photo_pose=self.photo_pose == "PHOTO",
            unlit=self.unlit,
            camera=self.camera,
            use_camera=self.use_camera,
            rest_pose=self.rest_pose,
            naming=self.naming,
            placement=self.placement,
            level=self.level,
            split=self.split,
        )


UVATAR_PG_scene.__annotations__.update(option_properties())

CLASSES = (UVATAR_PG_person, UVATAR_PG_photo, UVATAR_PG_scene)
