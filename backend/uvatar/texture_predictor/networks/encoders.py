"""Encoders of the Texture Predictor: the photo's style, and the body's structure in space and the UV plane."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.layers import Conv2d, Linear, leaky_relu
from uvatar.texture_predictor.structure import Structure

# ImageNet's mean and deviation of sRGB, which torchvision's weights were trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RESNET_FEATURES = 512
# Beyond these log-variances a latent's deviation is 0.7 % or 7 times the prior's: no photo says more or less than that.
_LOG_VARIANCE = (-10.0, 4.0)
_JOINTS, _BETAS, _CAMERA = 24, 10, 3
_HIDDEN = 256
# Maps of the UV plane besides materials: geometry, partial texture, its mirror image, the completed texture.
_MAPS = 7 + 4 + 4 + 3


@dataclass(frozen=True)
class Style:
    """The latent's distribution given the photo: independent normals with ``mean`` and ``log_variance``, both (B,
    latent).
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, rng: torch.Generator) -> Tensor:
        """(B, latent) latents, differentiable in mean and log-variance (Kingma and Welling 2013)."""
        noise = torch.randn(self.mean.shape, generator=rng, device=rng.device)
        return self.mean + noise * (0.5 * self.log_variance).exp()

    def divergence(self) -> Tensor:
        """(B,) Kullback-Leibler divergence from the standard normal, nats."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(1)


class StyleEncoder(nn.Module):
    """Photo -> style: torchvision's ResNet-18 with its layout, so that its weights load by name."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.resnet = resnet18(weights=None)
        self.resnet.fc = nn.Identity()
        self.latent = Linear(_RESNET_FEATURES, 2 * config.latent)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, photo: Tensor) -> Style:
        """(B, 3, S, S) sRGB 0..1, the person before mid-grey -> Style."""
        mean, log_variance = self.latent(self.resnet((photo - self.mean) / self.deviation).float()).chunk(2, 1)
        return Style(mean, log_variance.clamp(*_LOG_VARIANCE))

    def fetch_imagenet_weights(self) -> None:
        """Start from torchvision's ImageNet weights, which are downloaded (45 MB) unless PyTorch's hub has them
        already.

        Raises OSError (URLError) where they cannot be had.
        """
        state = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True)
        self.resnet.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})


class UvEncoder(nn.Module):
    """Geometry, partial texture, its mirror image, the completed texture and materials -> features of every size, each
    seeing more of the body than the last.

    Every size sees the maps themselves too, so that a network for larger textures goes on from one for smaller ones.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = [config.spatial_channels(size) for size in config.sizes]
        self.entries = nn.ModuleList(Conv2d(_MAPS + config.materials, count, 3) for count in channels)
        self.down = nn.ModuleList(Conv2d(fine, coarse, 3, down=True) for coarse, fine in itertools.pairwise(channels))

    def forward(self, maps: Tensor) -> list[Tensor]:
        """(B, 18 + materials, R, R) -> (B, spatial_channels, s, s) for s = 4, 8, ..., R."""
        features = [leaky_relu(self.entries[-1](maps))]
        for entry, down in zip(reversed(self.entries[:-1]), reversed(self.down), strict=True):
            maps = F.avg_pool2d(maps, 2)
            features.append(leaky_relu(entry(maps) + down(features[-1])))
        return features[::-1]


def uv_maps(structure: Structure[Tensor]) -> Tensor:
    """(B, 18 + materials, R, R) geometry, partial texture, its mirror image, the completed one and materials for the UV
    encoder: colours -1..1, 0 where not seen.
    """
    if (
        structure.geometry is None
        or structure.partial is None
        or structure.mirrored is None
        or structure.completed is None
    ):
        raise ValueError(
            "This network is conditioned in the UV plane: the structure needs geometry and all three textures."
        )
    textures = []
    for texture in (structure.partial, structure.mirrored):
        alpha = texture[:, 3:]
        # what lies under alpha 0 may be anything, NaN included
        textures += [torch.where(alpha > 0, (2 * texture[:, :3] - 1) * alpha, 0), alpha]
    batch = len(structure.betas)
    materials = [] if structure.materials is None else [structure.materials]
    return torch.cat(
        [structure.geometry.expand(batch, -1, -1, -1), *textures, 2 * structure.completed - 1, *materials], 1
    )


class StructureEncoder(nn.Module):
    """Pose, shape, camera and, with a spatial configuration, the UV plane -> structure vector and UV features."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.body = Linear(6 * _JOINTS + _BETAS + _CAMERA, _HIDDEN)
        self.uv = UvEncoder(config) if config.spatial else None
        coarse = config.spatial_channels(4) * 16 if config.spatial else 0
        self.join = Linear(_HIDDEN + coarse, config.structure)

    def forward(self, structure: Structure[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Structure vectors (B, structure), and the UV features of every size (none without spatial conditioning)."""
        six = structure.pose[..., :2].flatten(1)
        parts = [leaky_relu(self.body(torch.cat([six, structure.betas, structure.camera], 1)))]
        features = [] if self.uv is None else self.uv(uv_maps(structure))
        if features:
            parts.append(features[0].flatten(1))
        return self.join(torch.cat(parts, 1)), features
