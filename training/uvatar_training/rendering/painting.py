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
        mask: (B, 1, H, W) bool, where the mesh is visible.
        uv: (B, H, W, 2) position in the texture, origin bottom-left, v up; zeros outside the mask.
        face: (B, H, W) int64 index of the triangle, -1 outside the mask.
    """

    image: Tensor
    mask: Tensor
    uv: Tensor
    face: Tensor


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Sample textures bilinearly, with gradients to texture and uv.

    Texel centres are at (i + .5) / N; outside the outermost ones, the border is continued.

    Args:
        texture: (B, C, N, M), row 0 at v = 1.
        uv: (B, H, W, 2).

    Returns:
        (B, C, H, W).
    """
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    return F.grid_sample(texture, grid.to(texture.dtype), "bilinear", "border", align_corners=False)


def paint(view: PixelView, texture: Tensor, background: Tensor | float = WHITE) -> Tensor:
    """Paint views with textures.

    Args:
        view: of B bodies.
        texture: (B, C, N, N), or (1, C, N, N) for all bodies.
        background: a value, or a tensor that broadcasts to the pictures.

    Returns:
        The pictures (B, C, H, W).

    Raises:
        RenderError: a texture has values that are not finite, or the number of textures does not fit.
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
    """Render bodies: `see`, followed by `paint`.

    Gradients to texture and background are exact; those to vertices and cameras are limited to the silhouette's inside.

    Args:
        vertices: (B, V, 3) in the camera frames, metres.
        mesh: the triangles.
        texture: (B, C, N, N), or (1, C, N, N) for all bodies.
        cameras: of the pictures.
        background: a value, or a tensor that broadcasts to the pictures.
        rasterizer: finds the visible triangles.

    Raises:
        RenderError: as in `see` and `paint`.
    """
    view = see(vertices, mesh, cameras, rasterizer)
    return Rendering(paint(view, texture, background), view.mask, view.uv, view.face)
