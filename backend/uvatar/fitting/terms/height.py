"""Heights that somebody has typed: they fix how large a person is, and so how far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.fitting.chain import BETAS, UNKNOWNS
from uvatar.fitting.observations import Observations
from uvatar.fitting.prepared import Stature
from uvatar.fitting.terms.base import PosedBodies, Residuals, Term, plain


@dataclass(frozen=True)
class HeightSettings:
    """Tuned numbers of the heights' term.

    Attributes:
        error: metres by which a typed height may be wrong.
    """

    error: float = 0.005


DEFAULT_SETTINGS = HeightSettings()


@dataclass(frozen=True)
class HeightTerm(Term):
    """Differences between the statures of the bodies and the typed heights, metres.

    Attributes:
        stature: of the body model.
        heights: (B,) metres; NaN where nobody has typed one.
    """

    stature: Stature
    heights: NDArray[np.float64]
    settings: HeightSettings

    @classmethod
    def of(cls, observed: Observations, settings: HeightSettings = DEFAULT_SETTINGS) -> HeightTerm | None:
        """A row for each person; None if no height is known."""
        heights = observed.heights
        return None if np.isnan(heights).all() else cls(observed.model.stature, heights, settings)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """One residual."""
        known = np.isfinite(self.heights)
        values = np.where(known, self.stature.of(bodies.state.betas) - self.heights, 0.0)[:, None]
        jacobian = None
        if bodies.with_derivatives:
            jacobian = np.zeros((len(values), 1, UNKNOWNS))
            jacobian[:, 0, BETAS] = known[:, None] * self.stature.by_beta
        return plain(values, jacobian, np.full_like(values, 1 / self.settings.error))
