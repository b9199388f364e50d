"""The pose prior: a mixture of Gaussians over the axis-angles of joints 1..21."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.runtime.weights import weights_folder

DIMENSIONS = 63


@dataclass(frozen=True)
class PosePrior:
    """Mixture of Gaussians over (63,) = joints 1..21 x axis-angle (x, y, z), radians.

    Attributes:
        means: (K, 63).
        whiteners: (K, 63, 63) W with W'W = inverse covariance: W (pose - mean) has unit variance.
        costs: (K,) what choosing a component costs, in nats: -log weight + half the log determinant of its covariance,
            less the smallest of these.
    """

    means: NDArray[np.float64]
    whiteners: NDArray[np.float64]
    costs: NDArray[np.float64]

    @classmethod
    def from_mixture(cls, weights: Floats, means: Floats, covariances: Floats) -> PosePrior:
        """From mixture weights (K,), means (K, 63) and covariances (K, 63, 63)."""
        factors = np.linalg.cholesky(covariances)
        whiteners = np.linalg.inv(factors)
        costs = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1) - np.log(weights)
        return cls(means, whiteners, costs - costs.min())

    @classmethod
    def load(cls, folder: Path | None = None) -> PosePrior:
        """The prior in a folder of weights (``pose_prior.npz``, of `tools/build_pose_prior.py`); by default the one
        that ships.
        """
        with np.load((folder or weights_folder()) / "pose_prior.npz", allow_pickle=False) as file:
            return cls.from_mixture(
                file["weights"].astype(float), file["means"].astype(float), file["covariances"].astype(float)
            )

    def nearest(self, poses: Floats) -> tuple[NDArray[np.int64], Floats]:
        """The component (B,) that explains each pose (B, 63) best, and the negative log density (B,) by that component
        alone, up to a constant: smooth but where the component changes.
        """
        energies = 0.5 * self._distances(poses) + self.costs
        return energies.argmin(1), energies.min(1)

    def residual(self, poses: Floats, component: Integers) -> Floats:
        """(B, 63) whitened deviation of poses (B, 63) from their ``component`` (B,); its derivative is
        ``whiteners[component]``.
        """
        deviation: Floats = (self.whiteners[component] @ (poses - self.means[component])[..., None])[..., 0]
        return deviation

    def _distances(self, poses: Floats) -> Floats:
        """Squared Mahalanobis distance (B, K)."""
        white = self.whiteners @ (poses - self.means[:, None]).swapaxes(1, 2)
        distances: Floats = (white**2).sum(1).T
        return distances
