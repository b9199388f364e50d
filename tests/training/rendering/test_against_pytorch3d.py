"""The renderer beside PyTorch3D's own cameras, rasteriser and textures on the open body."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar_training.rendering import Cameras, PixelView, UvMesh, paint, see, visible_faces
from uvatar_training.rendering.pytorch3d_raster import soft_silhouette, visible_faces_pytorch3d

pytest.importorskip("pytorch3d")


@dataclass(frozen=True)
class Reference:
    """PyTorch3D's picture: face (H, W), barycentrics (H, W, 3); texture and vertex gradients of one loss."""

    face: Tensor
    barycentric: Tensor
    image: Tensor
    texture_gradient: Tensor
    vertex_gradient: Tensor


def loss_of(image: Tensor) -> Tensor:
    """Something that weighs every pixel and channel differently; the image is (3, H, W)."""
    weights = torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    return (weights * image.square()).mean()


@pytest.fixture(scope="module")
def reference(people: Tensor, mesh: UvMesh, camera: Camera, texture: Tensor, body: BodyModel) -> Reference:
    """About 10 s: PyTorch3D on a CPU tests every pixel against every triangle."""
    from pytorch3d.renderer import MeshRasterizer, PerspectiveCameras, RasterizationSettings, TexturesUV
    from pytorch3d.structures import Meshes

    vertices = people[0].clone().requires_grad_()
    picture = texture[0].permute(1, 2, 0).clone().requires_grad_()
    uv, face_uv = torch.from_numpy(body.data.uv), torch.from_numpy(body.data.face_uv).long()
    textures = TexturesUV(picture[None], face_uv[None], uv[None], align_corners=False)
    flipped = vertices * torch.tensor([-1.0, -1.0, 1.0])
    meshes = Meshes([flipped], [mesh.faces], textures)
    focal, center = ((camera.focal,) * 2,), (camera.center,)
    cameras = PerspectiveCameras(focal, center, in_ndc=False, image_size=((camera.height, camera.width),))
    settings = RasterizationSettings(
        (camera.height, camera.width), blur_radius=0, faces_per_pixel=1, perspective_correct=True
    )
    fragments = MeshRasterizer(cameras, settings)(meshes)
    colours = meshes.sample_textures(fragments)[0, :, :, 0].permute(2, 0, 1)
    image = torch.where(fragments.pix_to_face[0, ..., 0] >= 0, colours, 1.0)
    loss_of(image).backward()
    assert picture.grad is not None and vertices.grad is not None
    return Reference(
        fragments.pix_to_face[0, ..., 0], fragments.bary_coords[0, ..., 0, :].detach(), image.detach(),
        picture.grad.permute(2, 0, 1), vertices.grad,
    )  # fmt: skip


@pytest.fixture(scope="module")
def view(people: Tensor, mesh: UvMesh, cameras: Cameras) -> PixelView:
    return see(people[:1], mesh, cameras)


@pytest.mark.slow
def test_the_same_triangles_at_the_same_places(reference: Reference, view: PixelView) -> None:
    same = reference.face == view.face[0]
    assert same.float().mean() >= 0.999
    seen = same & (view.face[0] >= 0)
    assert seen.sum() > 5000
    apart = (view.barycentric[0][seen] - reference.barycentric[seen]).abs().amax(1)
    # The rest are triangles of a twentieth of a pixel, where PyTorch3D's float32 areas are off; test_rendering.py
    # checks ours there.
    assert apart.quantile(0.999) < 1e-4


@pytest.mark.slow
def test_the_same_picture_and_gradients(
    reference: Reference, people: Tensor, mesh: UvMesh, cameras: Cameras, texture: Tensor
) -> None:
    vertices, leaf = people[:1].clone().requires_grad_(), texture.clone().requires_grad_()
    image = paint(see(vertices, mesh, cameras), leaf)[0]
    torch.testing.assert_close(image.detach(), reference.image, atol=1e-4, rtol=0)
    loss_of(image).backward()
    assert leaf.grad is not None and vertices.grad is not None
    apart = (leaf.grad[0] - reference.texture_gradient).norm() / reference.texture_gradient.norm()
    assert apart < 1e-5
    apart = (vertices.grad[0] - reference.vertex_gradient).norm() / reference.vertex_gradient.norm()
    assert apart < 5e-3  # PyTorch3D's float32 again


def test_several_people_wide_pictures_and_cameras_inside_the_crowd(people: Tensor, mesh: UvMesh) -> None:
    cameras = Cameras.of([Camera(60, (50, 22), 96, 48), Camera(45, (30, 25), 96, 48)])
    near = people.clone()
    near[1] -= near[1].mean(0)  # the camera is inside the child: triangles before, across and behind its plane
    ours, theirs = visible_faces(near, mesh.faces, cameras), visible_faces_pytorch3d(near, mesh.faces, cameras)
    assert ((ours >= 0).flatten(1).float().mean(1) > torch.tensor([0.02, 0.2])).all()
    assert (ours == theirs).float().mean() >= 0.999


def test_a_soft_silhouette_covers_the_body_and_pulls_its_outline() -> None:
    from pytorch3d.utils import ico_sphere

    ball = ico_sphere(2)
    vertices = 0.3 * ball.verts_packed()[None] + torch.tensor([0.0, 0.0, 3.0])
    cameras = Cameras.of([Camera(120, (32, 32), 64, 64)])
    mask = (visible_faces(vertices, ball.faces_packed(), cameras) >= 0).float()
    soft = soft_silhouette(vertices, ball.faces_packed(), cameras)
    assert ((soft > 0.5).float() - mask).abs().mean() < 0.01
    aside = torch.tensor([[[0.06, 0.0, 0.0]]], requires_grad=True)
    pulled = soft_silhouette(vertices + aside, ball.faces_packed(), cameras)
    (pulled - mask).square().mean().backward()
    assert aside.grad is not None
    gradient = aside.grad[0, 0]
    assert gradient[0] > 0 and gradient[0] > 20 * gradient[1].abs()
