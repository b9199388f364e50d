"""The people of `uvatar evaluate synthetic`: which poses, bodies and cameras, by split.

"all" are those whose figures were published first. "tuning" and "final" share no pose: numbers may be tuned on the
first, and the second is run only to report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.evaluation.poses import drawn_poses
from uvatar.evaluation.sampling import Population
from uvatar.evaluation.sitters import POPULATION, VIEWPOINTS, Sitter, random_sitter

SPLITS = ("all", "tuning", "final")
# A third of the people are children, and cameras are tilted.
_POPULATION = Population(shares=(0.35, 0.32, 0.33), spread=POPULATION.spread)
_VIEWPOINTS = replace(VIEWPOINTS, roll=2.0)
_ALIKE = 0.05  # radians: poses that differ by less are one
_SEEDS = {"tuning": 1_000_000, "final": 2_000_000}


@dataclass(frozen=True)
class Drawn:
    """A person to be rendered.

    Attributes:
        sitter: body and camera.
        rng: of everything else that is random about the picture.
        focal_known: whether the picture says which lens it was taken with.
    """

    sitter: Sitter
    rng: np.random.Generator
    focal_known: bool = False


def drawn_people(split: str, bank: Floats, count: int, seed: int, body: BodyModel) -> Iterator[Drawn]:
    """The people of a split.

    Args:
        split: one of `SPLITS`.
        bank: (N, 24, 3) all poses.
        count: number of people.
        seed: of everything random.
        body: that is posed.
    """
    if split == "all":
        for name, pose, rng in drawn_poses(bank, count, seed):
            yield Drawn(random_sitter(name, pose, body, rng), rng)
        return
    poses = poses_of(split, bank)
    for name, pose, rng in drawn_poses(poses, count, _SEEDS[split] + seed):
        sitter = random_sitter(name, pose, body, rng, _POPULATION, _VIEWPOINTS)
        yield Drawn(sitter, rng, bool(rng.random() < 0.5))


def poses_of(split: str, bank: Floats) -> Floats:
    """The poses of a split: every other one; of the second split, none that a pose of the first has, turned or not."""
    first, second = bank[0::2], bank[1::2]
    if split == "tuning":
        return first
    alike = np.abs(second[:, None, 1:] - first[None, :, 1:]).max((2, 3)).min(1) < _ALIKE
    kept: Floats = second[~alike]
    return kept
