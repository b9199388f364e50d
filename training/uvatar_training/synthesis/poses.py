"""Random poses: captured poses mirrored, recombined and perturbed, and variations of poses that are rare in banks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats
from uvatar.data.joints import FOOT_JOINTS, HAND_JOINTS, HIP_JOINTS, KNEE_JOINTS, POSED_JOINTS, SPINE_JOINTS, Joint
from uvatar.runtime.weights import weights_folder
from uvatar_training.synthesis.bank import ARM_JOINTS, HEAD_JOINTS, load_bank, mirrored

UPPER_JOINTS = [Joint.SPINE2, Joint.SPINE3, *ARM_JOINTS, *HEAD_JOINTS]
# Seed poses: rotation vectors of left and right hip, flexion of left and right knee, and lean of each of three spine
# joints, radians.
SEEDS: dict[str, tuple[list[float], list[float], float, float, float]] = {
    "standing": ([-0.05, 0.05, 0.03], [-0.05, -0.05, -0.03], 0.06, 0.06, 0.0),
    "standing, legs apart": ([-0.05, 0.1, 0.2], [-0.05, -0.1, -0.2], 0.06, 0.06, 0.0),
    "standing, weight on one leg": ([-0.05, 0.05, -0.05], [-0.25, -0.2, -0.1], 0.05, 0.4, 0.0),
    "on a chair": ([-1.45, 0.05, 0.1], [-1.45, -0.05, -0.1], 1.45, 1.45, 0.08),
    "on a chair, leaning back": ([-1.1, 0.05, 0.1], [-1.1, -0.05, -0.1], 1.2, 1.2, 0.1),
    "legs crossed on a chair": ([-1.6, -0.1, -0.15], [-1.45, -0.05, -0.1], 1.3, 1.45, 0.08),
    "floor, legs out": ([-1.4, 0.1, 0.1], [-1.4, -0.1, -0.1], 0.2, 0.2, 0.15),
    "floor, cross-legged": ([-1.6, 0.6, 0.7], [-1.6, -0.6, -0.7], 2.1, 2.1, 0.18),
    "kneeling upright": ([-0.1, 0.05, 0.1], [-0.1, -0.05, -0.1], 1.6, 1.6, 0.0),
    "kneeling on heels": ([-0.9, 0.05, 0.1], [-0.9, -0.05, -0.1], 2.3, 2.3, 0.08),
    "on one knee": ([-1.4, 0.1, 0.1], [0.0, -0.05, -0.05], 1.5, 1.6, 0.05),
    "squatting": ([-1.9, 0.25, 0.25], [-1.9, -0.25, -0.25], 2.2, 2.2, 0.15),
}
STANDING = ("standing", "standing, legs apart", "standing, weight on one leg")
ON_A_CHAIR = ("on a chair", "on a chair, leaning back", "legs crossed on a chair")
_KINDS, _SHARES = ("bank", "recombined", "seed", "lying", "prior"), (0.5, 0.15, 0.22, 0.07, 0.06)
_SHAKE = 0.06  # radians


@dataclass(frozen=True)
class DrawnPose:
    """A pose, and what supports the person.

    Attributes:
        pose: (24, 3) axis-angle, radians; joint 0 includes leaning and lying, but no rotation about the vertical.
        kind: the family that the pose belongs to.
        support: "feet", "chair" or "floor".
    """

    pose: NDArray[np.float64]
    kind: str
    support: str


def seed_poses(name: str, count: int, noise: float, bank: Floats, rng: np.random.Generator) -> Floats:
    """Random variations (count, 24, 3) of a seed pose, with arms and heads from random poses of ``bank`` (N, 24, 3).

    Args:
        name: one of `SEEDS`.
        count: number of poses.
        noise: standard deviation of the joints' rotations, radians.
        bank: poses (N, 24, 3) to take arms and heads from.
        rng: source of all randomness.
    """
    left_hip, right_hip, left_knee, right_knee, lean = SEEDS[name]
    poses = np.zeros((count, 24, 3))
    poses[:, Joint.LEFT_HIP], poses[:, Joint.RIGHT_HIP] = left_hip, right_hip
    poses[:, Joint.LEFT_KNEE, 0], poses[:, Joint.RIGHT_KNEE, 0] = left_knee, right_knee
    poses[:, SPINE_JOINTS, 0] = lean
    poses[:, HIP_JOINTS] += rng.normal(0, noise, (count, 2, 3))
    poses[:, KNEE_JOINTS, 0] = np.abs(poses[:, KNEE_JOINTS, 0] + rng.normal(0, noise, (count, 2)))
    poses[:, SPINE_JOINTS] += rng.normal(0, noise / 2, (count, 1, 3))
    others = bank[rng.integers(len(bank), size=count)]
    poses[:, [*ARM_JOINTS, *HEAD_JOINTS]] = others[:, [*ARM_JOINTS, *HEAD_JOINTS]]
    return poses


class PoseSource:
    """Draws poses from a bank, or from the shipped pose prior if there is no bank."""

    def __init__(self, bank: Path | None = None, held_out_only: bool = False) -> None:
        """Open the source.

        Args:
            bank: the bank's .npz file; None uses the shipped prior.
            held_out_only: use only the bank's held-out blocks, without poses close to training poses.

        Raises:
            DataError: the bank cannot be used.
        """
        self._prior = _Prior.load()
        self._bank = load_bank(bank, held_out_only) if bank else None

    def draw(self, rng: np.random.Generator) -> DrawnPose:
        """Draw a random pose."""
        kind = str(rng.choice(_KINDS, p=_SHARES))
        if kind == "prior" or (self._bank is None and kind in ("bank", "recombined")):
            return DrawnPose(self._shaken(self._prior.draw(rng)[None], rng)[0], "prior", "feet")
        if kind == "seed":
            name = str(rng.choice(list(SEEDS)))
            pose = seed_poses(name, 1, 0.08 if name in STANDING else 0.15, self._some(1, rng), rng)
            support = "chair" if name in ON_A_CHAIR else "feet" if name in (*STANDING, "squatting") else "floor"
            return DrawnPose(self._mirrored_at_random(pose, rng)[0], name, support)
        if kind == "lying":
            return DrawnPose(self._lying(rng), "lying", "floor")
        pose = self._some(1, rng)
        if kind == "recombined":
            pose[:, UPPER_JOINTS] = self._some(1, rng)[:, UPPER_JOINTS]
        return DrawnPose(self._shaken(_without_turn(pose), rng)[0], kind, "feet")

    def _some(self, count: int, rng: np.random.Generator) -> Floats:
        """Poses (count, 24, 3) of the bank, or of the prior, mirrored at random."""
        if self._bank is None:
            poses = np.stack([self._prior.draw(rng) for _ in range(count)])
        else:
            poses = self._bank[rng.integers(len(self._bank), size=count)].copy()
        return self._mirrored_at_random(poses, rng)

    @staticmethod
    def _mirrored_at_random(poses: Floats, rng: np.random.Generator) -> Floats:
        return np.where((rng.random(len(poses)) < 0.5)[:, None, None], mirrored(poses), poses)

    @staticmethod
    def _shaken(poses: Floats, rng: np.random.Generator) -> Floats:
        noise = rng.normal(0, _SHAKE, poses.shape)
        noise[:, [Joint.PELVIS, *FOOT_JOINTS, *HAND_JOINTS]] *= 0.3
        noise[:, KNEE_JOINTS, 1:] *= 0.3  # knees are hinges
        return poses + noise

    def _lying(self, rng: np.random.Generator) -> Floats:
        """On the back, the front or a side, legs straight or drawn up."""
        name = str(rng.choice([*STANDING, "on a chair", "kneeling upright"]))
        pose: Floats = seed_poses(name, 1, 0.2, self._some(1, rng), rng)[0]
        roll = rng.choice([0.0, np.pi, np.pi / 2, -np.pi / 2], p=[0.5, 0.2, 0.15, 0.15]) + rng.normal(0, 0.2)
        # Tilted backwards until the face looks up, then rolled about the body's long axis.
        pose[0] = (
            Rotation.from_euler("x", -np.pi / 2 + rng.normal(0, 0.1)) * Rotation.from_euler("y", roll)
        ).as_rotvec()
        return pose


@dataclass(frozen=True)
class _Prior:
    weights: Floats
    means: Floats
    roots: Floats

    @classmethod
    def load(cls) -> _Prior:
        with np.load(weights_folder() / "pose_prior.npz", allow_pickle=False) as file:
            return cls(
                file["weights"] / file["weights"].sum(),
                file["means"],
                np.linalg.cholesky(file["covariances"].astype(np.float64)),
            )

    def draw(self, rng: np.random.Generator) -> Floats:
        """A random pose (24, 3)."""
        component = rng.choice(len(self.weights), p=self.weights)
        pose = np.zeros((24, 3))
        pose[1:POSED_JOINTS] = (self.means[component] + 0.8 * self.roots[component] @ rng.normal(size=63)).reshape(
            21, 3
        )
        return pose


def _without_turn(poses: Floats) -> Floats:
    """Poses whose joint 0 keeps its lean, rotated about the vertical to face +z."""
    out = poses.copy()
    for pose in out:
        trunk = Rotation.from_rotvec(pose[0])
        forward = trunk.apply([0.0, 0.0, 1.0])
        pose[0] = (Rotation.from_euler("y", -np.arctan2(forward[0], forward[2])) * trunk).as_rotvec()
    return out
