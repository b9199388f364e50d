"""Scores of the texture itself, where the truth is known: what the photo saw and what it did not, apart.

A picture of the photo's own view rewards whoever copies the photo; the texels that nobody saw are where predictors
differ.
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
    """PSNR in decibels over the body's surface; NaN where there is none of that kind.

    Attributes:
        seen, unseen: texels that the photo shows, and the others; unseen_head, unseen_body: these of the head with its
            hair, and below.
        face: the front of the head, seen or not.
    """

    seen: float
    unseen: float
    unseen_head: float
    unseen_body: float
    face: float


def surface_per_texel(body: BodyModel, texels: Texels) -> Tensor:
    """(1, 1, R, R) square metres of the rest body on every texel, 0 in the gutters: a texel of the hand is less than
    one of the back.
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
        texture: (3, R, R); truth: (3, N, N), brought to the larger of both sizes; sRGB 0..1.
        seen, head, face, surface: (R', R') how far each texel is seen (0..1), whether it is of the head, of the face,
            its area.

    Raises ValueError if the texture is not finite.
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
