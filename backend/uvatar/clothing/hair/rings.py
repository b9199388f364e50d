"""The form of long hair: rings from the crown to the ends, as wide as the photo shows and as deep as the skull tells.

Above the chin a ring is the skull's section with hair around it. Below, hair hangs: behind, it falls from the back of
the head and lies on the back, and before, what the photo shows lies on neck and chest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, grey_dilation
from scipy.spatial import cKDTree

from uvatar.body import BodyModel
from uvatar.body.data import BODY
from uvatar.clothing.hair.pixels import HairPixels
from uvatar.clothing.plane import BodyPlane, sampled
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.joints import ELBOW_JOINTS, HAND_JOINTS, WRIST_JOINTS, Joint
from uvatar.data.landmarks import EARS, EYES, MOUTH
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import rasterize
from uvatar.photos.colour import smoothstep

FOREARMS = [*ELBOW_JOINTS, *WRIST_JOINTS, *HAND_JOINTS]


@dataclass(frozen=True)
class HairRingSettings:
    """Tuned numbers of the rings; lengths in metres on a person of 1.7 m, set while looking at 9 heads in photos.

    Attributes:
        step: between rows and columns of the photo on the plane.
        up, down, side: reach of the plane around the middle between the ears.
        row: between rings; ``crown`` below the top for the first of them, where they grow fast.
        columns: directions of a ring.
        brow, chin: above the eyes and below the mouth.
        dome: height of the crown that is round.
        strand: width of hair that tells how far it reaches down.
        gap: between head and hair.
        thickness: of the hair behind, least and most.
        front: share of that above the forehead.
        temple: height below the brow over which the front goes back from the forehead to the temples, where hair
            beside a face lies.
        touching, deepest: distance of hair from the bare head, and from how deep in it it is moved there.
        power: of the superellipse that a ring is.
        narrowing: how far per length the hair behind comes forward where nothing holds it.
        before: half the depth beside the face, and before the neck, where strands hang free.
        cell: of the map of the body's front and back.
        lying: distance from the clothes.
        farthest: that clothes push hair from its middle.
        behind_width: greatest width behind, below the chin, in that at the height of the face.
        behind: that hair goes on behind the shoulders, out of sight.
        ragged: standard deviation of the ends, over several locks.
        locks, tip: least and greatest width of a lock, columns, and how far its tip hangs below its sides.
        smooth: standard deviation of smoothing, rings and columns.
    """

    step: float = 0.005
    up: float = 0.35
    down: float = 0.75
    side: float = 0.45
    row: float = 0.012
    crown: tuple[float, ...] = (0.0, 0.002, 0.006, 0.012, 0.02, 0.03)
    columns: int = 96
    brow: float = 0.03
    chin: float = 0.045
    dome: float = 0.06
    strand: float = 0.015
    gap: float = 0.007
    thickness: tuple[float, float] = (0.01, 0.045)
    front: float = 0.5
    temple: float = 0.04
    touching: float = 0.004
    deepest: float = 0.03
    power: float = 2.2
    narrowing: float = 0.3
    before: float = 0.05
    cell: float = 0.015
    lying: float = 0.012
    farthest: float = 0.16
    behind_width: float = 1.1
    behind: float = 0.02
    ragged: float = 0.008
    locks: tuple[int, int] = (3, 6)
    tip: float = 0.028
    smooth: float = 1.5


DEFAULT_SETTINGS = HairRingSettings()


@dataclass(frozen=True)
class HairRings:
    """Cross-sections of hair; R rings, C directions, in coordinates of the plane.

    Attributes:
        plane: through the head.
        points: (R, C, 3) u, w and s.
        centre: (R, 2) u and w.
        hem: (C,) s of the ends in each direction, as they hang behind.
        brow, chin: s.
    """

    plane: BodyPlane
    points: Floats
    centre: Floats
    hem: Floats
    brow: float
    chin: float


@dataclass(frozen=True)
class _Head:
    """The bare head on the plane; rows as the plane's picture.

    Attributes:
        s: (H,) of the rows.
        spans: (H, 4) least and greatest u, least and greatest w.
        top, brow, chin: s.
    """

    s: Floats
    spans: Floats
    top: float
    brow: float
    chin: float

    def at(self, s: Floats) -> Floats:
        """(N, 4) spans at heights (N,)."""
        found: Floats = np.stack([np.interp(s, self.s, column) for column in self.spans.T], 1)
        return found


def hair_rings(
    found: HairPixels,
    fit: Fit,
    body: BodyModel,
    vertices: Floats,
    ears: NDArray[np.int64],
    settings: HairRingSettings = DEFAULT_SETTINGS,
) -> HairRings | None:
    """Build the rings; None where the photo shows too little of the hair.

    ``vertices`` (V, 3) of the dressed body, posed; ``ears``: which of them are the ears'.
    """
    data, marks, plane = body.data, body.landmarks_of(fit.body), hair_plane(fit, body)
    size = plane.size
    at = plane.coordinates(vertices)
    of_head = data.weights[:, Joint.HEAD] > 0.5
    of_head[ears] = False
    s = np.arange(-settings.up * size, settings.down * size, settings.step * size)
    u = np.arange(-settings.side * size, settings.side * size, settings.step * size)
    flat = np.stack(np.broadcast_arrays(u[None], np.zeros((1, 1)), s[:, None]), -1)
    pixels = found.camera.project(plane.points(flat).astype(np.float32))
    hair = sampled(found.hair.astype(np.uint8) * np.uint8(255), pixels) > 127
    rows = np.flatnonzero(hair.sum(1) * settings.step > 0.02)
    marks_at = plane.coordinates(marks)
    brow = float(marks_at[EYES, 2].mean()) - settings.brow * size
    chin = float(marks_at[MOUTH, 2].mean()) + settings.chin * size
    if not len(rows) or s[rows[0]] > brow - 0.02 * size:
        return None
    head = _Head(s, _spans(at[of_head], s), float(at[of_head, 2].min()), brow, chin)
    top = min(float(s[rows[0]]), head.top - settings.gap * size)
    sides, ends = _outline(hair, u, s, head, settings, size)
    hem = _hem(ends, settings, size)
    crown = top + np.array(settings.crown) * size
    row = settings.row * size
    heights = np.concatenate([crown, np.arange(crown[-1] + row, hem.max() + row, row)])
    reach = np.stack([np.interp(heights, s, side) for side in sides], 1)
    centre, half = _halves(heights, top, head, reach, settings, size)
    others = at[(data.weights[:, Joint.HEAD] < 0.5) & (data.weights[:, FOREARMS].sum(1) < 0.1)]
    points = _placed(heights, centre, half, others, head, settings, size)
    skull = of_head & (data.part == BODY)
    skull_faces = data.faces[skull[data.faces].all(1)]
    gap, placed = settings.touching * size, plane.points(points)
    before = np.sin(_turn(settings)) < 0
    placed[:, before] = _before(placed[:, before], vertices, skull_faces, found.camera, gap)
    points = plane.coordinates(_outside(placed, vertices, skull_faces, gap, settings.deepest * size))
    return HairRings(plane, points, centre, hem, brow, chin)


def hair_plane(fit: Fit, body: BodyModel) -> BodyPlane:
    """The plane through the middle between the ears on which hair hangs down."""
    middle = np.asarray(body.landmarks_of(fit.body)[EARS].mean(0), np.float64)
    down = body.posed(fit.body)[1][Joint.NECK] - middle
    rest = body.data.v_template[:, 1] + body.data.shapedirs[:, 1] @ fit.body.betas
    return BodyPlane.facing(middle, down / np.linalg.norm(down) + (0, 1, 0), float(np.ptp(rest)))


def _spans(points: Floats, s: Floats) -> Floats:
    """(H, 4) least and greatest u and w of points (N, 3) around each row; where there are none, the nearest row's."""
    row = np.round((points[:, 2] - s[0]) / (s[1] - s[0])).astype(int)
    spans = np.full((len(s), 4), np.nan)
    for number in range(max(0, row.min()), min(len(s), row.max() + 1)):
        near = points[np.abs(row - number) <= 2]
        if len(near):
            spans[number] = near[:, 0].min(), near[:, 0].max(), near[:, 1].min(), near[:, 1].max()
    known = np.isfinite(spans[:, 0])
    filled: Floats = np.stack([np.interp(s, s[known], column[known]) for column in spans.T], 1)
    return filled


def _outline(
    hair: NDArray[np.bool_], u: Floats, s: Floats, head: _Head, settings: HairRingSettings, size: float
) -> tuple[tuple[Floats, Floats], tuple[float, float]]:
    """How far hair reaches to either side in each row (H,), and where it ends there."""
    spans = head.at(s)
    middle = np.interp(head.brow, s, spans[:, :2].mean(1))
    sides, ends = [], []
    for sign, bare in ((-1, spans[:, 0]), (1, spans[:, 1])):
        own = hair & (sign * (u - middle) > 0.03 * size)[None]
        some = np.flatnonzero(own.sum(1) * (u[1] - u[0]) > settings.strand * size)
        reach = np.where(own, sign * u[None], -np.inf).max(1)
        least = sign * bare + settings.gap * size
        # Below the chin, where there is no head, hair that is not seen hangs behind the neck.
        least[s > head.chin] = sign * middle + 0.055 * size
        last = s[some[-1]] if len(some) else head.brow
        known = np.isfinite(reach)
        wide = np.interp(s, s[known], reach[known]) if known.any() else least
        wide = np.where(s > last, np.interp(last, s, wide), np.maximum(wide, np.where(s < head.chin, least, -np.inf)))
        wide = wide if last > head.chin - 0.03 * size else np.where(s > last, least, wide)
        sides.append(sign * gaussian_filter1d(wide, 3, mode="nearest"))
        ends.append(float(last))
    return (sides[0], sides[1]), (ends[0], ends[1])


def _hem(ends: tuple[float, float], settings: HairRingSettings, size: float) -> Floats:
    """(C,) s at which hair ends in each direction, behind farther down than at the sides."""
    turn = _turn(settings)
    back = max(ends) + settings.behind * size
    side = np.where(np.cos(turn) < 0, max(ends[0], back - 0.1 * size), max(ends[1], back - 0.1 * size))
    hem = side + (back - side) * np.abs(np.sin(turn))
    generator = np.random.default_rng(0)
    uneven = gaussian_filter1d(generator.normal(size=settings.columns), 3, mode="wrap")
    hem += size * (settings.ragged * uneven / uneven.std() + settings.tip * (_locks(settings, generator) - 0.5))
    return np.asarray(hem, np.float64)


def _locks(settings: HairRingSettings, generator: np.random.Generator) -> Floats:
    """(C,) how far the ends reach down in each direction, 0 between two locks and up to 1 in their middle."""
    low, high = settings.locks
    widths = generator.integers(low, high + 1, settings.columns)
    begin = np.concatenate([[0], np.cumsum(widths)])
    column = np.arange(settings.columns)
    lock = np.searchsorted(begin, column, side="right") - 1
    across = (column - begin[lock] + 0.5) / widths[lock]
    down: Floats = (1 - np.abs(2 * across - 1)) * generator.uniform(0.6, 1, settings.columns)[lock]
    return down


def _halves(
    heights: Floats, top: float, head: _Head, sides: Floats, settings: HairRingSettings, size: float
) -> tuple[Floats, Floats]:
    """Centres (R, 2) of the rings, and half their widths to the left and right and depths before and behind (R, 4)."""
    above = heights < head.brow
    # The skull under hair that stands up is stretched to the hair's top.
    stretched = head.top + (heights - top) * (head.brow - head.top) / (head.brow - top)
    spans = head.at(np.where(above, stretched, np.minimum(heights, head.chin)))
    at_brow = head.at(np.array([head.brow]))[0]
    centre = np.where(
        above[:, None],
        np.stack([spans[:, :2].mean(1), spans[:, 2:].mean(1)], 1),
        (at_brow[:2].mean(), at_brow[2:].mean()),
    )
    centre = gaussian_filter1d(centre, 2, axis=0, mode="nearest")
    left, right = centre[:, 0] - sides[:, 0], sides[:, 1] - centre[:, 0]
    excess = (spans[:, 0] - sides[:, 0] + sides[:, 1] - spans[:, 1]) / 2
    thinnest, thickest = (size * bound for bound in settings.thickness)
    thick = float(np.clip(np.median(excess[above]), thinnest, thickest))
    before = np.where(above, centre[:, 1] - spans[:, 2], centre[:, 1] - at_brow[2]) + settings.front * thick
    fade = smoothstep(heights, head.brow, head.brow + settings.temple * size)
    before = before * (1 - fade) + settings.before * size * fade
    behind = spans[:, 3] - centre[:, 1] + thick
    # What hangs from the back of the head comes forward slowly.
    for row in range(1, len(heights)):
        if heights[row] > head.brow:
            hanging = behind[row - 1] - settings.narrowing * (heights[row] - heights[row - 1])
            behind[row] = max(behind[row] if heights[row] < head.chin else 0.04 * size, hanging)
    halves = np.stack([left, right, before, behind], 1)
    # A round crown, however the outline ends.
    down = np.clip((heights - top) / (settings.dome * size), 0, 1)
    at_dome = np.array([np.interp(top + settings.dome * size, heights, column) for column in halves.T])
    halves = np.where(down[:, None] < 1, np.minimum(halves, at_dome * np.sqrt(1 - (1 - down[:, None]) ** 2)), halves)
    return centre, np.maximum(halves, 0.002)


def _turn(settings: HairRingSettings) -> Floats:
    """(C,) the columns' directions, radians from u towards w."""
    return np.arange(settings.columns) * (2 * np.pi / settings.columns)


def _before(points: Floats, vertices: Floats, faces: NDArray[np.int32], camera: Camera, gap: float) -> Floats:
    """Points (R, C, 3), camera frame, that the camera would not see through a mesh, moved along their lines of sight to
    ``gap`` before it.
    """
    fragments = rasterize(vertices, faces, camera)
    pixels = np.floor(camera.project(points)).astype(int)
    inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(-1)
    column, row = np.where(inside[..., None], pixels, 0).transpose(2, 0, 1)
    depth = np.where(inside, fragments.depth[row, column], np.inf) - gap
    moved: Floats = points * np.minimum(1, depth / points[..., 2])[..., None]
    return moved


def _outside(points: Floats, vertices: Floats, faces: NDArray[np.int32], gap: float, reach: float) -> Floats:
    """Points (R, C, 3) moved out of a mesh's surface, and to a distance of ``gap`` from it, if it is within ``reach``:
    the mesh is open below.
    """
    used = np.unique(faces)
    normals = vertex_normals(vertices, faces)[used]
    tree, moved = cKDTree(vertices[used]), points.copy()
    for _ in range(2):
        distance, nearest = tree.query(moved)
        height = ((moved - vertices[used][nearest]) * normals[nearest]).sum(-1)
        moved += np.where(distance < reach, np.maximum(gap - height, 0), 0)[..., None] * normals[nearest]
    return moved


def _placed(
    heights: Floats, centre: Floats, half: Floats, body: Floats, head: _Head, settings: HairRingSettings, size: float
) -> Floats:
    """Points (R, C, 3) of the rings, outside the body with vertices (N, 3)."""
    turn = _turn(settings)
    across, along = (np.sign(f) * np.abs(f) ** (2 / settings.power) for f in (np.cos(turn), np.sin(turn)))
    wide = half[:, :2]
    # What lies before the shoulders does not lie behind them as well.
    least = np.median(wide[(heights > head.brow) & (heights < head.chin)], 0) * settings.behind_width
    narrow = np.where(heights[:, None] > head.chin, np.minimum(wide, least), wide)
    narrow = gaussian_filter1d(narrow, 3, axis=0, mode="nearest")
    before = along[None] < 1e-6
    before_width, behind_width = (np.where(across < 0, pair[:, :1], pair[:, 1:]) for pair in (wide, narrow))
    u = centre[:, :1] + np.where(before, before_width, behind_width) * across
    w = centre[:, 1:] + np.where(along < 0, half[:, 2:3], half[:, 3:]) * along
    u[0], w[0] = centre[0, 0] + 0.002 * across, centre[0, 1] + 0.002 * along
    s = np.broadcast_to(heights[:, None], u.shape)
    front, back = _surfaces(body, u, s, settings.cell * size)
    front = np.maximum(front, centre[:, 1:] - settings.farthest * size)
    back = np.minimum(back, centre[:, 1:] + settings.farthest * size)
    gap = settings.lying * size
    for share in (1.0, 0.6):
        pushed = np.where(before, np.minimum(w, front - share * gap), np.maximum(w, back + share * gap))
        w = np.where(np.isfinite(pushed), pushed, w)
        if share == 1.0:
            w = gaussian_filter(w, (settings.smooth, settings.smooth), mode=("nearest", "wrap"))
    return np.stack([u, w, s], -1)


def _surfaces(body: Floats, u: Floats, s: Floats, cell: float) -> tuple[Floats, Floats]:
    """Least and greatest w (R, C) of a body's vertices (N, 3) behind and before the places (R, C); inf and -inf where
    there is none.
    """
    low = np.array([u.min(), s.min()]) - 2 * cell
    count = np.ceil((np.array([u.max(), s.max()]) + 2 * cell - low) / cell).astype(int) + 1
    place = np.floor((body[:, [0, 2]] - low) / cell).astype(int)
    own = ((place >= 0) & (place < count)).all(1)
    at = (
        np.clip(((u - low[0]) / cell).astype(int), 0, count[0] - 1),
        np.clip(((s - low[1]) / cell).astype(int), 0, count[1] - 1),
    )
    found = []
    for sign in (-1, 1):
        most = np.full(tuple(count), -np.inf)
        np.maximum.at(most, tuple(place[own].T), sign * body[own, 1])
        found.append(sign * grey_dilation(most, (3, 3))[at])
    return found[0], found[1]
