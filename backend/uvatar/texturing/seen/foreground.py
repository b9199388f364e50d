"""The person cut out of the photo, to be sampled at any texel footprint; without background colour at the outline.

A pixel near the outline mixes person and background, and so does every blurred or reduced version of the photo there.
So the background's share is taken out of the colours near the outline, and those outside it are replaced by the nearest
inside (push-pull interpolation: mask-normalised reductions, pulled back up), before anything is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.photos.colour import linear_from_srgb, smoothstep
from uvatar.photos.matting import signed_distance
from uvatar.photos.sampling import bicubic, bilinear


@dataclass(frozen=True)
class ForegroundSettings:
    """Tuned numbers of cutting out. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        rim, least_rim: how far background may have crept into the person, as a share of the longer side of the window,
            and at least so many pixels. More cleans masks that are more than a pixel too large, but takes patterns at
            the outline for background; reduced when masks became sharper.
        least_contrast: squared distance in linear light below which person and background cannot be told apart.
        surroundings_side: longer side, pixels, of the picture in which a pixel's surroundings are looked up; they have
            no detail, so this saves time.
        restored: pixels of the photo per texel up to which samples lose detail that can be restored.
        restored_weight: share of a pixel that samples must cover for its detail to be restored.
        lost: pixels at the outline that tell nothing of the person.
    """

    rim: float = 0.002
    least_rim: float = 2.5
    least_contrast: float = 4e-3
    surroundings_side: int = 512
    restored: float = 1.5
    restored_weight: float = 0.25
    lost: float = 0.5


DEFAULT_SETTINGS = ForegroundSettings()


@dataclass(frozen=True)
class Foreground:
    """A pyramid of the person's pixels.

    Attributes:
        levels: (h, w, 3) float32 linear light each, half the size of the one before; outside the person they go on with
            the colours of the nearest outline.
        inside: (h, w) float32 at the first level's size: pixels of that level to the mask's edge, negative outside.
        origin: (x0, y0) pixel of the photo at the first level's top-left corner.
        scale: (x, y) pixels of the first level per pixel of the photo, at most 1.
    """

    levels: tuple[NDArray[np.float32], ...]
    inside: NDArray[np.float32]
    origin: tuple[float, float]
    scale: tuple[float, float]

    def at(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels of the photo (K, 2) -> pixels of the first level (K, 2)."""
        # Column by column, here and below: rows of two or three numbers take several times as long.
        at = np.empty_like(points)
        for axis in range(2):
            np.subtract(points[:, axis], np.float32(self.origin[axis]), out=at[:, axis])
            at[:, axis] *= np.float32(self.scale[axis])
        return at

    def sample(self, points: NDArray[np.float32], footprint: NDArray[np.float32] | float) -> NDArray[np.float32]:
        """Sample the person's colours.

        Trilinear between the two levels around the footprint (Williams 1983, "Pyramidal parametrics"), so that neither
        aliasing nor needless blur gets in.

        Args:
            points: (K, 2) pixels of the photo.
            footprint: (K,), or one for all: the side of the square to average over, pixels of the photo.

        Returns linear light (K, 3).
        """
        at = self.at(points)
        level = np.log2(np.maximum(np.asarray(footprint, np.float32) * self.scale[0], 1e-6))
        level = np.broadcast_to(np.clip(level, 0, len(self.levels) - 1), len(points))
        channels = np.zeros((3, len(points)), np.float32)
        height, width = self.inside.shape
        for index in range(len(self.levels)):
            part = np.abs(level - index)
            chosen = np.flatnonzero(part < 1)
            if len(chosen):
                picture = self.levels[index]
                reduced = np.take(at, chosen, axis=0)
                reduced[:, 0] *= np.float32(picture.shape[1] / width)
                reduced[:, 1] *= np.float32(picture.shape[0] / height)
                look_up = bicubic if index == 0 else bilinear  # the first level may be enlarged
                found, share = look_up(picture, reduced), 1 - part[chosen]
                for channel in range(3):
                    channels[channel, chosen] += found[:, channel] * share
        return np.ascontiguousarray(np.maximum(channels, 0).T)

    def depth_inside(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance (K,) to the mask's edge from ``points`` (K, 2), both in pixels of the photo; negative outside."""
        at = self.at(points)
        distance = bilinear(self.inside, at) / self.scale[0]
        height, width = self.inside.shape
        x, y = at.T
        off = np.maximum(np.maximum(np.maximum(-x, x - width), np.maximum(-y, y - height)), 0)
        return np.where(off > 0, np.minimum(distance, 0) - off / self.scale[0], distance)


def restored_detail(
    foreground: Foreground,
    points: NDArray[np.float32],
    footprint: NDArray[np.float32],
    colours: NDArray[np.float32],
    settings: ForegroundSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Add what two interpolations, into the texture and out of it, take away from sampled colours.

    One step of iterative back-projection (Irani and Peleg 1991, "Improving resolution by image registration"): the
    samples are put back into the picture, and what the picture has more than they is added to them.

    Args:
        foreground: what was sampled.
        points: (K, 2) pixels of the photo.
        footprint: (K,) pixels of the photo; samples that are an average of several pixels have nothing to restore.
        colours: (K, 3) linear light sampled at ``points``.
        settings: tuned numbers.

    Returns linear light (K, 3).
    """
    fine = np.flatnonzero(footprint * foreground.scale[0] < settings.restored)
    picture = foreground.levels[0]
    height, width = picture.shape[:2]
    sampled = np.take(colours, fine, axis=0)
    at = foreground.at(np.take(points, fine, axis=0))
    low = np.floor(at - np.float32(0.5)).astype(np.int64)  # of the four pixels whose centres are around
    share = at - np.float32(0.5) - low
    parts, pixels = np.empty((len(fine), 4)), np.empty((len(fine), 4), np.int32)
    for corner, (right, below) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        column, row = low[:, 0] + right, low[:, 1] + below
        part = np.abs(1 - right - share[:, 0]) * np.abs(1 - below - share[:, 1])
        parts[:, corner] = np.where((column >= 0) & (column < width) & (row >= 0) & (row < height), part, 0)
        pixels[:, corner] = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    starts = np.arange(0, 4 * len(fine) + 1, 4, dtype=np.int32)
    # a column for each sample, with a row for each pixel: all four sums in one pass
    spread = sparse.csc_matrix((parts.ravel(), pixels.ravel(), starts), (height * width, len(fine)))
    sums = spread @ np.column_stack([np.ones(len(fine)), sampled])
    weight = sums[:, 0]
    # the outermost pixels are not clean enough to be followed
    known = (weight > settings.restored_weight) & (foreground.inside.ravel() > settings.least_rim)
    missing = np.where(known[:, None], picture.reshape(-1, 3) - sums[:, 1:] / np.maximum(weight, 1e-6)[:, None], 0)
    restored = sampled + bilinear(missing.reshape(picture.shape).astype(np.float32), at)
    # no darker and no brighter than the sample and the pixels around: no halos
    column, row = (np.round(at[:, axis] - np.float32(0.5)).astype(np.int64) for axis in range(2))
    pixel = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    around = np.ones((3, 3), np.uint8)
    for values, limit in ((cv2.erode(picture, around), np.minimum), (cv2.dilate(picture, around), np.maximum)):
        extreme = limit(np.take(values.reshape(-1, 3), pixel, axis=0), sampled)
        restored = np.maximum(restored, extreme) if limit is np.minimum else np.minimum(restored, extreme)
    result = colours.copy()
    for channel in range(3):
        result[fine, channel] = restored[:, channel]
    return result


def cut_out(photo: Photo, person: Person, finest: float, settings: ForegroundSettings = DEFAULT_SETTINGS) -> Foreground:
    """Make the person's pyramid.

    ``finest``: the smallest footprint that counts, pixels of the photo; the first level is about as fine.
    """
    x0, y0, x1, y1 = person.window
    pixels, mask = photo.pixels[y0:y1, x0:x1], person.mask
    reduction = 2 ** max(0, round(np.log2(max(finest, 1.0))))
    if reduction > 1:
        size = (max(1, pixels.shape[1] // reduction), max(1, pixels.shape[0] // reduction))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = mask.shape
    inside = signed_distance(mask >= 128)
    rim = max(settings.least_rim, settings.rim * max(height, width))
    clean = _without_background(linear_from_srgb(pixels), inside, rim, settings)
    levels = push_pull(clean, (inside > settings.lost).astype(np.float32))
    return Foreground(tuple(levels), inside, (x0, y0), (width / (x1 - x0), height / (y1 - y0)))


def _without_background(
    colours: NDArray[np.float32], inside: NDArray[np.float32], rim: float, settings: ForegroundSettings
) -> NDArray[np.float32]:
    """Take out of the colours (h, w, 3) within ``rim`` pixels of the outline what leads from the person's colours
    towards the background's; ``inside`` (h, w): pixels to the mask's edge.
    """
    if not ((inside > rim).any() and (inside < -1).any()):
        return colours
    rows, columns = np.nonzero((inside > 0) & (inside < rim))
    points = np.column_stack([columns, rows]) + np.float32(0.5)
    person = _surroundings(colours, (inside > rim).astype(np.float32), points, settings)
    background = _surroundings(colours, (inside < -1).astype(np.float32), points, settings)
    towards = background - person
    share = ((colours[rows, columns] - person) * towards).sum(1) / np.maximum(
        (towards * towards).sum(1), settings.least_contrast
    )
    share = np.clip(share, 0, 1) * (1 - smoothstep(inside[rows, columns], 0.5 * rim, rim))
    clean = colours.copy()
    clean[rows, columns] = np.maximum(colours[rows, columns] - share[:, None] * towards, 0)
    return clean


def _surroundings(
    colours: NDArray[np.float32],
    weights: NDArray[np.float32],
    points: NDArray[np.float32],
    settings: ForegroundSettings,
) -> NDArray[np.float32]:
    """Mean (K, 3) of the weighted pixels nearest to ``points`` (K, 2); ``weights`` (h, w)."""
    height, width = weights.shape
    part = min(1.0, settings.surroundings_side / max(height, width))
    size = (max(1, round(width * part)), max(1, round(height * part)))
    weight = np.asarray(cv2.resize(weights, size, interpolation=cv2.INTER_AREA), np.float32)
    colour = np.asarray(cv2.resize(colours * weights[..., None], size, interpolation=cv2.INTER_AREA), np.float32)
    colour = colour.reshape(size[1], size[0], 3) / np.maximum(weight, 1e-6)[..., None]
    return bilinear(push_pull(colour, weight)[0], points * np.array([size[0] / width, size[1] / height], np.float32))


def push_pull(colours: NDArray[np.float32], weights: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Pyramid of colours (h, w, 3) in which only weighted pixels count; the others get the average of the nearest
    that do (Gortler et al. 1996, "The lumigraph").
    """
    if not weights.any():
        weights = np.ones_like(weights)
    levels, coverage = [colours], [weights]
    while min(levels[-1].shape[:2]) > 1 or (coverage[-1] == 0).any():
        height, width = levels[-1].shape[:2]
        size = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
        weight = np.asarray(cv2.resize(coverage[-1], size, interpolation=cv2.INTER_AREA), np.float32)
        colour = np.asarray(
            cv2.resize(levels[-1] * coverage[-1][..., None], size, interpolation=cv2.INTER_AREA), np.float32
        )
        colour = colour.reshape(size[1], size[0], 3)
        colour /= np.maximum(weight, 1e-6)[..., None]
        levels.append(colour)
        coverage.append(weight)
    for fine in range(len(levels) - 2, -1, -1):
        empty = 1 - np.minimum(coverage[fine] * 4, 1)
        if empty.any():
            height, width = empty.shape
            coarse = cv2.resize(levels[fine + 1], (width, height), interpolation=cv2.INTER_LINEAR)
            levels[fine] = np.asarray(cv2.blendLinear(levels[fine], coarse, 1 - empty, empty), np.float32)
    return levels
