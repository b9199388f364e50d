"""Rebuild ``weights/pose_prior.npz``: what poses people take, as eight Gaussians over 63 joint angles.

    python tools/build_pose_prior.py --bank .../poses/posebank_cmu.npz --out weights/pose_prior.npz

The bank holds SMPL-style axis-angles (N, 24, 3) retargeted from CMU motion capture; only the mixture's numbers leave this
script. Sitting, kneeling and squatting are thin in motion capture, so hand-made seeds of them, with arms from the bank,
join the bank and its mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.evaluation.poses import held_out

COMPONENTS = 8
MIRRORED_JOINTS = np.array([0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22])
ARM_JOINTS = [13, 14, 16, 17, 18, 19, 20, 21]
# Seeds: (left hip, right hip) and (left knee, right knee) rotation vectors, and the lean of each of three spine joints.
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
SEEDS_EACH = {"standing": 1500, "standing, legs apart": 500, "standing, weight on one leg": 500}
SEEDS_OTHERWISE = 150
SEED_NOISE, STANDING_NOISE = 0.15, 0.08  # radians
# The bank was made for a body whose rest pose leans; on ours its people stand with the pelvis tipped forward and the chest
# leaning back (medians of those with straight legs): radians taken out of the hips and put into each of three spine joints.
PELVIS_TILT, SPINE_LEAN = 0.17, 0.12
# What retargeting leaves out (twist of the forearm, toes, sideways wrists) must not be forbidden: least standard deviations, radians.
FLOORS = {1: 0.12, 2: 0.12, 3: 0.06, 4: 0.06, 5: 0.06, 6: 0.06, 7: 0.15, 8: 0.15, 9: 0.06, 10: 0.12, 11: 0.12, 12: 0.12, 13: 0.08, 14: 0.08,
          15: 0.12, 16: 0.15, 17: 0.15, 18: 0.1, 19: 0.1, 20: 0.3, 21: 0.3}  # fmt: skip
SHRINKAGE = 0.1  # share of each covariance that is made diagonal


def mirrored(poses: NDArray) -> NDArray:
    """The poses (N, 24, 3) of the people's mirror images."""
    return poses[:, MIRRORED_JOINTS] * np.array([1.0, -1.0, -1.0])


def upright(poses: NDArray) -> NDArray:
    """The bank's poses (N, 24, 3) with the lean of its rest pose taken out."""
    poses = poses.copy()
    untilt = Rotation.from_rotvec([PELVIS_TILT, 0, 0])
    for hip in (1, 2):
        poses[:, hip] = (untilt * Rotation.from_rotvec(poses[:, hip])).as_rotvec()
    poses[:, [3, 6, 9], 0] += SPINE_LEAN
    return poses


def seeded(bank: NDArray, rng: np.random.Generator) -> NDArray:
    """Poses (N, 24, 3) of sitting, kneeling and squatting people, their arms and heads those of random poses of the bank."""
    out = []
    for name, (left_hip, right_hip, left_knee, right_knee, lean) in SEEDS.items():
        count = SEEDS_EACH.get(name, SEEDS_OTHERWISE)
        noise = STANDING_NOISE if name in SEEDS_EACH else SEED_NOISE
        poses = np.zeros((count, 24, 3))
        poses[:, 1], poses[:, 2] = left_hip, right_hip
        poses[:, 4, 0], poses[:, 5, 0] = left_knee, right_knee
        poses[:, [3, 6, 9], 0] = lean
        poses[:, [1, 2]] += rng.normal(0, noise, (count, 2, 3))
        poses[:, [4, 5], 0] = np.abs(poses[:, [4, 5], 0] + rng.normal(0, noise, (count, 2)))
        poses[:, [3, 6, 9]] += rng.normal(0, noise / 2, (count, 1, 3))
        others = bank[rng.integers(len(bank), size=count)]
        poses[:, [*ARM_JOINTS, 12, 15]] = others[:, [*ARM_JOINTS, 12, 15]]
        out.append(poses)
    return np.concatenate(out)


def fit_mixture(
    samples: NDArray, floor: NDArray, components: int, rng: np.random.Generator, rounds: int = 60
) -> tuple[NDArray, NDArray, NDArray]:
    """Expectation-maximisation: samples (N, D), least variances (D,) -> weights (K,), means (K, D), covariances (K, D, D)."""
    count, size = samples.shape
    means = samples[_spread(samples, components, rng)]
    share = np.eye(components)[((samples[:, None] - means) ** 2).sum(-1).argmin(1)]
    for _ in range(rounds):
        mass = share.sum(0) + 1e-9
        weights, means = mass / count, share.T @ samples / mass[:, None]
        covariances = np.empty((components, size, size))
        for k in range(components):
            centred = samples - means[k]
            covariance = (share[:, k, None] * centred).T @ centred / mass[k]
            diagonal = np.diag(np.diag(covariance))
            covariances[k] = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal + np.diag(floor)
        log = np.stack([_log_density(samples, m, c) for m, c in zip(means, covariances, strict=True)], 1) + np.log(weights)
        log -= log.max(1, keepdims=True)
        share = np.exp(log) / np.exp(log).sum(1, keepdims=True)
    return weights, means, covariances


def _spread(samples: NDArray, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of ``count`` samples far from each other (k-means++)."""
    chosen = [int(rng.integers(len(samples)))]
    for _ in range(count - 1):
        distance = np.min([((samples - samples[i]) ** 2).sum(1) for i in chosen], axis=0)
        chosen.append(int(rng.choice(len(samples), p=distance / distance.sum())))
    return chosen


def _log_density(samples: NDArray, mean: NDArray, covariance: NDArray) -> NDArray:
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, (samples - mean).T)
    return -0.5 * (white**2).sum(0) - np.log(np.diag(factor)).sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True, help="npz with aa (N, 24, 3)")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rng = np.random.default_rng(2)
    bank = np.load(arguments.bank, allow_pickle=False)["aa"].astype(float)
    bank = upright(bank[~held_out(len(bank))])
    bank = np.concatenate([bank, seeded(bank, rng)])
    samples = np.concatenate([bank, mirrored(bank)])[:, 1:22].reshape(-1, 63)
    floor = np.repeat([FLOORS[joint] ** 2 for joint in range(1, 22)], 3)
    weights, means, covariances = fit_mixture(samples, floor, COMPONENTS, rng)
    np.savez_compressed(arguments.out, weights=weights.astype("f4"), means=means.astype("f4"), covariances=covariances.astype("f4"))
    print(f"{len(samples)} poses -> {arguments.out} ({arguments.out.stat().st_size / 1e3:.0f} kB), weights {np.round(weights, 3)}")


if __name__ == "__main__":
    main()
