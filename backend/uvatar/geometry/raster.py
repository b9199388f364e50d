"""Visibility of triangles in pixels, and of surface points, by ray casting with Embree (BSD, `embreex`); and meshes
that are drawn but once, in small pictures, triangle by triangle.

Embree hits the same triangles as a rasteriser with pixel centres as samples, at about 3 ms per 256x256 picture once its
tree is built (50 ms for the open body), and the same tree answers visibility questions per texel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera

_NEAREST = 1e-3  # metres from the camera: a mesh that comes nearer has no outline in the picture
_MOST_LAYERS = 8  # with holes that a ray passes
_PASSED = 1e-5  # share of its distance by which a ray goes on behind a hole: at 5 m, 50 micrometres
_MOST_TRIES = 1 << 19  # pixels in the triangles' boxes: with more of them, rays are faster


@dataclass(frozen=True)
class Fragments:
    """The surface points seen by a picture's pixels, (H, W), or by a list of some of them, (N,).

    Attributes:
        face: (H, W) int32 index of the nearest triangle, -1 where there is none.
        barycentric: (H, W, 3) float32 weights of the triangle's corners at the pixel centre; zeros where there is none.
        depth: (H, W) float32 z in the camera frame, metres; inf where there is none.
    """

    face: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    depth: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) True where the picture shows the mesh."""
        return self.face >= 0

    def interpolate(self, corner_values: Floats, faces: Integers) -> Floats:
        """Values (N, C) at the mesh's vertices, indexed by ``faces`` (F, 3) -> (H, W, C) at the pixels, 0 outside."""
        corners = np.take(corner_values, np.take(faces, np.maximum(self.face, 0), axis=0), axis=0)
        values: Floats = np.einsum("...k,...kc->...c", self.barycentric, corners)
        return values


class RayScene:
    """A triangle mesh that rays can be shot at. Triangles are seen from both sides."""

    def __init__(self, vertices: Floats, faces: Integers) -> None:
        """``vertices`` (V, 3) metres, ``faces`` (F, 3)."""
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, self.vertices, self.faces)

    def first_hits(
        self, origins: Floats, directions: Floats
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """Rays (N, 3), (N, 3) -> face (N,) or -1, barycentric (N, 3), distance (N,) in lengths of the direction, inf
        for none.
        """
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )
        face = hit["primID"].astype(np.int32)
        missed = face < 0
        barycentric = np.zeros((len(face), 3), np.float32)
        u, v = hit["u"][~missed], hit["v"][~missed]
        barycentric[~missed] = np.stack([1 - u - v, u, v], -1)
        distance = np.where(missed, np.float32(np.inf), hit["tfar"]).astype(np.float32)
        return face, barycentric, distance

    def visible_from(self, points: Floats, eye: Floats | None = None, bias: float = 0.01) -> NDArray[np.bool_]:
        """Whether (N, 3) points on or near the surface are seen from ``eye`` (3,), the camera frame's origin by
        default.

        ``bias`` metres of surface in front of the point do not hide it: without it the point's own triangle and its
        neighbours would hide half of what is visible.
        """
        origin = np.zeros(3, np.float32) if eye is None else np.asarray(eye, np.float32)
        directions = np.asarray(points, np.float32) - origin
        length = np.linalg.norm(directions, axis=-1)
        directions /= np.maximum(length, 1e-9)[:, None]
        _, _, distance = self.first_hits(np.broadcast_to(origin, directions.shape), directions)
        visible: NDArray[np.bool_] = distance >= length - bias
        return visible

    def window(self, camera: Camera) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the pixels outside of which the camera's picture cannot show the mesh."""
        width, height = camera.width, camera.height
        if self.vertices[:, 2].min() < _NEAREST:
            return 0, 0, width, height
        pixels = camera.project(self.vertices)
        # A pixel more on every side, for rounding.
        low = np.clip(np.floor(pixels.min(0)) - 1, 0, (width, height)).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + 1, 0, (width, height)).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def render(self, camera: Camera) -> Fragments:
        """Find the surface point that each pixel of the camera's picture sees."""
        seen = _nothing(camera.height, camera.width)
        left, top, right, bottom = self.window(camera)
        if right <= left or bottom <= top:
            return seen
        x = (np.arange(left, right, dtype=np.float32) + 0.5 - camera.center[0]) / camera.focal
        y = (np.arange(top, bottom, dtype=np.float32) + 0.5 - camera.center[1]) / camera.focal
        directions = np.empty((len(y), len(x), 3), np.float32)
        directions[..., 0], directions[..., 1], directions[..., 2] = x, y[:, None], 1.0
        found = self._along(directions)
        place = slice(top, bottom), slice(left, right)
        seen.face[place], seen.barycentric[place], seen.depth[place] = found.face, found.barycentric, found.depth
        return seen

    def render_at(self, pixels: Floats, camera: Camera) -> Fragments:
        """Find the surface points (N,) that the camera sees at positions (N, 2) in its picture, in pixels."""
        directions = np.ones((*pixels.shape[:-1], 3), np.float32)
        directions[..., :2] = (pixels - np.asarray(camera.center)) / camera.focal
        return self._along(directions)

    def _along(self, directions: NDArray[np.float32]) -> Fragments:
        """What the camera sees in directions (..., 3) with z = 1, so that distance along the ray is depth."""
        rays, shape = directions.reshape(-1, 3), directions.shape[:-1]
        face, barycentric, depth = self.first_hits(np.zeros_like(rays), rays)
        return Fragments(face.reshape(shape), barycentric.reshape(*shape, 3), depth.reshape(shape))


class PiercedScene(RayScene):
    """A mesh with holes, which rays pass."""

    def __init__(
        self,
        vertices: Floats,
        faces: Integers,
        solid: Callable[[NDArray[np.int32], NDArray[np.float32]], NDArray[np.bool_]],
    ) -> None:
        """``solid`` says of faces (N,) and barycentric (N, 3) whether the surface is there, (N,)."""
        super().__init__(vertices, faces)
        self._solid = solid

    def first_hits(
        self, origins: Floats, directions: Floats
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """As those of `RayScene`, of the surface that is there."""
        face, barycentric, distance = super().first_hits(origins, directions)
        open_ones = np.flatnonzero(face >= 0)
        for _ in range(_MOST_LAYERS):
            open_ones = open_ones[~self._solid(face[open_ones], barycentric[open_ones])]
            if not len(open_ones):
                break
            passed = distance[open_ones] * (1 + _PASSED)
            start = origins[open_ones] + passed[:, None] * directions[open_ones]
            found = super().first_hits(start, directions[open_ones])
            face[open_ones], barycentric[open_ones], distance[open_ones] = *found[:2], passed + found[2]
            open_ones = open_ones[face[open_ones] >= 0]
        return face, barycentric, distance


def rasterize(vertices: Floats, faces: Integers, camera: Camera) -> Fragments:
    """Render a mesh (V, 3), (F, 3) in the camera frame, as `RayScene.render` does but for rounding.

    The pixels in the triangles' boxes are tried one by one, which is fastest where triangles are about as small as
    pixels. Keep a `RayScene` where the mesh is asked more than once.
    """
    vertices = np.asarray(vertices, np.float64)
    if vertices[:, 2].min() < _NEAREST:
        return RayScene(vertices, faces).render(camera)
    # Coordinate by coordinate, here and below: rows of two or three numbers take several times as long.
    corners = np.ascontiguousarray(faces.T)
    x, y = (np.take(values, corners) for values in camera.project(vertices).T)  # (3, F)
    (left, across), (top, down) = _centres(x, camera.width), _centres(y, camera.height)
    tries = across * down
    if tries.sum() > _MOST_TRIES:
        return RayScene(vertices, faces).render(camera)
    chosen = np.flatnonzero(tries)
    tries = tries[chosen]
    owner = np.repeat(np.arange(len(chosen)), tries)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(tries) - tries, tries)
    across = across[chosen][owner]
    row = number // across
    column = left[chosen][owner] + number - row * across
    row += top[chosen][owner]
    second, third = _shares(np.take(x, chosen, axis=1), np.take(y, chosen, axis=1), owner, column + 0.5, row + 0.5)
    inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
    owner, second, third = owner[inside], second[inside], third[inside]
    pixel = row[inside] * camera.width + column[inside]
    # Shares of the corners in the picture, over the corners' depths, are those on the surface, over its depth.
    nearness = 1 / np.take(vertices[:, 2], np.take(corners, chosen, axis=1))
    shares = [(1 - second - third) * nearness[0][owner], second * nearness[1][owner], third * nearness[2][owner]]
    total = shares[0] + shares[1] + shares[2]
    # Of several triangles at a pixel the nearest one is written last.
    order = np.argsort(total)
    nearest = np.full(camera.height * camera.width, -1)
    nearest[pixel[order]] = order
    hit = np.flatnonzero(nearest >= 0)
    nearest = nearest[hit]
    seen = _nothing(camera.height, camera.width)
    seen.face.ravel()[hit] = chosen[owner[nearest]]
    seen.depth.ravel()[hit] = 1 / total[nearest]
    for corner, share in enumerate(shares):
        seen.barycentric.reshape(-1, 3)[hit, corner] = share[nearest] / total[nearest]
    return seen


def _centres(corners: Floats, size: int) -> tuple[Integers, Integers]:
    """The first of ``size`` pixels whose centre lies between the least and the greatest of the ``corners`` (3, F) of
    triangles, and how many do.
    """
    low, high = np.ceil(corners.min(0) - 0.5), np.floor(corners.max(0) - 0.5) + 1
    first = np.clip(low, 0, size).astype(np.int64)
    return first, np.maximum(np.clip(high, 0, size).astype(np.int64) - first, 0)


def _shares(corner_x: Floats, corner_y: Floats, owner: Integers, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Barycentric coordinates (N,) and (N,), in the picture, of the second and the third corner at points ``x`` (N,),
    ``y`` (N,); NaN or infinite where the triangle has no area.

    ``corner_x`` and ``corner_y`` (3, F) of triangles, ``owner`` (N,) the triangle of each point.
    """
    (ux, vx), (uy, vy) = corner_x[1:] - corner_x[0], corner_y[1:] - corner_y[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / (ux * vy - uy * vx)
        x, y = x - corner_x[0][owner], y - corner_y[0][owner]
        second = x * (vy * scale)[owner] - y * (vx * scale)[owner]
        third = y * (ux * scale)[owner] - x * (uy * scale)[owner]
    return second, third


def _nothing(height: int, width: int) -> Fragments:
    """A picture without a mesh."""
    size = height, width
    return Fragments(np.full(size, -1, np.int32), np.zeros((*size, 3), np.float32), np.full(size, np.inf, np.float32))
