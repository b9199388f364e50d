"""Visibility of triangles in pixels, and of surface points, by ray casting with Embree (BSD, `embreex`).

Embree hits the same triangles as a rasteriser with pixel centres as samples, at about 3 ms per 256x256 picture once its
tree is built (50 ms for the open body), and the same tree answers visibility questions per texel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.camera import Camera


@dataclass(frozen=True)
class Fragments:
    """The surface points seen by a picture's pixels.

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
        corners = corner_values[faces[np.maximum(self.face, 0)]]
        values: Floats = np.einsum("hwk,hwkc->hwc", self.barycentric, corners)
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
        barycentric = np.stack([1 - hit["u"] - hit["v"], hit["u"], hit["v"]], -1).astype(np.float32)
        barycentric[missed] = 0
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

    def render(self, camera: Camera) -> Fragments:
        """Find the surface point that each pixel of the camera's picture sees."""
        height, width = camera.height, camera.width
        x = (np.arange(width, dtype=np.float32) + 0.5 - camera.center[0]) / camera.focal
        y = (np.arange(height, dtype=np.float32) + 0.5 - camera.center[1]) / camera.focal
        directions = np.empty((height, width, 3), np.float32)
        directions[..., 0], directions[..., 1], directions[..., 2] = x, y[:, None], 1.0
        face, barycentric, distance = self.first_hits(
            np.zeros((height * width, 3), np.float32), directions.reshape(-1, 3)
        )
        # The directions have z = 1, so distance along the ray is depth.
        return Fragments(
            face.reshape(height, width), barycentric.reshape(height, width, 3), distance.reshape(height, width)
        )


def rasterize(vertices: Floats, faces: Integers, camera: Camera) -> Fragments:
    """Render a mesh (V, 3), (F, 3) in the camera frame.

    Keep a `RayScene` instead where the mesh is asked more than once.
    """
    return RayScene(vertices, faces).render(camera)
