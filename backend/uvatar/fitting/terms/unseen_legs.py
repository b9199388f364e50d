"""Legs that nobody sees hang straight down, as legs mostly do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS
from uvatar.fitting.chain import UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, plain

LEG_JOINTS = tuple(zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, strict=True))  # left and right


@dataclass(frozen=True)
class UnseenLegSettings:
    """Tuned numbers of the unseen legs' term. How they were chosen is not recorded.

    Attributes:
        error: radians that the joints of an unseen leg are expected to rotate from the rest pose.
    """

    error: float = 0.12


DEFAULT_SETTINGS = UnseenLegSettings()


@dataclass(frozen=True)
class UnseenLegTerm(Term):
    """Rotation vectors of the joints of unseen legs, radians.

    Attributes:
        unseen: (B, 2) 1 where nothing is seen of the left or the right leg.
    """

    unseen: NDArray[np.float64]
    settings: UnseenLegSettings

    @classmethod
    def of(cls, observed: Observations, settings: UnseenLegSettings = DEFAULT_SETTINGS) -> UnseenLegTerm:
        """A row for each person."""
        return cls(observed.unseen_legs, settings)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Three residuals of each joint of a leg."""
        joints = np.array(LEG_JOINTS).reshape(-1)
        values = bodies.state.pose[:, joints - 1].reshape(-1, 3 * len(joints))
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((*values.shape, UNKNOWNS))
            jacobian[:, np.arange(values.shape[1]), (3 * joints[:, None] + np.arange(3)).reshape(-1)] = 1
        return plain(values, jacobian, np.repeat(np.sqrt(self.unseen) / self.settings.error, 9, axis=1))
