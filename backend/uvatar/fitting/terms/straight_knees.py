"""Straight knees: legs of a standing person that look straight in the photo are straight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.joints import KNEE_JOINTS
from uvatar.data.landmarks import ANKLES, HIPS, KNEES
from uvatar.fitting.chain import UNKNOWNS
from uvatar.fitting.observations import Observations, standing
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, robust

LEGS = tuple(zip(HIPS, KNEES, ANKLES, strict=True))  # landmarks, left and right


@dataclass(frozen=True)
class StraightKneeSettings:
    """Tuned numbers of the straight knees' term. How they were chosen is not recorded.

    Attributes:
        error: expected flexion of a knee that looks straight, radians.
        width: of the robust function, radians.
        bent_cosine: cosine of thigh and shin in the photo up to which a knee looks bent.
        cosine_range: what the cosine must exceed that by for a knee to look wholly straight.
    """

    error: float = 0.12
    width: float = 0.35
    bent_cosine: float = 0.94
    cosine_range: float = 0.03


DEFAULT_SETTINGS = StraightKneeSettings()


@dataclass(frozen=True)
class StraightKneeTerm(Term):
    """Flexion of knees that look straight, radians.

    Attributes:
        weights: (B, 2) 0..1, how sure it is that the left and the right leg are straight.
    """

    weights: NDArray[np.float64]
    settings: StraightKneeSettings

    @classmethod
    def of(cls, observed: Observations, settings: StraightKneeSettings = DEFAULT_SETTINGS) -> StraightKneeTerm:
        """A row for each person."""
        return cls(np.stack([straight_legs(points, settings) for points in observed.landmarks]), settings)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual of each knee."""
        values = np.stack([bodies.state.pose[:, joint - 1, 0] for joint in KNEE_JOINTS], 1)[..., None]
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((len(values), len(KNEE_JOINTS), 1, UNKNOWNS))
            for row, joint in enumerate(KNEE_JOINTS):
                jacobian[:, row, 0, 3 * joint] = 1
        return robust(values, jacobian, self.weights / self.settings.error**2, self.settings.width)


def straight_legs(landmarks: Floats, settings: StraightKneeSettings) -> NDArray[np.float64]:
    """(2,) 0..1, whether the legs of someone standing, with image landmarks (33, 3), look straight: then they are."""
    look = []
    for hip, knee, ankle in LEGS:
        thigh, shin = landmarks[knee, :2] - landmarks[hip, :2], landmarks[ankle, :2] - landmarks[knee, :2]
        lengths: Any = np.linalg.norm(thigh) * np.linalg.norm(shin)
        cosine = thigh @ shin / max(lengths, 1e-9)
        straight = np.clip((cosine - settings.bent_cosine) / settings.cosine_range, 0, 1)
        look.append(straight * landmarks[[knee, ankle], 2].min())
    return np.array(look) * standing(landmarks)
