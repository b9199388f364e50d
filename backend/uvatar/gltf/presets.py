"""The kinds of .glb files, by the programs that read them. Without NumPy: the command line's help names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """How a file is written.

    Attributes:
        name: on the command line.
        about: what reads such files.
        file: name of the file in an avatar's folder.
        naming: of the bones, the name of a `uvatar.protocol.bone_names.Naming`.
        bone_prefix: whether Mixamo's names keep their prefix.
        shape_sliders: whether the ten shape coefficients are morph targets.
        visemes: whether there are morph targets of whole mouth shapes, composed of the expression keys.
        vrm: whether the file is a VRM 1.0 model.
    """

    name: str
    about: str
    file: str
    naming: str = "SMPL"
    bone_prefix: bool = True
    shape_sliders: bool = False
    visemes: bool = False
    vrm: bool = False


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("gltf", "Engines and viewers; bones have SMPL's names", "avatar.glb", shape_sliders=True),
        Preset(
            "ready-player-me",
            "What read Ready Player Me's avatars: Mixamo's bone names, 52 ARKit keys, 15 visemes",
            "avatar_rpm.glb",
            "MIXAMO",
            bone_prefix=False,
            visemes=True,
        ),
        Preset("vrm", "VRM 1.0: VTubing, VRChat-like worlds, UniVRM", "avatar.vrm", "VRM", vrm=True),
    )
}
