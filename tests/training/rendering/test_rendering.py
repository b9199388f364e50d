"""What the renderer promises without any reference at hand: gradients, caching, composition, and errors in words."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.geometry.raster import rasterize
from uvatar_training.rendering import (
    Cameras,
    RenderError,
    UvMesh,
    paint,
    render,
    sample_texture,
    scan,
    see,
    visible_faces,
)


def test_rays_hit_the_same_triangles(people: Tensor, mesh: UvMesh, body: BodyModel) -> None:
    camera = Camera(1200.0, (620.0, 210.0), 300, 200)  # a part of a large photo
    people = people + torch.tensor([-1.3, 0, 0])
    hit = rasterize(people[1].numpy(), body.data.faces, camera)
    seen = visible_faces(people[1:], mesh.faces, Cameras.of([camera]))[0]
    assert hit.mask.mean() > 0.05
    assert (torch.from_numpy(hit.face) == seen).float().mean() > 0.9995


def test_close_ups_are_scanned_in_portions_with_the_same_result(
    people: Tensor, mesh: UvMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_up = Cameras.of([Camera(400.0, (50.0, 50.0), 100, 100)])
    at_once = visible_faces(people[:1], mesh.faces, close_up)
    assert (at_once >= 0).float().mean() > 0.3
    monkeypatch.setattr(scan, "_CANDIDATES_AT_ONCE", 500)
    assert torch.equal(visible_faces(people[:1], mesh.faces, close_up), at_once)


def test_the_point_that_barycentrics_name_lies_on_the_pixel_s_ray(people: Tensor, mesh: UvMesh) -> None:
    cameras = Cameras.of([Camera(350, (126, 131), 256, 256), Camera(1500, (150, 300), 256, 256)])
    view = see(people, mesh, cameras)
    picture, row, column = view.mask[:, 0].nonzero(as_tuple=True)
    corners = people.double()[picture[:, None], mesh.faces[view.face[picture, row, column]]]
    points = (view.barycentric[picture, row, column, :, None] * corners).sum(1)
    for i in (0, 1):
        here = picture == i
        expected = torch.stack([column[here], row[here]], 1) + 0.5
        torch.testing.assert_close(
            cameras[i : i + 1].project(points[None, here])[0], expected.double(), atol=1e-3, rtol=0
        )
        torch.testing.assert_close(view.depth[picture, row, column][here].double(), points[here, 2], atol=1e-5, rtol=0)
    assert view.barycentric.min() > -1e-6


def test_gradients_to_vertices_camera_and_texture_are_those_of_finite_differences() -> None:
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 1, 4]])
    face_uv = torch.rand(3, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mesh = UvMesh(faces, face_uv)
    vertices = torch.tensor(
        [[[-0.5, -0.4, 2.0], [0.6, -0.5, 2.4], [0.5, 0.5, 1.9], [-0.6, 0.4, 2.7], [0.1, -0.1, 1.5]]]
    ).double()
    focal, center = torch.tensor([9.3]).double(), torch.tensor([[4.1, 3.8]]).double()
    texture = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def picture(vertices: Tensor, focal: Tensor, center: Tensor, texture: Tensor) -> Tensor:
        return render(vertices, mesh, texture, Cameras(focal, center, 8, 8)).image

    assert len(see(vertices, mesh, Cameras(focal, center, 8, 8)).face.unique()) == 4
    inputs = [value.requires_grad_() for value in (vertices, focal, center, texture)]
    assert torch.autograd.gradcheck(picture, inputs, eps=1e-7, atol=1e-5)


def test_texels_are_where_blender_and_games_look_for_them() -> None:
    texture = torch.arange(16.0).reshape(1, 1, 4, 4)  # row 0 is the top of the picture
    corners = torch.tensor([[0.125, 0.125], [0.875, 0.125], [0.125, 0.875], [0.875, 0.875], [0.25, 0.125], [0.0, 0.0]])
    values = sample_texture(texture, corners[None, None])[0, 0, 0]
    torch.testing.assert_close(values, torch.tensor([12.0, 15.0, 0.0, 3.0, 12.5, 12.0]))


def test_a_kept_view_is_painted_again_and_again(people: Tensor, mesh: UvMesh, texture: Tensor) -> None:
    cameras = Cameras.of([Camera(90, (32, 32), 64, 64)] * 2)
    background = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    view = see(people, mesh, cameras).detach()
    for paint_of_the_day in (texture, 1 - texture):
        once = render(people, mesh, paint_of_the_day, cameras, background)
        torch.testing.assert_close(paint(view, paint_of_the_day, background), once.image)
        assert torch.equal(once.image[~once.mask.expand_as(once.image)], background[~once.mask.expand_as(background)])
    assert torch.equal(once.face, view.face) and torch.equal(once.mask, view.mask) and torch.equal(once.uv, view.uv)
    assert view.barycentric.sum(-1)[view.mask[:, 0]].sub(1).abs().max() < 1e-5
    assert torch.isinf(view.depth[~view.mask[:, 0]]).all() and (view.depth[view.mask[:, 0]] - 3).abs().max() < 1


def test_gradients_reach_pose_shape_and_camera_of_the_whole_body(
    body: BodyModel, mesh: UvMesh, texture: Tensor
) -> None:
    pose, betas = torch.zeros(1, 24, 3), torch.zeros(1, 10)
    pose[0, 0, 0] = math.pi
    transl, focal, center = torch.tensor([[0.0, 0.05, 3.0]]), torch.tensor([90.0]), torch.tensor([[32.0, 32.0]])
    leaves = [value.requires_grad_() for value in (pose, betas, transl, focal, center)]
    vertices = TorchBody(body.data)(betas, pose, transl).vertices
    picture = render(vertices, mesh, texture, Cameras(focal, center, 64, 64)).image
    picture.square().mean().backward()
    for leaf in leaves:
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0


def with_nan(values: Tensor) -> Tensor:
    broken = values.clone()
    broken[1].view(-1)[7] = torch.nan
    return broken


def test_bad_input_is_named_with_the_person_it_belongs_to(people: Tensor, mesh: UvMesh, texture: Tensor) -> None:
    cameras = Cameras.of([Camera(45, (16, 16), 32, 32)] * 2)
    turned = torch.ones(2, 1, 1)
    turned[1] = -1
    flat = people.clone()
    flat[1] = flat[1, :1]
    cases = [
        ("behind the camera", people * turned),
        ("degenerate", flat),
        ("lies outside", people + torch.tensor([[[0.0, 0, 0]], [[9.0, 0, 0]]])),
        ("not finite", with_nan(people)),
    ]
    for words, vertices in cases:
        with pytest.raises(RenderError, match=f"person 1 .*{words}|{words}.*person 1|person 1.*{words}") as caught:
            see(vertices, mesh, cameras)
        assert caught.value.people == (1,)
    with pytest.raises(RenderError, match=r"texture of person 1 .*not finite") as caught:
        render(people, mesh, with_nan(texture.repeat(2, 1, 1, 1)), cameras)
    assert caught.value.people == (1,)
    with pytest.raises(RenderError, match=r"shape \(2, C, N, N\)"):
        render(people, mesh, texture.repeat(3, 1, 1, 1), cameras)
    with pytest.raises(RenderError, match=r"shape \(2, V, 3\)"):
        see(people[:1], mesh, cameras)
    with pytest.raises(RenderError, match="beyond the 100 given"):
        see(people[:, :100], mesh, cameras)
    with pytest.raises(RenderError, match="focal length"):
        see(people, mesh, Cameras(-cameras.focal, cameras.center, 32, 32))
    with pytest.raises(ValueError, match="one picture size"):
        Cameras.of([Camera(45, (16, 16), 32, 32), Camera(45, (16, 16), 32, 33)])
