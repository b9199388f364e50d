"""Texture terms together with the renderer: what the truth costs, where gradients arrive, and what is refused."""

from __future__ import annotations

import pytest
import torch
from rendered_people import CAMERA, pictures_of_people
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.data.camera import Camera
from uvatar.mesh_predictor.maps import PredictedBodies
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.texture_predictor.networks.encoders import Style
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance
from uvatar_training.losses.mesh import MeshLoss, joints_2d_distance
from uvatar_training.losses.texture import TextureLoss, TextureWeights
from uvatar_training.losses.total import TotalLoss
from uvatar_training.losses.uv import hide_half
from uvatar_training.networks.weak_perspective import fit_weak_camera, project_weakly
from uvatar_training.rendering import Cameras, PixelView, RenderError, UvMesh, paint, see
from uvatar_training.rendering.unprojection import Texels, unproject
from uvatar_training.supervision.texture import PhotoEvidence, Surroundings, placed_vertices, texture_terms

SIDE = 96


@pytest.fixture(scope="module")
def surroundings(body: BodyModel) -> Surroundings:
    return Surroundings.of(body, 64, FeatureDistance(EfficientNetFeatures()))


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return Cameras.of([Camera(1.4 * SIDE, (SIDE / 2, SIDE / 2), SIDE, SIDE)] * 2)


@pytest.fixture(scope="module")
def view(people: Tensor, mesh: UvMesh, cameras: Cameras) -> PixelView:
    return see(people, mesh, cameras)


@pytest.fixture(scope="module")
def evidence(
    people: Tensor, mesh: UvMesh, cameras: Cameras, view: PixelView, texture: Tensor, body: BodyModel
) -> PhotoEvidence:
    photo = paint(view, texture)
    partial = unproject(photo, people, mesh, Texels.of(body, 64), cameras, view)
    return PhotoEvidence(photo, view.mask, partial, hide_half(partial, torch.Generator().manual_seed(0))[1])


def test_the_true_texture_costs_only_what_symmetry_and_seams_ask(
    view: PixelView, evidence: PhotoEvidence, surroundings: Surroundings, texture: Tensor
) -> None:
    true, other = (texture_terms(t.expand(2, -1, -1, -1), view, evidence, surroundings) for t in (texture, 1 - texture))
    assert set(true) == {"perceptual", "reconstruction", "face", "seen", "mirror", "seam"}
    for name in ("perceptual", "reconstruction", "face"):
        assert true[name] < 1e-6 < other[name], name
    assert true["seen"] < 0.5 * other["seen"]


def test_terms_that_need_more_come_with_it(
    view: PixelView, evidence: PhotoEvidence, surroundings: Surroundings, texture: Tensor
) -> None:
    style = Style(torch.ones(2, 4), torch.zeros(2, 4))
    bare = PhotoEvidence(evidence.photo, evidence.mask)
    terms = texture_terms(texture.expand(2, -1, -1, -1), view, bare, surroundings, style, torch.zeros(2, 1))
    assert "seen" not in terms
    assert terms["kl"] == pytest.approx(2.0) and terms["adversarial"] == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("term", ["perceptual", "reconstruction", "face", "seen", "mirror", "seam"])
def test_every_term_s_gradient_reaches_the_texture(
    term: str, view: PixelView, evidence: PhotoEvidence, surroundings: Surroundings, texture: Tensor
) -> None:
    guess = (1 - texture).repeat(2, 1, 1, 1).requires_grad_()
    texture_terms(guess, view, evidence, surroundings)[term].backward()
    assert guess.grad is not None and guess.grad.isfinite().all()
    assert (guess.grad.abs().sum((1, 2, 3)) > 0).all()


def test_a_photo_of_somewhere_else_is_refused(
    view: PixelView, evidence: PhotoEvidence, surroundings: Surroundings, texture: Tensor
) -> None:
    elsewhere = evidence.mask.clone()
    elsewhere[0] = False
    with pytest.raises(RenderError, match=r"person 0 .*shares no pixel") as caught:
        texture_terms(texture.expand(2, -1, -1, -1), view, PhotoEvidence(evidence.photo, elsewhere), surroundings)
    assert caught.value.people == (0,)
    with pytest.raises(RenderError, match=r"texture of person 0 .*not finite"):
        texture_terms(torch.full((2, 3, 64, 64), torch.nan), view, evidence, surroundings)


def test_the_picture_teaches_mesh_and_texture_at_once(
    body: BodyModel, mesh: UvMesh, surroundings: Surroundings, texture: Tensor
) -> None:
    """The Mesh Predictor's own camera, through the photo's pinhole, to the picture and back to every parameter."""
    _, labels = pictures_of_people([1, 1], body, seed=3)
    posing = TorchBody(body.data)
    square = PaddedSquare.around(CAMERA.width, CAMERA.height)
    camera = fit_weak_camera(labels.joints, labels.joints_2d, labels.visible)
    small = Cameras.of([CAMERA.cropped((0, 0, CAMERA.width, CAMERA.height), SIDE / CAMERA.width)] * 2)
    with torch.no_grad():
        truth = see(
            placed_vertices(PredictedBodies(camera, labels.pose, labels.betas), posing, square, CAMERA), mesh, small
        )
        evidence = PhotoEvidence(paint(truth, texture), truth.mask)
    off = torch.tensor([[0.0, 0.012, -0.01]])
    leaves = [
        value.clone().requires_grad_()
        for value in (camera + off, labels.pose, labels.betas, texture.repeat(2, 1, 1, 1) * 0.9)
    ]
    bodies, painted = PredictedBodies(leaves[0], leaves[1], leaves[2]), leaves[3]
    by_picture = TextureLoss(TextureWeights(face=0, mirror=0, seam=0))

    def seen_terms() -> dict[str, Tensor]:
        view = see(placed_vertices(bodies, posing, square, CAMERA), mesh, small)
        return texture_terms(painted, view, evidence, surroundings)

    joints = project_weakly(posing.joints(bodies.betas, bodies.pose), bodies.camera)
    mesh_terms = {"joints_2d": joints_2d_distance(joints, labels.joints_2d, labels.visible)}
    TotalLoss(MeshLoss(), by_picture)(mesh_terms, seen_terms())[0].backward()
    for leaf in leaves:
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0
    # A few steps on the camera alone, by the picture alone, bring the body nearer to where it is.
    optimiser = torch.optim.Adam(leaves[:1], lr=0.002)
    for _ in range(14):
        optimiser.zero_grad()
        by_picture(seen_terms())[0].backward()
        optimiser.step()
    before, after = off[:, 1:].norm(), (leaves[0] - camera)[:, 1:].norm(dim=1).mean()
    assert after < 0.7 * before
