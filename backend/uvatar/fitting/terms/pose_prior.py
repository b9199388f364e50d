"""The pose prior: how people hold themselves, whatever is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uvatar.fitting.chain import POSE, UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.prior import PosePrior
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term


@dataclass(frozen=True)
class PosePriorSettings:
    """Tuned numbers of the pose prior's term. How they were chosen is not recorded.

    Attributes:
        weight: of the prior's negative log density.
        search_weight: the same in the first stage, where it keeps the search among poses that people take.
    """

    weight: float = 0.5
    search_weight: float = 1.0


DEFAULT_SETTINGS = PosePriorSettings()


@dataclass(frozen=True)
class PosePriorTerm(Term):
    """Whitened deviations from the component of the mixture that explains each pose best.

    Attributes:
        prior: the mixture.
        weight: of this stage.
    """

    prior: PosePrior
    weight: float
    settings: PosePriorSettings

    @classmethod
    def of(cls, observed: Observations, settings: PosePriorSettings = DEFAULT_SETTINGS) -> PosePriorTerm:
        """The same for everybody."""
        return cls(observed.model.prior, settings.weight, settings)

    def at(self, stage: Stage) -> PosePriorTerm:
        """Heavier in the first stage."""
        return replace(self, weight=self.settings.search_weight if stage is Stage.SEARCH else self.settings.weight)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """63 residuals; the cost counts the component's own cost too."""
        poses = bodies.state.pose.reshape(-1, 63)
        component, energy = self.prior.nearest(poses)
        values = self.prior.residual(poses, component)
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((len(poses), 63, UNKNOWNS))
            jacobian[..., POSE] = self.prior.whiteners[component]
        scale = np.full_like(values, np.sqrt(self.weight))
        return Residuals(values, jacobian, scale, self.weight * energy)
