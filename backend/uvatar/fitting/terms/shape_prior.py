"""The shape prior: betas as they are in the person's group (adults, women, children)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.fitting.chain import BETAS, UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.shape import ShapeGroup
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, plain


@dataclass(frozen=True)
class ShapePriorSettings:
    """Tuned numbers of the shape prior's term. How they were chosen is not recorded.

    Attributes:
        slack: expected change of a beta in the last stage, which holds the shape: more would fit noise.
    """

    slack: float = 0.06


DEFAULT_SETTINGS = ShapePriorSettings()


@dataclass(frozen=True)
class ShapePriorTerm(Term):
    """Whitened deviations of the betas from the mean of the group.

    Attributes:
        mean: (B, 10).
        whitener: (B, 10, 10) matrix W with W'W = inverse covariance.
    """

    mean: NDArray[np.float64]
    whitener: NDArray[np.float64]
    settings: ShapePriorSettings

    @classmethod
    def of(cls, observed: Observations, settings: ShapePriorSettings = DEFAULT_SETTINGS) -> ShapePriorTerm:
        """The standard normal for each person, until they are put into groups."""
        count = len(observed.people)
        return cls(np.zeros((count, 10)), np.tile(np.eye(10), (count, 1, 1)), settings)

    def in_groups(self, groups: Sequence[ShapeGroup]) -> ShapePriorTerm:
        """Every body with the prior of its group."""
        return replace(
            self,
            mean=np.stack([group.mean for group in groups]),
            whitener=np.stack([group.whitener for group in groups]),
        )

    def held(self, bodies: PosedBodies) -> ShapePriorTerm:
        """The shape found so far is held, whatever the group."""
        betas = bodies.state.betas
        return replace(self, mean=betas, whitener=np.tile(np.eye(10) / self.settings.slack, (len(betas), 1, 1)))

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Ten residuals."""
        values = np.einsum("bij,bj->bi", self.whitener, bodies.state.betas - self.mean)
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((len(values), 10, UNKNOWNS))
            jacobian[..., BETAS] = self.whitener
        return plain(values, jacobian, np.ones_like(values))
