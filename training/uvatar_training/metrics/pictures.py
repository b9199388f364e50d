"""Scores of a rendered picture against the photo, in two protocols.

The paper's protocol: PSNR, SSIM and LPIPS of the full frame on white. Since both pictures share the white background, a
flat colour inside the silhouette already has an SSIM of .93; these scores serve only for comparison with published
ones. The person protocol: PSNR and SSIM over the person's pixels, with windows cut off at the mask, and LPIPS of the
person's box on mid-grey. If LPIPS weights are missing, another perceptual distance can be used, under its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from uvatar.evaluation.metrics import SSIM_SIGMA, SSIM_WINDOW, masked_ssim, psnr
from uvatar_training.losses.features import SMALLEST_PICTURE, Perceptual
from uvatar_training.losses.texture import MID_GREY


@dataclass(frozen=True)
class PictureScores:
    """PSNR in decibels, SSIM -1..1, perceptual distance (lower is better); NaN where nothing can be scored.

    Attributes:
        foreground: share of the frame that the person covers, 0..1.
        paper_psnr, paper_ssim, paper_perceptual: full frame, white background.
        psnr, ssim, perceptual: the person alone.
        face_psnr: the face's pixels alone.
    """

    foreground: float
    paper_psnr: float
    paper_ssim: float
    paper_perceptual: float
    psnr: float
    ssim: float
    perceptual: float
    face_psnr: float


def score_picture(
    image: Tensor, photo: Tensor, mask: Tensor, face: Tensor, perceptual: Perceptual | None = None
) -> PictureScores:
    """Score one picture.

    Args:
        image, photo: (3, H, W) sRGB 0..1, H and W at least 11.
        mask: (H, W) bool, the union of the person in the photo and the rendered one: missing limbs lower the score.
        face: (H, W) bool, the face's pixels.
        perceptual: a perceptual distance such as LPIPS; None scores NaN.

    Raises:
        ValueError: the pictures differ in size, are too small or not finite, or the mask is empty.
    """
    if image.shape != photo.shape or image.shape[1:] != mask.shape or min(mask.shape) < SSIM_WINDOW:
        shapes = tuple(image.shape), tuple(photo.shape), tuple(mask.shape)
        raise ValueError(
            f"Picture, photo and mask need one size of at least {SSIM_WINDOW} pixels a side, not {shapes}."
        )
    if not (image.isfinite().all() and photo.isfinite().all()):
        raise ValueError("The picture or the photo holds values that are not finite.")
    if not mask.any():
        raise ValueError("Nobody is in the picture: the mask is empty.")
    image, photo = image.clamp(0, 1), photo.clamp(0, 1)
    a, b, inside, on_face = _pixels(image), _pixels(photo), mask.numpy(), face.numpy()
    on_white, photo_on_white = (torch.where(mask, picture, 1.0)[None] for picture in (image, photo))
    full = structural_similarity_index_measure(
        on_white, photo_on_white, gaussian_kernel=True, sigma=SSIM_SIGMA, kernel_size=SSIM_WINDOW, data_range=1.0
    )
    return PictureScores(
        foreground=float(mask.float().mean()),
        paper_psnr=psnr(_pixels(on_white[0]), _pixels(photo_on_white[0]), np.ones_like(inside)),
        paper_ssim=float(full),  # type: ignore[arg-type]
        paper_perceptual=_distance(on_white, photo_on_white, perceptual),
        psnr=psnr(a, b, inside),
        ssim=masked_ssim(a, b, inside),
        perceptual=_distance(_box(image, mask), _box(photo, mask), perceptual),
        face_psnr=psnr(a, b, on_face),
    )


def _pixels(picture: Tensor) -> NDArray[np.float64]:
    """(3, H, W) 0..1 -> (H, W, 3) 0..255."""
    return np.asarray(picture.permute(1, 2, 0).double() * 255, np.float64)


def _box(picture: Tensor, mask: Tensor) -> Tensor:
    """The person's box (1, 3, h, w) on mid-grey, at least as large as feature networks need."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    box = torch.where(mask, picture, MID_GREY)[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    down, across = (max(SMALLEST_PICTURE - side, 0) for side in box.shape[1:])
    return torch.nn.functional.pad(box, (0, across, 0, down), value=MID_GREY)[None]


def _distance(image: Tensor, photo: Tensor, perceptual: Perceptual | None) -> float:
    if perceptual is None:
        return float("nan")
    with torch.no_grad():
        return float(perceptual(image, photo).mean())


def grid(rows: Sequence[Tensor], cell: int = 192) -> NDArray[np.uint8]:
    """Arrange rows of pictures (B, 3, H, W), 0..1, in one picture (H', W', 3), uint8, in cells of ``cell`` pixels."""
    out = []
    for row in rows:
        tiles = (row.detach().float().clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        out.append(
            np.concatenate(
                [np.asarray(cv2.resize(tile, (cell, cell), interpolation=cv2.INTER_AREA), np.uint8) for tile in tiles],
                1,
            )
        )
    return np.concatenate(out)
