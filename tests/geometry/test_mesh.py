"""Normals of triangles, against the cross product of their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uvatar.body import load_open_body
from uvatar.geometry.mesh import face_normals


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_face_normals_are_cross_products_to_the_bit(kind: Any) -> None:
    data = load_open_body().data
    vertices = data.v_template.astype(kind)
    first, second, third = (vertices[data.faces[:, corner]] for corner in range(3))
    normals = face_normals(vertices, data.faces)
    assert normals.dtype == kind
    assert np.array_equal(normals, np.cross(second - first, third - first))
    assert np.array_equal(face_normals(vertices, data.faces.reshape(-1, 2, 3)), normals.reshape(-1, 2, 3))
