"""StyleGAN2's mapping and synthesis networks, conditioned in space by features in the UV plane.

Karras et al. 2019 (mapping, truncation, style mixing), Karras et al. 2020 (skip connections to RGB).  The spatial
conditioning scales and shifts the activations of every size texel by texel, as in SPADE (Park et al. 2019); together
with the code from the photo that is co-modulation (Zhao et al. 2021).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.layers import (
    Conv2d,
    Linear,
    ModulatedConv2d,
    StyledLayer,
    leaky_relu,
    normalised,
    upsample,
)

_MAPPING_RATE = 0.01
_AVERAGE_DECAY = 0.995
# Sizes that run in half precision where it is asked for: the largest four, which cost nearly everything.
_HALF_SIZES = 4


class Mapping(nn.Module):
    """Latent and structure vector -> style code w."""

    average: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = [config.latent + config.structure] + [config.style] * config.mapping_layers
        self.layers = nn.ModuleList(Linear(a, b, rate=_MAPPING_RATE) for a, b in itertools.pairwise(widths))
        self.register_buffer("average", torch.zeros(config.style))

    def forward(self, latent: Tensor, structure: Tensor, truncation: float = 1.0) -> Tensor:
        """(B, latent), (B, structure) -> (B, style).

        ``truncation``: 1 takes the code as it is, 0 the average code of training. In training mode the average follows.
        """
        x = torch.cat([normalised(latent), normalised(structure)], 1)
        for layer in self.layers:
            x = leaky_relu(layer(x))
        if self.training:
            self.average.lerp_(x.detach().mean(0).to(self.average), 1 - _AVERAGE_DECAY)
        return x if truncation == 1 else torch.lerp(self.average.to(x), x, truncation)


class Condition(nn.Module):
    """Scales and shifts activations by features of the same place."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.convolution = Conv2d(features, 2 * channels, 1)
        with torch.no_grad():
            self.convolution.weight[:channels] = 0  # scales start at 1

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, channels, H, W), (B, features, H, W) -> (B, channels, H, W)."""
        scale, shift = self.convolution(features.to(x.dtype)).chunk(2, 1)
        styled: Tensor = x * (1 + scale) + shift
        return styled


class Block(nn.Module):
    """The layers of one size: an upsampling convolution (or the learnt start), the conditioning, a convolution, and
    RGB.
    """

    def __init__(self, config: Config, size: int) -> None:
        super().__init__()
        channels, first = config.channels(size), size == config.sizes[0]
        self.start = nn.Parameter(torch.randn(1, channels, size, size)) if first else None
        self.enlarge = None if first else StyledLayer(config.channels(size // 2), channels, config.style, up=True)
        self.condition = Condition(config.spatial_channels(size), channels) if config.spatial else None
        self.refine = StyledLayer(channels, channels, config.style)
        self.to_rgb = ModulatedConv2d(channels, 3, 1, config.style, demodulate=False)
        self.rgb_bias = nn.Parameter(torch.zeros(3))

    def forward(
        self, x: Tensor | None, codes: Sequence[Tensor], noise: Sequence[Tensor | None], features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Activations of half the size, codes (B, style) and noise of each layer, features -> activations, and RGB (B,
        3, s, s).
        """
        if self.start is not None:
            x = self.start.expand(len(codes[0]), -1, -1, -1)
        else:
            assert self.enlarge is not None and x is not None
            x = self.enlarge(x, codes[0], noise[0])
        if self.condition is not None:
            assert features is not None
            x = self.condition(x, features)
        x = self.refine(x, codes[-2], noise[-1])
        return x, self.to_rgb(x, codes[-1]).float() + self.rgb_bias[:, None, None]


class Synthesis(nn.Module):
    """Style codes and UV features -> texture."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config, size) for size in config.sizes)

    def forward(
        self,
        codes: Tensor,
        features: Sequence[Tensor] = (),
        noise: Sequence[Tensor] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Make textures.

        Args:
            codes: (B, config.codes, style), one for every convolution from coarse to fine and one for the last to RGB.
            features: with a spatial configuration, the UV encoder's (B, spatial_channels, s, s) for every size s from 4
                on.
            noise: (B, 1, s, s) for every convolution (see `noise`), or None for none.
            dtype: of the largest four sizes' activations; weights, codes and RGB stay float32.

        Returns:
            (B, 3, resolution, resolution) sRGB, about 0..1, not clipped.
        """
        noise = noise or [None] * (self.config.codes - 1)  # type: ignore[list-item]
        x = rgb = None
        for index, block in enumerate(self.blocks):
            low = index >= len(self.blocks) - _HALF_SIZES
            x = x if x is None else x.to(dtype if low else torch.float32)
            # a block's last code, to RGB, is the first convolution's of the next one
            first, last = max(2 * index - 1, 0), 2 * index + 1
            own = codes[:, first : last + 1].unbind(1)
            x, colour = block(x, own, noise[first:last], features[index] if self.config.spatial else None)
            rgb = colour if rgb is None else upsample(rgb) + colour
        assert rgb is not None
        image: Tensor = 0.5 + 0.5 * rgb
        return image

    def noise(self, batch: int, rng: torch.Generator) -> list[Tensor]:
        """Noise for every convolution, drawn from ``rng`` on its device."""
        sizes = [size for size in self.config.sizes for _ in range(2)][1:]
        return [torch.randn(batch, 1, size, size, generator=rng, device=rng.device) for size in sizes]


def mixed(codes: Tensor, others: Tensor, crossover: int) -> Tensor:
    """(B, L, style) codes, those from layer ``crossover`` on taken from ``others``: coarse structure of one, fine
    colours of the other.
    """
    return torch.cat([codes[:, :crossover], others[:, crossover:]], 1)
