"""The pattern of a skirt for what no photo shows: copies of what the front shows, in the skirt's own layout.

The layout is the cloth unrolled, so copies keep the pattern's size, and are not mirrored: a print shows no ornaments
at the sides, and a stripe runs straight down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import colour_distance, linear_from_srgb, smoothstep, srgb_from_linear
from uvatar.texturing.pattern.shift_map import ShiftSettings, filled
from uvatar.texturing.shells.texels import extent_of


@dataclass(frozen=True)
class SkirtPatternSettings:
    """Tuned numbers of skirts' patterns, set while looking at 5 skirts and dresses in photos.

    Attributes:
        even: standard deviation, metres, over which colours are averaged: what is finer is pattern.
        pixel: metres; of the picture in which the pattern is copied, and
        largest_side: its longer side, pixels, at most.
        inside: metres from the edge of what the photo shows from which pattern is taken.
        border: colour distances of the usual colour of a place and beside it from which, and from which fully, it is a
            border of two areas, which stays sharp.
        overlap: share of the width that the two ends, which meet behind, are blended over.
        blend: metres over which the photo passes into copies.
        darkest, strongest: as `PatternSettings`.
        shift: of copying; more and smaller pieces than on the body, as nothing else is behind.
    """

    even: float = 0.03
    pixel: float = 0.003
    largest_side: int = 480
    inside: float = 0.012
    border: tuple[float, float] = (0.06, 0.15)
    overlap: float = 0.04
    blend: float = 0.012
    darkest: float = 0.01
    strongest: float = 1.2
    shift: ShiftSettings = field(default_factory=lambda: ShiftSettings(rounds=14, least_gain=0.1, vertical=3.0))


DEFAULT_SETTINGS = SkirtPatternSettings()


def with_pattern(
    colours: NDArray[np.float32],
    seen: NDArray[np.bool_],
    repeated: NDArray[np.bool_],
    smooth: NDArray[np.float32],
    points: Floats,
    settings: SkirtPatternSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """The texture (N, N, 3), linear light, with the pattern of what is seen where nothing is.

    Args:
        colours: (N, N, 3) linear light, rows down from the waist, columns round the body with the front in the middle.
        seen: (N, N) texels whose colours count.
        repeated: (N, N) those of them that may be copied.
        smooth: (N, N, 3) a completion whose averages are right.
        points: (N, N, 3) the texels' places, metres.
        settings: tuned numbers.
    """
    size = len(seen)
    across, down = extent_of(points)
    metre = min(1 / settings.pixel, settings.largest_side / max(across, down), size / min(across, down))
    width, height = max(8, round(across * metre)), max(8, round(down * metre))
    shape = width, height
    small, even = (np.asarray(cv2.resize(one, shape, interpolation=cv2.INTER_AREA), np.float32) for one in (
        np.where(seen[..., None], colours, smooth), smooth
    ))  # fmt: skip
    pad = max(2, round(settings.overlap * width))
    even = _even(even, metre, min(4 * pad, width), settings)
    darkest, strongest = settings.darkest, settings.strongest
    structure = np.log((np.maximum(small, 0) + darkest) / (np.maximum(even, 0) + darkest))
    structure = np.clip(structure, -strongest, strongest).astype(np.float32)
    known = cv2.resize(repeated.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.99
    side = 2 * max(1, round(settings.inside * metre)) + 1
    known = cv2.erode(known.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    if not known.any():
        return smooth
    known, structure = (np.pad(one, ((0, 0), (pad, pad), *[(0, 0)] * (one.ndim - 2))) for one in (known, structure))
    whole = filled(structure, known, np.ones(known.shape, bool), metre, settings.shift)
    made = _closed(whole, pad)
    log_ratio, low = (np.asarray(cv2.resize(one, (size, size), interpolation=cv2.INTER_LINEAR)) for one in (made, even))
    copied = np.maximum((np.maximum(low, 0) + darkest) * np.exp(log_ratio) - darkest, 0)
    edge = np.asarray(cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3), np.float32) * (across / size)
    share = smoothstep(edge, 0, settings.blend)[..., None]
    return np.asarray(colours * share + copied * (1 - share), np.float32)


def _even(smooth: NDArray[np.float32], metre: float, pad: int, settings: SkirtPatternSettings) -> NDArray[np.float32]:
    """Colours (h, w, 3) without pattern, but with upright borders of large areas of different colours; ``smooth``
    (h, w, 3) goes on at its opposite end, of which ``pad`` columns are enough.
    """
    wrapped = np.concatenate([smooth[:, -pad:], smooth, smooth[:, :pad]], 1)
    even = np.asarray(cv2.GaussianBlur(wrapped, (0, 0), settings.even * metre), np.float32)
    side = 2 * max(1, round(2 * settings.even * metre)) + 1
    usual = linear_from_srgb(np.asarray(cv2.medianBlur(srgb_from_linear(wrapped), side), np.uint8))
    beside = np.asarray(cv2.GaussianBlur(usual, (0, 0), sigmaX=settings.even * metre, sigmaY=0.5), np.float32)
    border = smoothstep(colour_distance(usual, beside), *settings.border)[..., None]
    return np.asarray((even + (usual - even) * border)[:, pad:-pad], np.float32)


def _closed(whole: NDArray[np.float32], pad: int) -> NDArray[np.float32]:
    """Without the ``pad`` columns at both ends (h, w + 2 pad, 3), which overlap with the opposite end's and are blended
    with them: behind, the two ends meet.
    """
    own = whole[:, pad:-pad].copy()
    share = np.linspace(0.5, 1, pad, dtype=np.float32)[None, :, None]  # from the seam inwards
    own[:, :pad] = own[:, :pad] * share + whole[:, -pad:] * (1 - share)
    own[:, -pad:] = own[:, -pad:] * share[:, ::-1] + whole[:, :pad] * (1 - share[:, ::-1])
    return own
