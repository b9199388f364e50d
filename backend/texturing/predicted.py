"""The part of the texture that no photo shows, from the Texture Predictor, without steps towards what is seen.

Two corrections, from coarse to fine: the difference between prediction and photo at the vertices is spread over the mesh (which has no
UV seams) and fades within a few centimetres; and what steps are then left between texels of different sources are taken out in the
gradient domain (`backend.texturing.membrane`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backend.texturing.colour import linear_from_srgb
from backend.texturing.lowband import Anchor, diffuse, vertex_colours
from backend.texturing.surface import Surface
from backend.texturing.texels import TexelTable
from backend.texturing.texture import Texture

# Makes a full (N, N, 3) uint8 sRGB texture of one of which only the texels labelled SEEN are known, the others being EMPTY.
Predict = Callable[[Texture], NDArray[np.uint8]]

# How far a vertex trusts the prediction where nothing is seen near, relative to the pull of its neighbours.
_PREDICTED_PULL = 0.1


def predicted_fill(
    predicted: NDArray[np.uint8], photo: Anchor, surface: Surface, table: TexelTable
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The prediction as it meets what is seen.

    Args:
        predicted: (N, N, 3) sRGB.
        photo: seen colours at the vertices, and how far they count.

    Returns:
        (T, 3) linear light, and its smooth part at the vertices, (V, 3).
    """
    prediction = linear_from_srgb(predicted.reshape(-1, 3)[table.pixel])
    everywhere = np.arange(len(table), dtype=np.int32)
    own, _ = vertex_colours(prediction, np.ones(len(table), np.float32), everywhere, surface, table)
    target, pull = photo
    difference = diffuse(surface, [(target - own, pull), (np.zeros_like(own), np.full(len(own), _PREDICTED_PULL))])
    return prediction + table.interpolate(difference, surface.faces), own + difference
