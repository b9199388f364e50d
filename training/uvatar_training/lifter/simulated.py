"""Synthetic people without a rendering: true landmarks with perception's errors added.

Rendering a person takes a third of a second, which allows thousands of people but not millions. The others are drawn
from the same poses and shapes, and get the errors of rendered people in the most similar poses: the same limbs missing,
swapped or leaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import (
    ANKLE_JOINTS,
    COLLAR_JOINTS,
    ELBOW_JOINTS,
    FOOT_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    PARENTS,
    SHOULDER_JOINTS,
    SPINE_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.fitting.lifter import POSED
from uvatar.geometry import rotations
from uvatar_training.data.batch import joined
from uvatar_training.lifter.errors import LIMBS, NEIGHBOURS, DetectionErrors, pose_keys
from uvatar_training.lifter.people import DrawnPerson, LifterBatch, batch_of
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.scenes import POPULATION, VIEWPOINTS
from uvatar_training.lifter.skeleton import RotatedSkeleton, global_rotations

PATCHED_SHARE = 0.5  # share of the synthetic people whose limbs get their errors from different neighbours
# Groups of joints, each with the share of synthetic people for whom it is taken from another pose.
PARTS = [
    *(list(side) for side in zip(COLLAR_JOINTS, SHOULDER_JOINTS, ELBOW_JOINTS, WRIST_JOINTS, strict=True)),
    *(list(side) for side in zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, FOOT_JOINTS, strict=True)),
    [Joint.NECK, Joint.HEAD],
    SPINE_JOINTS,
]
SWAPPED_SHARE = 0.25


class SimulatedPeople:
    """Synthetic people with the errors of rendered people in similar poses.

    Args:
        rows: of shards, see `read_shards`.
        skeleton: the body's skeleton.
        body: the body of all people.
        poses: source of poses.
        count: number of people to draw; each gets the errors of one of its 8 neighbours, plain or mirrored.
        seed: of everything that is drawn.
    """

    def __init__(
        self,
        rows: dict[str, NDArray[Any]],
        skeleton: RotatedSkeleton,
        body: BodyModel,
        poses: PoseSampler,
        count: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        errors = DetectionErrors.of(rows, skeleton)
        self.errors, self._skeleton = errors, skeleton
        joint_rotations = np.empty((count, POSED, 3, 3), np.float32)
        betas = np.empty((count, 10), np.float32)
        self._rays = errors.rays[rng.integers(len(errors.rays), size=count)]
        for i in range(count):
            pose = poses.draw(rng)
            betas[i] = POPULATION.betas(body.data, POPULATION.group(rng), rng)
            orient = VIEWPOINTS.draw(rng).seen(pose[0])
            joint_rotations[i] = _looking_along(self._rays[i]).T @ global_rotations(orient, pose[1:])
        self._joint_rotations, self._betas = joint_rotations, betas
        self._nearest = np.concatenate(
            [
                errors.nearest(pose_keys(skeleton, betas[i : i + 500], joint_rotations[i : i + 500]))
                for i in range(0, count, 500)
            ]
        )

    def draw(self, count: int, rng: np.random.Generator) -> LifterBatch:
        """Draw a random batch of ``count`` people."""
        index = rng.integers(len(self._betas), size=count)
        joint_rotations, betas = self._recombined(index, rng), self._betas[rng.permutation(index)]
        neighbour = self._nearest[index[:, None], rng.integers(NEIGHBOURS, size=(count, len(LIMBS)))]
        neighbour = np.where(rng.random((count, 1)) < PATCHED_SHARE, neighbour, neighbour[:, :1])
        with torch.no_grad():
            _, points = self._skeleton(torch.from_numpy(betas), torch.from_numpy(joint_rotations))
        values = self.errors.applied(points.numpy().astype(np.float64), neighbour, self._rays[index], rng)
        return batch_of(values.astype(np.float32), joint_rotations, betas, rng.random(count) < 0.5)

    def _recombined(self, index: Integers, rng: np.random.Generator) -> NDArray[np.float32]:
        """Joint rotations (B, 22, 3, 3) of people, some of whose limbs are posed like those of another person."""
        joint_rotations = self._joint_rotations[index]
        parents = [max(int(parent), 0) for parent in PARENTS[:POSED]]
        local = joint_rotations[:, parents].swapaxes(-1, -2) @ joint_rotations
        others = self._joint_rotations[rng.integers(len(self._joint_rotations), size=len(index))]
        other = others[:, parents].swapaxes(-1, -2) @ others
        for part in PARTS:
            swapped = rng.random(len(index)) < SWAPPED_SHARE
            local[:, part] = np.where(swapped[:, None, None, None], other[:, part], local[:, part])
        joint_rotations = joint_rotations.copy()
        for k in range(1, POSED):
            joint_rotations[:, k] = joint_rotations[:, parents[k]] @ local[:, k]
        return joint_rotations


@dataclass(frozen=True)
class Mixture:
    """Makes batches in which a share ``real`` of the rendered people is kept and synthetic people replace the others.

    The synthetic people depend only on the rendered people and their seeds, so a resumed run sees the same batches.
    """

    simulated: SimulatedPeople
    real: float

    def __call__(self, people: Sequence[DrawnPerson]) -> LifterBatch:
        """A batch with a share of the people as rendered and seen, and synthetic people instead of the others."""
        kept = round(self.real * len(people))
        parts = [person.seen for person in people[:kept]]
        if kept < len(people):
            rng = np.random.default_rng([person.seed for person in people])
            parts.append(self.simulated.draw(len(people) - kept, rng))
        return joined(parts)


def _looking_along(ray: Floats) -> NDArray[np.float64]:
    """The rotation (3, 3) of `view` for a ray with x and y (2,)."""
    forward = np.array([0.0, 0.0, 1.0])
    return rotations.between(forward, np.array([*ray, np.sqrt(max(float(1 - ray @ ray), 1e-6))]))
