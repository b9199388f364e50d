"""Losses of generator and discriminator, from the discriminator's logits (B, ...); high logits mean real."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Kind = Literal["non-saturating", "hinge"]


def generator_loss(fake: Tensor, kind: Kind = "non-saturating") -> Tensor:
    """-log sigmoid(D(G)) (Goodfellow et al. 2014, section 3), or -D(G) (Lim and Ye 2017, "Geometric GAN")."""
    return F.softplus(-fake).mean() if kind == "non-saturating" else -fake.mean()


def discriminator_loss(real: Tensor, fake: Tensor, kind: Kind = "non-saturating") -> Tensor:
    """The discriminator's counterpart of `generator_loss`: cross entropy, or the hinge loss with a margin of 1."""
    if kind == "non-saturating":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
