"""The inverse of rendering: projects a photo's colours onto the visible texels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.texturing.layout.atlas import texels_of
from uvatar_training.rendering.cameras import Cameras
from uvatar_training.rendering.mesh import UvMesh
from uvatar_training.rendering.view import PixelView

# Least cosine between normal and ray: colours of surface at a steeper angle would be smeared over many texels.
FACING = 0.2
# Tolerance between the picture's depth and a texel's, metres; half a pixel is added where the surface slopes.
_BIAS = 0.01
# Depth of the background, metres: any value far from every body.
_FAR = 1e3


@dataclass(frozen=True)
class Texels:
    """Positions on the mesh of the T texels of an (R, R) texture.

    Attributes:
        size: R.
        place: (T,) int64 index of each texel in the flattened texture (row * R + column, row 0 at v = 1).
        face: (T,) int64 index of its triangle.
        barycentric: (T, 3) weights of the triangle's corners.
    """

    size: int
    place: Tensor
    face: Tensor
    barycentric: Tensor

    @classmethod
    def of(cls, body: BodyModel, size: int, device: torch.device | str | None = None) -> Texels:
        """The body's texels at (size, size).

        Raises:
            TexturingError: the body has no UV layout.
        """
        table = texels_of(body, size)
        place, face = (torch.from_numpy(values).long().to(device) for values in (table.pixel, table.face))
        return cls(size, place, face, torch.from_numpy(table.barycentric).to(device))

    def picture(self, values: Tensor) -> Tensor:
        """Arrange values (B, T, C) of the texels as a texture (B, C, R, R), 0 in the gutters."""
        flat = values.new_zeros(len(values), self.size * self.size, values.shape[2]).index_copy(1, self.place, values)
        image: Tensor = flat.unflatten(1, (self.size, self.size)).permute(0, 3, 1, 2)
        return image


def unproject(
    photo: Tensor, vertices: Tensor, mesh: UvMesh, texels: Texels, cameras: Cameras, view: PixelView
) -> Tensor:
    """Project photos of bodies onto their textures, with gradients to the photos.

    A texel is seen if its point faces the camera (by more than `FACING`), is inside the picture, and has the depth of
    the ``view`` at all pixels around it: otherwise nearer surface hides it, or, at an outline, its colour would be
    mixed with the background. Colours are bilinear samples of the photo.

    Args:
        photo: (B, C, H, W).
        vertices: (B, V, 3) in the camera frames, metres.
        mesh, texels: the triangles, and the texels on them.
        cameras: of the photos.
        view: what the cameras see.

    Returns:
        (B, C + 1, R, R), with the last channel 1 where a texel is seen; 0 elsewhere.
    """
    with torch.no_grad():
        corners = vertices[:, mesh.faces[texels.face]]
        points = (texels.barycentric[..., None] * corners).sum(2)
        normals = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
        cosine = -F.cosine_similarity(normals, points, dim=-1)
        z = points[..., 2]
        pixels = cameras.project(torch.cat([points[..., :2], z[..., None].clamp_min(1e-3)], -1))
        size = torch.tensor([cameras.width, cameras.height], dtype=pixels.dtype, device=pixels.device)
        grid = (2 * pixels / size - 1)[:, None]
        depth = F.grid_sample(view.depth[:, None].clamp_max(_FAR), grid, "bilinear", "border", align_corners=False)[
            :, 0, 0
        ]
        slope = (1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(FACING)
        bias = _BIAS + 0.5 * slope * z / cameras.focal[:, None]
        inside = (pixels > 0).all(-1) & (pixels < size).all(-1)
        seen = inside & (cosine > FACING) & ((z - depth).abs() <= bias)
    colours = F.grid_sample(photo, grid.to(photo.dtype), "bilinear", "border", align_corners=False)[:, :, 0].transpose(
        1, 2
    )
    alpha = seen[..., None].to(colours.dtype)
    return texels.picture(torch.cat([colours * alpha, alpha], -1))
