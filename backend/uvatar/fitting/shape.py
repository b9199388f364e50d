"""Whose body it may be: shape priors of groups of people, one group per hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData, ShapePrior

# What each group costs before anything is seen, in nats. Small children win by more than this (9 to 34 nats on real
# photos), slim adults do not. The outline of a dressed adult says little of their sex (coats and skirts widen the hips
# of both), so "adult" lies between men and women, with a flat chest, and "female" needs evidence.
GROUP_COSTS = {"adult": 0.0, "female": 2.0, "child": 3.0}
# Nats on top where no leg is seen, half where one is not: a head and a trunk alone do not tell a child, and a leg under
# a table is made up.
UNSEEN_CHILD_COST = 20.0
# What a child must win by, as a share of what the fit costs: where much is left unexplained, a nat more says little. Of
# 90 people in real photos whose legs are seen, thirteen win by 1.0 to 9.6 %, children of up to about ten all of them;
# six by up to 0.5 %: a boy of about twelve, and five youths and grown-ups (skaters, skiers, a woman at a desk).
SURELY_CHILD = 0.0075
CHILD_NOTE = "Given a child's proportions."
PERHAPS_CHILD_NOTE = "Given a grown-up's proportions, but may be a child: the photo leaves it open."
AGE_NOTES = (CHILD_NOTE, PERHAPS_CHILD_NOTE)
MALE_SHARE = 0.65  # of the mean adult's shape: up to here the chest stays flat
GENDER_VARIANCE = 0.1  # of the adults' step from the female to the male mean
LEAST_VARIANCE = 1e-3  # of a beta, so that every covariance can be inverted


@dataclass(frozen=True)
class ShapeGroup:
    """Normal distribution of betas within one group of people.

    Attributes:
        name: "adult", "female", "child", or "all" for a body without groups.
        mean: (10,).
        whitener: (10, 10) matrix W with W'W = inverse covariance.
        cost: nats that choosing this group costs, its normalising constant included.
    """

    name: str
    mean: NDArray[np.float64]
    whitener: NDArray[np.float64]
    cost: float = 0.0


def shape_groups(data: BodyData) -> list[ShapeGroup]:
    """The groups that a body model knows; for SMPL's own files one, the standard normal that their betas have."""
    priors = dict(data.shape_prior)
    if {"male", "female"} <= priors.keys():
        priors["adult"] = _adults(priors["male"], priors["female"])
    return [_group(name, priors[name]) for name in GROUP_COSTS if name in priors] or [
        ShapeGroup("all", np.zeros(10), np.eye(10))
    ]


def _adults(male: ShapePrior, female: ShapePrior) -> ShapePrior:
    step = male.mean - female.mean
    covariance = (
        MALE_SHARE * male.covariance + (1 - MALE_SHARE) * female.covariance + GENDER_VARIANCE * np.outer(step, step)
    )
    return ShapePrior(female.mean + MALE_SHARE * step, covariance)


def _group(name: str, prior: ShapePrior) -> ShapeGroup:
    factor = np.linalg.cholesky(prior.covariance.astype(float) + LEAST_VARIANCE * np.eye(10))
    cost = GROUP_COSTS[name] + float(np.log(np.diag(factor)).sum())
    return ShapeGroup(name, prior.mean.astype(float), np.linalg.inv(factor), cost)
