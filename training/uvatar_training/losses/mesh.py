"""The 3D Mesh Loss: one function per term, and their weighted sum (ROMP section 3.3).

All terms are means over annotated values; a mask that is false everywhere gives 0, not NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# The published weights.
ROMP_WEIGHTS: Mapping[str, float] = {
    "center": 160.0,
    "joints_3d": 200.0,
    "joints_aligned": 360.0,
    "joints_2d": 400.0,
    "pose": 80.0,
    "shape": 6.0,
    "prior": 1.6,
    "camera": 0.0,
    "global_orient": 0.0,
    "joint_maps": 0.0,
}
# Betas are weighted by how much they change the body.
BETA_WEIGHTS = (1.0, 0.64, 0.32, 0.32, 0.16, 0.16, 0.16, 0.16, 0.16, 0.16)
TERM_CAP = 1000.0


@dataclass(frozen=True)
class MixturePrior:
    """A mixture of Gaussians over body poses (Bogo et al. 2016, "Keep it SMPL", eq. 7).

    Attributes:
        log_weights: (K,) logarithm of each component's weight.
        means: (K, D).
        precision_roots: (K, D, D) upper triangular R with R^T R the inverse covariance.
    """

    log_weights: Tensor
    means: Tensor
    precision_roots: Tensor

    def negative_log_likelihood(self, pose: Tensor) -> Tensor:
        """Negative log likelihood (B,) of poses (B, D), axis-angles, under the component that fits each pose best."""
        deviation = torch.einsum("kij,bkj->bki", self.precision_roots, pose[:, None] - self.means)
        log_det = torch.diagonal(self.precision_roots, dim1=-2, dim2=-1).abs().log().sum(-1)
        return (0.5 * deviation.square().sum(-1) - self.log_weights - log_det).amin(1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` (same shape, bool); 0 where it is false everywhere."""
    weight = mask.to(values.dtype)
    return (torch.where(mask, values, torch.zeros_like(values)) * weight).sum() / weight.sum().clamp_min(1)


def center_focal(predicted: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CornerNet (Law and Deng 2018, eq. 1), per true centre.

    Args:
        predicted: (B, 1, H, W) raw heatmap; clamped to [1e-3, 1 - 1e-3] in the logarithms only, as published.
        target: (B, 1, H, W), 1 at the centres.
        labelled: (B,) bool, whether every person of the picture is annotated; other pictures are left out, because they
            would penalise correct detections.
    """
    p = predicted.clamp(1e-3, 1 - 1e-3)
    positive = target == 1
    gain = torch.where(
        positive, p.log() * (1 - predicted).square(), (1 - p).log() * predicted.square() * (1 - target) ** 4
    )
    gain = gain * labelled[:, None, None, None]
    count = (positive & labelled[:, None, None, None]).sum()
    return -gain.sum() / (count + 1e-4)


def joint_maps_distance(predicted: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """Squared error of heatmaps (B, J, H, W), summed over the maps and divided by the number of visible joints.

    Targets are made by `uvatar_training.losses.targets.joint_heatmaps`; only pictures that are ``labelled`` (B,) count.
    """
    squared = (predicted - target).square().flatten(1).sum(1)
    joints = target.flatten(1).sum(1) / (2 * math.pi)  # the sum of a Gaussian with a sigma of one cell
    return (squared * labelled).sum() / (joints * labelled).sum().clamp_min(1)


def pose_distance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean Frobenius distance of rotation matrices (N, J, 3, 3) where ``valid`` (N, J)."""
    return masked_mean(_norm(predicted - target, (-2, -1)), valid)


def shape_distance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Weighted distance of betas (N, 10) where ``valid`` (N,), elsewhere their distance from the mean body.

    Both are divided by 20 as published.
    """
    weights = torch.tensor(BETA_WEIGHTS, dtype=predicted.dtype, device=predicted.device)
    known = masked_mean(_norm((predicted - target) * weights, (-1,)), valid)
    unknown = masked_mean(predicted.square().mean(-1), ~valid)
    return (known + unknown) / 20


def camera_distance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean distance of weak-perspective cameras (N, 3) where ``valid`` (N,); scales are compared by their logarithms.

    The published term compares raw scales and has weight 0; with logarithms, near and far people count the same.
    """
    difference = torch.cat(
        [(predicted[:, :1] / target[:, :1].clamp_min(1e-6)).clamp_min(1e-6).log(), predicted[:, 1:] - target[:, 1:]], 1
    )
    return masked_mean(_norm(difference, (-1,)), valid)


def joints_2d_distance(predicted: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Mean distance of projected joints (N, J, 2), -1..1 across the picture, where ``visible`` (N, J)."""
    return masked_mean(_norm(predicted - target, (-1,)), visible)


def joints_3d_distance(predicted: Tensor, target: Tensor, valid: Tensor, hips: Sequence[int]) -> Tensor:
    """MPJPE: mean distance (metres) of joints (N, J, 3), both relative to the middle between the two hips."""
    left, right = hips
    predicted = predicted - (predicted[:, left] + predicted[:, right])[:, None] / 2
    target = target - (target[:, left] + target[:, right])[:, None] / 2
    return masked_mean(_norm(predicted - target, (-1,)), valid)


def procrustes(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Align ``predicted`` (N, J, 3) to ``target`` by the best similarity over ``valid`` (N, J) joints (Umeyama 1991).

    The published loss uses only joints that are annotated in every sample of the batch; here each sample uses its own.
    """
    weight = valid.to(predicted.dtype)[..., None]
    total = weight.sum(1, keepdim=True).clamp_min(1)
    mean_p, mean_t = (predicted * weight).sum(1, keepdim=True) / total, (target * weight).sum(1, keepdim=True) / total
    p, t = (predicted - mean_p) * weight, (target - mean_t) * weight
    # The transform has no gradient, as in a step of ICP: the derivative of an SVD divides by differences of singular
    # values, which vanish for flat and for round sets of joints.
    with torch.no_grad():
        u, singular, vt = torch.linalg.svd(p.transpose(1, 2).double() @ t.double())
        sign = torch.ones_like(singular)
        sign[:, 2] = torch.sign(torch.linalg.det(u @ vt))
        rotation = (u * sign[:, None]) @ vt
        scale = (singular * sign).sum(1) / p.double().square().sum((1, 2)).clamp_min(1e-12)
        transform = (scale[:, None, None] * rotation).to(predicted.dtype)
    moved: Tensor = (predicted - mean_p) @ transform + mean_t
    return moved


def joints_aligned_distance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """PA-MPJPE: mean distance (metres) of joints (N, J, 3) after `procrustes`.

    People with fewer than 4 valid joints are left out.
    """
    enough = valid & (valid.sum(1, keepdim=True) >= 4)
    return masked_mean(_norm(procrustes(predicted, target, enough) - target, (-1,)), enough)


def pose_prior(axis_angle: Tensor, prior: MixturePrior, tolerated: float = 500.0) -> Tensor:
    """Negative log likelihood of body poses (N, D) above ``tolerated``, divided by 100.

    The published loss jumps from 0 to its value at 500; here it is continuous.
    """
    if not len(axis_angle):
        return axis_angle.sum() * 0
    return torch.relu(prior.negative_log_likelihood(axis_angle) - tolerated).mean() / 100


@dataclass(frozen=True)
class MeshLoss:
    """Weighted sum of the terms that were computed.

    Attributes:
        weights: by the terms' names; a term with weight 0 is left out.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(ROMP_WEIGHTS))

    def __call__(self, terms: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Sum terms, given by name. A weighted term above 1000 is scaled to 1000, keeping its gradient's direction.

        Returns:
            The total, and the weighted terms by name for the log.

        Raises:
            KeyError: a term has no weight, or no term has a weight other than 0.
        """
        total: Tensor | None = None
        log = {}
        for name, term in terms.items():
            weighted = self.weights[name] * term
            if self.weights[name] == 0:
                continue
            log[name] = float(weighted.detach())
            if log[name] > TERM_CAP:
                weighted = weighted * (TERM_CAP / log[name])
            total = weighted if total is None else total + weighted
        if total is None:
            raise KeyError("no term of the mesh loss has a weight")
        return total, log


def _norm(difference: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Euclidean norm with a finite gradient at 0."""
    return (difference.square().sum(dims) + 1e-16).sqrt()
