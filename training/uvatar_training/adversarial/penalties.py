"""Losses of the adversarial game and the two penalties that keep it stable.

Goodfellow et al. 2014 (non-saturating loss), Mescheder et al. 2018 (R1), Karras et al. 2020 (path length, lazy
schedule).
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
    """Mean cross entropy of telling real textures from generated ones, by their logits (B,)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(logits: Tensor, textures: Tensor) -> Tensor:
    """Mean over the batch of the squared gradient of the logits (B,) by real ``textures`` (B, C, H, W), which must
    require it.

    The loss takes it times gamma / 2.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), textures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def r1_gamma(resolution: int, batch: int) -> float:
    """A gamma that suits most data: 0.0002 resolution^2 / batch (Karras et al. 2020b, appendix)."""
    return 2e-4 * resolution**2 / batch


class PathLength:
    """Keeps the size of the texture's change per step of the style code near its running mean."""

    def __init__(self, decay: float = 0.01) -> None:
        """``decay``: share of the newest lengths in the running mean."""
        self.mean, self.decay = 0.0, decay

    def __call__(self, textures: Tensor, codes: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Mean squared difference of the batch's path lengths from the running mean, which is then updated.

        Args:
            textures: (B, 3, H, W) made from ``codes``; RGB in -1..1 has twice the lengths of 0..1.
            codes: (B, L, style) one code per layer, requiring gradients.
        """
        lengths = path_lengths(textures, codes, rng)
        self.mean += self.decay * (float(lengths.detach().mean()) - self.mean)
        return (lengths - self.mean).square().mean()


def path_lengths(textures: Tensor, codes: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """(B,) root of the layers' mean of |J^T y|^2, J the textures' (B, C, H, W) Jacobian by the codes (B, L, style), y
    normal noise.

    y has the variance 1 / (H W), so that the length does not depend on the resolution.
    """
    noise = torch.randn(textures.shape, generator=rng, device=textures.device) / math.sqrt(
        textures.shape[2] * textures.shape[3]
    )
    (gradient,) = torch.autograd.grad((textures * noise).sum(), codes, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


@dataclass(frozen=True)
class Lazy:
    """A penalty that is only computed every so many steps, and then counts as many times.

    Attributes:
        interval: steps from one to the next: 16 for R1, 4 for path length.
    """

    interval: int

    def due(self, step: int) -> bool:
        """Whether the penalty belongs to this step, counted from 0."""
        return step % self.interval == 0

    def weighted(self, penalty: Tensor, weight: float) -> Tensor:
        """The penalty as it enters the loss of its step."""
        return penalty * weight * self.interval

    def optimiser_settings(self, rate: float, betas: tuple[float, float]) -> tuple[float, tuple[float, float]]:
        """Adam's learning rate and betas, corrected for the extra update that each interval adds where penalties are
        steps of their own.
        """
        share = self.interval / (self.interval + 1)
        return rate * share, (betas[0] ** share, betas[1] ** share)
