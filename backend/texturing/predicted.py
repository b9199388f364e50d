"""The part of the texture that no photo shows, from the Texture Predictor, in the photo's light and without seams.

Three corrections, from coarse to fine: every part takes the mean and spread of what is seen of it; the difference that
remains at the vertices is spread over the mesh (which has no UV seams); and what steps are then left between texels of
different sources are taken out in the gradient domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.texturing.colour import linear_from_srgb
from backend.texturing.harmonise import harmonised
from backend.texturing.lowband import Anchor, diffuse
from backend.texturing.surface import Surface
from backend.texturing.texels import TexelTable
from backend.texturing.texture import Texture

# Makes a full (N, N, 3) uint8 sRGB texture of one of which only the texels labelled SEEN are known, the others being EMPTY.
Predict = Callable[[Texture], NDArray[np.uint8]]

# How far a vertex trusts the prediction where nothing is seen near, relative to the pull of its neighbours.
_PREDICTED_PULL = 0.03


def predicted_fill(
    predicted: NDArray[np.uint8],
    colour: NDArray[np.float32],
    share: NDArray[np.float32],
    anchors: Sequence[Anchor],
    surface: Surface,
    table: TexelTable,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The prediction as it meets what is seen.

    Args:
        predicted: (N, N, 3) sRGB.
        colour, share: (V, 3) seen colours at the vertices and how far, 0..1, they are seen.
        anchors: what the vertices' colours are pulled to: seen and mirrored colours.

    Returns:
        (T, 3) linear light, and its smooth part at the vertices, (V, 3).
    """
    prediction = linear_from_srgb(predicted.reshape(-1, 3)[table.pixel])
    prediction, own = harmonised(prediction, colour, share, surface, table)
    weak = np.zeros_like(own), np.full(len(own), _PREDICTED_PULL)
    difference = diffuse(surface, [*((target - own, pull) for target, pull in anchors), weak])
    return prediction + table.interpolate(difference, surface.faces), own + difference
