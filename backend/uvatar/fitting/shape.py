"""Whose body it may be: shape priors of groups of people, one group per hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData, ShapePrior
from uvatar.data.arrays import Floats

CHILD = "child"  # the group's name
CHILD_NOTE = "Given a child's proportions."
PERHAPS_CHILD_NOTE = "Given an adult's proportions, but may be a child: the photo does not tell."
AGE_NOTES = (CHILD_NOTE, PERHAPS_CHILD_NOTE)


@dataclass(frozen=True)
class ShapeSettings:
    """Tuned numbers of the choice between groups of people.

    Attributes:
        group_costs: (group, nats that it costs before anything is seen). Small children win by more than this (9 to 34
            nats on real photos), slim adults do not. The outline of a dressed adult says little of their sex (coats and
            skirts widen the hips of both), so "adult" lies between men and women, with a flat chest, and "female" needs
            evidence.
        unseen_child_cost: nats on top of a child's where no leg is seen, half where one is not: a head and a trunk
            alone do not tell a child, and a leg under a table is made up. Likewise of whoever lies or is seen along the
            trunk.
        lying: degrees by which a trunk is inclined in the picture (upright up to, lying from). A woman in bed was
            taken for a child at 35; of children in real photos, all but one of seven are below 21.
        inclined: the same of the fitted trunk in space. A rendered man who flies towards the camera was taken for a
            child at 44.
        surely_child: what a child must win by, as a share of what the fit costs (no face seen, face seen): where much
            is left unexplained, a nat more says little. Of 90 people in real photos whose legs are seen, thirteen won
            by 1.0 to 9.6 % without the face's size, children of up to about ten all of them; six by up to 0.5 %: a boy
            of about twelve, and five youths and grown-ups (skaters, skiers, a woman at a desk). With the face's size
            grown-ups in real photos lose by 0.7 nats or more, rendered ones by 0.5.
        male_share: of the mean adult's shape; the rest is female. It was chosen so that the chest just stays flat.
        gender_variance: of the adults' step from the female to the male mean, in units of that step. How it was chosen
            is not recorded.
        least_variance: of a beta, so that every covariance can be inverted.
    """

    group_costs: tuple[tuple[str, float], ...] = (("adult", 0.0), ("female", 2.0), ("child", 3.0))
    unseen_child_cost: float = 20.0
    lying: tuple[float, float] = (22.0, 38.0)
    inclined: tuple[float, float] = (32.0, 46.0)
    surely_child: tuple[float, float] = (0.0075, 0.001)
    male_share: float = 0.65
    gender_variance: float = 0.1
    least_variance: float = 1e-3


DEFAULT_SETTINGS = ShapeSettings()


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


def unseen_proportions(
    seen: Floats, trunks: Floats, unseen_legs: Floats, settings: ShapeSettings
) -> NDArray[np.float64]:
    """(B,) 0..1, how far the photo hides what tells a child's body from an adult's.

    Args:
        seen: (B, 2) from the hips to the shoulders, pixels.
        trunks: (B, 3) the same of the fitted bodies, camera frame.
        unseen_legs: (B, 2) 1 where nothing is seen of the left or the right leg.
        settings: tuned numbers.
    """
    (upright, lying), (begin, end) = settings.lying, settings.inclined
    tilt = np.degrees(np.arctan2(np.abs(seen[:, 0]), -seen[:, 1]))
    inclined = np.degrees(np.arctan2(np.linalg.norm(trunks[:, [0, 2]], axis=1), -trunks[:, 1]))
    hidden = [unseen_legs.mean(1), (tilt - upright) / (lying - upright), (inclined - begin) / (end - begin)]
    shares: NDArray[np.float64] = np.clip(np.max(hidden, axis=0), 0, 1)
    return shares


def shape_groups(data: BodyData, settings: ShapeSettings) -> list[ShapeGroup]:
    """The groups that a body model knows; for SMPL's own files one, the standard normal that their betas have."""
    priors = dict(data.shape_prior)
    if {"male", "female"} <= priors.keys():
        priors["adult"] = _adults(priors["male"], priors["female"], settings)
    costs = settings.group_costs
    return [_group(name, priors[name], cost, settings) for name, cost in costs if name in priors] or [
        ShapeGroup("all", np.zeros(10), np.eye(10))
    ]


def _adults(male: ShapePrior, female: ShapePrior, settings: ShapeSettings) -> ShapePrior:
    """Men and women together: as tall as both are on average, in the other respects as the settings say."""
    step, share = male.mean - female.mean, settings.male_share
    covariance = (
        share * male.covariance + (1 - share) * female.covariance + settings.gender_variance * np.outer(step, step)
    )
    mean = female.mean + share * step
    mean[0] = (male.mean[0] + female.mean[0]) / 2
    return ShapePrior(mean, covariance)


def _group(name: str, prior: ShapePrior, cost: float, settings: ShapeSettings) -> ShapeGroup:
    factor = np.linalg.cholesky(prior.covariance.astype(float) + settings.least_variance * np.eye(10))
    cost = cost + float(np.log(np.diag(factor)).sum())
    return ShapeGroup(name, prior.mean.astype(float), np.linalg.inv(factor), cost)
