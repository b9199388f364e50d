"""The distance between two sets of pictures: the Frechet distance of normal distributions fitted to their features.

FID (Heusel et al. 2017) is this distance for the features of a certain Inception network with certain weights. With
other features it has other values, and another name here. A stable value needs thousands of pictures. Values for sets
smaller than the number of features are comparable only with values for the same number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from uvatar_training.losses.features import EfficientNetFeatures, FeatureError

FID = "FID"
# File name of torch-fidelity's weights in PyTorch's hub folder.
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"


class _Pooled(nn.Module):
    """EfficientNet-Lite0's last features with the interface that torchmetrics expects."""

    num_features = EfficientNetFeatures.channels

    def __init__(self) -> None:
        super().__init__()
        self.features = EfficientNetFeatures()

    def forward(self, images: Tensor) -> Tensor:
        return self.features.pooled(images)


@dataclass(frozen=True)
class FrechetScore:
    """A Frechet distance.

    Attributes:
        name: of the distance, which depends on the features.
        value: the distance.
        pictures: size of the smaller set.
    """

    name: str
    value: float
    pictures: int


class FrechetDistance:
    """The Frechet distance between two sets of pictures, in the features of the best network available."""

    def __init__(self, inception: Path | None = None, download: bool = False) -> None:
        """Load the network. Without Inception weights, EfficientNet-Lite0's features are used, under their own name.

        Args:
            inception: torch-fidelity's Inception weights; None looks for them in PyTorch's hub folder.
            download: let torch-fidelity download them if they are missing.

        Raises:
            FeatureError: the file ``inception`` does not exist, or no network is available.
        """
        if inception is not None and not inception.is_file():
            raise FeatureError(f"There are no Inception weights at {inception}.")
        known = inception or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
        if known.is_file() or download:
            path = str(known) if known.is_file() else None
            self.name = FID
            self._metric = FrechetInceptionDistance(2048, normalize=True, feature_extractor_weights_path=path)
        else:
            self.name = f"Frechet distance ({EfficientNetFeatures.name})"
            self._metric = FrechetInceptionDistance(_Pooled(), normalize=True)

    @torch.no_grad()
    def __call__(self, images: Iterable[Tensor], photos: Iterable[Tensor]) -> FrechetScore:
        """Compute the distance between two sets of pictures.

        Args:
            images, photos: batches (B, 3, H, W), sRGB 0..1.

        Raises:
            ValueError: a set has fewer than two pictures.
        """
        self._metric.reset()
        counts = [0, 0]
        for real, batches in enumerate((images, photos)):
            for batch in batches:
                self._metric.update(batch.clamp(0, 1), real=bool(real))
                counts[real] += len(batch)
        if min(counts) < 2:
            raise ValueError("A Frechet distance needs at least two pictures on either side.")
        return FrechetScore(self.name, float(self._metric.compute()), min(counts))
