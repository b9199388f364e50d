"""Build weights/pose_prior.npz: which poses people take, as eight Gaussians over 63 joint angles.

You need it after a change of the pose bank or of the joints' axes.

    python tools/build_pose_prior.py --bank .../poses/posebank_cmu.npz --out weights/pose_prior.npz

The bank holds axis-angles of SMPL's joints, (N, 24, 3), retargeted from CMU's motion capture; only the parameters of
the mixture are written. People rarely sit, kneel or squat in motion capture, so poses of these kinds, designed by hand
and with arms from the bank, are added to the bank and its mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from uvatar.data.arrays import Floats
from uvatar.evaluation.poses import held_out
from uvatar_training.synthesis.bank import mirrored, upright
from uvatar_training.synthesis.poses import SEEDS, seed_poses

COMPONENTS = 8
SEEDS_EACH = {"standing": 1500, "standing, legs apart": 500, "standing, weight on one leg": 500}
SEEDS_OTHERWISE = 150
SEED_NOISE, STANDING_NOISE = 0.15, 0.08  # radians
# What retargeting leaves out (twist of the forearm, toes, sideways wrists) must not be forbidden: least standard
# deviations, radians.
FLOORS = {1: 0.12, 2: 0.12, 3: 0.06, 4: 0.06, 5: 0.06, 6: 0.06, 7: 0.15, 8: 0.15, 9: 0.06, 10: 0.12, 11: 0.12, 12: 0.12,
          13: 0.08, 14: 0.08,
          15: 0.12, 16: 0.15, 17: 0.15, 18: 0.1, 19: 0.1, 20: 0.3, 21: 0.3}  # fmt: skip
SHRINKAGE = 0.1  # share of each covariance that is made diagonal


def seeded(bank: Floats, rng: np.random.Generator) -> Floats:
    """Poses (N, 24, 3) of sitting, kneeling and squatting people, their arms and heads those of random poses of the
    bank.
    """
    out = []
    for name in SEEDS:
        noise = STANDING_NOISE if name in SEEDS_EACH else SEED_NOISE
        out.append(seed_poses(name, SEEDS_EACH.get(name, SEEDS_OTHERWISE), noise, bank, rng))
    return np.concatenate(out)


def fit_mixture(
    samples: Floats, floor: Floats, components: int, rng: np.random.Generator, rounds: int = 60
) -> tuple[Floats, Floats, Floats]:
    """Expectation-maximisation: samples (N, D), least variances (D,) -> weights (K,), means (K, D), covariances (K, D,
    D).
    """
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
        log = np.stack([_log_density(samples, m, c) for m, c in zip(means, covariances, strict=True)], 1) + np.log(
            weights
        )
        log -= log.max(1, keepdims=True)
        share = np.exp(log) / np.exp(log).sum(1, keepdims=True)
    return weights, means, covariances


def _spread(samples: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of ``count`` samples far from each other (k-means++)."""
    chosen = [int(rng.integers(len(samples)))]
    for _ in range(count - 1):
        distance = np.min([((samples - samples[i]) ** 2).sum(1) for i in chosen], axis=0)
        chosen.append(int(rng.choice(len(samples), p=distance / distance.sum())))
    return chosen


def _log_density(samples: Floats, mean: Floats, covariance: Floats) -> Floats:
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, (samples - mean).T)
    density: Floats = -0.5 * (white**2).sum(0) - np.log(np.diag(factor)).sum()
    return density


def main() -> None:
    """Fit the mixture and write it to the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True, help="pose bank: an .npz with aa (N, 24, 3)")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    rng = np.random.default_rng(2)
    bank = np.load(arguments.bank, allow_pickle=False)["aa"].astype(float)
    bank = upright(bank[~held_out(len(bank))])
    bank = np.concatenate([bank, seeded(bank, rng)])
    samples = np.concatenate([bank, mirrored(bank)])[:, 1:22].reshape(-1, 63)
    floor = np.repeat([FLOORS[joint] ** 2 for joint in range(1, 22)], 3)
    weights, means, covariances = fit_mixture(samples, floor, COMPONENTS, rng)
    np.savez_compressed(
        arguments.out, weights=weights.astype("f4"), means=means.astype("f4"), covariances=covariances.astype("f4")
    )
    print(
        f"{len(samples)} poses -> {arguments.out} ({arguments.out.stat().st_size / 1e3:.0f} kB), weights "
        f"{np.round(weights, 3)}"
    )


if __name__ == "__main__":
    main()
