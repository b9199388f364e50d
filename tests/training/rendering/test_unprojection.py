"""What the photo sees of the texture: found again after rendering, and nothing of what is hidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.geometry.raster import RayScene
from uvatar_training.rendering import Cameras, UvMesh, paint, see
from uvatar_training.rendering.unprojection import Texels, unproject

SIDE = 384


@pytest.fixture(scope="module")
def found(people: Tensor, mesh: UvMesh, body: BodyModel, texture: Tensor) -> tuple[Tensor, Tensor, Texels]:
    """The smooth texture that was rendered (1, 3, 128, 128), what unprojection brings back (2, 4, 128, 128), and the
    texels.
    """
    cameras = Cameras.of([Camera(1.4 * SIDE, (SIDE / 2, SIDE / 2), SIDE, SIDE)] * 2)
    smooth = torch.nn.functional.interpolate(texture[..., ::8, ::8], (128, 128), mode="bilinear", align_corners=False)
    view = see(people, mesh, cameras)
    texels = Texels.of(body, 128)
    return smooth, unproject(paint(view, smooth), people, mesh, texels, cameras, view), texels


def test_a_rendered_texture_comes_back_where_it_was_seen(found: tuple[Tensor, Tensor, Texels]) -> None:
    smooth, partial, _ = found
    assert partial.shape == (2, 4, 128, 128)
    for got in partial:
        seen = got[3] > 0
        assert set(got[3].unique().tolist()) == {0.0, 1.0}
        error = (got[:3] - smooth[0]).abs().amax(0)[seen]
        assert error.median() < 0.01 and error.quantile(0.97) < 0.06
        assert (got[:3, ~seen] == 0).all()


def test_it_sees_what_rays_say_is_visible(
    found: tuple[Tensor, Tensor, Texels], people: Tensor, body: BodyModel
) -> None:
    _, partial, texels = found
    for vertices, got in zip(people.numpy(), partial, strict=True):
        corners = vertices[body.data.faces[texels.face.numpy()]]
        points = (texels.barycentric.numpy()[..., None] * corners).sum(1)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        cosine = -(normals * points).sum(1) / np.linalg.norm(normals, axis=1) / np.linalg.norm(points, axis=1)
        expected = RayScene(vertices, body.data.faces).visible_from(points) & (cosine > 0.2)
        seen = got[3].flatten()[texels.place].numpy() > 0
        assert 0.25 < seen.mean() < 0.5
        assert (seen == expected).mean() > 0.95  # outlines are left out
        # what rays say is hidden must not be painted with something else
        assert (seen & ~expected).mean() < 0.01
