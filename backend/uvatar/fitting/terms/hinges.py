"""Limits of the hinges: knees and elbows bend one way only, and so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvatar.data.joints import Joint
from uvatar.fitting.chain import UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, plain

# (joint, axis, sign of flexion)
HINGES = (
    (Joint.LEFT_KNEE, 0, 1.0),
    (Joint.RIGHT_KNEE, 0, 1.0),
    (Joint.LEFT_ELBOW, 1, -1.0),
    (Joint.RIGHT_ELBOW, 1, 1.0),
)


@dataclass(frozen=True)
class HingeSettings:
    """Tuned numbers of the hinges' term, radians. How they were chosen is not recorded.

    Attributes:
        least, most: limits of the flexion that costs nothing.
        error: expected deviation beyond these limits.
    """

    least: float = 0.0
    most: float = 2.6
    error: float = 0.05


DEFAULT_SETTINGS = HingeSettings()


@dataclass(frozen=True)
class HingeTerm(Term):
    """Flexion beyond the limits, radians."""

    settings: HingeSettings

    @classmethod
    def of(cls, observed: Observations, settings: HingeSettings = DEFAULT_SETTINGS) -> HingeTerm:
        """The same for everybody."""
        return cls(settings)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual of every hinge."""
        pose = bodies.state.pose
        flexion = np.stack([sign * pose[:, joint - 1, axis] for joint, axis, sign in HINGES], 1)
        values = np.minimum(flexion - self.settings.least, 0) + np.maximum(flexion - self.settings.most, 0)
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((len(pose), len(HINGES), UNKNOWNS))
            for row, (joint, axis, sign) in enumerate(HINGES):
                jacobian[:, row, 3 * joint + axis] = np.where(values[:, row] != 0, sign, 0)
        return plain(values, jacobian, np.full_like(values, 1 / self.settings.error))
