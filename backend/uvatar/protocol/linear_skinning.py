"""Skin weights for programs that skin linearly, as game engines do.

Weights are made for skinning with dual quaternions, as Blender does, which keeps the girth of a limb over wide
transitions. Linear skinning draws each vertex of a transition to the chord between where its bones would take it
(Kavan et al. 2008, figure 2), so that elbows and knees lose their girth; the narrower the transition, the less of the
limb does. Backend and extension share this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rig import BODY_JOINTS, RIG_NAMES, Floats


@dataclass(frozen=True)
class Settings:
    """Tuned numbers.

    Attributes:
        exponents: by the name of a joint, without its side: weights between its bone and its parent's are raised to
            this power. The largest with which no pose of `benchmarks.deformation` shows a crease.
        still: share of a forearm, from the elbow on, that does not twist with the hand.
    """

    exponents: Mapping[str, float] = field(
        default_factory=lambda: {"elbow": 2.5, "knee": 2.5, "hip": 1.75, "shoulder": 2.0, "wrist": 2.0}
    )
    still: float = 0.15


def twist_shares(
    places: Floats, begin: Floats, end: Floats, levels: Sequence[float], settings: Settings | None = None
) -> NDArray[np.float64]:
    """How a forearm's weights are divided among it and the bones that share the twist of its hand.

    Args:
        places: (N, 3) vertices at rest.
        begin, end: (3,) elbow and wrist at rest.
        levels: (B,) the share of the twist that each of these bones has, rising.
        settings: None for the usual ones.

    Returns:
        (N, 1 + B) shares of the forearm and of each bone; rows sum to 1.
    """
    still = (settings or Settings()).still
    along = np.asarray(end, np.float64) - begin
    place = (places - begin) @ along / (along @ along)
    wanted = np.clip((place - still) / (1 - still), 0, 1)  # share of the hand's twist
    steps = [0.0, *levels]
    shares: NDArray[np.float64] = np.stack([np.interp(wanted, steps, row) for row in np.eye(len(steps))], 1)
    return shares


def narrowed(
    joints: NDArray[np.integer[Any]], weights: Floats, parents: Sequence[int], settings: Settings | None = None
) -> NDArray[np.float64]:
    """Weights whose transitions between bones are narrower.

    Args:
        joints: (V, K) of each vertex; those of the body have the numbers of `uvatar.protocol.rig`.
        weights: (V, K) at least 0, rows sum to 1.
        parents: of each joint, -1 for the root.
        settings: None for the usual ones.

    Returns:
        (V, K), rows sum to 1. A vertex that lies between several pairs of bones gets the mean of their exponents, by
        the products of their weights, so that nothing jumps.
    """
    settings = settings or Settings()
    power = np.ones(len(parents))
    for joint, name in enumerate(RIG_NAMES[:BODY_JOINTS]):
        power[joint] = settings.exponents.get(name.removeprefix("left_").removeprefix("right_"), 1.0)
    parent = np.asarray(parents)
    shares, exponents = np.zeros(len(joints)), np.zeros(len(joints))
    for first, second in combinations(range(joints.shape[1]), 2):
        one, other = joints[:, first], joints[:, second]
        below = np.where(parent[one] == other, one, np.where(parent[other] == one, other, -1))
        share = np.where(below >= 0, np.asarray(weights[:, first], float) * weights[:, second], 0.0)
        shares += share
        exponents += share * power[below]
    exponents = np.where(shares > 0, exponents / np.where(shares > 0, shares, 1.0), 1.0)
    narrow = np.asarray(weights, np.float64) ** exponents[:, None]
    result: NDArray[np.float64] = narrow / narrow.sum(1, keepdims=True)
    return result
