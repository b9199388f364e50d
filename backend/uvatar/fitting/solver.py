"""Levenberg-Marquardt over a batch of bodies, each with its own damping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.fitting.chain import BETAS, ORIENT, POSE, UNKNOWNS, State
from uvatar.fitting.objective import Objective


@dataclass(frozen=True)
class SolverSettings:
    """Tuned numbers of the solver. How they were chosen is not recorded.

    Attributes:
        most_rotation: radians that a joint may rotate in one step: axis-angles are only nearly linear.
        first_damping, least_damping, most_damping: Marquardt's factor on the Hessian's diagonal.
        easier, harder: what a step that lowers the cost divides the damping by, and one that does not multiplies it by.
        ridge: added to the diagonal, so that what nothing pulls at stays.
    """

    most_rotation: float = 0.6
    first_damping: float = 1e-2
    least_damping: float = 1e-6
    most_damping: float = 1e4
    easier: float = 4.0
    harder: float = 8.0
    ridge: float = 1e-6


DEFAULT_SETTINGS = SolverSettings()


def minimise(
    objective: Objective,
    state: State,
    steps: int,
    damping: NDArray[np.float64] | None = None,
    free: NDArray[np.bool_] | None = None,
    settings: SolverSettings = DEFAULT_SETTINGS,
    report: Callable[[float], None] | None = None,
) -> tuple[State, NDArray[np.float64], NDArray[np.float64]]:
    """Lower the objective by Gauss-Newton steps, damped (Marquardt 1963) so that no body's cost ever rises.

    Args:
        objective: of the bodies.
        state: where they start.
        steps: at most so many.
        damping: (B,) from an earlier call, to continue where that left off.
        free: (79,) False for unknowns that are held back.
        settings: tuned numbers.
        report: called with the fraction done after every step.

    Returns:
        The bodies, their costs (B,) and the damping (B,).
    """
    count = len(state.betas)
    damping = np.full(count, settings.first_damping) if damping is None else damping
    held = np.zeros((count, UNKNOWNS), bool)
    held[:, BETAS] = objective.betas_fixed
    if free is not None:
        held |= ~free
    if steps == 0:
        return state, objective.cost(state), damping
    cost, gradient, hessian = objective.linearised(state)
    for number in range(steps):
        trial = state.stepped(_step(gradient, hessian, damping, held, settings))
        if number + 1 < steps:
            # With the derivatives that the next step needs: a step is seldom in vain.
            trial_cost, trial_gradient, trial_hessian = objective.linearised(trial)
            better = trial_cost < cost
            gradient = np.where(better[:, None], trial_gradient, gradient)
            hessian = np.where(better[:, None, None], trial_hessian, hessian)
        else:
            trial_cost = objective.cost(trial)
            better = trial_cost < cost
        state, cost = trial.where(better, state), np.where(better, trial_cost, cost)
        damping = np.where(better, damping / settings.easier, damping * settings.harder)
        damping = np.clip(damping, settings.least_damping, settings.most_damping)
        if report is not None:
            report((number + 1) / steps)
    return state, cost, damping


def only(*parts: slice) -> NDArray[np.bool_]:
    """(79,) True for the unknowns of these parts."""
    free = np.zeros(UNKNOWNS, bool)
    for part in parts:
        free[part] = True
    return free


def _step(
    gradient: Floats, hessian: Floats, damping: Floats, held: NDArray[np.bool_], settings: SolverSettings
) -> NDArray[np.float64]:
    """(B, 79) the damped step, shortened where a joint would rotate too far; 0 where ``held`` (B, 79)."""
    diagonal = np.einsum("bii->bi", hessian)
    system = np.where(held[:, :, None] | held[:, None], 0.0, hessian)
    np.einsum("bii->bi", system)[:] = np.where(held, 1.0, diagonal * (1 + damping[:, None]) + settings.ridge)
    step = -np.linalg.solve(system, np.where(held, 0.0, gradient)[..., None])[..., 0]
    angles = np.concatenate([step[:, ORIENT], step[:, POSE]], 1)
    largest = np.abs(angles).max(1)
    step *= np.minimum(1, settings.most_rotation / np.maximum(largest, 1e-9))[:, None]
    return step
