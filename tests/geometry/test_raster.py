"""Pictures of a mesh, against a ray through every one of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.body import load_open_body
from uvatar.data.camera import Camera
from uvatar.geometry.raster import RayScene

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
