"""Colours for the pixels of a rendering: texture look-up and compositing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar_training.rendering.cameras import Cameras
from uvatar_training.rendering.mesh import RenderError, UvMesh
from uvatar_training.rendering.view import PixelView, Rasterizer, see, visible_faces

WHITE = 1.0


@dataclass(frozen=True)
class Rendering:
    """Rendered pictures.

    Attributes:
        image: (B, C, H, W), the texture's values over the background, unlit.
        mask: (B, 1, H, W) bool, where the mesh is.
        uv: (B, H, W, 2) place in the texture, origin bottom-left, v up; zeros outside.
        face: (B, H, W) int64 triangle, -1 outside.
    """

    image: Tensor
    mask: Tensor
    uv: Tensor
    face: Tensor


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Bilinear look-up of textures (B, C, N, M), row 0 at v = 1, at ``uv`` (B, H, W, 2) -> (B, C, H, W).

    Texel centres are at ((i + .5) / N); beyond the outermost ones the border goes on. Gradients to texture and uv.
    """
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    return F.grid_sample(texture, grid.to(texture.dtype), "bilinear", "border", align_corners=False)


def paint(view: PixelView, texture: Tensor, background: Tensor | float = WHITE) -> Tensor:
    """The pictures (B, C, H, W) of what is seen with its textures (B, C, N, N), or with one texture (1, C, N, N) for
    all.

    ``background``: a value, or a tensor that broadcasts to the pictures.

    Raises RenderError if a texture holds values that are not finite, or their number does not fit.
    """
    if texture.ndim != 4 or len(texture) not in (1, len(view.face)):
        raise RenderError(
            f"Textures need the shape ({len(view.face)}, C, N, N) or (1, C, N, N), not {tuple(texture.shape)}."
        )
    broken = ~texture.isfinite().flatten(1).all(1)
    if broken.any():
        people = tuple(broken.nonzero()[:, 0].tolist())
        raise RenderError(
            f"The texture of person {people[0]} of the batch holds values that are not finite numbers.", people
        )
    seen = sample_texture(texture.expand(len(view.face), -1, -1, -1), view.uv)
    return torch.where(view.mask, seen, torch.as_tensor(background, dtype=seen.dtype, device=seen.device))


def render(
    vertices: Tensor,
    mesh: UvMesh,
    texture: Tensor,
    cameras: Cameras,
    background: Tensor | float = WHITE,
    rasterizer: Rasterizer = visible_faces,
) -> Rendering:
    """`see` and `paint` in one: vertices (B, V, 3) in the camera frames and textures (B, C, N, N) -> pictures.

    Gradients: exact to the texture and the background; to vertices and cameras inside the silhouette. Raises
        RenderError as both do.
    """
    view = see(vertices, mesh, cameras, rasterizer)
    return Rendering(paint(view, texture, background), view.mask, view.uv, view.face)
