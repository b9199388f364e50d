"""How large people are, which a photo hardly tells: a body larger and farther away by a factor looks the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from uvatar.data.arrays import Floats
from uvatar.fitting.chain import State
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.shape import CHILD, ShapeGroup


@dataclass(frozen=True)
class SizeSettings:
    """Tuned numbers.

    Attributes:
        grown_up: share of a grown-up's deviation from the mean stature of the group that is kept: proportions tell
            little of it. Regression over the people of `uvatar evaluate synthetic --split tuning` gives 0.5.
    """

    grown_up: float = 0.5


DEFAULT_SETTINGS = SizeSettings()


def likely_sizes(
    bodies: State,
    groups: Sequence[ShapeGroup],
    heights: Floats,
    model: FittingModel,
    settings: SizeSettings = DEFAULT_SETTINGS,
) -> State:
    """The bodies as large as they are on average, given what the fit makes of their proportions.

    Args:
        bodies: a row for each person.
        groups: likewise, of people whose shapes they were drawn towards; children keep their sizes.
        heights: (N,) metres; NaN where they are not known.
        model: the body that is fitted.
        settings: tuned numbers.
    """
    stature = model.stature.of(bodies.betas)
    mean = model.stature.of(np.stack([group.mean for group in groups]))
    as_fitted = np.isfinite(heights) | np.array([group.name == CHILD for group in groups])
    likely = np.where(as_fitted, stature, mean + settings.grown_up * (stature - mean))
    return resized(bodies, likely / stature, model)


def resized(bodies: State, factors: Floats, model: FittingModel) -> State:
    """The bodies larger and farther away by ``factors`` (N,), so that they look the same."""
    pelvis = model.skeleton.pose(bodies).joints[:, 0]
    changed = replace(bodies, betas=model.stature.changed(bodies.betas, factors * model.stature.of(bodies.betas)))
    moved = factors[:, None] * pelvis - model.skeleton.pose(changed).joints[:, 0]
    return replace(changed, transl=bodies.transl + moved)
