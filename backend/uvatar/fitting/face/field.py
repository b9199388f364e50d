"""How a body's head moves with the landmarks of its face, in three dimensions: one matrix for each body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from uvatar.body.data import BODY, LEFT_EYE, RIGHT_EYE, BodyData
from uvatar.body.face_points import FILE, FaceCorrespondence, load_correspondence
from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats, Integers
from uvatar.data.face import NOSE_RIDGE
from uvatar.fitting.face.expression import FaceKeys
from uvatar.photos.colour import smoothstep

MIRRORED = np.array([-1.0, 1.0, 1.0], np.float32)


@dataclass(frozen=True)
class FaceFieldSettings:
    """Tuned numbers of the field.

    Attributes:
        fade: metres of the rest pose from the nearest landmark up to which a vertex moves fully, and from which on it
            does not move: ears and neck keep their form.
        smoothing: metres; how far the field gives way to noise in single landmarks.
        socket: metres from an eyeball within which skin carries it.
        neighbourhood: metres; standard deviation of how far landmarks speak for each other.
        neighbours: how much a landmark says of another at the same place, beside that one itself.
        nose: metres; standard deviation of how far from its ridge the nose reaches.
    """

    fade: tuple[float, float] = (0.012, 0.055)
    smoothing: float = 1e-4
    socket: float = 0.004
    neighbourhood: float = 0.01
    neighbours: float = 0.1
    nose: float = 0.008


DEFAULT_SETTINGS = FaceFieldSettings()


@dataclass(frozen=True)
class FaceField:
    """How a body's head moves with its K face landmarks; made once for each body.

    Attributes:
        points: the landmarks on the body.
        partners: (K,) the landmark on the other side of the face; its own number in the middle.
        vertices: (H,) vertices that move with them.
        weights: (H, K); moves of the vertices (H, 3) = weights @ moves of the landmarks (K, 3).
        neighbours: (K, K) how much each landmark says of each other's move; 1 of its own.
        nose: (K,) how far each landmark belongs to the nose, 0..1.
        keys: how expressions move the landmarks; None for a body without them.
    """

    points: FaceCorrespondence
    partners: NDArray[np.int64]
    vertices: NDArray[np.int64]
    weights: NDArray[np.float32]
    neighbours: NDArray[np.float64]
    nose: NDArray[np.float64]
    keys: FaceKeys | None = None

    @classmethod
    def load(cls, folder: Path, body: BodyModel) -> FaceField | None:
        """From the correspondence in a folder of weights, or None if that belongs to another body.

        Raises WeightsError if it is missing.
        """
        points = load_correspondence(folder / FILE, body)
        return None if points is None else cls.of(points, body.data)

    @classmethod
    def of(
        cls, points: FaceCorrespondence, body: BodyData, settings: FaceFieldSettings = DEFAULT_SETTINGS
    ) -> FaceField:
        """Radial basis functions of the linear kernel, -r, with a constant (Wendland, "Scattered Data Approximation",
        2004, chapter 8) over the rest face.
        """
        template = body.v_template.astype(np.float64)
        knots = points.at(template)
        distance, _ = cKDTree(knots).query(template, distance_upper_bound=settings.fade[1])
        vertices = np.flatnonzero(np.isfinite(distance))
        count = len(knots)
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = settings.smoothing * np.eye(count) - _distances(knots, knots)
        system[count, :count] = system[:count, count] = 1
        solution = np.linalg.solve(system, np.eye(count + 1, count))
        basis = np.column_stack([-_distances(template[vertices], knots), np.ones(len(vertices))])
        fade = np.where(body.part[vertices] == BODY, 1 - smoothstep(distance[vertices], *settings.fade), 1)
        partners = _partners(knots)
        weights = _with_rigid_eyes(basis @ solution, vertices, body, settings.socket)
        weights = _symmetric(fade[:, None] * weights, vertices, partners, body)
        spread = settings.neighbours * np.exp(-0.5 * (_distances(knots, knots) / settings.neighbourhood) ** 2)
        np.fill_diagonal(spread, 1)
        spread = (spread + spread[partners][:, partners]) / 2
        ridge = knots[np.isin(points.index, NOSE_RIDGE)]
        nose = np.exp(-0.5 * (_distances(knots, ridge).min(1) / settings.nose) ** 2)
        nose = (nose + nose[partners]) / 2
        keys = None if body.face is None else FaceKeys.of(body.face, points, len(template))
        return cls(points, partners, vertices, weights.astype(np.float32), spread, nose, keys)

    def offsets(self, moves: Floats) -> NDArray[np.float32]:
        """Moves of the vertices (H, 3), metres of the rest pose, for moves (K, 3) of the landmarks."""
        offsets: NDArray[np.float32] = self.weights @ moves.astype(np.float32)
        return offsets


def _distances(a: Floats, b: Floats) -> NDArray[np.float64]:
    """(A, B) between points (A, 3) and (B, 3)."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    distances: NDArray[np.float64] = np.sqrt(np.maximum(square, 0))
    return distances


def _partners(points: Floats) -> NDArray[np.int64]:
    """(K,) which of the points (K, 3) lies on the other side of x = 0; pairs are mutual."""
    mirrored = points * MIRRORED
    square = _distances(points, mirrored) ** 2
    _, partner = linear_sum_assignment(square)
    mutual = np.flatnonzero(partner[partner] == np.arange(len(points)))
    nearest = square.argmin(1)
    result: NDArray[np.int64] = nearest
    result[mutual] = partner[mutual]
    return result


def _with_rigid_eyes(weights: Floats, vertices: Integers, body: BodyData, socket: float) -> Floats:
    """Eyeballs move as a whole, as the skin around them does on average, so that they stay round."""
    template, row = body.v_template, np.full(len(body.v_template), -1)
    row[vertices] = np.arange(len(vertices))
    weights = weights.copy()
    for side in (LEFT_EYE, RIGHT_EYE):
        eyeball = np.flatnonzero(body.part == side)
        if not len(eyeball) or (row[eyeball] < 0).any():
            continue
        skin = vertices[body.part[vertices] == BODY]
        near, _ = cKDTree(template[eyeball]).query(template[skin], distance_upper_bound=socket)
        around = skin[np.isfinite(near)]
        if len(around):
            weights[row[eyeball]] = weights[row[around]].mean(0)
    return weights


def _symmetric(weights: Floats, vertices: Integers, partners: Integers, body: BodyData) -> Floats:
    """The mean of the weights and their mirror image: both halves of a face move alike to the last digit."""
    row = np.full(len(body.v_template), -1)
    row[vertices] = np.arange(len(vertices))
    other = row[body.mirror[vertices]]
    mirrored = np.where((other >= 0)[:, None], weights[other][:, partners], weights)
    symmetric: Floats = (weights + mirrored) / 2
    return symmetric
