"""Loss terms on the texture itself, not on a picture of it: seen texels, symmetry, seams."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar_training.networks.uv_plane import UvPlane
from uvatar_training.rendering import UvMesh, sample_texture

# What is hidden are patches of this many cells across the texture: single texels could be guessed from their
# neighbours.
_CELLS = 16
_POINTS_PER_EDGE = 3


class UnseenError(ValueError):
    """A photo that shows nothing of the texture: there is nothing to learn from it.

    ``people``: their indices in the batch.
    """

    def __init__(self, people: tuple[int, ...]) -> None:
        super().__init__(f"No texel of person {', '.join(map(str, people))} of the batch is seen in the photo.")
        self.people = people


def hide_half(partial: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hide about half of the texels that the photo saw, in patches.

    Args:
        partial: (B, 4, R, R) colours and how far (0..1) each texel is seen.
        rng: on the partial texture's device.

    Returns:
        The partial texture as the network may see it, and (B, 1, R, R) what it should give back: the alpha of what was
        hidden.

    Raises:
        UnseenError: a person of whom nothing was seen.
    """
    alpha = partial[:, 3:]
    unseen = (alpha > 0).flatten(1).sum(1) == 0
    if unseen.any():
        raise UnseenError(tuple(unseen.nonzero()[:, 0].tolist()))
    cells = torch.rand(len(partial), 1, _CELLS, _CELLS, generator=rng, device=rng.device)
    smooth = F.interpolate(cells, partial.shape[-2:], mode="bilinear", align_corners=False)
    # The threshold is the median over what this photo saw, so that half of it goes, whatever it saw.
    level = torch.stack([field[seen > 0].median() for field, seen in zip(smooth, alpha, strict=True)])
    hidden = (smooth < level[:, None, None, None]).to(alpha.dtype)
    return torch.cat([partial[:, :3], alpha * (1 - hidden)], 1), alpha * hidden


def seen_distance(texture: Tensor, partial: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of textures (B, 3, R, R) from the photo's colours ``partial`` (B, 4, R, R) by ``weight``
    (B, 1, R, R).

    Colours under weight 0 may be anything, NaN included.
    """
    difference = torch.where(weight > 0, (texture - partial[:, :3]).abs(), torch.zeros_like(texture)) * weight
    return difference.sum() / (3 * weight.sum()).clamp_min(1e-6)


def mirror_distance(texture: Tensor, plane: UvPlane, seen: Tensor) -> Tensor:
    """Mean absolute difference between texels that the photo did not see and their mirror images on the body's other
    side.

    The mirror image is held fixed: what was seen teaches what was not, and is not drawn towards it.

    Args:
        texture: (B, 3, R, R). seen: (B, 1, R, R) 0..1.
    """
    inside = plane.geometry[:, 6:].to(texture)
    mirrored = plane.mirrored(torch.cat([texture.detach(), inside.expand_as(seen)], 1))
    weight = (1 - seen) * inside * (mirrored[:, 3:] > 0.5)
    return ((texture - mirrored[:, :3]).abs() * weight).sum() / (3 * weight.sum()).clamp_min(1e-6)


@dataclass(frozen=True)
class Seams:
    """Points of the surface that lie at two places of the texture.

    Attributes:
        first, second: (S, 2) UV places of each.
    """

    first: Tensor
    second: Tensor

    def to(self, device: torch.device) -> Seams:
        """The same on another device; nothing is copied where it is there already."""
        return Seams(self.first.to(device), self.second.to(device))

    @classmethod
    def of(cls, mesh: UvMesh) -> Seams:
        """Points along every edge whose two triangles disagree on where it lies."""
        corners = torch.tensor([[0, 1], [1, 2], [2, 0]], device=mesh.faces.device)
        edges, places = mesh.faces[:, corners].flatten(0, 1), mesh.face_uv[:, corners].flatten(0, 1)
        # Both triangles' edges in one direction, then side by side.
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
    """Mean absolute difference of textures (B, 3, R, R) between the two places of the seams' points."""
    a, b = (
        sample_texture(texture, side[None, None].expand(len(texture), -1, -1, -1))
        for side in (seams.first, seams.second)
    )
    return (a - b).abs().mean()
