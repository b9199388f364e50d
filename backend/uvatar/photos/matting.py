"""Moves the outline of a mask to where the photo's colours change from inside to outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of channels


@dataclass(frozen=True)
class MattingSettings:
    """Tuned numbers of matting. How they were chosen is not recorded.

    Attributes:
        band: pixels, at scale 1, to either side of the outline in which it may move.
        radius: pixels, at scale 1, of the neighbourhood whose colours are compared.
        noise: variance of noise, for colours in [0, 1].
        apart: squared Mahalanobis distance of the two sides at which colours count as much as the mask.
        few: share of the neighbourhood that either side must fill.
    """

    band: float = 3.0
    radius: float = 10
    noise: float = 1e-3
    apart: float = 8.0
    few: float = 0.03


DEFAULT_SETTINGS = MattingSettings()


def sharpened(
    guide: NDArray[np.float32],
    alpha: NDArray[np.float32],
    scale: float = 1.0,
    settings: MattingSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Alpha (h, w), corrected near its outline by the photo's colours.

    The pixels just beyond the band give the mean and covariance of the colours on either side. Alpha is a pixel's
    position between the two means along Fisher's linear discriminant ("The use of multiple measurements in taxonomic
    problems", 1936), weighted by how well it separates the two sides.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        alpha: (h, w) in [0, 1].
        scale: size of the picture relative to the one in which the outline was found; it scales the band.
        settings: tuned numbers, by default those of the class.
    """
    band, radius = settings.band * scale, round(settings.radius * scale)
    distance = signed_distance(alpha >= 0.5)
    near = np.abs(distance) <= 1.5 * band
    if not near.any():
        return alpha
    moments = _moments(guide)
    share_in, mean_in, scatter_in = _statistics(moments, distance > band, near, radius)
    share_out, mean_out, scatter_out = _statistics(moments, distance < -band, near, radius)
    towards = mean_in - mean_out
    scatter = scatter_in + scatter_out + settings.noise * np.eye(3, dtype=np.float32)
    axis = np.linalg.solve(scatter, towards[..., None])[..., 0]
    separation = (axis * towards).sum(1)
    place = ((guide[near] - mean_out) * axis).sum(1) / np.maximum(separation, 1e-6)
    trust = np.where(np.minimum(share_in, share_out) > settings.few, separation / (separation + settings.apart), 0)
    trust *= 1 - np.clip(2 * (np.abs(distance[near]) / band - 1), 0, 1)
    result = alpha.copy()
    result[near] = trust * np.clip(place, 0, 1) + (1 - trust) * alpha[near]
    return result


def signed_distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) -> pixels to the edge, positive inside, negative outside."""
    within = inside.astype(np.uint8)
    return cv2.distanceTransform(within, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - within, cv2.DIST_L2, 3)


def _moments(guide: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Colours (h, w, 3) -> (h, w) each: the three channels, and the products of the pairs `_PAIRS` of them."""
    channels = [np.ascontiguousarray(guide[..., channel]) for channel in range(3)]
    return channels + [channels[i] * channels[j] for i, j in _PAIRS]


def _statistics(
    moments: Sequence[NDArray[np.float32]], side: NDArray[np.bool_], at: NDArray[np.bool_], radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Share (K,), mean (K, 3) and covariance (K, 3, 3) of the colours of ``side`` within ``radius`` of the K pixels of
    ``at``.

    ``moments`` of the colours, from `_moments`.
    """
    weight = side.astype(np.float32)
    width = 2 * radius + 1

    # Plane by plane: ten interleaved ones take three times as long.
    def sums(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(plane, (width, width), borderType=cv2.BORDER_REFLECT)[at], np.float32)

    share = sums(weight)
    values = np.stack([sums(moment * weight) for moment in moments], -1) / np.maximum(share, 1e-6)[:, None]
    mean = values[:, :3]
    covariance = np.empty((len(mean), 3, 3), np.float32)
    for index, (i, j) in enumerate(_PAIRS):
        covariance[:, i, j] = covariance[:, j, i] = values[:, 3 + index] - mean[:, i] * mean[:, j]
    return share, mean, covariance
