"""PyTorch3D's rasteriser: visibility on a GPU, a reference for tests of that on the CPU, and soft silhouettes.

Ravi et al. 2020, "Accelerating 3D Deep Learning with PyTorch3D". PyTorch3D's frame is +X left, +Y up, +Z forward; its
normalised coordinates go from 1 to -1 across the shorter side of the picture, left to right and top to bottom.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from uvatar_training.rendering.cameras import Cameras
from uvatar_training.rendering.mesh import RenderError
from uvatar_training.rendering.scan import NEAR

# Width of a soft silhouette's edge, squared normalised coordinates (Liu et al. 2019, "Soft Rasterizer", eq. 1).
SIGMA = 1e-4
_FARTHEST_SHARE = 1e-4


def visible_faces_pytorch3d(vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    """Like `uvatar_training.rendering.view.visible_faces`, but by PyTorch3D on the vertices' device."""
    return _rasterize(vertices.detach(), faces, cameras, 0.0, 1)[0][..., 0]


def soft_silhouette(
    vertices: Tensor, faces: Tensor, cameras: Cameras, sigma: float = SIGMA, faces_per_pixel: int = 50
) -> Tensor:
    """Coverage (B, H, W), 0..1, of each pixel by the mesh, with gradients to vertices and cameras across its outline.

    Each of the nearest ``faces_per_pixel`` triangles covers sigmoid(-d / sigma) of the pixel, where d is its signed
    squared distance; together they cover 1 - prod(1 - share) (Liu et al. 2019, eq. 1 and 3).

    Args:
        vertices: (B, V, 3) in the camera frames, metres.
        faces: (F, 3).
        cameras: of the pictures.
        sigma: width of the edge, squared normalised coordinates.
        faces_per_pixel: number of triangles.

    Raises:
        RenderError: PyTorch3D is not installed.
    """
    blur = math.log(1 / _FARTHEST_SHARE - 1) * sigma
    face, distance = _rasterize(vertices, faces, cameras, blur, faces_per_pixel)
    share = torch.sigmoid(-distance / sigma) * (face >= 0)
    return 1 - (1 - share).prod(-1)


def _rasterize(
    vertices: Tensor, faces: Tensor, cameras: Cameras, blur: float, faces_per_pixel: int
) -> tuple[Tensor, Tensor]:
    """Triangles (B, H, W, K), nearest first, -1 for none, and their signed squared distances, positive outside."""
    try:
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes
    except ImportError as error:
        raise RenderError(
            f"PyTorch3D is needed for this and cannot be loaded ({error}): pip install uvatar-training."
        ) from error
    z = vertices[..., 2:]
    bounded = (z[..., 0] > NEAR)[:, faces].all(-1)
    pixels = cameras.project(torch.cat([vertices[..., :2], z.clamp_min(NEAR)], -1))
    middle = torch.tensor([cameras.width, cameras.height], dtype=pixels.dtype, device=pixels.device) / 2
    normalised = torch.cat([(middle - pixels) * (2 / min(cameras.height, cameras.width)), z], -1)
    packed, _, _, distance = rasterize_meshes(
        Meshes(list(normalised), [faces[usable] for usable in bounded]),
        image_size=(cameras.height, cameras.width),
        blur_radius=blur,
        faces_per_pixel=faces_per_pixel,
        perspective_correct=True,
        clip_barycentric_coords=blur > 0,
        max_faces_per_bin=len(faces),
    )
    # PyTorch3D numbers the triangles of all pictures consecutively; -1 stays -1.
    numbers = torch.cat([bounded.nonzero()[:, 1], torch.tensor([-1], device=packed.device)])
    return numbers[packed], distance
