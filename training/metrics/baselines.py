"""Textures that cost nothing: what every figure of a predictor must be read beside."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.texture_predictor.inputs import UvPlane


def flat_colour(photo: Tensor, mask: Tensor, size: int) -> Tensor:
    """(1, 3, size, size) in the one colour that suits the photo (1, 3, H, W) best, over the person's pixels ``mask`` (1, 1, H, W)."""
    colour = (photo * mask).sum((2, 3), keepdim=True) / mask.sum()
    return colour.expand(1, 3, size, size).clone()


def projected(partial: Tensor) -> Tensor:
    """The photo's own colours (B, 4, R, R) where it saw them, and a smooth filling elsewhere: (B, 3, R, R). R: a power of two."""
    return _filled(partial[:, :3] * partial[:, 3:], partial[:, 3:])


def projected_and_mirrored(partial: Tensor, plane: UvPlane) -> Tensor:
    """As `projected`, with the body's other side before the smooth filling."""
    alpha, mirrored = partial[:, 3:], plane.mirrored(partial)
    weight = alpha + (1 - alpha) * mirrored[:, 3:]
    return _filled(partial[:, :3] * alpha + mirrored[:, :3] * (1 - alpha) * mirrored[:, 3:], weight)


def oracle(truth: Tensor, size: int) -> Tensor:
    """The truth (B, 3, N, N) at (size, size): the best that a texture of this size could be asked for, if not the best it could do."""
    return F.interpolate(truth, (size, size), mode="area") if size < truth.shape[-1] else truth


def _filled(weighted: Tensor, weight: Tensor) -> Tensor:
    """Colours times weight, weight -> colours everywhere, those without weight from the coarser level (pull-push, Gortler et al. 1996)."""
    colours = weighted / weight.clamp_min(1e-6)
    if weight.shape[-1] == 1:
        return torch.where(weight > 0, colours, torch.full_like(colours, 0.5))
    coarse = _filled(F.avg_pool2d(weighted, 2), F.avg_pool2d(weight, 2))
    below = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    alpha = weight.clamp(0, 1)
    return colours * alpha + below * (1 - alpha)
