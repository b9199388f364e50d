"""Levenberg-Marquardt over a batch of bodies, each with its own damping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.fitting.chain import BETAS, ORIENT, POSE, TRANSL, UNKNOWNS, State
from uvatar.fitting.residuals import Objective

MAX_TURN = 0.6  # radians that a joint may turn in one step: axis-angles are only nearly linear
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-6, 1e4


def minimise(
    objective: Objective, state: State, steps: int, damping: NDArray | None = None, free: NDArray | None = None
) -> tuple[State, NDArray, NDArray]:
    """Lower the objective by at most ``steps`` Gauss-Newton steps, damped (Marquardt 1963) so that no body's cost ever
    rises.

    ``damping`` (B,) from an earlier call continues where that left off; ``free`` (79,) holds back the unknowns where it
    is False. Returns the bodies, their costs (B,) and the damping (B,).
    """
    count = len(state.betas)
    damping = np.full(count, FIRST_DAMPING) if damping is None else damping
    held = np.zeros((count, UNKNOWNS), bool)
    held[:, BETAS] = objective.evidence.betas_fixed[:, None]
    if free is not None:
        held |= ~free
    cost = objective.cost(state) if steps == 0 else np.empty(count)
    for _ in range(steps):
        cost, gradient, hessian = objective.linearised(state)
        step = _step(gradient, hessian, damping, held)
        trial = state.stepped(step)
        trial_cost = objective.cost(trial)
        better = trial_cost < cost
        state, cost = trial.where(better, state), np.where(better, trial_cost, cost)
        damping = np.clip(np.where(better, damping / 4, damping * 8), LEAST_DAMPING, MOST_DAMPING)
    return state, cost, damping


def only(*parts: slice) -> NDArray:
    """(79,) True for the unknowns of these parts."""
    free = np.zeros(UNKNOWNS, bool)
    for part in parts:
        free[part] = True
    return free


def _step(gradient: NDArray, hessian: NDArray, damping: NDArray, held: NDArray) -> NDArray:
    diagonal = np.einsum("bii->bi", hessian)
    system = np.where(held[:, :, None] | held[:, None], 0.0, hessian)
    np.einsum("bii->bi", system)[:] = np.where(held, 1.0, diagonal * (1 + damping[:, None]) + 1e-6)
    step = -np.linalg.solve(system, np.where(held, 0.0, gradient)[..., None])[..., 0]
    turns = np.concatenate([step[:, ORIENT], step[:, POSE]], 1)
    largest = np.abs(turns).max(1)
    step *= np.minimum(1, MAX_TURN / np.maximum(largest, 1e-9))[:, None]
    return step


__all__ = ["BETAS", "ORIENT", "POSE", "TRANSL", "minimise", "only"]
