"""Whether a coat is open in front, and where, read from the colours between its sides.

An open coat shows what is worn inside as an upright strip between two edges, down to its hem, and the legs below go on
in the strip's colour. Where one of these is missing, it may be a panel of another colour: the coat stays closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from uvatar.clothing.skirt.detection import SkirtRows
from uvatar.clothing.skirt.plane import RowPicture
from uvatar.data.arrays import Floats
from uvatar.data.view import View
from uvatar.photos.colour import colour_distance, linear_from_srgb


@dataclass(frozen=True)
class OpeningSettings:
    """Tuned numbers of openings, set on rendered coats; lengths in metres on a person of 1.7 m, widths as shares of the
    coat's.

    Attributes:
        samples: across the coat.
        sides: from its edges, between which the cloth is looked at that both sides are of.
        unlike: colour distance from both sides from which something is what shows inside.
        alike: colour distance up to which strip and legs are the same, however the light falls on them,
        nearer: if it is at most this share of the coat's distance from the legs.
        lit: the same of both sides, which are lit differently,
        matching: in this share of the rows.
        narrowest, widest: of the strip, a length and a share.
        beside: share of the width that is left of the coat at either side.
        told: share of the rows, from the strip's top down, that must show the strip.
        least: its height.
        legs: below the hem, where the legs' colour is looked at.
        smooth: rows, standard deviation, over which the edges are smoothed.
    """

    samples: int = 120
    sides: tuple[float, float] = (0.05, 0.2)
    unlike: float = 0.12
    alike: float = 0.25
    nearer: float = 0.4
    lit: float = 0.3
    matching: float = 0.7
    narrowest: float = 0.03
    widest: float = 0.6
    beside: float = 0.1
    told: float = 0.85
    least: float = 0.25
    legs: tuple[float, float] = (0.015, 0.1)
    smooth: float = 5.0


DEFAULT_SETTINGS = OpeningSettings()


@dataclass(frozen=True)
class Opening:
    """The edges of an open coat in the plane's picture.

    Attributes:
        s: (R,) metres, down to the hem.
        low, high: (R,) u of the edges.
    """

    s: Floats
    low: Floats
    high: Floats


def find_opening(
    view: View, picture: RowPicture, rows: SkirtRows, top: float, settings: OpeningSettings = DEFAULT_SETTINGS
) -> Opening | None:
    """The opening of the coat that was found, or None where it is closed or the photo does not surely show one.

    ``top``: s from which the coat is looked at, metres.
    """
    size, step = picture.plane.size, picture.step
    chosen = np.arange(picture.row(top), rows.hem)
    chosen = chosen[rows.low[chosen] >= 0]
    if len(chosen) * step < settings.least * size:
        return None
    low, high = (median_filter(picture.u[end[chosen]], 9) for end in (rows.low, rows.high))
    share = (np.arange(settings.samples) + 0.5) / settings.samples
    across = low[:, None] + share * (high - low)[:, None]
    colours = _colours(view, picture, across, chosen)
    left, right = (_side(colours, share, settings, mirrored) for mirrored in (False, True))
    if (colour_distance(left, right) < settings.lit).mean() < settings.matching:
        return None
    unlike = np.minimum(*(colour_distance(colours, side[:, None]) for side in (left, right))) > settings.unlike
    strip = _strip(unlike)
    if strip is None:
        return None
    first, last = strip.argmax(1), settings.samples - 1 - strip[:, ::-1].argmax(1)
    width = (last + 1 - first) / settings.samples * (high - low)
    told = strip.any(1) & (width > settings.narrowest * size) & (width < settings.widest * (high - low))
    told &= (share[first] > settings.beside) & (share[last] < 1 - settings.beside)
    so_far = np.cumsum(told[::-1])[::-1] / np.arange(len(told), 0, -1)  # share of the rows from here to the hem
    from_here = np.flatnonzero(told & (so_far >= settings.told))
    if not len(from_here) or (len(told) - from_here[0]) * step < settings.least * size:
        return None
    inner = np.median(
        colours[-round(settings.legs[1] * size / step) :][strip[-round(settings.legs[1] * size / step) :]], 0
    )
    outer = np.median(np.concatenate([left, right]), 0)
    if not _like_the_legs(view, picture, rows, inner, outer, settings):
        return None
    kept = np.arange(from_here[0], len(told))
    known = kept[told[kept]]
    edges = []
    for edge in (share[first] - 0.5 / settings.samples, share[last] + 0.5 / settings.samples):
        even = gaussian_filter1d(median_filter(np.interp(kept, known, edge[known]), 9), settings.smooth, mode="nearest")
        edges.append(low[kept] + even * (high - low)[kept])
    return Opening(picture.s[chosen[kept]], edges[0], edges[1])


def _colours(view: View, picture: RowPicture, across: Floats, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(R, N, 3) linear light of the photo at u ``across`` (R, N) of the picture's rows."""
    places = np.stack(np.broadcast_arrays(across, picture.depth[rows, None], picture.s[rows, None]), -1)
    pixels = view.camera.project(picture.plane.points(places).astype(np.float32)) - np.float32(0.5)
    x, y = (np.ascontiguousarray(pixels[..., axis]) for axis in range(2))
    seen = cv2.remap(view.photo.pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return linear_from_srgb(np.asarray(seen, np.uint8))


def _side(
    colours: NDArray[np.float32], share: Floats, settings: OpeningSettings, mirrored: bool
) -> NDArray[np.float32]:
    """(R, 3) the cloth of one side, alike in neighbouring rows."""
    place = 1 - share if mirrored else share
    middle = np.median(colours[:, (place > settings.sides[0]) & (place < settings.sides[1])], 1)
    return np.asarray(median_filter(middle, (25, 1), mode="nearest"), np.float32)


def _strip(unlike: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest piece of what is unlike both sides that reaches the hem."""
    closed = cv2.morphologyEx(unlike.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((5, 3), np.uint8))
    count, piece, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    at_hem = np.unique(piece[-8:])
    found = [number for number in at_hem if 0 < number < count]
    if not found:
        return None
    largest = max(found, key=lambda number: int(stats[number, cv2.CC_STAT_AREA]))
    return np.asarray(piece == largest)


def _like_the_legs(
    view: View, picture: RowPicture, rows: SkirtRows, inner: Floats, outer: Floats, settings: OpeningSettings
) -> bool:
    """Whether the legs below the hem go on in the strip's colour (3,), and not in the coat's (3,)."""
    size, step = picture.plane.size, picture.step
    below = np.arange(*(rows.hem + round(length * size / step) for length in settings.legs))
    below = below[below < len(picture.s)]
    colours = _colours(view, picture, np.broadcast_to(picture.u, (len(below), len(picture.u))), below)
    own = (picture.body & picture.mask & picture.known)[below]
    if own.sum() < 20:
        return False
    legs = np.median(colours[own], 0)
    most = min(settings.alike, settings.nearer * float(colour_distance(legs, outer)))
    return bool(colour_distance(legs, inner) < most)
