# SPDX-License-Identifier: GPL-3.0-or-later
"""Export targets and how files for them are written. A new preset is a `Target` and its `Preset` in this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..protocol.bone_names import Naming


class Target(Enum):
    """The program that reads the file. The values are those of `bpy.ops.uvatar.export(target=...)`."""

    GLTF = "GLTF"
    UNITY = "UNITY"
    UNREAL = "UNREAL"
    USD = "USD"

    @property
    def preset(self) -> Preset:
        """How the file is written."""
        return PRESETS[self]

    @property
    def suffix(self) -> str:
        """The suffix of the file."""
        return self.preset.suffix


@dataclass(frozen=True)
class Preset:
    """How the files for one kind of program are written.

    Attributes:
        button: text of the button on the panel.
        name: entry in the file browser's list.
        description: tooltip of that entry.
        suffix: ".glb", ".fbx" or ".usdz"; it selects the exporter.
        scale: units per metre in the file. FBX only: glTF and USD are in metres.
        naming: naming convention of the bones; None keeps the names in Blender.
        root_bone: name of a bone that is added on the ground, as parent of the pelvis; None makes the pelvis the root.
        armature: name of the armature object in the file; None keeps the name in Blender.
        twist_bones: whether forearms have the mannequin's twist bones, where the other bones have its names, too.
    """

    button: str
    name: str
    description: str
    suffix: str
    scale: float = 1.0
    naming: Naming | None = None
    root_bone: str | None = None
    armature: str | None = None
    twist_bones: bool = False


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
        armature="Armature",  # Unreal drops an object of this name instead of making it a second root
        twist_bones=True,
    ),
    Target.USD: Preset("USD", "USD", "One .usdz with its texture: Omniverse, Houdini, Apple's viewers", ".usdz"),
}
