"""Parts of the texture that no photo shows, from the Texture Predictor, without a seam to the seen parts.

The difference between prediction and photo at the vertices is spread over the mesh (which has no UV seams) and fades
within a few centimetres.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.completion import SEEN_PULL, SeenColours
from uvatar.texturing.lowband import diffuse, vertex_colours

# Makes a full (N, N, 3) uint8 sRGB texture of one that photos show where its label is SEEN and that is completed
# without learning.
Predict = Callable[[Texture], NDArray[np.uint8]]

# How far a vertex trusts the prediction where nothing is seen near, relative to the pull of its neighbours.
_PREDICTED_PULL = 0.1


def fill_in(
    predicted: NDArray[np.uint8], seen: SeenColours, atlas: Atlas
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill every texel that no photo shows from a prediction (N, N, 3) sRGB.

    Returns:
        colours (T, 3) float32 linear light, and labels (T,) uint8 SEEN or PREDICTED.
    """
    prediction = linear_from_srgb(predicted.reshape(-1, 3)[atlas.table.pixel])
    everywhere = np.arange(len(atlas.table), dtype=np.int32)
    own, _ = vertex_colours(prediction, np.ones(len(atlas.table), np.float32), everywhere, atlas)
    colour, share = seen.at_vertices(atlas)
    difference = diffuse(
        atlas.surface, [(colour - own, SEEN_PULL * share), (np.zeros_like(own), np.full(len(own), _PREDICTED_PULL))]
    )
    fill = prediction + atlas.interpolate(difference)
    labels = np.where(seen.alpha >= 0.5, Label.SEEN, Label.PREDICTED).astype(np.uint8)
    colours = fill + (seen.colours - fill) * seen.alpha[:, None]
    return colours, labels
