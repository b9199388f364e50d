"""A predicted texture brought to the photo's light before anything of it is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.texturing.lowband import vertex_colours
from backend.texturing.surface import PARTS, Surface
from backend.texturing.texels import TexelTable

# Vertices count as seen when this share of their texels is; a part with fewer of them says nothing of its light.
_SEEN_SHARE = 0.3
_ENOUGH = 20
# The spread of a part's colours is changed by at most these factors.
_GAIN = (0.5, 2.0)


def harmonised(
    prediction: NDArray[np.float32], colour: NDArray[np.float32], share: NDArray[np.float32], surface: Surface, table: TexelTable
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give every part of a prediction the mean and spread of what is seen of it, or else of its fellow on the other side.

    Args:
        prediction: (T, 3) linear light.
        colour, share: (V, 3) seen colours at the vertices and how far, 0..1, they are seen (`vertex_colours`).

    Returns:
        the prediction so changed, (T, 3), and its own colours at the vertices, (V, 3).
    """
    everywhere = np.arange(len(table), dtype=np.int32)
    own, _ = vertex_colours(prediction, np.ones(len(table), np.float32), everywhere, surface, table)
    gain, bias, known = np.ones((PARTS, 3), np.float32), np.zeros((PARTS, 3), np.float32), np.zeros(PARTS, bool)
    for part in range(PARTS):
        both = (surface.part == part) & (share > _SEEN_SHARE)
        if both.sum() >= _ENOUGH:
            known[part] = True
            gain[part] = np.clip(colour[both].std(0) / np.maximum(own[both].std(0), 1e-3), *_GAIN)
            bias[part] = colour[both].mean(0) - gain[part] * own[both].mean(0)
    source = np.where(known, np.arange(PARTS), surface.other_side)
    gain, bias = gain[source], bias[source]
    of_texel = surface.part[surface.faces[table.face, 0]]
    return prediction * gain[of_texel] + bias[of_texel], own * gain[surface.part] + bias[surface.part]
