"""Moves the outline of a mask to where the photo's colours change from inside to outside."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BAND = 3.0  # pixels, at scale 1, to either side of the outline in which it may move
RADIUS = 10  # pixels, at scale 1, of the neighbourhood whose colours are compared
NOISE = 1e-3  # variance of noise, for colours in [0, 1]
APART = 8.0  # squared Mahalanobis distance of the two sides at which colours count as much as the mask
FEW = 0.03  # share of the neighbourhood that either side must fill


def sharpened(guide: NDArray[np.float32], alpha: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.float32]:
    """Alpha (h, w), corrected near its outline by the photo's colours.

    The pixels just beyond the band give the mean and covariance of the colours on either side. Alpha is a pixel's
    position between the two means along Fisher's linear discriminant ("The use of multiple measurements in taxonomic
    problems", 1936), weighted by how well it separates the two sides.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        alpha: (h, w) in [0, 1].
        scale: size of the picture relative to the one in which the outline was found; it scales the band.
    """
    band, radius = BAND * scale, round(RADIUS * scale)
    distance = signed_distance(alpha >= 0.5)
    near = np.abs(distance) <= 1.5 * band
    if not near.any():
        return alpha
    share_in, mean_in, scatter_in = _statistics(guide, distance > band, near, radius)
    share_out, mean_out, scatter_out = _statistics(guide, distance < -band, near, radius)
    towards = mean_in - mean_out
    axis = np.linalg.solve(scatter_in + scatter_out + NOISE * np.eye(3, dtype=np.float32), towards[..., None])[..., 0]
    separation = (axis * towards).sum(1)
    place = ((guide[near] - mean_out) * axis).sum(1) / np.maximum(separation, 1e-6)
    trust = np.where(np.minimum(share_in, share_out) > FEW, separation / (separation + APART), 0)
    trust *= 1 - np.clip(2 * (np.abs(distance[near]) / band - 1), 0, 1)
    result = alpha.copy()
    result[near] = trust * np.clip(place, 0, 1) + (1 - trust) * alpha[near]
    return result


def signed_distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) -> pixels to the edge, positive inside, negative outside."""
    within = inside.astype(np.uint8)
    return cv2.distanceTransform(within, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - within, cv2.DIST_L2, 3)


def _statistics(
    guide: NDArray[np.float32], side: NDArray[np.bool_], at: NDArray[np.bool_], radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Share (K,), mean (K, 3) and covariance (K, 3, 3) of ``side``'s colours around the K pixels of ``at``."""
    weight = side.astype(np.float32)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    products = [guide[..., i] * guide[..., j] for i, j in pairs]
    stack = np.stack(
        [weight, *(guide[..., i] * weight for i in range(3)), *(product * weight for product in products)], -1
    )
    sums = cv2.blur(stack, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)[at]
    share = sums[:, 0]
    values = sums[:, 1:] / np.maximum(share, 1e-6)[:, None]
    mean = values[:, :3]
    covariance = np.empty((len(mean), 3, 3), np.float32)
    for index, (i, j) in enumerate(pairs):
        covariance[:, i, j] = covariance[:, j, i] = values[:, 3 + index] - mean[:, i] * mean[:, j]
    return share, mean, covariance
