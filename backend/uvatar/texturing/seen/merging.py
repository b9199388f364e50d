"""Several photos of the same person on one texture: the sharpest one wins, the exposures are matched first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.texturing.seen.projection import Projection


@dataclass(frozen=True)
class MergingSettings:
    """Tuned numbers of merging. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        selectivity: power of a photo's score in its share. Blending two misaligned photos evenly shows everything
            twice: the better one gets nearly all, but hands over smoothly.
        largest_gain: factor by which a photo is made brighter or darker at most.
        least_overlap: texels that two photos must share to be matched in exposure.
        shown: weight from which a texel counts as shown when exposures are matched.
    """

    selectivity: int = 4
    largest_gain: float = 2.0
    least_overlap: int = 500
    shown: float = 0.5


DEFAULT_SETTINGS = MergingSettings()


def merge(
    projections: Sequence[Projection], texels: int, settings: MergingSettings = DEFAULT_SETTINGS
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Merge the photos of a person.

    Args:
        projections: at least one; exposures are matched to the first.
        texels: T, the number of texels.
        settings: tuned numbers.

    Returns colours (T, 3) linear light, alpha (T,) 0..1, and how far (T,) each texel may speak for what is not seen.
    """
    colours = np.zeros((texels, 3), np.float32)
    alpha, certain, best, total = (np.zeros(texels, np.float32) for _ in range(4))
    if len(projections) == 1:
        (only,) = projections
        colours[only.texels], alpha[only.texels], certain[only.texels] = (
            only.colours,
            only.weights,
            only.weights * only.certainty,
        )
        return colours, alpha, certain
    for projection in projections:
        best[projection.texels] = np.maximum(best[projection.texels], photo_scores(projection))
    for projection in projections:
        at = projection.texels
        share = (photo_scores(projection) / best[at]) ** settings.selectivity
        reference = colours[at] / np.maximum(total[at], 1e-9)[:, None]
        overlap = (alpha[at] > settings.shown) & (projection.weights > settings.shown)
        gain = exposure_gain(reference, projection.colours, overlap, settings)
        colours[at] += projection.colours * gain * share[:, None]
        total[at] += share
        alpha[at] = np.maximum(alpha[at], projection.weights)
        certain[at] = np.maximum(certain[at], projection.weights * projection.certainty)
    return colours / np.maximum(total, 1e-9)[:, None], alpha, certain


def best_cosine(projections: Sequence[Projection], texels: int) -> NDArray[np.float32]:
    """(T,) between each texel's normal and the line of sight of the photo that shows it best; 0 where none does."""
    cosine, best = np.zeros(texels, np.float32), np.zeros(texels, np.float32)
    for projection in projections:
        score = photo_scores(projection)
        better = score > best[projection.texels]
        at = projection.texels[better]
        best[at], cosine[at] = score[better], projection.cosine[better]
    return cosine


def photo_scores(projection: Projection) -> NDArray[np.float32]:
    """(M,) how well the photo shows each texel: surely, sharply and from the front."""
    return projection.weights * projection.width * projection.cosine


def exposure_gain(
    reference: Floats, colours: Floats, overlap: NDArray[np.bool_], settings: MergingSettings
) -> NDArray[np.float32]:
    """Factor (3,) that matches a photo's exposure and white balance to those before it, from texels that both show."""
    if overlap.sum() < settings.least_overlap:
        return np.ones(3, np.float32)
    ratio = np.median(reference[overlap], axis=0) / np.maximum(np.median(colours[overlap], axis=0), 1e-4)
    gain: NDArray[np.float32] = np.clip(ratio, 1 / settings.largest_gain, settings.largest_gain).astype(np.float32)
    return gain
