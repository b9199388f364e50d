"""Whether a texture has the structure of the real one, where a pixel-wise comparison would ask for the same phase.

PSNR and SSIM rate a stripe that is half a pitch off below plain grey. Gradient energy and patch statistics do not know
where a stripe lies, only that there are stripes of this strength, direction and width.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Numbers

_SCALES = 3  # halvings of the picture whose patches are compared
_PATCH = 5  # pixels a side of a patch
_LEAST_PIXELS = 30  # of a mask that says something


def detail(image: Numbers, mask: NDArray[np.bool_]) -> float:
    """Mean squared gradient of the luma over the pixels of ``mask`` (H, W) whose neighbours lie in it, too.

    Args:
        image: (H, W, 3) in 0..255.
        mask: (H, W).

    Returns NaN where the mask is too small. In units of (1/255)^2 per pixel^2.
    """
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if inside.sum() < _LEAST_PIXELS:
        return float("nan")
    luma = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8
    return float((across**2 + down**2)[inside].mean())


def detail_ratio(image: Numbers, reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """Square root of the `detail` of one picture over that of the other: 1 where both are equally rich."""
    truth = detail(reference, mask)
    return float(np.sqrt(detail(image, mask) / max(truth, 1e-3)))


def patch_distance(image: Numbers, reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """Distance of the statistics of small patches inside ``mask`` (H, W): 0 for the same, 1 for no structure at all.

    The Gram matrices of a fixed filter bank's responses (Gatys et al. 2015, "Texture synthesis using convolutional
    neural networks", with the two-dimensional cosine basis instead of a network) are compared at three scales.

    Returns NaN where the mask is too small.
    """
    differences, sizes = 0.0, 0.0
    pictures = [image.astype(np.float32) / 255, reference.astype(np.float32) / 255]
    weight = mask.astype(np.float32)
    for scale in range(_SCALES):
        inside = cv2.erode((weight > 0.99).astype(np.uint8), np.ones((_PATCH, _PATCH), np.uint8)) > 0
        if inside.sum() < _LEAST_PIXELS:
            break
        ours, truth = (_gram(picture, inside) for picture in pictures)
        differences += float(((ours - truth) ** 2).sum())
        sizes += float((truth**2).sum())
        if scale + 1 < _SCALES:
            half = (mask.shape[1] >> (scale + 1), mask.shape[0] >> (scale + 1))
            pictures = [np.asarray(cv2.resize(p, half, interpolation=cv2.INTER_AREA), np.float32) for p in pictures]
            weight = np.asarray(cv2.resize(weight, half, interpolation=cv2.INTER_AREA), np.float32)
    return float(np.sqrt(differences / sizes)) if sizes else float("nan")


def cosine_filters() -> NDArray[np.float64]:
    """(24, 5, 5) the two-dimensional cosine basis of small patches without its constant; each has the norm 1."""
    at = (np.arange(_PATCH) + 0.5) * np.pi / _PATCH
    waves = [np.cos(k * at) / np.linalg.norm(np.cos(k * at)) for k in range(_PATCH)]
    return np.stack([np.outer(waves[i], waves[j]) for i in range(_PATCH) for j in range(_PATCH) if i + j])


def _gram(picture: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gram matrix of the responses of the cosine basis but its constant, in opponent colours, each as its root."""
    red, green, blue = (picture[..., channel] for channel in range(3))
    opponent = [(red + green + blue) / 3, red - green, blue - (red + green) / 2]
    filters = cosine_filters()
    responses = np.stack([cv2.filter2D(plane, cv2.CV_32F, f)[inside] for plane in opponent for f in filters])
    gram = responses @ responses.T / responses.shape[1]
    # Strong edges must not outvote everything else: the matrix square root weighs by amplitude, not by energy.
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
