"""Image and landmark metrics on the person only, not on the background that both pictures share.

On a white background a silhouette of one flat colour already has an SSIM of .93; inside the mask, with windows that end
at its border, the same colour has .2 to .5. All metrics here are therefore computed inside a mask, and
`flat_colour_psnr` gives the baseline to print beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Numbers, Scalar

# Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", section III-C.
SSIM_WINDOW, SSIM_SIGMA, SSIM_C1, SSIM_C2 = 11, 1.5, 0.01**2, 0.03**2
MID_GREY = 128
# A perfect match is reported as this many decibels, so that means over rows stay finite.
BEST_PSNR = 99.0


def psnr(image: Numbers, reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """Peak signal-to-noise ratio in decibels over the pixels of ``mask`` (H, W); pictures (H, W, 3) in 0..255.

    NaN where the mask is empty.
    """
    if not mask.any():
        return float("nan")
    error = image[mask].astype(np.float64) - reference[mask]
    return _decibels(float(np.mean(error**2)))


def flat_colour_psnr(reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """The `psnr` of a person painted in the best single colour: the baseline for every texture."""
    if not mask.any():
        return float("nan")
    return _decibels(float(np.mean(np.var(reference[mask].astype(np.float64), axis=0))))


def _decibels(mean_square: float) -> float:
    return min(BEST_PSNR, 10 * np.log10(255**2 / mean_square)) if mean_square > 0 else BEST_PSNR


def missing_as_grey(image: NDArray[Scalar], drawn: NDArray[np.bool_]) -> NDArray[Scalar]:
    """The picture with mid-grey where nothing was drawn, so that missing parts count as errors."""
    return np.where(drawn[..., None], image, np.asarray(MID_GREY, image.dtype))


def masked_ssim(image: Numbers, reference: Numbers, mask: NDArray[np.bool_]) -> float:
    """Structural similarity with windows cut at the mask: pixels outside have no weight.

    Pictures are (H, W, 3) in 0..255, the mask is (H, W). The mean is over the mask's pixels and the channels; NaN if
    the mask is empty.
    """
    if not mask.any():
        return float("nan")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = mask[crop]
    weight = inside.astype(np.float32)[..., None]
    x = image[crop].astype(np.float32) / 255
    y = reference[crop].astype(np.float32) / 255

    def blur(values: NDArray[np.float32]) -> NDArray[np.float32]:
        window = (SSIM_WINDOW, SSIM_WINDOW)
        blurred = cv2.GaussianBlur(values, window, SSIM_SIGMA, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(blurred, np.float32).reshape(values.shape)

    coverage = np.maximum(blur(weight), 1e-6)

    def window_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = blur(values * weight) / coverage
        return mean

    mean_x, mean_y = window_mean(x), window_mean(y)
    variance_x = np.maximum(window_mean(x * x) - mean_x**2, 0)
    variance_y = np.maximum(window_mean(y * y) - mean_y**2, 0)
    covariance = window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return float((luminance * structure)[inside].mean())


@dataclass(frozen=True)
class LandmarkError:
    """Distances in the picture as fractions of the person's box side; NaN if no landmark is visible."""

    median: float
    p95: float


def landmark_error(projected: Floats, seen: Floats, visible: NDArray[np.bool_], box_side: float) -> LandmarkError:
    """Distances of projected landmarks (N, 2) from seen ones (N, 2), pixels, over those ``visible`` (N,)."""
    if not visible.any():
        return LandmarkError(float("nan"), float("nan"))
    distance = np.linalg.norm(projected[visible] - seen[visible], axis=-1) / box_side
    return LandmarkError(float(np.median(distance)), float(np.percentile(distance, 95)))


@dataclass(frozen=True)
class Spoilt:
    """Shares of a person's pixels with the two most noticeable errors of a texture, 0..1.

    Attributes:
        black: pixels that are nearly black while the photo is not.
        background: pixels that differ from the photo and resemble the nearest background.
    """

    black: float
    background: float


def spoilt_shares(image: Numbers, photo: Numbers, person: NDArray[np.bool_], background: NDArray[np.bool_]) -> Spoilt:
    """Measure how much of a rendered person is wrongly black or background-coloured.

    Args:
        image: (H, W, 3) the rendering.
        photo: (H, W, 3).
        person: (H, W) the pixels to measure.
        background: (H, W) pixels of the photo that certainly show nobody.
    """
    if not person.any():
        return Spoilt(float("nan"), float("nan"))
    drawn, seen = image[person].astype(int), photo[person].astype(int)
    black = (drawn.max(-1) < 16) & (seen.max(-1) > 48)
    if not background.any():
        return Spoilt(float(black.mean()), 0.0)
    _, labels = cv2.distanceTransformWithLabels(
        (~background).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, 3), int)
    colours[labels[background]] = photo[background]
    behind = colours[labels[person]]
    off = np.abs(drawn - seen).max(-1) > 48
    return Spoilt(float(black.mean()), float((off & (np.abs(drawn - behind).max(-1) < 24)).mean()))
