"""A body's UV plane in PyTorch, batched and differentiable, and the completion of textures in it without a network.

`uvatar.texture_predictor.inputs` has the NumPy version of what reconstruction needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.texture_predictor.inputs import plane_maps
from uvatar.texture_predictor.structure import Structure
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import AXIS_OF_PART, Part

# Sides of the grids from and to which colours are spread where no texel is seen, followed by the Gaussians for this
# (deviation in metres, weight).
_CELLS, _PLACES = 32, 64
_GAUSSIANS = ((0.05, 1.0), (0.12, 1e-2), (0.3, 1e-4), (0.8, 1e-6))
_ROUND = 0.2  # factor on distances across a limb if both points are on the same part


@dataclass(frozen=True)
class TorchUvPlane:
    """A body's UV plane at R x R texels, row 0 at v = 1.

    Attributes:
        geometry: (1, 7, R, R), see `Structure`.
        mirror: (1, R, R, 2) position of each texel's mirror image on the body, in `grid_sample`'s coordinates; far
            outside the texture for texels outside the islands.
        spread: (T * T, C * C) weights for smooth filling: how much each of T x T points takes from each of the C x C
            cells of the texture.
    """

    geometry: Tensor
    mirror: Tensor
    spread: Tensor

    def mirrored(self, partial: Tensor) -> Tensor:
        """Colours and alpha (B, 4, R, R) of each texel's mirror image."""
        alpha = partial[:, 3:]
        weighted = torch.cat([torch.where(alpha > 0, partial[:, :3] * alpha, 0), alpha], 1)
        grid = self.mirror.to(partial).expand(len(partial), -1, -1, -1)
        found = F.grid_sample(weighted, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return torch.cat([found[:, :3] / found[:, 3:].clamp_min(1e-4), found[:, 3:]], 1)

    def completed(self, partial: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Complete partial textures without a network.

        Texels get the seen colours, then those of ``mirrored``, then a mean of all seen colours that is weighted by the
        distance on the body's surface; mid-grey if no texel is seen.

        Args:
            partial: (B, 4, R, R) colours and alpha; colours may be anything where alpha is 0.
            mirrored: (B, 4, R, R), see `TorchUvPlane.mirrored`, or None to skip this step.

        Returns:
            (B, 3, R, R).
        """
        alpha = partial[:, 3:]
        colours = torch.where(alpha > 0, partial[:, :3] * alpha, 0)
        if mirrored is not None:
            own = (1 - alpha) * mirrored[:, 3:]
            colours = colours + torch.where(own > 0, mirrored[:, :3] * own, 0)
            alpha = alpha + own
        cells = F.adaptive_avg_pool2d(torch.cat([colours, alpha], 1), _CELLS).flatten(2)
        spread = (cells @ self.spread.T.to(cells)).unflatten(2, (_PLACES, _PLACES))
        known = spread[:, 3:] > 0
        far = torch.where(known, spread[:, :3] / torch.where(known, spread[:, 3:], 1), 0.5)
        return colours + (1 - alpha) * F.interpolate(far, partial.shape[-2:], mode="bilinear", align_corners=False)

    def structure(
        self,
        pose: Tensor,
        betas: Tensor,
        camera: Tensor,
        partial: Tensor,
        completed: Tensor | None = None,
        materials: Tensor | None = None,
    ) -> Structure[Tensor]:
        """The structure of people, see `Structure`.

        Args:
            pose, betas, camera: of B people.
            partial: (B, 4, R, R) their partial textures in this plane.
            completed: (B, 3, R, R) these textures completed without a network; by default by `TorchUvPlane.completed`.
            materials: (B, 9, R, R), see `Structure`.
        """
        mirrored = self.mirrored(partial)
        completed = self.completed(partial, mirrored) if completed is None else completed
        return Structure(pose, betas, camera, self.geometry.to(partial), partial, mirrored, completed, materials)


def uv_plane(body: BodyModel, size: int) -> TorchUvPlane:
    """The UV plane of a body's rest shape at (size, size).

    Raises:
        TexturingError: the body has no UV layout.
    """
    return plane_of(body, Atlas.of(body, size))


def plane_of(body: BodyModel, atlas: Atlas) -> TorchUvPlane:
    """The UV plane of a body's rest shape at the size of its atlas."""
    geometry, grid = plane_maps(body, atlas)
    maps = torch.from_numpy(geometry).permute(2, 0, 1)[None].contiguous()
    return TorchUvPlane(maps, torch.from_numpy(grid)[None], _spread(body, maps, atlas))


def _spread(body: BodyModel, geometry: Tensor, atlas: Atlas) -> Tensor:
    """`TorchUvPlane.spread`: a sum of Gaussians of the distance on the rest body.

    Wider Gaussians have weights so small that they count only where narrower ones find no seen texel. Distances round a
    limb or the trunk count less than those along it, because the borders of garments run round them.
    """
    surface, coarse, fine = atlas.surface, atlas.resized(_PLACES).table, atlas.table
    # Gutters are filled, because enlarging must not mix in values from outside an island.
    places = coarse.picture(coarse.interpolate(surface.template - body.data.joint_template[0], surface.faces)).reshape(
        -1, 3
    )
    part = coarse.picture(surface.part[surface.faces[coarse.face, 0]]).ravel()
    parts = np.eye(len(Part), dtype=np.float32)[surface.part[surface.faces[fine.face, 0]]]
    maps = torch.cat(
        [geometry[:, :3], geometry[:, 6:], torch.from_numpy(fine.scatter(parts)).permute(2, 0, 1)[None]], 1
    )
    cells = F.adaptive_avg_pool2d(maps, _CELLS)[0].flatten(1)
    inside = cells[3] > 0
    away = torch.from_numpy(places)[:, None] - (cells[:3] / cells[3].clamp_min(1e-6)).T
    together = torch.from_numpy(part)[:, None] == cells[4:].argmax(0)
    round_limb = torch.where(torch.eye(3, dtype=torch.bool)[torch.from_numpy(AXIS_OF_PART[part])], 1.0, _ROUND)
    round_limb[torch.from_numpy(part) == Part.HEAD] = 1
    squared = (away * torch.where(together[..., None], round_limb[:, None], 1.0)).square().sum(-1)
    kernel = sum(faintness * torch.exp(-squared / (2 * width**2)) for width, faintness in _GAUSSIANS)
    return torch.where(inside, kernel, 0)
