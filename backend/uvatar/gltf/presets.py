"""The conventions of .glb files: names of bones and morph targets, for the programs that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uvatar.protocol.bone_names import Naming
from uvatar.protocol.expressions import VISEMES

MIXAMO_PREFIX = "mixamorig:"
# Morph targets of Ready Player Me's avatars beside the 52 keys and 15 visemes, composed of the keys.
READY_PLAYER_ME_EXTRAS: Mapping[str, Mapping[str, float]] = {
    "mouthOpen": {"jawOpen": 1.0},
    "mouthSmile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "eyesClosed": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "eyesLookUp": {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0},
    "eyesLookDown": {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0},
}


@dataclass(frozen=True)
class Preset:
    """How a file is written.

    Attributes:
        name: on the command line.
        about: what reads such files.
        file: name of the file in an avatar's folder.
        naming: of the bones.
        bone_prefix: whether Mixamo's names keep their prefix.
        shape_sliders: whether the ten shape coefficients are morph targets.
        composed: morph targets that are composed of the expression keys.
        vrm: whether the file is a VRM 1.0 model.
    """

    name: str
    about: str
    file: str
    naming: Naming = Naming.SMPL
    bone_prefix: bool = True
    shape_sliders: bool = False
    composed: Mapping[str, Mapping[str, float]] | None = None
    vrm: bool = False


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("gltf", "Engines and viewers; bones have SMPL's names", "avatar.glb", shape_sliders=True),
        Preset(
            "ready-player-me",
            "What read Ready Player Me's avatars: Mixamo's bone names, 52 ARKit keys, 15 visemes",
            "avatar_rpm.glb",
            Naming.MIXAMO,
            bone_prefix=False,
            composed={**VISEMES, **READY_PLAYER_ME_EXTRAS},
        ),
        Preset("vrm", "VRM 1.0: VTubing, VRChat-like worlds, UniVRM", "avatar.vrm", Naming.VRM, vrm=True),
    )
}
