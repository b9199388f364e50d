"""Parts of the texture that no photo shows, from the Texture Predictor, without a seam to the seen parts.

The difference between prediction and photo at the vertices is spread over the mesh (which has no UV seams) and fades
within a few centimetres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.photos.colour import blended, linear_from_srgb
from uvatar.texturing.completion.lowband import diffuse, vertex_colours
from uvatar.texturing.completion.smooth import SeenColours

# Makes a full (N, N, 3) uint8 sRGB texture of one that photos show where its label is SEEN and that is completed
# without learning.
Predict = Callable[[Texture], NDArray[np.uint8]]


@dataclass(frozen=True)
class PredictionSettings:
    """Tuned numbers of filling in, relative to the pull of a vertex's neighbours on the mesh.

    Attributes:
        seen_pull: of a seen vertex towards the photo's colour. How it was chosen is not recorded.
        predicted_pull: of a vertex towards the prediction. Raised from 0.03 so that a prediction keeps its own light
            away from what is seen; it starts from the photo's colours.
    """

    seen_pull: float = 10.0
    predicted_pull: float = 0.1


DEFAULT_SETTINGS = PredictionSettings()


def fill_in(
    predicted: NDArray[np.uint8],
    seen: SeenColours,
    plain: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.uint8]] | None = None,
    settings: PredictionSettings = DEFAULT_SETTINGS,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill every texel that no photo shows from a prediction.

    Args:
        predicted: (N, N, 3) sRGB in the body's UV layout.
        seen: what the photos show, at N x N texels.
        plain: (T,) texels that keep the colours (T, 3) and labels (T,) that they have without the prediction.
        settings: tuned numbers.

    Returns colours (T, 3) float32 linear light, and labels (T,) uint8 SEEN or PREDICTED.
    """
    atlas = seen.atlas
    prediction = linear_from_srgb(np.take(predicted.reshape(-1, 3), atlas.table.pixel, axis=0))
    everywhere = np.arange(len(atlas.table), dtype=np.int32)
    own, _ = vertex_colours(prediction, np.ones(len(atlas.table), np.float32), everywhere, atlas)
    colour, share = seen.at_vertices
    prior = np.zeros_like(own), np.full(len(own), settings.predicted_pull)
    difference = diffuse(atlas.surface, [(colour - own, settings.seen_pull * share), prior])
    fill = prediction + atlas.interpolate(difference)
    labels = np.where(seen.alpha >= 0.5, Label.SEEN, Label.PREDICTED).astype(np.uint8)
    colours = blended(fill, seen.colours, seen.alpha)
    if plain is not None:
        where, completed, completed_labels = plain
        colours[where], labels[where] = completed[where], completed_labels[where]
    return colours, labels
