"""Baseline textures that need no network, to compare every predictor with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.painted import complete_painted
from uvatar_training.networks.uv_plane import UvPlane


def flat_colour(photo: Tensor, mask: Tensor, size: int) -> Tensor:
    """(1, 3, size, size) in the one colour that suits the photo (1, 3, H, W) best, over the person's pixels ``mask``
    (1, 1, H, W).
    """
    colour = (photo * mask).sum((2, 3), keepdim=True) / mask.sum()
    return colour.expand(1, 3, size, size).clone()


def projected(partial: Tensor, plane: UvPlane) -> Tensor:
    """The photo's own colours where it shows them, and a smooth filling over the surface elsewhere.

    (B, 4, R, R), last channel 1 where seen -> (B, 3, R, R).
    """
    return plane.completed(partial)


def projected_and_mirrored(partial: Tensor, plane: UvPlane) -> Tensor:
    """As `projected`, with the body's other side before the smooth filling."""
    return plane.completed(partial, plane.mirrored(partial))


def completed(partial: Tensor, plane: UvPlane, atlas: Atlas, predicted: Tensor | None = None) -> Tensor:
    """The texture (1, 3, R, R) that the product makes of one person's projected texels.

    Args:
        partial: (1, 4, R, R) projected colours, last channel 1 where seen.
        plane: the UV layout.
        atlas: the same for `uvatar.texturing`.
        predicted: (1, 3, R, R) what a network predicts; without it, unseen texels are completed by mirroring, and from
            slices of limbs, garments, hair and skin (`uvatar.texturing.completion`).
    """
    everywhere = projected_and_mirrored(
        partial, plane
    )  # eyes, which are drawn from the photo and not completed, have to look somehow
    image, fill = (
        None if part is None else (255 * part[0].clamp(0, 1).permute(1, 2, 0)).round().byte().numpy()
        for part in (everywhere, predicted)
    )
    assert image is not None
    source = np.where(partial[0, 3].numpy() >= 0.5, Label.SEEN, Label.EMPTY).astype(np.uint8)
    texture = complete_painted(Texture(image, source), atlas, fill)
    return torch.from_numpy(texture.image).permute(2, 0, 1)[None].float() / 255


def oracle(truth: Tensor, size: int) -> Tensor:
    """The truth (B, 3, N, N) at (size, size): the best that a texture of this size could be asked for, if not the best
    it could do.
    """
    return F.interpolate(truth, (size, size), mode="area") if size < truth.shape[-1] else truth
