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
from uvatar_training.lifter.skeleton import global_turns

ASSUMED_SHARE = 0.7  # of the sightings, seen with the lens that is assumed where a photo tells none


@dataclass(frozen=True)
class LifterBatch(Batch):
    """Features (B, 201) and truth in the axes of the camera that looks at the person: turns (B, 22, 3, 3), betas (B,
    10).
    """

    features: Tensor
    turns: Tensor
    betas: Tensor


@dataclass(frozen=True)
class SeenPerson:
    """One person of `People`: features (V, 201), turns (V, 22, 3, 3), betas (10,)."""

    name: str
    features: NDArray[np.float32]
    turns: NDArray[np.float32]
    betas: NDArray[np.float32]
    split: str = "train"


@dataclass(frozen=True)
class DrawnPerson:
    """One person seen in one way (a batch of 1), and a seed for whom is imagined in the person's place."""

    seen: LifterBatch
    seed: int


@dataclass(frozen=True)
class People:
    """Rendered people as the network sees them.

    Attributes:
        features: (N, V, 201) in V ways: the mean of two passes and each pass, with the assumed lens and with the true
            one.
        turns: (N, V, 22, 3, 3) of the joints, in the axes of the camera that looks at the person.
        betas: (N, 10).
    """

    features: NDArray[np.float32]
    turns: NDArray[np.float32]
    betas: NDArray[np.float32]

    @classmethod
    def of(cls, rows: dict[str, NDArray[Any]]) -> People:
        """From the rows of shards."""
        seen, turned = [], []
        for i in range(len(rows["betas"])):
            turns = global_turns(rows["global_orient"][i], rows["body_pose"][i])
            focal, width, height = (float(value) for value in rows["camera"][i])
            cameras = [Camera.for_photo(int(width), int(height), f) for f in (None, focal)]
            sights = [
                (rows["landmarks"][i], rows["world"][i]),
                *((one[:, :3], one[:, 3:]) for one in rows["passes"][i]),
            ]
            box = rows["box"][i]
            seen.append([features(flat, space, box, camera) for camera in cameras for flat, space in sights])
            turned.append([view(box, camera).T @ turns for camera in cameras for _ in sights])
        return cls(np.array(seen, np.float32), np.array(turned, np.float32), rows["betas"].astype(np.float32))

    def batch(self, index: Integers, way: Integers, mirror: NDArray[np.bool_]) -> LifterBatch:
        """People ``index`` (B,) seen in ways (B,), mirrored where ``mirror`` (B,)."""
        return batch_of(self.features[index, way], self.turns[index, way], self.betas[index], mirror)

    def __len__(self) -> int:
        return len(self.betas)

    def read(self, number: int) -> SeenPerson:
        """One of them, as a sample of the common trainer."""
        return SeenPerson(f"person {number}", self.features[number], self.turns[number], self.betas[number])


def prepare_person(person: SeenPerson, rng: np.random.Generator) -> DrawnPerson:
    """The person seen in a random way, or its mirror image."""
    ways = len(person.features) // 2
    way = int(rng.integers(ways)) + ways * int(rng.random() > ASSUMED_SHARE)
    mirror = np.array([rng.random() < 0.5])
    seen = batch_of(person.features[way][None], person.turns[way][None], person.betas[None], mirror)
    return DrawnPerson(seen, int(rng.integers(2**63)))


def batch_of(values: Floats, turns: Floats, betas: Floats, mirror: NDArray[np.bool_]) -> LifterBatch:
    """People as the network sees them, each mirrored where ``mirror`` (B,) says so."""
    flip = FLIP.astype(np.float32)
    values = np.where(mirror[:, None], mirrored_features(values), values)
    turns = np.where(mirror[:, None, None, None], flip @ turns[:, MIRRORED_JOINTS] @ flip, turns)
    return LifterBatch(*(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in (values, turns, betas)))
