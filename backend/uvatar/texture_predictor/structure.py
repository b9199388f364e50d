"""What the Texture Predictor is told of a person besides the photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Values = TypeVar("Values")


@dataclass(frozen=True)
class Structure(Generic[Values]):
    """What is known of the person in space, and of the texture so far, in NumPy's arrays or PyTorch's tensors. B
    people, R texels on a side, row 0 at v = 1.

    Attributes:
        pose: (B, 24, 3, 3) rotations of SMPL's joints against their parents, the first against the camera frame.
        betas: (B, 10).
        camera: (B, 3) half sides of the crop per metre at the pelvis' depth, and where the pelvis lies in the crop, x
            right and y down, -1..1 from border to border.
        geometry: (B, 7, R, R) the rest body's positions (metres, centred at the pelvis) and unit normals, SMPL axes,
            and 1 inside the UV islands, all 0 outside; None without spatial conditioning, like the next two.
        partial: (B, 4, R, R) the photo's sRGB 0..1 where it was projected, anything elsewhere, and how far, 0..1, it is
            seen.
        mirrored: (B, 4, R, R) likewise, at each texel that of its mirror image on the body's other side.
        completed: (B, 3, R, R) the whole texture as it is completed without learning; see
            `uvatar.texturing.completion`.
    """

    pose: Values
    betas: Values
    camera: Values
    geometry: Values | None = None
    partial: Values | None = None
    mirrored: Values | None = None
    completed: Values | None = None
