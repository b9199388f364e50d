"""What a fitted body should agree with, as weighted least squares with derivatives.

Every term is in units of its expected error, so the sum of half squares is a negative log posterior. Outliers are tamed
by the Geman-McClure function: a residual of length d costs s^2 d^2 / (2 (s^2 + d^2)), which is quadratic below the
width s and levels off above it; as iteratively reweighted least squares its weight is (s^2 / (s^2 + d^2))^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.fitting.chain import BETAS, POSE, UNKNOWNS, Placed, Points, Posed, Skeleton, State
from uvatar.fitting.prior import PosePrior

# Bones between BlazePose landmarks whose directions in space are compared: (from, to), left then right.
BONES = np.array([
    (11, 13), (12, 14), (13, 15), (14, 16),  # upper arms, forearms
    (23, 25), (24, 26), (25, 27), (26, 28),  # thighs, shins
    (29, 31), (30, 32), (23, 11), (24, 12),  # feet, sides of the trunk
    (11, 12), (23, 24), (7, 8),  # across the shoulders, the hips, the ears
    (15, 19), (16, 20), (15, 17), (16, 18),  # wrist to index and little finger's knuckle
])  # fmt: skip
# One-sided limits of hinges, radians: body joint, axis, sign of flexion.
HINGES = ((4, 0, 1.0), (5, 0, 1.0), (18, 1, -1.0), (19, 1, 1.0))
HINGE_RANGE = (0.0, 2.6)
HINGE_ERROR = 0.05
KNEES = (4, 5)
LEG_JOINTS = ((1, 4, 7), (2, 5, 8))  # hip, knee and ankle, left and right
HANGING = 0.12  # radians that the joints of a leg nobody sees are expected to turn from the rest pose
# Someone on both feet: (landmarks of the trunk, landmarks of the feet).
TRUNK, FEET = np.array([11, 12, 23, 24]), np.array([27, 28, 31, 32])


@dataclass(frozen=True)
class Widths:
    """How far each kind of evidence is trusted, for one stage of the solver.

    Attributes:
        landmark: expected error of a landmark, as a fraction of the box side.
        landmark_width: width s of its robust function, as a fraction of the box side.
        bone: expected error of a bone's direction, radians.
        bone_width: width of its robust function, radians.
        prior: weight of the pose prior.
        outline: expected error of the outline, as a fraction of the box side; infinite to leave it out.
        outline_width: width of its robust function.
        balance: expected offset in depth between the trunk and the feet it stands on, metres.
        balance_width: width of its robust function, metres.
        straight, straight_width: expected flexion of a knee that looks straight, and width of its robust function,
            radians.
    """

    landmark: float = 0.012
    landmark_width: float = 0.06
    bone: float = 0.2
    bone_width: float = 0.6
    prior: float = 0.5
    outline: float = np.inf
    outline_width: float = 0.03
    balance: float = 0.1
    balance_width: float = 0.3
    straight: float = 0.12
    straight_width: float = 0.35


@dataclass(frozen=True)
class Evidence:
    """What is known of the people being fitted, one per row.

    Attributes:
        side: (B,) longer side of each person's box, pixels.
        landmarks: (B, 33, 2) pixels.
        landmark_weights: (B, 33) 0 for unseen.
        bones: (B, N, 3) unit directions of `BONES`, camera axes.
        bone_weights: (B, N).
        balance_weights: (B,) how sure it is that the person stands on the feet seen.
        straight_weights: (B, 2) how sure it is that the left and the right leg are straight.
        unseen_legs: (B, 2) 1 where nothing is seen of the left or the right leg: it hangs, as legs mostly do.
        betas_mean, betas_whitener: (B, 10), (B, 10, 10) the shape prior of the person's group.
        betas_fixed: (B,) True where the shape is given and must not move.
    """

    side: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    landmark_weights: NDArray[np.float64]
    bones: NDArray[np.float64]
    bone_weights: NDArray[np.float64]
    balance_weights: NDArray[np.float64]
    straight_weights: NDArray[np.float64]
    unseen_legs: NDArray[np.float64]
    betas_mean: NDArray[np.float64]
    betas_whitener: NDArray[np.float64]
    betas_fixed: NDArray[np.bool_]

    def rows(self, index: NDArray) -> Evidence:
        """The people ``index``, in that order."""
        return Evidence(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class OutlinePairs:
    """Body points matched to the mask's outline, one set per person.

    Attributes:
        points: the body points (B, M).
        targets: (B, M, 2) pixels where they should project, measured along ``normals`` (B, M, 2) only.
        weights: (B, M), 0 for padding.
    """

    points: Points
    targets: NDArray[np.float64]
    normals: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """The whole sum, as a function of the bodies' `State`."""

    camera: Camera
    skeleton: Skeleton
    landmarks: Points
    prior: PosePrior
    evidence: Evidence
    widths: Widths
    outline: OutlinePairs | None = None

    def cost(self, state: State) -> NDArray:
        """(B,) the sum to be made small, in nats."""
        return np.sum([term.cost for term in self._terms(state, derivatives=False)], axis=0)

    def linearised(self, state: State) -> tuple[NDArray, NDArray, NDArray]:
        """Cost (B,), gradient (B, 79) and Gauss-Newton Hessian (B, 79, 79)."""
        terms = self._terms(state, derivatives=True)
        rows = np.concatenate([term.rows * term.scale[..., None] for term in terms], 1)
        values = np.concatenate([term.values * term.scale for term in terms], 1)
        transposed = rows.transpose(0, 2, 1)
        return (
            np.sum([term.cost for term in terms], axis=0),
            (transposed @ values[..., None])[..., 0],
            transposed @ rows,
        )

    def _terms(self, state: State, derivatives: bool) -> list[_Term]:
        posed = self.skeleton.pose(state)
        placed = posed.place(self.landmarks)
        whole = placed.derivative() if derivatives else None
        terms = [
            self._landmark_term(placed, whole),
            self._bone_term(placed, whole),
            self._balance_term(placed, whole),
            self._prior_term(state, derivatives),
            self._hinge_term(state, derivatives),
            self._straight_term(state, derivatives),
            self._unseen_leg_term(state, derivatives),
            self._shape_term(state, derivatives),
        ]
        if self.outline is not None and np.isfinite(self.widths.outline):
            terms.append(self._outline_term(self.outline, posed, derivatives))
        return terms

    def _landmark_term(self, placed: Placed, whole: NDArray | None) -> _Term:
        evidence, widths = self.evidence, self.widths
        pixels, by_point = project(placed.positions, self.camera)
        side = evidence.side[:, None, None]
        values = (pixels - evidence.landmarks) / side
        rows = by_point @ whole / side[..., None] if whole is not None else None
        return _robust(values, rows, evidence.landmark_weights / widths.landmark**2, widths.landmark_width)

    def _bone_term(self, placed: Placed, whole: NDArray | None) -> _Term:
        start, end = BONES.T
        vector = placed.positions[:, end] - placed.positions[:, start]
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        unit = vector / length
        rows = None
        if whole is not None:
            moved = (whole[:, end] - whole[:, start]) / length[..., None]
            rows = moved - unit[..., None] * np.einsum("bni,bnij->bnj", unit, moved)[:, :, None]
        return _robust(
            unit - self.evidence.bones, rows, self.evidence.bone_weights / self.widths.bone**2, self.widths.bone_width
        )

    def _balance_term(self, placed: Placed, whole: NDArray | None) -> _Term:
        depth = placed.positions[..., 2]
        values = (depth[:, TRUNK].mean(1) - depth[:, FEET].mean(1))[:, None, None]
        rows = (whole[:, TRUNK, 2].mean(1) - whole[:, FEET, 2].mean(1))[:, None, None] if whole is not None else None
        weights = self.evidence.balance_weights[:, None] / self.widths.balance**2
        return _robust(values, rows, weights, self.widths.balance_width)

    def _prior_term(self, state: State, derivatives: bool) -> _Term:
        poses = state.pose.reshape(-1, 63)
        component = self.prior.nearest(poses)
        values = self.prior.residual(poses, component)
        rows = None
        if derivatives:
            rows = np.zeros((len(poses), 63, UNKNOWNS))
            rows[..., POSE] = self.prior.whiteners[component]
        scale = np.full_like(values, np.sqrt(self.widths.prior))
        return _Term(values, rows, scale, self.widths.prior * self.prior.energy(poses))

    def _hinge_term(self, state: State, derivatives: bool) -> _Term:
        count = len(state.pose)
        flexion = np.stack([sign * state.pose[:, joint - 1, axis] for joint, axis, sign in HINGES], 1)
        values = np.minimum(flexion - HINGE_RANGE[0], 0) + np.maximum(flexion - HINGE_RANGE[1], 0)
        rows = None
        if derivatives:
            rows = np.zeros((count, len(HINGES), UNKNOWNS))
            for row, (joint, axis, sign) in enumerate(HINGES):
                rows[:, row, 3 * joint + axis] = np.where(values[:, row] != 0, sign, 0)
        scale = np.full_like(values, 1 / HINGE_ERROR)
        return _Term(values, rows, scale, 0.5 * ((values * scale) ** 2).sum(1))

    def _straight_term(self, state: State, derivatives: bool) -> _Term:
        values = np.stack([state.pose[:, joint - 1, 0] for joint in KNEES], 1)[..., None]
        rows = None
        if derivatives:
            rows = np.zeros((len(values), len(KNEES), 1, UNKNOWNS))
            for row, joint in enumerate(KNEES):
                rows[:, row, 0, 3 * joint] = 1
        return _robust(
            values, rows, self.evidence.straight_weights / self.widths.straight**2, self.widths.straight_width
        )

    def _unseen_leg_term(self, state: State, derivatives: bool) -> _Term:
        joints = np.array(LEG_JOINTS).reshape(-1)
        values = state.pose[:, joints - 1].reshape(-1, 3 * len(joints))
        rows = None
        if derivatives:
            rows = np.zeros((*values.shape, UNKNOWNS))
            rows[:, np.arange(values.shape[1]), (3 * joints[:, None] + np.arange(3)).reshape(-1)] = 1
        scale = np.repeat(np.sqrt(self.evidence.unseen_legs) / HANGING, 9, axis=1)
        return _Term(values, rows, scale, 0.5 * ((values * scale) ** 2).sum(1))

    def _shape_term(self, state: State, derivatives: bool) -> _Term:
        whitener = self.evidence.betas_whitener
        values = np.einsum("bij,bj->bi", whitener, state.betas - self.evidence.betas_mean)
        rows = None
        if derivatives:
            rows = np.zeros((len(values), 10, UNKNOWNS))
            rows[..., BETAS] = whitener
        return _Term(values, rows, np.ones_like(values), 0.5 * (values**2).sum(1))

    def _outline_term(self, pairs: OutlinePairs, posed: Posed, derivatives: bool) -> _Term:
        side = self.evidence.side[:, None]
        placed = posed.place(pairs.points)
        pixels, by_point = project(placed.positions, self.camera)
        values = ((pixels - pairs.targets) * pairs.normals).sum(-1) / side
        rows = None
        if derivatives:
            direction = np.einsum("bmi,bmij->bmj", pairs.normals / side[..., None], by_point)
            rows = placed.derivative(direction)[:, :, None]
        return _robust(values[..., None], rows, pairs.weights / self.widths.outline**2, self.widths.outline_width)


def bone_directions(landmarks: NDArray) -> NDArray:
    """Unit directions (..., N, 3) of the `BONES` between landmarks (..., 33, 3)."""
    start, end = BONES.T
    vectors = landmarks[..., end, :] - landmarks[..., start, :]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def project(points: NDArray, camera: Camera) -> tuple[NDArray, NDArray]:
    """(..., 3) camera frame -> pixels (..., 2) and their derivative (..., 2, 3).

    Points nearer than 10 cm count as 10 cm away.
    """
    depth = np.maximum(points[..., 2], 0.1)
    xy = points[..., :2] / depth[..., None]
    derivative = np.zeros((*points.shape[:-1], 2, 3))
    derivative[..., 0, 0] = derivative[..., 1, 1] = camera.focal / depth
    derivative[..., 2] = -xy * (camera.focal / depth)[..., None]
    return xy * camera.focal + np.asarray(camera.center), derivative


@dataclass(frozen=True)
class _Term:
    """Residuals (B, R), their derivative (B, R, 79) unless it was not asked for, what both are multiplied by (B, R),
    and the cost (B,).
    """

    values: NDArray
    rows: NDArray | None
    scale: NDArray
    cost: NDArray


def _robust(values: NDArray, rows: NDArray | None, weights: NDArray, width: float) -> _Term:
    """Residual vectors (B, N, K) with derivatives (B, N, K, 79), weights (B, N), Geman-McClure of their lengths."""
    squared = (values**2).sum(-1)
    damping = width**2 / (width**2 + squared)
    cost = 0.5 * (weights * squared * damping).sum(1)
    count, _, size = values.shape
    scale = np.repeat(np.sqrt(weights) * damping, size, axis=1)
    return _Term(values.reshape(count, -1), None if rows is None else rows.reshape(count, -1, UNKNOWNS), scale, cost)
