"""The result of texturing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Texture:
    """A full UV texture of one person.

    Attributes:
        image: (N, N, 3) uint8 sRGB; row 0 is the top of the picture, that is v = 1; gutters are dilated.
        source: (N, N) uint8, every texel's label of `uvatar.data.labels`: EMPTY outside the islands, SEEN, MIRRORED,
            ...
        materials: (N, N) uint8, 0 outside the islands, else 1 + the index into ``material_names``; None where no
            materials were told apart.
        material_names: what each is: ``skin``, ``hair``, ``upper`` ...
        light: (M, M) uint8, M at most N: the photo's light in the image, encoded by `uvatar.protocol.even_light`; None
            where it is not known.
        normals: (M, M, 3) uint8 tangent-space normal map, x along u, y along v; None where there are no folds.
        seen: share of the texels that a photo shows, whatever was made of them; NaN where no photo was looked at.
    """

    image: NDArray[np.uint8]
    source: NDArray[np.uint8]
    seen: float = float("nan")
    materials: NDArray[np.uint8] | None = None
    material_names: tuple[str, ...] = ()
    light: NDArray[np.uint8] | None = None
    normals: NDArray[np.uint8] | None = None
