"""Balance: whoever stands on both feet has them below the trunk, also in depth, which the picture does not tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.landmarks import ANKLES, TOES, TRUNK
from uvatar.fitting.observations import Observations, standing
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, robust

FEET = [*ANKLES, *TOES]


@dataclass(frozen=True)
class BalanceSettings:
    """Tuned numbers of the balance term. How they were chosen is not recorded.

    Attributes:
        error: expected offset in depth between the trunk and the feet that it stands on, metres.
        width: of the robust function, metres.
    """

    error: float = 0.1
    width: float = 0.3


DEFAULT_SETTINGS = BalanceSettings()


@dataclass(frozen=True)
class BalanceTerm(Term):
    """The offset in depth of the trunk from the feet, metres.

    Attributes:
        weights: (B,) 0..1, how sure it is that the person stands on the feet seen; 1 where no leg is seen.
    """

    weights: NDArray[np.float64]
    settings: BalanceSettings

    @classmethod
    def of(cls, observed: Observations, settings: BalanceSettings = DEFAULT_SETTINGS) -> BalanceTerm:
        """A row for each person."""
        stands = [standing(points) for points in observed.landmarks]
        return cls(np.maximum(stands, observed.unseen_legs.min(1)), settings)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual."""
        depth, whole = bodies.landmarks.positions[..., 2], bodies.landmark_jacobian
        values = (depth[:, TRUNK].mean(1) - depth[:, FEET].mean(1))[:, None, None]
        jacobian = None
        if whole is not None:
            jacobian = (whole[:, TRUNK, 2].mean(1) - whole[:, FEET, 2].mean(1))[:, None, None]
        return robust(values, jacobian, self.weights[:, None] / self.settings.error**2, self.settings.width)
