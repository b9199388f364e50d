"""StyleGAN2's discriminator for UV textures (Karras et al. 2020): residual blocks and minibatch standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.layers import Conv2d, Linear, at_least_single, leaky_relu

_LAST = 4


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a discriminator.

    Attributes:
        resolution: texels on a side of the textures.
        channels: of the textures: 3 for RGB, more if the discriminator also sees geometry or masks.
        channel_base, channel_max: number of features at r x r: min(channel_base / r, channel_max).
        group: number of textures whose standard deviation is computed together.
    """

    resolution: int
    channels: int = 3
    channel_base: int = 8192
    channel_max: int = 256
    group: int = 4

    @classmethod
    def like(cls, config: Config, channels: int = 3) -> DiscriminatorConfig:
        """The sizes of a Texture Predictor's synthesis network, for textures with ``channels`` channels."""
        return cls(config.resolution, channels, config.channel_base, config.channel_max)

    def features(self, size: int) -> int:
        """Number of features at ``size`` x ``size``."""
        return min(self.channel_base // size, self.channel_max)


class _DiscriminatorBlock(nn.Module):
    """Two convolutions with a shortcut; the output has half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Conv2d(inputs, inputs, 3)
        self.second = Conv2d(inputs, outputs, 3, down=True)
        self.shortcut = Conv2d(inputs, outputs, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (leaky_relu(self.second(leaky_relu(self.first(x)))) + self.shortcut(x)) * math.sqrt(0.5)
        return out


class Discriminator(nn.Module):
    """Rates how real textures look."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = Conv2d(config.channels, config.features(config.resolution), 1)
        sizes = [config.resolution >> k for k in range(int(math.log2(config.resolution // _LAST)))]
        self.blocks = nn.Sequential(
            *(_DiscriminatorBlock(config.features(size), config.features(size // 2)) for size in sizes)
        )
        last = config.features(_LAST)
        self.join = Conv2d(last + 1, last, 3)
        self.hidden = Linear(last * _LAST**2, last)
        self.logit = Linear(last, 1)

    def forward(self, texture: Tensor) -> Tensor:
        """Logits (B,) of textures (B, channels, R, R), sRGB 0..1."""
        x = leaky_relu(self.entry(2 * texture - 1))
        x = self.blocks(x)
        x = leaky_relu(self.join(torch.cat([x, group_spread(x, self.config.group)], 1)))
        out: Tensor = self.logit(leaky_relu(self.hidden(x.flatten(1))))[:, 0]
        return out


def group_spread(x: Tensor, group: int) -> Tensor:
    """The standard deviation within each group of textures, averaged over features and positions, (B, 1, H, W).

    Groups have ``group`` members, or fewer if the batch is smaller or not divisible (Karras et al. 2018, section 3).

    Args:
        x: (B, C, H, W) features.
        group: number of textures per group.
    """
    members = next(count for count in range(min(group, len(x)), 0, -1) if len(x) % count == 0)
    grouped = at_least_single(x).reshape(members, -1, *x.shape[1:])
    spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat(members).to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])
