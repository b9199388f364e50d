"""How far the form of an avatar is from the truth: outlines from several sides, and distances between surfaces.

Surfaces are what can be seen from outside: cloth under cloth and skin under cloth do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.geometry import rotations
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.mesh import face_normals, unit
from uvatar.geometry.raster import RayScene, rasterize

SIDES = (0, 45, 90, 135, 180)  # degrees
SAMPLES = 12_000  # points of a surface
CANDIDATES = 4  # nearest samples whose triangles are looked at
# From where a point counts as seen: all round, level, from above and from below.
TURNS, ELEVATIONS = 8, (-0.8, 0.0, 0.8)
LIFT = 0.002  # metres by which a point is lifted off its own triangle


@dataclass(frozen=True)
class Surface:
    """Points of a mesh that can be seen from outside, evenly spread.

    Attributes:
        points, normals: (S, 3).
        triangles: (S, 3, 3) corners of the triangle that each lies on.
    """

    points: Floats
    normals: Floats
    triangles: Floats


@dataclass(frozen=True)
class FormErrors:
    """Errors of an avatar's form.

    Attributes:
        iou: of the outlines, from each of `SIDES`.
        to_surface: mean distance of the avatar's surface from the true one, cm.
        chamfer: mean of that and of the true surface's distance from the avatar's, cm.
        normals: mean cosine between the normals of the nearest points, both ways.
    """

    iou: Sequence[float]
    to_surface: float
    chamfer: float
    normals: float


@dataclass(frozen=True)
class Form:
    """A mesh as it is compared: its outlines from `SIDES`, and its surface."""

    outlines: Sequence[NDArray[np.bool_]]
    surface: Surface

    @classmethod
    def of(cls, vertices: Floats, faces: Integers, pelvis: Floats, camera: Camera, up: Floats) -> Form:
        """A mesh's form: vertices (N, 3) in the frame of the ``camera`` that draws the outlines, triangles (F, 3).

        It is turned about the axis through ``pelvis`` (3,) in the direction ``up`` (3,).
        """
        outlines = []
        for angle in SIDES:
            turn = rotations.exp((np.radians(angle) * up)[None])[0]
            outlines.append(rasterize((vertices - pelvis) @ turn.T + pelvis, faces, camera).mask)
        return cls(outlines, outer_surface(vertices, faces))


def form_errors(made: Form, truth: Form) -> FormErrors:
    """Compare an avatar's form with the true one."""
    forth, back = nearest(made.surface, truth.surface), nearest(truth.surface, made.surface)
    return FormErrors(
        [mask_iou(first, second) for first, second in zip(made.outlines, truth.outlines, strict=True)],
        100 * float(forth[0].mean()),
        100 * float(forth[0].mean() + back[0].mean()) / 2,
        float(forth[1].mean() + back[1].mean()) / 2,
    )


def outer_surface(vertices: Floats, faces: Integers) -> Surface:
    """Sample a mesh where it can be seen from outside."""
    corners = np.asarray(vertices, np.float64)[faces]
    normals = face_normals(np.asarray(vertices, np.float64), faces)
    area = np.linalg.norm(normals, axis=1)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(faces), SAMPLES, p=area / area.sum())
    points = np.einsum("sk,skc->sc", rng.dirichlet((1, 1, 1), SAMPLES), corners[chosen])
    facing = unit(normals[chosen])
    scene = RayScene(vertices, faces)
    outward, seen = np.zeros_like(facing), np.zeros(SAMPLES, bool)
    for turn in np.arange(TURNS) * (2 * np.pi / TURNS):
        for height in ELEVATIONS:
            way = np.array([np.sqrt(1 - height**2) * np.cos(turn), height, np.sqrt(1 - height**2) * np.sin(turn)])
            side = np.sign(facing @ way)[:, None]
            hit, _, _ = scene.first_hits(points + LIFT * side * facing, np.broadcast_to(way, points.shape))
            free = hit < 0
            seen |= free
            outward[free] += (side * facing)[free] * np.abs(facing[free] @ way)[:, None]
    return Surface(points[seen], unit(outward[seen]), corners[chosen][seen])


def nearest(points: Surface, surface: Surface) -> tuple[Floats, Floats]:
    """(S,) distances of one surface's points from the other surface, metres, and (S,) cosines between the normals."""
    _, index = cKDTree(surface.points).query(points.points, CANDIDATES)
    distance = np.stack([_to_triangles(points.points, surface.triangles[column]) for column in index.T], 1)
    best = index[np.arange(len(index)), distance.argmin(1)]
    return distance.min(1), (points.normals * surface.normals[best]).sum(1)


def _to_triangles(points: Floats, triangles: Floats) -> Floats:
    """(S,) distance of each point (S, 3) from its triangle (S, 3, 3)."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = unit(np.cross(b - a, c - a))
    off = np.abs(((points - a) * normal).sum(1))
    inside = np.ones(len(points), bool)
    edge = np.full(len(points), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        along = end - start
        share = np.clip(((points - start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-18), 0, 1)
        edge = np.minimum(edge, np.linalg.norm(points - start - share[:, None] * along, axis=1))
        inside &= (np.cross(along, points - start) * normal).sum(1) >= 0
    found: NDArray[np.float64] = np.where(inside, off, edge)
    return found
