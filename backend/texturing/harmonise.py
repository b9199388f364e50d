"""A predicted texture brought to the photo's light before anything of it is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.texturing.lowband import diffuse, vertex_colours
from backend.texturing.surface import PARTS, Surface
from backend.texturing.texels import TexelTable

# Vertices count as seen when this share of their texels is; a part with fewer of them says nothing of its light.
_SEEN_SHARE = 0.3
_ENOUGH = 20
# The spread of a part's colours is changed by at most these factors.
_GAIN = (0.5, 2.0)
# How far a vertex follows its own part, relative to its neighbours: parts hand over within about ten centimetres.
_OWN_PULL = 0.02


def harmonised(
    prediction: NDArray[np.float32], colour: NDArray[np.float32], share: NDArray[np.float32], surface: Surface, table: TexelTable
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give every part of a prediction the mean and spread of what is seen of it, or else of its fellow on the other side.

    Mean and spread are those of the light's square root: about as the eye sees them, and dark colours stay colours.

    Args:
        prediction: (T, 3) linear light.
        colour, share: (V, 3) seen colours at the vertices and how far, 0..1, they are seen (`vertex_colours`).

    Returns:
        the prediction so changed, (T, 3), and its own colours at the vertices, (V, 3).
    """
    everywhere = np.arange(len(table), dtype=np.int32)
    own, _ = vertex_colours(prediction, np.ones(len(table), np.float32), everywhere, surface, table)
    coded, target = np.sqrt(own), np.sqrt(np.maximum(colour, 0))
    gain, bias, known = np.ones((PARTS, 3), np.float32), np.zeros((PARTS, 3), np.float32), np.zeros(PARTS, bool)
    for part in range(PARTS):
        both = (surface.part == part) & (share > _SEEN_SHARE)
        if both.sum() >= _ENOUGH:
            known[part] = True
            # one gain for all channels: three would turn a little colour into much of another
            gain[part] = np.clip(target[both].std() / max(float(coded[both].std()), 1e-3), *_GAIN)
            bias[part] = target[both].mean(0) - gain[part] * coded[both].mean(0)
    source = np.where(known, np.arange(PARTS), surface.other_side)[surface.part]
    own_pull = np.full(len(own), _OWN_PULL)
    gain, bias = (diffuse(surface, [(values[source], own_pull)]) for values in (gain, bias))
    tinted = np.sqrt(prediction) * table.interpolate(gain, surface.faces) + table.interpolate(bias, surface.faces)
    return np.square(np.maximum(tinted, 0), dtype=np.float32), np.square(np.maximum(coded * gain + bias, 0), dtype=np.float32)
