"""Scores of the texture itself where the truth is known, separately for seen and unseen texels.

A rendering in the photo's view rewards copying the photo; predictors differ in the unseen texels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.evaluation.metrics import BEST_PSNR
from uvatar.geometry.mesh import face_normals
from uvatar_training.rendering.unprojection import Texels


@dataclass(frozen=True)
class TexelScores:
    """PSNR in decibels over the body's surface; NaN where no texel is of that kind.

    Attributes:
        seen, unseen: texels that the photo shows, and the others.
        unseen_head: unseen texels of the head with its hair.
        unseen_body: the other unseen texels.
        face: the front of the head, seen or not.
    """

    seen: float
    unseen: float
    unseen_head: float
    unseen_body: float
    face: float


def surface_per_texel(body: BodyModel, texels: Texels) -> Tensor:
    """Area (1, 1, R, R) of the rest body's surface per texel, square metres, 0 in the gutters.

    It differs between body parts: a texel of the hand covers less than one of the back.
    """
    data = body.data
    solid = torch.from_numpy(face_normals(data.v_template.astype("float64"), data.faces)).norm(dim=1)
    a, b, c = (torch.from_numpy(data.uv[data.face_uv[:, k]]).double() for k in range(3))
    flat = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).abs()
    per_texel = solid / flat.clamp_min(1e-12) / texels.size**2
    return texels.picture(per_texel.float()[texels.face][None, :, None])


def score_texels(
    texture: Tensor, truth: Tensor, seen: Tensor, head: Tensor, face: Tensor, surface: Tensor
) -> TexelScores:
    """Score one texture.

    Args:
        texture: (3, R, R) sRGB 0..1.
        truth: (3, N, N) sRGB 0..1. Both are compared at the larger of both sizes.
        seen: (R', R') 0..1, how well each texel is seen.
        head, face: (R', R') whether each texel belongs to the head, or to the face.
        surface: (R', R') area of each texel.

    Raises:
        ValueError: the texture is not finite.
    """
    if not texture.isfinite().all():
        raise ValueError("The texture holds values that are not finite.")
    size = (max(texture.shape[-1], truth.shape[-1]),) * 2
    a, b = (
        F.interpolate(picture[None], size, mode="bilinear", align_corners=False)[0]
        for picture in (texture.clamp(0, 1), truth)
    )
    error = F.interpolate((a - b).square().mean(0)[None, None], surface.shape, mode="area")[0, 0]
    unseen = surface * (1 - seen)
    return TexelScores(
        *(
            _psnr(error, weight)
            for weight in (surface * seen, unseen, unseen * head, unseen * (1 - head), surface * face)
        )
    )


def _psnr(error: Tensor, weight: Tensor) -> float:
    if not float(weight.sum()) > 0:
        return float("nan")
    mean = float((error * weight).sum() / weight.sum())
    return min(BEST_PSNR, -10 * torch.log10(torch.tensor(mean)).item()) if mean > 0 else BEST_PSNR
