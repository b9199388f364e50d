"""What all terms of the fit share: the stages, the residuals, and robust weighting of outliers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.gravity import Gravity
from uvatar.fitting.chain import UNKNOWNS, Placed, PosedSkeleton, State
from uvatar.fitting.observations import Observations
from uvatar.fitting.shape import ShapeGroup
from uvatar.fitting.stance import Stance


class Stage(Enum):
    """The stages of a fit, in order; a term may have other tuned numbers in each."""

    SEARCH = auto()
    """From the starts towards the landmarks, with wide robust functions, so that no limb is lost."""
    LANDMARKS = auto()
    """To the landmarks, with narrow robust functions."""
    OUTLINE = auto()
    """To the landmarks and the outline of the mask."""
    CLOSE = auto()
    """Close to landmarks and outline; shape and directions in space stay near what was found: they would fit noise."""


@dataclass(frozen=True)
class PosedBodies:
    """B bodies in place, with what several terms need of them.

    Attributes:
        state: the unknowns.
        posed: the joints.
        landmarks: the 33 landmarks of every body.
        landmark_jacobian: (B, 33, 3, 79) derivative of the landmarks' positions, metres; None where derivatives are not
            asked for.
        camera: that sees them.
    """

    state: State
    posed: PosedSkeleton
    landmarks: Placed
    landmark_jacobian: NDArray[np.float64] | None
    camera: Camera

    @property
    def with_derivatives(self) -> bool:
        """Whether terms should give their Jacobians."""
        return self.landmark_jacobian is not None


@dataclass(frozen=True)
class Residuals:
    """The residuals of a term for B bodies.

    Attributes:
        values: (B, R) residuals.
        jacobian: (B, R, 79) their derivative, or None if it was not asked for.
        scale: (B, R) what both are multiplied by: the square root of the weight in the reweighted least squares.
        cost: (B,) nats.
    """

    values: NDArray[np.float64]
    jacobian: NDArray[np.float64] | None
    scale: NDArray[np.float64]
    cost: NDArray[np.float64]


class Term(ABC):
    """One kind of evidence about the bodies being fitted.

    A term is a frozen dataclass; every array among its fields has a row for each body. It is made of the observations
    of all people (a row for each), then gets a row for each hypothesis, and the numbers of each stage. Most terms need
    `of` and `residuals` alone.
    """

    @classmethod
    @abstractmethod
    def of(cls, observed: Observations) -> Self | None:
        """The term for a photo's people, a row for each; None if it does not apply."""

    @abstractmethod
    def residuals(self, bodies: PosedBodies) -> Residuals:
        """What the bodies cost, with derivatives where ``bodies`` has them."""

    def rows(self, index: NDArray[np.int64]) -> Self:
        """The bodies ``index``, in that order."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        arrays = {name: value[index] for name, value in values.items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)  # type: ignore[type-var]

    def in_groups(self, groups: Sequence[ShapeGroup]) -> Self:
        """The term for bodies of these groups, one for each row."""
        return self

    def at(self, stage: Stage) -> Self | None:
        """The term with a stage's settings; None if it has no part in the stage."""
        return self

    def paired(self, bodies: PosedBodies) -> Self:
        """The term with its correspondences recomputed (iterated closest points), before every step."""
        return self

    def on_ground(self, stances: Sequence[Stance], gravity: Gravity) -> Self:
        """The term once the vertical is known, and how each of the people stands, in the order of the rows."""
        return self

    def held(self, bodies: PosedBodies) -> Self:
        """The term of the last stage, which starts at these bodies."""
        return self


def plain(values: Floats, jacobian: Floats | None, scale: Floats) -> Residuals:
    """Residuals (B, R) with derivatives (B, R, 79) and scale (B, R) as they are, that is, half their squares."""
    return Residuals(values, jacobian, scale, 0.5 * ((values * scale) ** 2).sum(1))


def robust(values: Floats, jacobian: Floats | None, weights: Floats, width: float) -> Residuals:
    """Residual vectors (B, N, K) with derivatives (B, N, K, 79), weights (B, N), Geman-McClure of their lengths.

    A residual of length d costs s^2 d^2 / (2 (s^2 + d^2)), which is quadratic below the width s and levels off above
    it; as iteratively reweighted least squares its weight is (s^2 / (s^2 + d^2))^2.
    """
    squared = (values**2).sum(-1)
    damping = width**2 / (width**2 + squared)
    cost = 0.5 * (weights * squared * damping).sum(1)
    count, _, size = values.shape
    scale = np.repeat(np.sqrt(weights) * damping, size, axis=1)
    flat = None if jacobian is None else jacobian.reshape(count, -1, UNKNOWNS)
    return Residuals(values.reshape(count, -1), flat, scale, cost)


def project(points: Floats, camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(..., 3) camera frame, metres -> pixels (..., 2) and their derivative (..., 2, 3).

    Points nearer than 10 cm count as 10 cm away.
    """
    depth = np.maximum(points[..., 2], 0.1)
    xy = points[..., :2] / depth[..., None]
    derivative = np.zeros((*points.shape[:-1], 2, 3))
    derivative[..., 0, 0] = derivative[..., 1, 1] = camera.focal / depth
    derivative[..., 2] = -xy * (camera.focal / depth)[..., None]
    return xy * camera.focal + np.asarray(camera.center), derivative
