"""Losses of adversarial training, and the two penalties that keep it stable.

Goodfellow et al. 2014 (non-saturating loss), Mescheder et al. 2018 (R1), Karras et al. 2020 (path length, lazy
regularisation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake: Tensor) -> Tensor:
    """Mean of -log sigmoid(logit) over the discriminator's logits (B,) of generated textures."""
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean cross entropy of distinguishing real from generated textures, by the discriminator's logits (B,)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(logits: Tensor, textures: Tensor) -> Tensor:
    """Mean squared norm of the gradient of the logits (B,) by real textures.

    In the loss, it is multiplied by gamma / 2.

    Args:
        logits: (B,) of the discriminator.
        textures: (B, C, H, W) real textures, which must require gradients.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), textures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def r1_gamma(resolution: int, batch: int) -> float:
    """A value of gamma that suits most data: 0.0002 resolution^2 / batch (Karras et al. 2020b, appendix)."""
    return 2e-4 * resolution**2 / batch


class PathLength:
    """Keeps the texture's change per change of the style code near its running mean."""

    def __init__(self, decay: float = 0.01) -> None:
        """Start with a mean of 0; ``decay`` is the weight of the newest lengths in the running mean."""
        self.mean, self.decay = 0.0, decay

    def __call__(self, textures: Tensor, codes: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Mean squared difference between the batch's path lengths and the running mean, which is then updated.

        Args:
            textures: (B, 3, H, W) generated from ``codes``. Lengths for RGB in -1..1 are twice those for 0..1.
            codes: (B, L, style) one code per layer, requiring gradients.
            rng: source of the noise.
        """
        lengths = path_lengths(textures, codes, rng)
        self.mean += self.decay * (float(lengths.detach().mean()) - self.mean)
        return (lengths - self.mean).square().mean()


def path_lengths(textures: Tensor, codes: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Path lengths (B,): the root of the layers' mean of |J^T y|^2, with normal noise y.

    J is the Jacobian of the textures by the codes. The variance of y is 1 / (H W), which makes the length independent
    of the resolution.

    Args:
        textures: (B, C, H, W) generated from ``codes``.
        codes: (B, L, style) one code per layer, requiring gradients.
        rng: source of the noise.
    """
    noise = torch.randn(textures.shape, generator=rng, device=textures.device) / math.sqrt(
        textures.shape[2] * textures.shape[3]
    )
    (gradient,) = torch.autograd.grad((textures * noise).sum(), codes, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


@dataclass(frozen=True)
class Lazy:
    """The schedule of a penalty that is computed once per ``interval`` steps, and then weighted by ``interval``.

    Attributes:
        interval: number of steps: 16 for R1, 4 for path length.
    """

    interval: int

    def due(self, step: int) -> bool:
        """Whether the penalty is computed in this step, counted from 0."""
        return step % self.interval == 0

    def weighted(self, penalty: Tensor, weight: float) -> Tensor:
        """The penalty's term in the loss of its step."""
        return penalty * weight * self.interval

    def optimiser_settings(self, rate: float, betas: tuple[float, float]) -> tuple[float, tuple[float, float]]:
        """Adam's learning rate and betas, corrected for the additional update per interval.

        For penalties that are optimised in separate steps.
        """
        share = self.interval / (self.interval + 1)
        return rate * share, (betas[0] ** share, betas[1] ** share)
