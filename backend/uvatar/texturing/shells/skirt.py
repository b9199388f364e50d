"""The texture of a skirt: the photo on its front, its mirrored colours and the front's pattern behind.

A skirt has a layout of its own, a rectangle with the front in its middle, so that mirroring is a matter of columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.data.shell import Skirt
from uvatar.data.view import View
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import DISTANCE_WEIGHTS, colour_distance, perceptual, srgb_from_linear
from uvatar.texturing.layout.surface import ARMS, HANDS, Surface
from uvatar.texturing.seen.contamination import background_around
from uvatar.texturing.seen.foreground import cut_out, push_pull
from uvatar.texturing.shells.skirt_pattern import SkirtPatternSettings, with_pattern
from uvatar.texturing.shells.texels import footprint_of, shell_texels
from uvatar.texturing.shells.unrepeated import UnrepeatedSettings, unrepeated


@dataclass(frozen=True)
class SkirtTextureSettings:
    """Tuned numbers of skirts' textures, set while looking at 6 people.

    Attributes:
        grazing: cosine between normal and line of sight from which the photo is sampled: at the outline it shows
            streaks and the background.
        rim: metres inside the mask's outline that are not sampled.
        hem: share of the skirt's length above the hem that is not sampled: the photo may show legs there.
        arm_margin: metres around the arms in which the photo may show sleeves and hands.
        sure: cosine from which the photo surely shows the skirt.
        foreign: colour distances to everything surely seen from which a texel at the sides shows something else if it
            is next to such a thing, and from which wherever it is.
        background, plain: colour distance up to which a texel has the background's colour, and standard deviation of
            the background up to which that tells.
        mistaken: share of the texels surely seen from which the cloth itself has that colour.
        samples: texels surely seen that others are compared with; so many of them may be wrong.
        grown: texels around foreign ones that are left out as well, as a share of the texture's side.
        picture_side: pixels of the longer side of the picture in which arms are drawn.
        unrepeated: of what is not carried behind: buttons, buckles, logos.
        pattern: of what is not seen.
    """

    grazing: float = 0.4
    rim: float = 0.006
    hem: float = 0.025
    arm_margin: float = 0.015
    sure: float = 0.85
    foreign: tuple[float, float] = (0.045, 0.12)
    background: float = 0.08
    plain: float = 0.12
    mistaken: float = 0.15
    samples: tuple[int, int] = (1500, 4)
    grown: float = 0.014
    picture_side: int = 480
    unrepeated: UnrepeatedSettings = field(default_factory=UnrepeatedSettings)
    pattern: SkirtPatternSettings = field(default_factory=SkirtPatternSettings)


DEFAULT_SETTINGS = SkirtTextureSettings()


def skirt_texture(
    skirt: Skirt,
    view: View,
    body: Floats,
    surface: Surface,
    size: int,
    settings: SkirtTextureSettings = DEFAULT_SETTINGS,
) -> NDArray[np.uint8]:
    """The skirt's texture (size, size, 3), sRGB, row 0 at v = 1.

    Args:
        skirt: in the photo's pose.
        view: the photo.
        body: (V, 3) the dressed body's vertices, camera frame.
        surface: the body's.
        size: pixels on a side.
        settings: tuned numbers.
    """
    points, cosine = shell_texels(skirt, size)
    pixels = view.camera.project(points.reshape(-1, 3))
    footprint = footprint_of(pixels.reshape(size, size, 2))
    front = cosine > min(settings.grazing, 0.9 * float(cosine.max()))
    foreground = cut_out(view.photo, view.person, float(np.percentile(footprint[front], 25)))
    colours = foreground.sample(pixels, footprint.ravel()).reshape(size, size, 3)
    scale = view.camera.focal / float(points[..., 2].mean())
    seen = front & (foreground.depth_inside(pixels).reshape(size, size) > settings.rim * scale)
    seen[round((1 - settings.hem) * size) :] = False
    x0, y0, x1, y1 = view.person.window
    column, row = (np.floor(pixels[:, axis] - low).astype(int) for axis, low in ((0, x0), (1, y0)))
    column, row = np.clip(column, 0, x1 - x0 - 1), np.clip(row, 0, y1 - y0 - 1)
    seen &= (view.person.others[row, column] < 64).reshape(size, size)
    seen &= ~_arms(view, body, surface, scale, settings)[row, column].reshape(size, size)
    seen &= ~_gaps(view, pixels, colours, seen, cosine, settings)
    seen &= ~_foreign(colours, seen, cosine, settings)
    seen &= ~_opening(skirt, size, settings)
    repeated = seen & ~unrepeated(colours, seen, points, settings.unrepeated)
    smooth = _completed(colours, repeated)
    return srgb_from_linear(with_pattern(colours, seen, repeated, smooth, points, settings.pattern))


def _opening(skirt: Skirt, size: int, settings: SkirtTextureSettings) -> NDArray[np.bool_]:
    """(N, N) texels of an open coat's front where there is no cloth, and beside its edges."""
    gone = np.zeros((size, size), bool)
    if skirt.opening is not None:
        row, left, right = skirt.opening
        begin, grown = skirt.columns // 4, settings.grown * size
        first, last = ((column - begin) / skirt.columns * size for column in (left, right))
        top = round(row / (skirt.outer - 1) * size)
        gone[top:, max(0, round(first - grown)) : round(last + grown)] = True
    return gone


def _arms(
    view: View, body: Floats, surface: Surface, scale: float, settings: SkirtTextureSettings
) -> NDArray[np.bool_]:
    """Pixels (h, w) of the person's window near the arms."""
    x0, y0, x1, y1 = view.person.window
    reduced = min(1.0, settings.picture_side / max(x1 - x0, y1 - y0))
    of_arms = np.isin(surface.part, [*ARMS, *HANDS])[surface.faces].any(1)
    arms = rasterize(body, surface.faces[of_arms], view.camera.cropped(view.person.window, reduced))
    side = 2 * max(1, round(settings.arm_margin * scale * reduced)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    grown = cv2.resize(cv2.dilate(arms.mask.astype(np.uint8), disc), (x1 - x0, y1 - y0))
    return np.asarray(grown) > 0


def _gaps(
    view: View,
    pixels: NDArray[np.float32],
    colours: NDArray[np.float32],
    seen: NDArray[np.bool_],
    cosine: NDArray[np.float32],
    settings: SkirtTextureSettings,
) -> NDArray[np.bool_]:
    """(N, N) texels that show the background between trunk and arms, where the mask has closed the gap."""
    mean, deviation = background_around(view, pixels.astype(np.float32))
    behind = colour_distance(colours, mean.reshape(colours.shape)) < settings.background
    behind &= seen & (deviation.reshape(seen.shape) < settings.plain)
    sure = seen & (cosine > settings.sure)
    if not sure.any() or behind[sure].mean() > settings.mistaken:
        return np.zeros_like(seen)
    return _grown(behind, settings)


def _foreign(
    colours: NDArray[np.float32], seen: NDArray[np.bool_], cosine: NDArray[np.float32], settings: SkirtTextureSettings
) -> NDArray[np.bool_]:
    """(N, N) texels at the sides that look like nothing in the front: background, neighbours, hands."""
    sure = np.flatnonzero(seen & (cosine > settings.sure))
    most, wrong = settings.samples
    foreign = np.zeros_like(seen)
    if len(sure) <= wrong:
        return foreign
    known = colours.reshape(-1, 3)[sure[:: max(1, len(sure) // most)]]
    doubtful = np.flatnonzero(seen & (cosine <= settings.sure))
    distance, _ = cKDTree(perceptual(known) * DISTANCE_WEIGHTS).query(
        perceptual(colours.reshape(-1, 3)[doubtful]) * DISTANCE_WEIGHTS, [wrong]
    )
    low, high = settings.foreign
    odd = np.zeros(seen.shape, np.uint8)
    odd.ravel()[doubtful] = distance[:, 0] > low
    foreign.ravel()[doubtful] = distance[:, 0] > high
    # What is odd and goes on from something foreign, or from what is not seen, is its shadow or its blurred edge.
    around = cv2.dilate((~seen | foreign).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    _, piece = cv2.connectedComponents(odd, connectivity=8)
    foreign |= (odd > 0) & np.isin(piece, np.unique(piece[around & (odd > 0)]))
    return _grown(foreign, settings)


def _grown(foreign: NDArray[np.bool_], settings: SkirtTextureSettings) -> NDArray[np.bool_]:
    """Without single texels, and with what is around the rest."""
    side = 2 * max(1, round(settings.grown * len(foreign))) + 1
    opened = cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    grown = cv2.dilate(opened, np.ones((side, side), np.uint8))
    return np.asarray(grown) > 0


def _completed(colours: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Colours (N, N, 3) everywhere: what hides the front is filled from around it, sides and back are mirrored."""
    size = len(seen)
    filled = push_pull(colours * seen[..., None], seen.astype(np.float32))[0]
    # Row by row, the columns outside of which nothing is seen; smoothed, as cloth has no such steps.
    middle, quarter = size // 2, size // 4
    some = np.flatnonzero(seen.any(1))
    if not len(some):
        return filled
    first = np.interp(np.arange(size), some, seen[some].argmax(1)).astype(np.float32)
    last = np.interp(np.arange(size), some, size - 1 - seen[some, ::-1].argmax(1)).astype(np.float32)
    first, last = (gaussian_filter1d(side, 0.03 * size, mode="nearest") for side in (first, last))
    first = np.clip(first, quarter - size / 8, middle - size / 16)[:, None]
    last = np.clip(last, middle + size / 16, size - quarter + size / 8)[:, None]
    column = np.broadcast_to(np.arange(size, dtype=np.float32), seen.shape)
    # From behind to the front, then from the outline inwards.
    column = np.where(column < quarter, 2 * quarter - column, column)
    column = np.where(column > size - quarter, 2 * (size - quarter) - column, column)
    column = np.where(column < first, 2 * first - column, column)
    column = np.where(column > last, 2 * last - column, column)
    row = np.broadcast_to(np.arange(size, dtype=np.float32)[:, None], seen.shape)
    mirrored = cv2.remap(filled, column.astype(np.float32), np.ascontiguousarray(row), cv2.INTER_LINEAR)
    return np.asarray(mirrored, np.float32)
