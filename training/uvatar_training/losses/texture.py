"""The Texture Loss: terms that compare the rendered picture with the photo, and their weighted sum.

Pictures and textures are sRGB in 0..1. Terms that compare pictures consider only the person's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar_training.losses.features import Perceptual
from uvatar_training.losses.mesh import masked_mean

MID_GREY = 0.5
# The fewest pixels of a face that is compared, and the side that faces are resized to, pixels.
_SMALLEST_FACE, _FACE_SIDE = 24, 64


@dataclass(frozen=True)
class TextureWeights:
    """Weights of the terms; a term with weight 0 is left out.

    Attributes:
        perceptual, reconstruction, kl: terms of the paper.
        adversarial: -log D of the texture.
        face: reconstruction and perceptual distance of the face alone.
        seen: texels that the photo shows but that were hidden from the network.
        mirror: unseen texels, compared with the body's other side.
        seam: both sides of the UV seams.
    """

    perceptual: float = 1.0
    reconstruction: float = 1.0
    kl: float = 0.001
    adversarial: float = 0.02
    face: float = 0.3
    seen: float = 1.0
    mirror: float = 0.1
    seam: float = 0.1


PAPER = TextureWeights(adversarial=0, face=0, seen=0, mirror=0, seam=0)


@dataclass(frozen=True)
class TextureLoss:
    """Weighted sum of the terms that were computed."""

    weights: TextureWeights = TextureWeights()

    def __call__(self, terms: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Sum terms, given by the names of `TextureWeights`.

        Returns:
            The total, and the weighted terms by name for the log.

        Raises:
            KeyError: a term has no weight, or no term has a weight other than 0.
        """
        weights = asdict(self.weights)
        weighted = {name: weights[name] * term for name, term in terms.items() if weights[name]}
        if not weighted:
            raise KeyError("no term of the texture loss has a weight")
        return torch.stack(list(weighted.values())).sum(), {
            name: float(term.detach()) for name, term in weighted.items()
        }


def reconstruction(image: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of pictures (B, 3, H, W) over the person's pixels ``mask`` (B, 1, H, W) bool."""
    return masked_mean((image - photo).abs(), mask.expand_as(image))


def perceptual_distance(image: Tensor, photo: Tensor, mask: Tensor, perceptual: Perceptual) -> Tensor:
    """Mean feature distance of pictures (B, 3, H, W), with mid-grey outside ``mask`` (B, 1, H, W) in both."""
    grey = torch.full_like(image, MID_GREY)
    return perceptual(torch.where(mask, image, grey), torch.where(mask, photo, grey)).mean()


def face_distance(image: Tensor, photo: Tensor, face: Tensor, perceptual: Perceptual) -> Tensor:
    """`reconstruction` plus `perceptual_distance` of the faces alone, resized to a common size.

    Args:
        image, photo: (B, 3, H, W).
        face: (B, 1, H, W) bool, pixels of the face. People with too few are left out; if none remain, the result is 0.
        perceptual: the perceptual distance.
    """
    crops = [_face_crop(image[i], photo[i], face[i]) for i in range(len(face)) if face[i].sum() >= _SMALLEST_FACE]
    if not crops:
        return image.sum() * 0
    images, photos, masks = (torch.stack(parts) for parts in zip(*crops, strict=True))
    inside = masks > 0.5
    return reconstruction(images, photos, inside) + perceptual_distance(images, photos, inside, perceptual)


def _face_crop(image: Tensor, photo: Tensor, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The bounding box of ``face`` (1, H, W), cut out of all three pictures and resized to a square."""
    rows, columns = face[0].any(1).nonzero()[:, 0], face[0].any(0).nonzero()[:, 0]
    box = torch.cat([image, photo, face.to(image.dtype)])[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    resized = F.interpolate(box[None], (_FACE_SIDE, _FACE_SIDE), mode="bilinear", align_corners=False, antialias=True)[
        0
    ]
    return resized[:3], resized[3:6], resized[6:]
