# SPDX-License-Identifier: GPL-3.0-or-later
"""Export targets and how each is written: a new preset is a `Target` and its `Preset` here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .naming import Naming


class Target(Enum):
    """What reads the file. The values are what `bpy.ops.uvatar.export(target=...)` takes."""

    GLTF = "GLTF"
    UNITY = "UNITY"
    UNREAL = "UNREAL"

    @property
    def preset(self) -> Preset:
        """How the file is written."""
        return PRESETS[self]

    @property
    def suffix(self) -> str:
        """The file's suffix."""
        return self.preset.suffix


@dataclass(frozen=True)
class Preset:
    """How the files for one kind of program are written.

    Attributes:
        button: text of the button on the panel.
        name: in the file browser's list.
        description: tooltip of that name.
        suffix: ".glb" or ".fbx"; it chooses the exporter.
        scale: the file's units in a metre. FBX only: glTF is in metres.
        naming: what bones are called there; None: as in Blender.
        root_bone: name of a bone that is added on the ground above the pelvis; None: the pelvis is the root.
        armature: name of the armature object in the file; None: as in Blender.
    """

    button: str
    name: str
    description: str
    suffix: str
    scale: float = 1.0
    naming: Naming | None = None
    root_bone: str | None = None
    armature: str | None = None


PRESETS: Mapping[Target, Preset] = {
    Target.GLTF: Preset("glTF", "glTF", "One binary .glb: the web, Godot, and others", ".glb"),
    Target.UNITY: Preset("FBX for Unity", "Unity", "FBX in metres, no object rotated or scaled", ".fbx"),
    Target.UNREAL: Preset(
        button="FBX for Unreal",
        name="Unreal",
        description="FBX in centimetres with a root bone on the ground",
        suffix=".fbx",
        scale=100.0,
        naming=Naming.UNREAL,
        root_bone="root",  # the mannequin has one, whose motion is the character's
        armature="Armature",  # Unreal drops an object of this name instead of making a second root of it
    ),
}
