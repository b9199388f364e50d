"""Rendered people with perception's results, in the form that the pose lifter is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera
from uvatar.fitting.lifter import FLIP, MIRRORED_JOINTS, features, mirrored_features, view
from uvatar_training.data.batch import Batch
from uvatar_training.lifter.skeleton import global_rotations

ASSUMED_SHARE = 0.7  # share of people seen with the lens that is assumed for photos without lens data


@dataclass(frozen=True)
class LifterBatch(Batch):
    """Features and truth of B people.

    Attributes:
        features: (B, 201) perception's results.
        rotations: (B, 22, 3, 3) rotations of the joints in the axes of the camera that looks at the person.
        betas: (B, 10).
    """

    features: Tensor
    rotations: Tensor
    betas: Tensor


@dataclass(frozen=True)
class SeenPerson:
    """One person of `People` seen in V ways: features (V, 201), joint rotations (V, 22, 3, 3), betas (10,)."""

    name: str
    features: NDArray[np.float32]
    rotations: NDArray[np.float32]
    betas: NDArray[np.float32]
    split: str = "train"


@dataclass(frozen=True)
class DrawnPerson:
    """One person seen in one way (a batch of 1), and a seed for the synthetic person who may replace this one."""

    seen: LifterBatch
    seed: int


@dataclass(frozen=True)
class People:
    """Rendered people as the network sees them.

    Attributes:
        features: (N, V, 201) in V ways: the mean of two passes and each pass, each with the assumed and with the true
            lens.
        rotations: (N, V, 22, 3, 3) rotations of the joints in the axes of the camera that looks at the person.
        betas: (N, 10).
    """

    features: NDArray[np.float32]
    rotations: NDArray[np.float32]
    betas: NDArray[np.float32]

    @classmethod
    def of(cls, rows: dict[str, NDArray[Any]]) -> People:
        """The people in the rows of shards, see `read_shards`."""
        seen, turned = [], []
        for i in range(len(rows["betas"])):
            rotations = global_rotations(rows["global_orient"][i], rows["body_pose"][i])
            focal, width, height = (float(value) for value in rows["camera"][i])
            cameras = [Camera.for_photo(int(width), int(height), f) for f in (None, focal)]
            sights = [
                (rows["landmarks"][i], rows["world"][i]),
                *((one[:, :3], one[:, 3:]) for one in rows["passes"][i]),
            ]
            box = rows["box"][i]
            seen.append([features(flat, space, box, camera) for camera in cameras for flat, space in sights])
            turned.append([view(box, camera).T @ rotations for camera in cameras for _ in sights])
        return cls(np.array(seen, np.float32), np.array(turned, np.float32), rows["betas"].astype(np.float32))

    def batch(self, index: Integers, way: Integers, mirror: NDArray[np.bool_]) -> LifterBatch:
        """People ``index`` (B,), each seen in way ``way`` (B,), mirrored where ``mirror`` (B,) is true."""
        return batch_of(self.features[index, way], self.rotations[index, way], self.betas[index], mirror)

    def __len__(self) -> int:
        return len(self.betas)

    def read(self, number: int) -> SeenPerson:
        """Person ``number``, as a sample for the common trainer."""
        return SeenPerson(f"person {number}", self.features[number], self.rotations[number], self.betas[number])


def prepare_person(person: SeenPerson, rng: np.random.Generator) -> DrawnPerson:
    """The person or its mirror image, seen in a random way."""
    ways = len(person.features) // 2
    way = int(rng.integers(ways)) + ways * int(rng.random() > ASSUMED_SHARE)
    mirror = np.array([rng.random() < 0.5])
    seen = batch_of(person.features[way][None], person.rotations[way][None], person.betas[None], mirror)
    return DrawnPerson(seen, int(rng.integers(2**63)))


def batch_of(values: Floats, rotations: Floats, betas: Floats, mirror: NDArray[np.bool_]) -> LifterBatch:
    """A batch of people, mirrored where ``mirror`` (B,) is true.

    Args:
        values: (B, 201) features.
        rotations: (B, 22, 3, 3) rotations of the joints.
        betas: (B, 10).
        mirror: (B,) whom to mirror.
    """
    flip = FLIP.astype(np.float32)
    values = np.where(mirror[:, None], mirrored_features(values), values)
    rotations = np.where(mirror[:, None, None, None], flip @ rotations[:, MIRRORED_JOINTS] @ flip, rotations)
    return LifterBatch(
        *(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in (values, rotations, betas))
    )
