"""Several photos of the same person on one texture: the sharpest one wins, the exposures are matched first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.texturing.projection import Projection, certainty

# Blending two misaligned photos evenly shows everything twice: the better one gets nearly all, but hands over smoothly.
_SELECTIVITY = 4
_LARGEST_GAIN = 2.0
_OVERLAP_FOR_GAIN = 500


def merge(
    projections: Sequence[Projection], texels: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """All photos together: colours (T, 3) linear light, alpha (T,), and how far (T,) each texel may speak for others.

    ``texels``: T.
    """
    colours = np.zeros((texels, 3), np.float32)
    alpha, certain, best, total = (np.zeros(texels, np.float32) for _ in range(4))
    if len(projections) == 1:
        (only,) = projections
        colours[only.texels], alpha[only.texels], certain[only.texels] = (
            only.colours,
            only.weights,
            only.weights * certainty(only.cosine),
        )
        return colours, alpha, certain
    for projection in projections:
        best[projection.texels] = np.maximum(best[projection.texels], _score(projection))
    for projection in projections:
        at = projection.texels
        share = (_score(projection) / best[at]) ** _SELECTIVITY
        reference = colours[at] / np.maximum(total[at], 1e-9)[:, None]
        gain = _gain(reference, projection.colours, (alpha[at] > 0.5) & (projection.weights > 0.5))
        colours[at] += projection.colours * gain * share[:, None]
        total[at] += share
        alpha[at] = np.maximum(alpha[at], projection.weights)
        certain[at] = np.maximum(certain[at], projection.weights * certainty(projection.cosine))
    return colours / np.maximum(total, 1e-9)[:, None], alpha, certain


def _score(projection: Projection) -> NDArray[np.float32]:
    return projection.weights * projection.width * projection.cosine


def _gain(reference: Floats, colours: Floats, overlap: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(3,) factor that brings a photo's exposure and white balance to those before it, from texels that both see."""
    if overlap.sum() < _OVERLAP_FOR_GAIN:
        return np.ones(3, np.float32)
    ratio = np.median(reference[overlap], axis=0) / np.maximum(np.median(colours[overlap], axis=0), 1e-4)
    gain: NDArray[np.float32] = np.clip(ratio, 1 / _LARGEST_GAIN, _LARGEST_GAIN).astype(np.float32)
    return gain
