"""The form of a skirt: rings around both legs that meet the mask's outline on both sides.

A photo shows a skirt's width, not its depth. Cloth hangs from where the body above reaches farthest, before, behind and
to either side; by how much it stands off farther at the sides, it stands off before and behind as well. There the
narrower side counts, as a skirt that is held out or blown to one side is not deep.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from uvatar.clothing.sections import hull_reach
from uvatar.clothing.skirt.detection import SkirtRows
from uvatar.clothing.skirt.plane import RowPicture
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.adjacency import triangle_edges
from uvatar.photos.colour import smoothstep


@dataclass(frozen=True)
class RingSettings:
    """Tuned numbers of the rings; lengths in metres on a person of 1.7 m, tuned on 10 people in skirts.

    Attributes:
        top: of the skirt, from the pelvis.
        row: between rings.
        columns: directions of a ring.
        ease: between body and cloth.
        waist_ease: the same over the dressed waist. With 5 mm, the topmost rows of the texture are not the skirt's.
        waist: height below the top in which the dressed body shapes the rings: at the top it alone.
        flare: how far a skirt stands off before and behind, of what it does at the sides.
        uneven: how much farther than at its narrower side.
        hanging: from the pelvis, below which cloth hangs from what is above.
        middle: share of the width in which a ring's centre may lie.
        smooth_turn, smooth_rows: standard deviations of smoothing, columns and rings.
        rounds, step, limit: of meeting the outline: how often, by which share of what is missing, and at most how far.
        hem_reach: rows around the hem in which its form is looked for.
        opening: narrowest and widest piece of cloth that the hem's form may have.
        opening_share: that piece's width as a share of the skirt's: more than that of both legs.
        corner: height above the hem from which on the outline becomes no narrower: hems have round corners.
        hem_inset: share of the half width inside of which the hem's form is taken: corners mislead.
        fewest: rows of the mask that must tell the outline.
    """

    top: float = -0.17
    row: float = 0.01
    columns: int = 72
    ease: float = 0.012
    waist_ease: float = 0.008
    waist: float = 0.12
    flare: float = 0.9
    uneven: float = 1.15
    hanging: float = -0.03
    middle: float = 0.4
    smooth_turn: float = 1.2
    smooth_rows: float = 1.5
    rounds: int = 2
    step: float = 0.9
    limit: float = 0.04
    hem_reach: float = 0.1
    opening: tuple[float, float] = (0.14, 0.36)
    opening_share: float = 0.65
    corner: float = 0.05
    hem_inset: float = 0.06
    fewest: int = 12


DEFAULT_SETTINGS = RingSettings()


@dataclass(frozen=True)
class Rings:
    """Cross-sections of a skirt in the legs' plane; R rings, C directions.

    Attributes:
        s: (R,) metres.
        centre: (R, 2) u and w.
        radius: (R, C) metres from the centre.
        hem: (C,) s of the hem in each direction.
    """

    s: Floats
    centre: Floats
    radius: Floats
    hem: Floats

    @property
    def turn(self) -> Floats:
        """(C,) the directions, radians from u towards w."""
        count = self.radius.shape[1]
        return np.arange(count) * (2 * np.pi / count)

    def points(self, s: Floats, column: Floats | None = None) -> Floats:
        """Coordinates (..., C, 3) in the plane of the surface at heights ``s`` (..., C), one for each direction.

        ``column`` (..., C): other directions than these, in columns.
        """
        rows = np.interp(s, self.s, np.arange(len(self.s)))
        low = np.clip(rows.astype(int), 0, len(self.s) - 2)
        share = rows - low
        count = self.radius.shape[1]
        column = np.broadcast_to(np.arange(s.shape[-1]) if column is None else column, s.shape)
        before = np.floor(column).astype(int)
        beside, after = column - before, (before + 1) % count
        before = before % count
        upper, lower = (
            self.radius[row, before] * (1 - beside) + self.radius[row, after] * beside for row in (low, low + 1)
        )
        radius = upper * (1 - share) + lower * share
        turn = column * (2 * np.pi / count)
        u, w = (np.interp(s, self.s, self.centre[:, axis]) for axis in range(2))
        return np.stack([u + radius * np.cos(turn), w + radius * np.sin(turn), s], -1)

    def seen_at(self, points: Floats, depth: Floats, camera: Floats) -> tuple[Floats, Floats]:
        """Where the plane's picture, at the rings' ``depth`` (R,), shows points (R, C, 3): u and s (R, C).

        ``camera`` (3,): its place; all coordinates are the plane's.
        """
        away = points - camera
        near = (depth[:, None] - camera[1]) / away[..., 1]
        return camera[0] + away[..., 0] * near, camera[2] + away[..., 2] * near


@dataclass(frozen=True)
class Outline:
    """Where the mask ends on both sides, per ring.

    Attributes:
        s: (R,) of the rings.
        low, high: (R,) u.
        depth: (R,) w of the plane's picture.
    """

    s: Floats
    low: Floats
    high: Floats
    depth: Floats


def skirt_rings(
    picture: RowPicture,
    rows: SkirtRows,
    bare: Floats,
    dressed: Floats,
    data_faces: NDArray[np.int32],
    trunk: NDArray[np.bool_],
    slope: float = 0.0,
    settings: RingSettings = DEFAULT_SETTINGS,
) -> Rings | None:
    """Build the rings; None if the mask does not show enough of the skirt's outline.

    Args:
        picture, rows: where the skirt was found.
        bare, dressed: (V, 3) vertices of the body without and with clothes, coordinates of the legs' plane.
        data_faces: (F, 3) the body's triangles.
        trunk: (V,) which vertices are no arm's.
        slope: w per s of the vertical, along which cloth hangs.
        settings: tuned numbers.
    """
    size = picture.plane.size
    hem_line = _hem_line(picture, rows, settings)
    outline = _outline(picture, rows, hem_line, settings)
    if outline is None:
        return None
    edges = triangle_edges(data_faces[trunk[data_faces].all(1)])
    top = settings.top * size
    sections = []
    for height in outline.s:
        section = _section(bare, edges, height)
        worn = _section(dressed, edges, height) if height < top + settings.waist * size else section[:0]
        sections.append((section, worn))
    low, high = outline.low.copy(), outline.high.copy()
    rings = _rings(outline, low, high, sections, hem_line, picture, slope, settings)
    for _ in range(settings.rounds):
        ends = _seen_ends(rings, outline, picture)
        limit = settings.limit * size
        low += np.clip(settings.step * (outline.low - ends[0]), -limit, limit)
        high += np.clip(settings.step * (outline.high - ends[1]), -limit, limit)
        rings = _rings(outline, low, high, sections, hem_line, picture, slope, settings)
    return rings


def _hem_line(picture: RowPicture, rows: SkirtRows, settings: RingSettings) -> Floats:
    """(W,) s of the hem in each column of the picture; NaN where there is none."""
    size, step = picture.plane.size, picture.step
    reach = round(settings.hem_reach * size / step)
    first, last = max(rows.hem - reach, rows.crotch), min(rows.hem + reach, len(picture.s) - 1)
    columns = np.arange(len(picture.u))
    inside = picture.mask[first:last].copy()
    # Above the hem the runs' ends are known to be free of arms; below, the next run says nothing of that.
    own = (columns >= rows.low[first : rows.hem, None]) & (columns <= rows.high[first : rows.hem, None])
    inside[: rows.hem - first] &= own
    wide = np.median(rows.high[first : rows.hem] - rows.low[first : rows.hem]) * step
    piece = np.clip(settings.opening_share * wide, settings.opening[0] * size, settings.opening[1] * size)
    kernel = np.ones((1, 2 * (round(piece / step) // 2) + 1), np.uint8)
    opened = np.asarray(cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_OPEN, kernel)) > 0
    length = np.logical_and.accumulate(opened, 0).sum(0)
    line = np.full(len(columns), np.nan)
    found = np.flatnonzero(length > 0)
    if len(found):
        filled = np.interp(np.arange(found[0], found[-1] + 1), found, picture.s[first] + length[found] * step)
        line[found[0] : found[-1] + 1] = gaussian_filter1d(median_filter(filled, 5), 4, mode="nearest")
    return line


def _outline(picture: RowPicture, rows: SkirtRows, hem_line: Floats, settings: RingSettings) -> Outline | None:
    """The mask's ends per ring, from the top to below the hem, where they go on as at the hem."""
    size, step = picture.plane.size, picture.step
    if not np.isfinite(hem_line).any():
        return None
    s = np.arange(settings.top * size, np.nanmax(hem_line) + 2 * settings.row * size, settings.row * size)
    row = np.array([picture.row(height) for height in s])
    told = (rows.low[row] >= 0) & (row <= rows.hem)
    low, high = picture.u[rows.low[row]] - step / 2, picture.u[rows.high[row]] + step / 2
    sides = []
    for number, (side, end) in enumerate(((low, rows.low[row] - 2), (high, rows.high[row] + 2))):
        seen = told & picture.known[row, np.clip(end, 0, len(picture.u) - 1)] & (rows.behind[row, number] == 0)
        sides.append((side, seen))
    if told.sum() < settings.fewest or max(seen.sum() for _, seen in sides) < settings.fewest:
        return None
    middle = picture.legs[row].mean(1)
    middle = np.interp(s, s[np.isfinite(middle)], middle[np.isfinite(middle)])
    found = []
    for number, ((side, seen), (other, other_seen)) in enumerate((sides, sides[::-1])):
        # Where an arm or somebody else hides one side, it is between the rows above and below, or the other's mirrored.
        known = seen if seen.sum() >= settings.fewest else seen | (told & other_seen)
        values = np.interp(s, s[known], np.where(seen, side, 2 * middle - other)[known])
        outward = -1 if number == 0 else 1
        # The skirt reaches at least as far as it is seen, and no farther than the arm before it.
        seen_part, most = outward * side, outward * side + (rows.behind[row, number] * step)
        at_least = np.maximum(outward * values, seen_part)
        values = outward * np.where(told, np.minimum(at_least, np.where(seen, np.inf, most)), outward * values)
        last = s > picture.s[rows.hem] - settings.corner * size
        values[last] = outward * np.maximum.accumulate(outward * values[last])
        found.append(gaussian_filter1d(values, settings.smooth_rows, mode="nearest"))
    return Outline(s, found[0], found[1], np.interp(s, picture.s, picture.depth))


def _section(points: Floats, edges: Integers, height: float) -> Floats:
    """(N, 2) u and w of the points where edges (E, 2) between points (V, 3) pass the height s."""
    above = points[:, 2] < height
    crossing = edges[above[edges[:, 0]] != above[edges[:, 1]]]
    start, end = points[crossing[:, 0]], points[crossing[:, 1]]
    share = (height - start[:, 2]) / (end[:, 2] - start[:, 2])
    section: Floats = (start + share[:, None] * (end - start))[:, :2]
    return section


def _rings(
    outline: Outline,
    low: Floats,
    high: Floats,
    sections: list[tuple[Floats, Floats]],
    hem_line: Floats,
    picture: RowPicture,
    slope: float,
    settings: RingSettings,
) -> Rings:
    """The rings whose ends are to lie at ``low`` and ``high`` (R,)."""
    size = picture.plane.size
    turn = np.arange(settings.columns) * (2 * np.pi / settings.columns)
    way = np.stack([np.cos(turn), np.sin(turn)], 1)
    centre, half = _centres(outline, low, high, sections, slope, settings, size)
    left, right = centre[:, 0] - low, high - centre[:, 0]
    radius = np.zeros((len(centre), settings.columns))
    for index, (section, worn) in enumerate(sections):
        across = np.where(way[:, 0] < 0, left[index], right[index])
        points = [np.stack([across * way[:, 0], half[index] * way[:, 1]], 1)]
        for body, ease in ((section, settings.ease), (worn, settings.waist_ease)):
            place = body - centre[index]
            distance = np.linalg.norm(place, axis=1, keepdims=True)
            place = place * (1 + ease * size / np.maximum(distance, 1e-3))
            if ease == settings.ease:
                place[:, 0] = np.clip(place[:, 0], -left[index], right[index])
            points.append(place)
        radius[index] = hull_reach(np.concatenate(points), way)
        if len(worn) >= settings.fewest:
            # The skirt begins on the dressed body, without a ledge.
            free = smoothstep((outline.s[index] - outline.s[0]) / size, 0, settings.waist)
            held = hull_reach(worn - centre[index], way) + settings.waist_ease * size
            radius[index] += (1 - free) * (np.minimum(held, radius[index]) - radius[index])
    radius = gaussian_filter1d(radius, settings.smooth_turn, axis=1, mode="wrap")
    radius = gaussian_filter1d(radius, settings.smooth_rows, axis=0, mode="nearest")
    return Rings(outline.s, centre, radius, _hem(centre, radius, turn, outline, hem_line, picture, settings))


def _centres(
    outline: Outline,
    low: Floats,
    high: Floats,
    sections: list[tuple[Floats, Floats]],
    slope: float,
    settings: RingSettings,
    size: float,
) -> tuple[Floats, Floats]:
    """The rings' centres (R, 2) and half depths (R,)."""
    # At the waist, which the clothes hold, they shape the rings themselves (`_rings`).
    hanging = outline.s > settings.hanging * size
    spans = np.array(
        [_extent(body, worn[: len(worn) * below]) for (body, worn), below in zip(sections, hanging, strict=True)]
    )
    found = np.isfinite(spans[:, 0])
    spans = np.stack([np.interp(outline.s, outline.s[found], column[found]) for column in spans.T], 1)
    inner = (1 - settings.middle) / 2
    width = high - low
    across = np.clip((spans[:, 0] + spans[:, 2]) / 2, low + inner * width, high - inner * width)
    hung = slope * outline.s  # beside the plane
    spans[:, [1, 3]] -= hung[:, None]
    least, most = spans[:, :2].copy(), spans[:, 2:].copy()
    least[hanging], most[hanging] = np.minimum.accumulate(least[hanging]), np.maximum.accumulate(most[hanging])
    off = np.maximum(np.stack([least[:, 0] - low, high - most[:, 0]]) - settings.ease * size, 0)
    flare = settings.flare * np.minimum(settings.uneven * off.min(0), off.mean(0))
    half = (most[:, 1] - least[:, 1]) / 2 + settings.ease * size + flare
    half[hanging] = np.maximum.accumulate(half[hanging])
    centre = np.stack([across, (least[:, 1] + most[:, 1]) / 2 + hung], 1)
    centre = gaussian_filter1d(centre, settings.smooth_rows, axis=0, mode="nearest")
    return centre, gaussian_filter1d(half, 2, mode="nearest")


def _extent(body: Floats, worn: Floats) -> tuple[float, float, float, float]:
    """Least u and w, and greatest, of a body's section (N, 2) with its clothes (M, 2); NaN where there is none."""
    points = np.concatenate([body, worn])
    return (*points.min(0), *points.max(0)) if len(points) else (np.nan,) * 4


def _hem(
    centre: Floats,
    radius: Floats,
    turn: Floats,
    outline: Outline,
    hem_line: Floats,
    picture: RowPicture,
    settings: RingSettings,
) -> Floats:
    """(C,) s of the hem in each direction, as high behind as before.

    The photo shows the hem's near rim, which perspective moves away from the camera's height.
    """
    found = np.flatnonzero(np.isfinite(hem_line))
    at = int(np.clip(np.searchsorted(outline.s, np.median(hem_line[found])), 0, len(outline.s) - 1))
    u = centre[at, 0] + radius[at] * np.cos(turn)
    inset = settings.hem_inset * (outline.high[at] - outline.low[at])
    u = np.clip(u, picture.u[found[0]] + inset, picture.u[found[-1]] - inset)
    line = np.interp(u, picture.u[found], hem_line[found])
    camera = picture.plane.coordinates(np.zeros(3))
    middle = centre[at, 1] - camera[1]
    near = middle - radius[at] * np.abs(np.sin(turn))
    hem: Floats = camera[2] + (line - camera[2]) * near / middle
    hem = gaussian_filter1d(hem, settings.smooth_turn, mode="wrap")
    return hem


def _seen_ends(rings: Rings, outline: Outline, picture: RowPicture) -> tuple[Floats, Floats]:
    """(R,) least and greatest u at which the plane's picture shows the rings."""
    s = np.broadcast_to(rings.s[:, None], rings.radius.shape)
    camera = picture.plane.coordinates(np.zeros(3))
    u, height = rings.seen_at(rings.points(s), outline.depth, camera)
    ends = []
    for pick in (np.argmin, np.argmax):
        column = pick(u, axis=1)
        row = np.arange(len(u))
        order = np.argsort(height[row, column])
        ends.append(np.interp(rings.s, height[row, column][order], u[row, column][order]))
    return ends[0], ends[1]
