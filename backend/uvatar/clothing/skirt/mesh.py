"""A skirt's mesh: quads with a layout of their own, and a hem with thickness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData
from uvatar.clothing.plane import BodyPlane
from uvatar.clothing.shells import ring_layout
from uvatar.clothing.skirt.opening import Opening
from uvatar.clothing.skirt.plane import RowPicture
from uvatar.clothing.skirt.rings import Rings
from uvatar.clothing.skirt.weights import skirt_weights
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.shell import Skirt


@dataclass(frozen=True)
class FrontEdges:
    """Where the columns of a coat that is open in front lie: two of them are its edges, and the others make room.

    Attributes:
        s: (R,) metres, from the opening's top to the hem.
        left, right: the columns that are the edges.
        low, high: (R,) the directions in which these lie, in columns.
        count: of columns; from half of them to the last, the cloth is before the body.
    """

    s: Floats
    left: int
    right: int
    low: Floats
    high: Floats
    count: int

    @classmethod
    def of(cls, opening: Opening, rings: Rings, picture: RowPicture) -> FrontEdges | None:
        """None where the edges do not lie on the front of the cloth, with cloth beside them."""
        count = rings.radius.shape[1]
        half = count // 2
        front = np.arange(half, count + 1)
        s = np.broadcast_to(opening.s[:, None], (len(opening.s), len(front)))
        camera = picture.plane.coordinates(np.zeros(3))
        depth = np.interp(opening.s, picture.s, picture.depth)
        u, _ = rings.seen_at(rings.points(s, front.astype(float)), depth, camera)
        u = np.maximum.accumulate(u, axis=1)
        low, high = (
            np.array([np.interp(place, row, front) for place, row in zip(edge, u, strict=True)])
            for edge in (opening.low, opening.high)
        )
        left, right = round(float(np.median(low))), round(float(np.median(high)))
        if left < half + 2 or right > count - 2 or right <= left:
            return None
        return cls(opening.s, left, right, low, high, count)

    def columns_at(self, s: Floats) -> Floats:
        """(..., C) directions, in columns, of the points at heights ``s`` (..., C)."""
        column = np.broadcast_to(np.arange(self.count, dtype=float), s.shape)
        low, high = (np.interp(s, self.s, edge) for edge in (self.low, self.high))
        half, middle = self.count // 2, np.clip((column - self.left) / (self.right - self.left), 0, 1)
        before = half + (column - half) * (low - half) / (self.left - half)
        after = self.count - (self.count - column) * (self.count - high) / (self.count - self.right)
        moved = np.where(
            column <= self.left, before, np.where(column >= self.right, after, low + middle * (high - low))
        )
        return np.where(column < half, column, moved)


@dataclass(frozen=True)
class MeshSettings:
    """Tuned numbers of the mesh; lengths in metres on a person of 1.7 m.

    Attributes:
        row: between the rows of vertices.
        thickness, fold: of the hem, and how far its inner side reaches up.
        tucked: how far the topmost row lies inside the body, so that no gap shows.
    """

    row: float = 0.03
    thickness: float = 0.004
    fold: float = 0.03
    tucked: float = 0.012


DEFAULT_SETTINGS = MeshSettings()


def skirt_mesh(
    rings: Rings,
    plane: BodyPlane,
    data: BodyData,
    parameters: BodyParameters,
    vertices: Floats,
    joints: Floats,
    pixels: NDArray[np.uint8],
    edges: FrontEdges | None = None,
    settings: MeshSettings = DEFAULT_SETTINGS,
) -> Skirt:
    """The mesh of a skirt in the photo's pose.

    ``vertices`` (V, 3) and ``joints`` (24, 3): the posed body's; ``pixels`` as in `Skirt`; ``edges``: of a coat that is
    open in front.
    """
    size = plane.size
    top = float(rings.s[0])
    rows = max(3, 1 + int(np.ceil((np.median(rings.hem) - top) / (settings.row * size))))
    share = np.linspace(0, 1, rows)[:, None]
    height = top + share * (rings.hem[None] - top)
    outer = rings.points(height, None if edges is None else edges.columns_at(height))
    outer[0] = _drawn_in(rings, outer[0], settings.tucked * size)
    # The hem's inner side, from the hem up.
    raised = np.stack([rings.hem - lift * settings.fold * size for lift in (0.0, 0.5, 1.0)])
    inner = rings.points(raised, None if edges is None else edges.columns_at(raised))
    inner = np.stack([_drawn_in(rings, row, settings.thickness * size) for row in inner])
    points = np.concatenate([outer, inner])
    posed = plane.points(points).reshape(-1, 3)
    quads, uv, quad_uv = ring_layout(len(points), rows, points.shape[1])
    weights = skirt_weights(posed, top, plane, data, parameters, vertices, joints)
    opening = None
    if edges is not None:
        row = int(np.clip(np.ceil((edges.s[0] - top) / (settings.row * size)), 0, rows - 2))
        opening = row, edges.left, edges.right
        at_row, at_column = np.divmod(np.arange(len(quads)), points.shape[1])
        kept = (at_row < row) | (at_column < edges.left) | (at_column >= edges.right)
        quads, quad_uv = quads[kept], quad_uv[kept]
    return Skirt(posed.astype(np.float32), quads, uv, quad_uv, weights, points.shape[1], rows, pixels, opening)


def _drawn_in(rings: Rings, ring: Floats, distance: float) -> Floats:
    """A ring (C, 3) of the plane's coordinates, nearer to its centre."""
    centre = np.stack([np.interp(ring[:, 2], rings.s, rings.centre[:, axis]) for axis in range(2)], 1)
    away = ring[:, :2] - centre
    length = np.linalg.norm(away, axis=1, keepdims=True)
    drawn = ring.copy()
    drawn[:, :2] = centre + away * np.maximum(1 - distance / np.maximum(length, 1e-6), 0.2)
    return drawn
