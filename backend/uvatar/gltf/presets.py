"""The kinds of .glb files, by the programs that read them. Without NumPy: the command line's help names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


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
        helper_bones: whether there are bones that follow others by constraints, which only VRM's programs know.
        webp: whether textures are WebP, which is smaller and which not everything reads.
        clips: whether there are the animations Walk, Idle and Talk.
        even_light: whether the body's colours are without the photo's light (`uvatar.protocol.even_light`).
    """

    name: str
    about: str
    file: str
    naming: str = "SMPL"
    bone_prefix: bool = True
    shape_sliders: bool = False
    visemes: bool = False
    vrm: bool = False
    helper_bones: bool = False
    webp: bool = False
    clips: bool = False
    even_light: bool = True


@dataclass(frozen=True)
class Level:
    """A level of detail.

    Attributes:
        number: 1 is the finest.
        triangles: of body and parts together.
        keys: whether there are morph targets; without them, parts that only move with the face are left out.
        texture: pixels of a texture's side, at most.
    """

    number: int
    triangles: int
    keys: bool
    texture: int

    def file(self, preset: Preset) -> str:
        """The name of the file, such as avatar_lod1.glb."""
        stem, suffix = preset.file.rsplit(".", 1)
        return f"{stem}_lod{self.number}.{suffix}"


LEVELS = (Level(1, 13_000, True, 1024), Level(2, 5_000, True, 512), Level(3, 1_500, False, 512))

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
        Preset("vrm", "VRM 1.0: VTubing, VRChat-like worlds, UniVRM", "avatar.vrm", "VRM", vrm=True, helper_bones=True),
    )
}


def chosen_presets(
    names: Iterable[str], webp: bool = False, clips: bool = False, even_light: bool = True
) -> list[Preset]:
    """The presets of these names, each once.

    Args:
        names: of `PRESETS`.
        webp: whether textures are WebP; those of VRM, whose programs need not read it, stay as they are.
        clips: whether there are animations; VRM files, for which VRM has files of their own, have none.
        even_light: whether the body's colours are without the photo's light.

    Raises:
        KeyError: there is no preset of a name.
    """
    presets = [PRESETS[name] for name in dict.fromkeys(names)]
    return [
        replace(preset, webp=webp and not preset.vrm, clips=clips and not preset.vrm, even_light=even_light)
        for preset in presets
    ]
