"""The geometric part of rendering: which point of the mesh each pixel of a batch of pictures sees."""

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

# Vertices (B, V, 3), faces (F, 3), cameras -> (B, H, W) int64 index of the triangle at each pixel's centre, -1 where
# there is none.
Rasterizer = Callable[[Tensor, Tensor, Cameras], Tensor]


@dataclass(frozen=True)
class PixelView:
    """What every pixel sees. Gradients lead to the vertices and cameras that it was made from; detach it to keep it.

    Attributes:
        face: (B, H, W) int64 triangle, -1 where there is none.
        barycentric: (B, H, W, 3) perspective-correct weights of the triangle's corners at the pixel's centre; zeros
            outside.
        uv: (B, H, W, 2) place in the texture, origin bottom-left, v up; zeros outside.
        depth: (B, H, W) z in the camera frame, metres; inf outside.
    """

    face: Tensor
    barycentric: Tensor
    uv: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, 1, H, W) bool, where the picture shows the mesh."""
        return (self.face >= 0)[:, None]

    def detach(self) -> PixelView:
        """The view as plain numbers: what to keep of a geometry that stands still."""
        return PixelView(self.face, self.barycentric.detach(), self.uv.detach(), self.depth.detach())

    def to(self, device: torch.device | str) -> PixelView:
        """The same view on another device."""
        return PixelView(*(getattr(self, name).to(device) for name in ("face", "barycentric", "uv", "depth")))

    def __getitem__(self, pictures: slice | Tensor) -> PixelView:
        """The views of some of the pictures."""
        return PixelView(self.face[pictures], self.barycentric[pictures], self.uv[pictures], self.depth[pictures])


def visible_faces(vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    """The nearest triangle at every pixel's centre, from either side, (B, H, W) int64, -1 where there is none; no
    gradients.

    Triangles with a corner behind the camera are left out. Our own scan conversion on the CPU, PyTorch3D on any other
    device.
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
    """What every camera sees of its person.

    Args:
        vertices: (B, V, 3) metres, in the frame of each one's camera.
        rasterizer: tells which triangle is where; the rest is computed from that, with gradients to vertices and
            cameras inside the silhouette. `pytorch3d_raster.soft_silhouette` has those across it.

    Raises:
        RenderError: vertices that are not finite; a person who is behind the camera, beside the picture or without
            area; triangles that name missing vertices.
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
    """Where rays (K, 2: x / z and y / z) meet the planes of triangles (K, 3 corners, 3): barycentrics (K, 3) and depth
    (K,).

    They are in proportion to the determinants of two corners with the ray (Olano and Greer 1997, "Triangle scan
    conversion using 2D homogeneous coordinates"), which stay the same when the ray times their depth is taken from both
    corners: offsets of millimetres are left of metres. In float64, since triangles of a tenth of a pixel (eyelids,
    nails) would lose three digits otherwise.
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
    """Raises RenderError that says why these people (B,) are not in their pictures."""
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
