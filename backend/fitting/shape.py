"""Whose body it may be: shape priors of men, women and children, one group per hypothesis, never a blend of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.body import BodyData

# How much likelier a group is before anything is seen, in nats: in most photos most people are grown up.
GROUP_COSTS = {"male": 0.0, "female": 0.0, "child": 1.0}
LEAST_VARIANCE = 1e-3  # of a beta, so that every covariance can be inverted


@dataclass(frozen=True)
class ShapeGroup:
    """Normal distribution of betas within one group of people.

    Attributes:
        name: "male", "female", "child", or "all" for a body without groups.
        mean: (10,).
        whitener: (10, 10) matrix W with W'W = inverse covariance.
        cost: nats that choosing this group costs.
    """

    name: str
    mean: NDArray[np.float64]
    whitener: NDArray[np.float64]
    cost: float = 0.0


def shape_groups(data: BodyData) -> list[ShapeGroup]:
    """The groups that a body model knows; for SMPL's own files one, the standard normal that their betas have."""
    groups = []
    for name, prior in data.shape_prior.items():
        covariance = prior.covariance.astype(float) + LEAST_VARIANCE * np.eye(10)
        factor = np.linalg.cholesky(covariance)
        cost = GROUP_COSTS.get(name, 0.0) + float(np.log(np.diag(factor)).sum())
        groups.append(ShapeGroup(name, prior.mean.astype(float), np.linalg.inv(factor), cost))
    return groups or [ShapeGroup("all", np.zeros(10), np.eye(10))]
