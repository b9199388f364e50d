"""The sum of all terms, as a function of the bodies being fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.gravity import Gravity
from uvatar.fitting.chain import UNKNOWNS, State
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.stance import Stance
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term


@dataclass(frozen=True)
class Objective:
    """The whole sum for B bodies.

    Attributes:
        camera: that sees them.
        model: the body that is fitted.
        terms: with a row for each body.
        betas_fixed: whether the shape is given and must not move.
    """

    camera: Camera
    model: FittingModel
    terms: Sequence[Term]
    betas_fixed: bool = False

    def at(self, stage: Stage) -> Objective:
        """With the terms that have a part in this stage, and their numbers there."""
        terms = (term.at(stage) for term in self.terms)
        return replace(self, terms=[term for term in terms if term is not None])

    def on_ground(self, stances: Sequence[Stance], gravity: Gravity) -> Objective:
        """Once the vertical is known, and how each of the people stands, in the order of the rows."""
        return replace(self, terms=[term.on_ground(stances, gravity) for term in self.terms])

    def held(self, state: State) -> Objective:
        """For the last stage, which starts at these bodies."""
        bodies = self.bodies(state)
        return replace(self, terms=[term.held(bodies) for term in self.terms])

    def paired(self, state: State) -> Objective:
        """With what the terms compare paired anew for where the bodies are."""
        bodies = self.bodies(state)
        return replace(self, terms=[term.paired(bodies) for term in self.terms])

    def bodies(self, state: State, derivatives: bool = False) -> PosedBodies:
        """The bodies in place."""
        posed = self.model.skeleton.pose(state)
        landmarks = posed.place(self.model.landmarks)
        return PosedBodies(state, posed, landmarks, landmarks.derivative() if derivatives else None, self.camera)

    def cost(self, state: State) -> NDArray[np.float64]:
        """(B,) the sum to be made small, in nats."""
        cost: NDArray[np.float64] = np.sum([term.cost for term in self._residuals(state, derivatives=False)], axis=0)
        return cost

    def linearised(self, state: State) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Cost (B,), gradient (B, 79) and Gauss-Newton Hessian (B, 79, 79)."""
        residuals = self._residuals(state, derivatives=True)
        values = np.concatenate([term.values * term.scale for term in residuals], 1)
        rows = np.empty((*values.shape, UNKNOWNS))
        filled = 0
        for term in residuals:
            assert term.jacobian is not None, "a term without its derivative"
            end = filled + term.values.shape[1]
            np.multiply(term.jacobian, term.scale[..., None], out=rows[:, filled:end])
            filled = end
        transposed = rows.transpose(0, 2, 1)
        return (
            np.sum([term.cost for term in residuals], axis=0),
            (transposed @ values[..., None])[..., 0],
            transposed @ rows,
        )

    def _residuals(self, state: State, derivatives: bool) -> list[Residuals]:
        bodies = self.bodies(state, derivatives)
        return [term.residuals(bodies) for term in self.terms]
