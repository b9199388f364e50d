"""A moving average of a network's weights, which is used instead of the trained weights (Karras et al. 2018)."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """A moving average of a network's weights.

    Attributes:
        network: the averaged copy, without gradients.
    """

    def __init__(self, network: Network, half_life: float, ramp: float | None = 0.05) -> None:
        """Start the average from a copy of ``network``.

        Args:
            network: the network that is trained.
            half_life: number of samples after which earlier weights count half.
            ramp: early in training, the half-life is this share of the samples seen so far, to forget the random start
                soon; None for a constant half-life.
        """
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life, self.ramp, self.samples = half_life, ramp, 0

    @torch.no_grad()
    def update(self, network: Network, batch: int) -> None:
        """Update the average after a training step on ``batch`` samples.

        Parameters are averaged; buffers (running statistics, counters) are copied.
        """
        self.samples += batch
        half_life = self.half_life if self.ramp is None else min(self.half_life, self.samples * self.ramp)
        kept = 0.5 ** (batch / max(half_life, 1e-8))
        for mine, new in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.data.lerp_(new.data.to(mine), 1 - kept)
        for held, newest in zip(self.network.buffers(), network.buffers(), strict=True):
            held.copy_(newest)
