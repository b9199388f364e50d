"""Baseline textures without a network, for comparison with predictors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.painted import complete_painted
from uvatar_training.networks.uv_plane import TorchUvPlane


def flat_colour(photo: Tensor, mask: Tensor, size: int) -> Tensor:
    """A texture (1, 3, size, size) in the single colour that fits the photo best.

    Args:
        photo: (1, 3, H, W) sRGB 0..1.
        mask: (1, 1, H, W) the person's pixels.
        size: texels a side.
    """
    colour = (photo * mask).sum((2, 3), keepdim=True) / mask.sum()
    return colour.expand(1, 3, size, size).clone()


def projected(partial: Tensor, plane: TorchUvPlane) -> Tensor:
    """Textures (B, 3, R, R) with the photo's colours where it shows them, smoothly filled elsewhere.

    Args:
        partial: (B, 4, R, R) projected colours, last channel 1 where seen.
        plane: the UV plane.
    """
    return plane.completed(partial)


def projected_and_mirrored(partial: Tensor, plane: TorchUvPlane) -> Tensor:
    """As `projected`, but texels are filled from the body's other side first, and smoothly where that is unseen too."""
    return plane.completed(partial, plane.mirrored(partial))


def completed(partial: Tensor, plane: TorchUvPlane, atlas: Atlas, predicted: Tensor | None = None) -> Tensor:
    """The texture (1, 3, R, R) that the product makes from one person's projected texels.

    Args:
        partial: (1, 4, R, R) projected colours, last channel 1 where seen.
        plane: the UV plane.
        atlas: the same layout for `uvatar.texturing`.
        predicted: (1, 3, R, R) a network's prediction; without it, unseen texels are completed by mirroring, and from
            slices of limbs, garments, hair and skin (`uvatar.texturing.completion.smooth`).
    """
    everywhere = projected_and_mirrored(
        partial, plane
    )  # the eyes, which the product draws from the photo instead of completing them, need some texture
    image, fill = (
        None if part is None else (255 * part[0].clamp(0, 1).permute(1, 2, 0)).round().byte().numpy()
        for part in (everywhere, predicted)
    )
    assert image is not None
    source = np.where(partial[0, 3].numpy() >= 0.5, Label.SEEN, Label.EMPTY).astype(np.uint8)
    texture = complete_painted(Texture(image, source), atlas, fill)
    return torch.from_numpy(texture.image).permute(2, 0, 1)[None].float() / 255


def oracle(truth: Tensor, size: int) -> Tensor:
    """The true texture (B, 3, N, N) resized to (size, size): a reference, though not a strict bound, for this size."""
    return F.interpolate(truth, (size, size), mode="area") if size < truth.shape[-1] else truth
