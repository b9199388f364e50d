"""The geometric part of rendering: the point of the mesh that is visible at each pixel of a batch of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uvatar_training.rendering.cameras import Cameras
from uvatar_training.rendering.mesh import RenderError, UvMesh
from uvatar_training.rendering.pytorch3d_raster import visible_faces_pytorch3d
from uvatar_training.rendering.scan import NEAR, scan

# Vertices (B, V, 3), faces (F, 3), cameras -> (B, H, W) int64 index of the triangle at each pixel's centre, -1 for
# none.
Rasterizer = Callable[[Tensor, Tensor, Cameras], Tensor]


@dataclass(frozen=True)
class PixelView:
    """The surface visible at every pixel, with gradients to the vertices and cameras; detach a view to keep it.

    Attributes:
        face: (B, H, W) int64 index of the triangle, -1 for none.
        barycentric: (B, H, W, 3) perspective-correct weights of the triangle's corners at the pixel's centre; zeros
            where there is no triangle.
        uv: (B, H, W, 2) position in the texture, origin bottom-left, v up; zeros where there is no triangle.
        depth: (B, H, W) z in the camera frame, metres; inf where there is no triangle.
    """

    face: Tensor
    barycentric: Tensor
    uv: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """The pixels (B, 1, H, W), bool, that show the mesh."""
        return (self.face >= 0)[:, None]

    def detach(self) -> PixelView:
        """The view without gradients, to be kept for a fixed geometry."""
        return PixelView(self.face, self.barycentric.detach(), self.uv.detach(), self.depth.detach())

    def to(self, device: torch.device | str) -> PixelView:
        """The same view on another device."""
        return PixelView(*(getattr(self, name).to(device) for name in ("face", "barycentric", "uv", "depth")))

    def __getitem__(self, pictures: slice | Tensor) -> PixelView:
        """The views of some of the pictures."""
        return PixelView(self.face[pictures], self.barycentric[pictures], self.uv[pictures], self.depth[pictures])


def visible_faces(vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    """The nearest triangle at every pixel's centre, facing either way, (B, H, W) int64, -1 for none; without gradients.

    Triangles with a corner behind the camera are left out. Uses `uvatar_training.rendering.scan` on the CPU, and
    PyTorch3D on other devices.
    """
    if vertices.device.type != "cpu":
        return visible_faces_pytorch3d(vertices, faces, cameras)
    triangles = faces.numpy()
    pictures = [
        scan(points.numpy(), triangles, float(focal), center.numpy().astype(np.float64), cameras.height, cameras.width)
        for points, focal, center in zip(
            vertices.detach(), cameras.focal.detach(), cameras.center.detach(), strict=True
        )
    ]
    return torch.from_numpy(np.stack(pictures))


def see(vertices: Tensor, mesh: UvMesh, cameras: Cameras, rasterizer: Rasterizer = visible_faces) -> PixelView:
    """Compute what each camera sees of its person.

    Args:
        vertices: (B, V, 3) in the frames of the cameras, metres.
        mesh: the triangles.
        cameras: one per person.
        rasterizer: finds the visible triangles; the rest is computed from them, with gradients to vertices and cameras
            inside the silhouette. `pytorch3d_raster.soft_silhouette` has gradients across it.

    Raises:
        RenderError: vertices are not finite; a person is behind the camera, outside the picture or has no area; or
            triangles refer to missing vertices.
    """
    _check(vertices, mesh, cameras)
    face = rasterizer(vertices, mesh.faces, cameras)
    unseen = (face < 0).flatten(1).all(1)
    if unseen.any():
        _explain(vertices, mesh, unseen)
    picture, row, column = (face >= 0).nonzero(as_tuple=True)
    seen = face[picture, row, column]
    weights, depth = _barycentrics(vertices[picture[:, None], mesh.faces[seen]], cameras.slopes(picture, row, column))
    weights, depth = weights.to(vertices.dtype), depth.to(vertices.dtype)
    uv = (weights[..., None] * mesh.face_uv[seen]).sum(1)
    at = (picture, row, column)
    return PixelView(
        face,
        vertices.new_zeros(*face.shape, 3).index_put(at, weights),
        uv.new_zeros(*face.shape, 2).index_put(at, uv),
        vertices.new_full(face.shape, torch.inf).index_put(at, depth),
    )


def _barycentrics(corners: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentrics (K, 3) and depth (K,) of the points where rays meet the planes of triangles.

    The barycentrics are proportional to the determinants of two corners and the ray (Olano and Greer 1997, "Triangle
    scan conversion using 2D homogeneous coordinates"). These do not change if the ray, multiplied by a corner's depth,
    is subtracted from the corner, which leaves offsets of millimetres instead of metres. They are computed in float64,
    because triangles of a tenth of a pixel (eyelids, nails) would lose three digits otherwise.

    Args:
        corners: (K, 3, 3) corners of the triangles.
        slopes: (K, 2) x / z and y / z of the rays.
    """
    corners = corners.double()
    z = corners[..., 2]
    offset = corners[..., :2] - slopes[:, None] * z[..., None]
    after, before = offset.roll(-1, 1), offset.roll(1, 1)
    area = after[..., 0] * before[..., 1] - after[..., 1] * before[..., 0]
    weights = area / area.sum(1, keepdim=True)
    return weights, (weights * z).sum(1)


def _check(vertices: Tensor, mesh: UvMesh, cameras: Cameras) -> None:
    if vertices.ndim != 3 or vertices.shape[2] != 3 or len(vertices) != len(cameras):
        raise RenderError(
            f"Vertices need the shape ({len(cameras)}, V, 3) for {len(cameras)} cameras, not {tuple(vertices.shape)}."
        )
    if not len(mesh.faces) or int(mesh.faces.min()) < 0 or int(mesh.faces.max()) >= vertices.shape[1]:
        raise RenderError(f"The mesh has no triangles, or they name vertices beyond the {vertices.shape[1]} given.")
    broken = (
        ~vertices.isfinite().flatten(1).all(1)
        | ~cameras.focal.isfinite()
        | ~cameras.center.isfinite().all(1)
        | (cameras.focal <= 0)
    )
    if broken.any():
        people = _indices(broken)
        raise RenderError(
            f"Vertices or cameras of {_named(people)} are not finite numbers, or a focal length is not positive.",
            people,
        )


def _explain(vertices: Tensor, mesh: UvMesh, unseen: Tensor) -> None:
    """Raise a RenderError that says why the people ``unseen`` (B,) are not in their pictures."""
    behind = unseen & (vertices[..., 2] <= NEAR).all(1)
    if behind.any():
        raise RenderError(f"The mesh of {_named(_indices(behind))} is behind the camera.", _indices(behind))
    corners = vertices[:, mesh.faces]
    across = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
    flat = unseen & (across.norm(dim=-1) < 1e-12).all(1)
    if flat.any():
        raise RenderError(
            f"The mesh of {_named(_indices(flat))} is degenerate: none of its triangles has an area.", _indices(flat)
        )
    raise RenderError(
        f"The picture shows nothing of the mesh of {_named(_indices(unseen))}: it lies outside.", _indices(unseen)
    )


def _indices(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[:, 0].tolist())


def _named(people: tuple[int, ...]) -> str:
    return (
        f"person {people[0]} of the batch" if len(people) == 1 else f"people {', '.join(map(str, people))} of the batch"
    )
