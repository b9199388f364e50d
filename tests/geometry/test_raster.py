"""Pictures of a mesh, against a ray through every one of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.body import load_open_body
from uvatar.data.camera import Camera
from uvatar.geometry.raster import RayScene, rasterize

CAMERA = Camera(300.0, (100.0, 160.0), 200, 320)


@pytest.mark.parametrize("shift", [(0, 0, 3), (0.9, 0, 3), (5, 0, 3), (0, 0, 0.3)], ids=["all", "part", "none", "near"])
def test_rays_are_spared_only_where_there_is_no_mesh(shift: tuple[float, float, float]) -> None:
    data = load_open_body().data
    scene = RayScene(data.v_template * np.array([1, -1, -1], np.float32) + np.array(shift, np.float32), data.faces)
    x, y = np.meshgrid(np.arange(200, dtype=np.float32) + 0.5, np.arange(320, dtype=np.float32) + 0.5)
    rays = np.stack([(x - np.float32(100)) / 300, (y - np.float32(160)) / 300, np.ones_like(x)], -1).reshape(-1, 3)
    face, barycentric, distance = scene.first_hits(np.zeros_like(rays), rays)

    seen = scene.render(CAMERA)

    assert seen.mask.any() == (shift[0] < 5)
    assert np.array_equal(seen.face.ravel(), face)
    assert np.array_equal(seen.barycentric.reshape(-1, 3), barycentric)
    assert np.array_equal(seen.depth.ravel(), distance)


@pytest.mark.parametrize("shift", [(0, 0, 3), (0.9, 0, 3), (5, 0, 3), (0, 0, 0.3)], ids=["all", "part", "none", "near"])
def test_a_mesh_drawn_triangle_by_triangle_is_what_rays_see(shift: tuple[float, float, float]) -> None:
    data = load_open_body().data
    vertices = data.v_template * np.array([1, -1, -1], np.float32) + np.array(shift, np.float32)
    rays, drawn = RayScene(vertices, data.faces).render(CAMERA), rasterize(vertices, data.faces, CAMERA)
    # Only a pixel whose centre lies on an edge may differ, by rounding.
    assert (rays.mask != drawn.mask).sum() <= 1
    both = rays.mask & drawn.mask
    assert np.abs(rays.depth[both] - drawn.depth[both]).max(initial=0) < 1e-4
    same = rays.face == drawn.face
    assert (~same).sum() < 0.002 * max(both.sum(), 1000)
    assert np.abs(rays.barycentric[same] - drawn.barycentric[same]).max() < 5e-3


def test_a_mesh_reaching_behind_the_camera_is_drawn_as_rays_see_it() -> None:
    data = load_open_body().data
    vertices = data.v_template * np.array([1, -1, -1], np.float32)
    rays, drawn = RayScene(vertices, data.faces).render(CAMERA), rasterize(vertices, data.faces, CAMERA)
    assert np.array_equal(rays.face, drawn.face)
