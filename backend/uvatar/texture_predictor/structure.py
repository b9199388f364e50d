"""The Texture Predictor's inputs besides the photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Values = TypeVar("Values")
# The kinds of materials that `uvatar.texturing.materials.material_map` names, in the order of the maps of them.
MATERIALS = ("skin", "hair", "upper", "outer", "lower", "shoes", "gloves", "headwear", "eyes")
BARE = ("skin", "hair", "eyes")  # those that are no clothes


@dataclass(frozen=True)
class Structure(Generic[Values]):
    """The bodies and partial textures of B people, as NumPy arrays or PyTorch tensors.

    Textures have R texels on a side, with row 0 at v = 1.

    Attributes:
        pose: (B, 24, 3, 3) rotations of SMPL's joints relative to their parents, of the first to the camera frame.
        betas: (B, 10).
        camera: (B, 3) half sides of the crop per metre at the pelvis' depth, then the pelvis' position in the crop, x
            right and y down, -1..1 from border to border.
        geometry: (B, 7, R, R) the rest body's positions (metres, centred at the pelvis) and unit normals, SMPL axes,
            and 1 inside the UV islands; all are 0 outside. None without spatial conditioning, like the next two.
        partial: (B, 4, R, R) the photo's sRGB 0..1 where it was projected, arbitrary elsewhere, and how well, 0..1,
            each texel is seen.
        mirrored: (B, 4, R, R) the same for the mirror image of each texel on the body's other side.
        completed: (B, 3, R, R) the whole texture, completed without a network.
        materials: (B, 9, R, R) the share, 0..1, of each of `MATERIALS` in each texel; all are 0 where materials are not
            told apart. None for networks that are not given any.
    """

    pose: Values
    betas: Values
    camera: Values
    geometry: Values | None = None
    partial: Values | None = None
    mirrored: Values | None = None
    completed: Values | None = None
    materials: Values | None = None
