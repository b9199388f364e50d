"""Loss terms on the texture itself instead of a rendering: seen texels, symmetry, seams."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar_training.networks.uv_plane import TorchUvPlane
from uvatar_training.rendering import UvMesh, sample_texture

# Texels are hidden in patches, of which this many span the texture: single texels could be guessed from neighbours.
_CELLS = 16
_POINTS_PER_EDGE = 3


class UnseenError(ValueError):
    """A photo shows no texel of the texture, so nothing can be learned from it.

    Attributes:
        people: indices in the batch of the people concerned.
    """

    def __init__(self, people: tuple[int, ...]) -> None:
        super().__init__(f"No texel of person {', '.join(map(str, people))} of the batch is seen in the photo.")
        self.people = people


def hide_half(partial: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hide about half of the texels that the photo shows, in patches.

    Args:
        partial: (B, 4, R, R) colours, and how well (0..1) each texel is seen.
        rng: on the partial texture's device.

    Returns:
        The partial texture for the network, and (B, 1, R, R) the alpha of the hidden texels, which the network should
        reproduce.

    Raises:
        UnseenError: no texel of some person is seen.
    """
    alpha = partial[:, 3:]
    unseen = (alpha > 0).flatten(1).sum(1) == 0
    if unseen.any():
        raise UnseenError(tuple(unseen.nonzero()[:, 0].tolist()))
    cells = torch.rand(len(partial), 1, _CELLS, _CELLS, generator=rng, device=rng.device)
    smooth = F.interpolate(cells, partial.shape[-2:], mode="bilinear", align_corners=False)
    # The threshold is the median over the texels that this photo shows, so half of them are hidden in any photo.
    level = torch.stack([field[seen > 0].median() for field, seen in zip(smooth, alpha, strict=True)])
    hidden = (smooth < level[:, None, None, None]).to(alpha.dtype)
    return torch.cat([partial[:, :3], alpha * (1 - hidden)], 1), alpha * hidden


def seen_distance(texture: Tensor, partial: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference between textures and the photo's colours.

    Args:
        texture: (B, 3, R, R).
        partial: (B, 4, R, R) the photo's colours; they may be anything, including NaN, where the weight is 0.
        weight: (B, 1, R, R).
    """
    difference = torch.where(weight > 0, (texture - partial[:, :3]).abs(), torch.zeros_like(texture)) * weight
    return difference.sum() / (3 * weight.sum()).clamp_min(1e-6)


def mirror_distance(texture: Tensor, plane: TorchUvPlane, seen: Tensor) -> Tensor:
    """Mean absolute difference between texels that the photo does not show and their mirror images on the body.

    The mirror image has no gradient: unseen texels are drawn towards seen ones, but not the reverse.

    Args:
        texture: (B, 3, R, R).
        plane: the UV plane.
        seen: (B, 1, R, R) 0..1, how well the photo shows each texel.
    """
    inside = plane.geometry[:, 6:].to(texture)
    mirrored = plane.mirrored(torch.cat([texture.detach(), inside.expand_as(seen)], 1))
    weight = (1 - seen) * inside * (mirrored[:, 3:] > 0.5)
    return ((texture - mirrored[:, :3]).abs() * weight).sum() / (3 * weight.sum()).clamp_min(1e-6)


@dataclass(frozen=True)
class Seams:
    """Points of the surface that have two positions in the texture.

    Attributes:
        first, second: (S, 2) the UV positions of each point.
    """

    first: Tensor
    second: Tensor

    def to(self, device: torch.device) -> Seams:
        """The same points on another device; tensors that are already there are not copied."""
        return Seams(self.first.to(device), self.second.to(device))

    @classmethod
    def of(cls, mesh: UvMesh) -> Seams:
        """Points along every edge for which its two triangles have different UV positions."""
        corners = torch.tensor([[0, 1], [1, 2], [2, 0]], device=mesh.faces.device)
        edges, places = mesh.faces[:, corners].flatten(0, 1), mesh.face_uv[:, corners].flatten(0, 1)
        # Give the edges of both triangles the same direction, then pair them.
        turned = edges[:, 0] > edges[:, 1]
        edges = torch.where(turned[:, None], edges.flip(1), edges)
        places = torch.where(turned[:, None, None], places.flip(1), places)
        order = (edges[:, 0] * (int(mesh.faces.max()) + 1) + edges[:, 1]).argsort(stable=True)
        edges, places = edges[order], places[order]
        apart = (edges[1:] == edges[:-1]).all(1) & (places[1:] - places[:-1]).abs().amax((1, 2)).gt(1e-6)
        along = (torch.arange(_POINTS_PER_EDGE, device=places.device) + 0.5) / _POINTS_PER_EDGE
        first, second = (
            torch.lerp(side[:, None, 0], side[:, None, 1], along[None, :, None]).flatten(0, 1)
            for side in (places[:-1][apart], places[1:][apart])
        )
        return cls(first, second)


def seam_distance(texture: Tensor, seams: Seams) -> Tensor:
    """Mean absolute difference of textures (B, 3, R, R) between the two positions of the seams' points."""
    a, b = (
        sample_texture(texture, side[None, None].expand(len(texture), -1, -1, -1))
        for side in (seams.first, seams.second)
    )
    return (a - b).abs().mean()
