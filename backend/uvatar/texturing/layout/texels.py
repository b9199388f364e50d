"""The surface point of every texel: the UV layout rasterised once per body and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats, Integers, Scalar
from uvatar.geometry.raster import RayScene

_RAYS_AT_ONCE = 1 << 21
# Keeps memory small at large sizes.
_TEXELS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class TexelTable:
    """The T texels of an (N, N) picture whose centres lie inside a UV triangle, in reading order.

    Attributes:
        size: N.
        pixel: (T,) int32 index of the texel in the flattened picture (row * N + column, row 0 at v = 1).
        face: (T,) int32 triangle of the body that the texel lies on.
        barycentric: (T, 3) float32 weights of that triangle's corners.
        mass: (V,) float32 sum of each vertex's barycentric weights: about how many texels surround it.
        source: (N * N,) int32 the texel that each pixel of the picture shows: its own, or the nearest one in the
            gutters.
    """

    size: int
    pixel: NDArray[np.int32]
    face: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    mass: NDArray[np.float32]
    source: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.pixel)

    def picture(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values (T, ...) -> picture (N, N, ...) with dilated gutters."""
        # `numpy.take` copies rows several times as fast as an index does, here and below.
        return np.take(values, self.source, axis=0).reshape(self.size, self.size, *values.shape[1:])

    def scatter(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values (T, ...) -> picture (N, N, ...), zero in the gutters."""
        picture = np.zeros((self.size * self.size, *values.shape[1:]), values.dtype)
        picture[self.pixel] = values
        return picture.reshape(self.size, self.size, *values.shape[1:])

    def interpolate(self, vertex_values: Floats, faces: Integers, texels: Integers | slice = slice(None)) -> Floats:
        """Values (V,) or (V, C) at the vertices -> (T,) or (T, C) at the chosen texels; ``faces`` (F, 3)."""
        return self._weighted(vertex_values, faces, texels)

    def interpolate_corners(self, corner_values: Floats, texels: Integers | slice = slice(None)) -> Floats:
        """Values (F, 3) or (F, 3, C) at the triangles' corners -> (T,) or (T, C) at the chosen texels."""
        rows = np.arange(3 * len(corner_values), dtype=np.int32).reshape(-1, 3)
        return self._weighted(corner_values.reshape(-1, *corner_values.shape[2:]), rows, texels)

    def _weighted(self, values: Floats, rows: Integers, texels: Integers | slice) -> Floats:
        """Sums (T, ...) over a triangle's corners of barycentric weights times ``values`` (R, ...); ``rows`` (F, 3)
        says which of them a triangle's corners have. A sparse product is twice as fast as NumPy's einsum.
        """
        face, weights = self.face, self.barycentric
        if isinstance(texels, slice):
            face, weights = face[texels], weights[texels]
        else:
            face, weights = np.take(face, texels), np.take(weights, texels, axis=0)
        sums = np.empty((len(face), *values.shape[1:]), np.result_type(values, weights))
        for start in range(0, len(face), _TEXELS_AT_ONCE):
            chunk = slice(start, start + _TEXELS_AT_ONCE)
            corners = np.take(rows, face[chunk], axis=0)
            ends = np.arange(0, corners.size + 1, 3, dtype=np.int32)
            shape = len(corners), len(values)
            sums[chunk] = sparse.csr_matrix((weights[chunk].ravel(), corners.ravel(), ends), shape) @ values
        return sums


def build_texel_table(uv: Floats, face_uv: Integers, faces: Integers, vertices: int, size: int) -> TexelTable:
    """Rasterise a UV layout. Triangles of both windings count: some layouts mirror whole islands.

    Args:
        uv: (P, 2) places in the UV plane, 0..1, origin at the bottom left.
        face_uv: (F, 3) indices into ``uv``.
        faces: (F, 3) the same triangles as indices of vertices.
        vertices: how many the mesh has.
        size: texels on a side.
    """
    flat = np.column_stack([uv, np.zeros(len(uv))]).astype(np.float32)
    scene = RayScene(flat, face_uv)
    pixels, hits, weights = [], [], []
    for first, rays in _texel_rays(size):
        face, barycentric, _ = scene.first_hits(rays, np.broadcast_to(np.array([0, 0, 1], np.float32), rays.shape))
        hit = np.flatnonzero(face >= 0)
        pixels.append((hit + first).astype(np.int32))
        hits.append(face[hit])
        weights.append(barycentric[hit])
    pixel, face, barycentric = np.concatenate(pixels), np.concatenate(hits), np.concatenate(weights)
    mass = np.bincount(faces[face].ravel(), barycentric.ravel(), vertices).astype(np.float32)
    return TexelTable(size, pixel, face, barycentric, mass, _nearest_texel(pixel, size))


def _texel_rays(size: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Chunks of rows: the first pixel's index, and the origins (n, 3) of rays that meet the UV plane from behind."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    rows = max(1, _RAYS_AT_ONCE // size)
    for top in range(0, size, rows):
        v = 1 - centres[top : top + rows]
        origins = np.empty((len(v), size, 3), np.float32)
        origins[..., 0], origins[..., 1], origins[..., 2] = centres, v[:, None], -1.0
        yield top * size, origins.reshape(-1, 3)


def _nearest_texel(pixel: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """The nearest texel (N * N,) to each pixel of the picture; ``pixel`` (T,): where the texels are."""
    outside = np.ones(size * size, np.uint8)
    outside[pixel] = 0
    _, labels = cv2.distanceTransformWithLabels(
        outside.reshape(size, size), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = labels.ravel()
    texel_of_label = np.empty(labels.max() + 1, np.int32)
    texel_of_label[labels[pixel]] = np.arange(len(pixel), dtype=np.int32)
    nearest: NDArray[np.int32] = texel_of_label[labels]
    return nearest
