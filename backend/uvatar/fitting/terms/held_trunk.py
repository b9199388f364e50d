"""The trunk's bend, held in the last stage: what the picture's noise would change of it is depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.joints import SPINE_JOINTS
from uvatar.fitting.chain import POSE, UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, plain

# Columns of the unknowns that turn the three joints of the spine.
_COLUMNS = POSE.start + np.array([3 * (joint - 1) + axis for joint in SPINE_JOINTS for axis in range(3)])


@dataclass(frozen=True)
class HeldTrunkSettings:
    """Tuned numbers.

    Attributes:
        error: by which each of the three joints of the spine may turn in the last stage, radians. Without the term
            pelvis and chest of people who stand turn against each other by 9 degrees (standard deviation) in that
            stage, three times as far as in truth.
    """

    error: float = 0.02


DEFAULT_SETTINGS = HeldTrunkSettings()


@dataclass(frozen=True)
class HeldTrunkTerm(Term):
    """How far the joints of the spine have turned, radians.

    Attributes:
        bend: (B, 9) axis-angles of the three joints that are held.
    """

    bend: NDArray[np.float64]
    settings: HeldTrunkSettings

    @classmethod
    def of(cls, observed: Observations, settings: HeldTrunkSettings = DEFAULT_SETTINGS) -> HeldTrunkTerm:
        """A row for each person; what is held is known only once the last stage begins."""
        return cls(np.zeros((len(observed.people), len(_COLUMNS))), settings)

    def at(self, stage: Stage) -> HeldTrunkTerm | None:
        """Of the last stage alone."""
        return self if stage is Stage.CLOSE else None

    def held(self, bodies: PosedBodies) -> HeldTrunkTerm:
        """As the bodies are now."""
        return replace(self, bend=_bend(bodies))

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Nine residuals."""
        values = _bend(bodies) - self.bend
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((*values.shape, UNKNOWNS))
            jacobian[:, np.arange(len(_COLUMNS)), _COLUMNS] = 1
        return plain(values, jacobian, np.full_like(values, 1 / self.settings.error))


def _bend(bodies: PosedBodies) -> NDArray[np.float64]:
    """(B, 9) axis-angles of the joints of the spine."""
    return bodies.state.pose.reshape(len(bodies.state.pose), -1)[:, _COLUMNS - POSE.start]
