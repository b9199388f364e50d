"""A skirt's mesh: quads with a layout of their own, a hem with thickness, and weights of pelvis, thighs and shins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body.data import BodyData
from uvatar.clothing.limbs import ARM_JOINTS, limbs
from uvatar.clothing.plane import BodyPlane
from uvatar.clothing.shells import ring_layout, strongest
from uvatar.clothing.skirt.opening import Opening
from uvatar.clothing.skirt.plane import RowPicture
from uvatar.clothing.skirt.rings import Rings
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.data.shell import Skirt
from uvatar.geometry.rotations import exp
from uvatar.photos.colour import smoothstep


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
        sides: distance of the hip joints from the middle, times this, is where one leg alone moves the cloth.
        leg, knee: largest share of the legs' weight, and of the shin's in it. Of the leg's surface under a child's long
            dress, a walk brings 4.0 % more than 1 cm out of the cloth with .35, 1.9 % with .7.
        leg_from, knee_from: heights around hip and knee over which they grow.
        front_from: the former before the thighs, on which cloth lies as they are raised; behind, it hangs. With the
            same heights as behind, 4 to 7 % of the legs of four people came through at a half squat, now 0.1 % at most.
        front: distance before the pelvis from which cloth is before the thighs, and from which on wholly.
        waist: height below the top over which the body's own weights pass into the skirt's.
        influences: joints of a vertex, as many as game engines skin it with.
        neighbours, spread: of the body's vertices whose weights count, and the distance over which.
    """

    row: float = 0.03
    thickness: float = 0.004
    fold: float = 0.03
    tucked: float = 0.012
    sides: float = 2.4
    leg: float = 0.97
    knee: float = 0.7
    leg_from: tuple[float, float] = (-0.1, 0.3)
    knee_from: tuple[float, float] = (-0.1, 0.2)
    front_from: tuple[float, float] = (-0.12, 0.08)
    front: tuple[float, float] = (-0.03, 0.05)
    waist: float = 0.16
    influences: int = 4
    neighbours: int = 24
    spread: float = 0.05


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
    weights = _weights(posed, points.reshape(-1, 3)[:, 2] - top, plane, data, parameters, vertices, joints, settings)
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


def _weights(
    posed: Floats,
    below_top: Floats,
    plane: BodyPlane,
    data: BodyData,
    parameters: BodyParameters,
    vertices: Floats,
    joints: Floats,
    settings: MeshSettings,
) -> NDArray[np.float32]:
    """(N, 24) weights of the posed points (N, 3): left and right by the side of the pelvis they are on.

    Weights of the nearest leg would tie a walking skirt to the leg in front.
    """
    size = plane.size
    turned = exp(np.asarray(parameters.global_orient, np.float64).reshape(1, 3))[0]
    left = (posed - joints[Joint.PELVIS]) @ turned[:, 0]
    hips, knees = (plane.coordinates(joints[pair])[:, 2].mean() for pair in (HIP_JOINTS, KNEE_JOINTS))
    half = np.linalg.norm(joints[Joint.LEFT_HIP] - joints[Joint.RIGHT_HIP]) / 2
    side = smoothstep(left / (settings.sides * half) + 0.5, 0, 1)
    down = plane.coordinates(posed)[:, 2]
    before = smoothstep((posed - joints[Joint.PELVIS]) @ turned[:, 2] / size, *settings.front)
    on_thighs, hanging = (
        smoothstep((down - hips) / size, *heights) for heights in (settings.front_from, settings.leg_from)
    )
    leg = settings.leg * (before * on_thighs + (1 - before) * hanging)
    knee = settings.knee * smoothstep((down - knees) / size, *settings.knee_from)
    weights = np.zeros((len(posed), 24))
    weights[:, Joint.PELVIS] = 1 - leg
    for chosen, part in ((side, 0), (1 - side, 1)):
        weights[:, HIP_JOINTS[part]] = leg * (1 - knee) * chosen
        weights[:, KNEE_JOINTS[part]] = leg * knee * chosen
    own = smoothstep(below_top / size, 0, settings.waist)
    high = np.flatnonzero(own < 1)
    # A hand beside the hip does not move the waist.
    trunk = np.flatnonzero(~limbs(data)[0])
    distance, nearest = cKDTree(vertices[trunk]).query(posed[high], settings.neighbours)
    near = np.exp(-0.5 * (distance / (settings.spread * size)) ** 2) + 1e-9
    weights_of = data.weights[trunk]
    weights_of[:, ARM_JOINTS] = 0
    body = np.einsum("nk,nkj->nj", near, weights_of[nearest])
    body /= np.maximum(body.sum(1, keepdims=True), 1e-9)
    weights[high] = own[high, None] * weights[high] + (1 - own[high, None]) * body
    return strongest(weights, settings.influences)
