"""Every term of the texture loss against an independent formula, and what it must ignore."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from uvatar.body import BodyModel
from uvatar.texture_predictor.networks.encoders import Style
from uvatar_training.losses.adversarial import discriminator_loss, generator_loss
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance, FeatureError, lpips
from uvatar_training.losses.mesh import MeshLoss
from uvatar_training.losses.texture import (
    PAPER,
    TextureLoss,
    TextureWeights,
    face_distance,
    perceptual_distance,
    reconstruction,
)
from uvatar_training.losses.total import TotalLoss
from uvatar_training.losses.uv import Seams, UnseenError, hide_half, mirror_distance, seam_distance, seen_distance
from uvatar_training.networks.uv_plane import uv_plane
from uvatar_training.rendering import UvMesh

RNG = np.random.default_rng(0)


def picture(*shape: int) -> Tensor:
    return torch.from_numpy(RNG.random(shape)).float()


@pytest.fixture(scope="module")
def perceptual() -> FeatureDistance:
    return FeatureDistance(EfficientNetFeatures())


@pytest.fixture(scope="module")
def disc() -> Tensor:
    """(1, 1, 64, 64) bool, a round person."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    return ((x - 32) ** 2 + (y - 32) ** 2 < 20**2)[None, None]


def test_reconstruction_and_features_see_the_person_only(perceptual: FeatureDistance, disc: Tensor) -> None:
    photo, image = picture(1, 3, 64, 64), picture(1, 3, 64, 64)
    expected = np.abs(image.numpy() - photo.numpy())[:, :, disc[0, 0].numpy()].mean()
    np.testing.assert_allclose(reconstruction(image, photo, disc), expected, rtol=1e-5)
    elsewhere = torch.where(disc, image, picture(1, 3, 64, 64))
    for term in (reconstruction, lambda image, photo, mask: perceptual_distance(image, photo, mask, perceptual)):
        torch.testing.assert_close(term(elsewhere, photo, disc), term(image, photo, disc))
        assert term(photo, photo, disc) == 0


def test_features_mind_blur_more_than_their_pixels_say(perceptual: FeatureDistance, disc: Tensor) -> None:
    photo = torch.nn.functional.interpolate(picture(1, 3, 32, 32), (64, 64))
    brighter = photo + 0.12
    blurred = torch.nn.functional.avg_pool2d(photo, 5, 1, 2, count_include_pad=False)
    closer = torch.lerp(photo, blurred, 0.5)
    distances = [float(perceptual_distance(image, photo, disc, perceptual)) for image in (closer, blurred, brighter)]
    assert 0 < distances[0] < distances[1] and distances[2] < distances[1]


def test_features_lead_back_to_the_picture_and_are_never_trained(perceptual: FeatureDistance) -> None:
    image = picture(1, 3, 64, 64).requires_grad_()
    perceptual.train()
    perceptual(image, picture(1, 3, 64, 64)).sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in perceptual.parameters())
    assert not perceptual.features.training
    with pytest.raises(ValueError, match="at least 32 pixels"):
        perceptual.features(picture(1, 3, 16, 64))


def test_efficientnet_knows_what_imagenet_shows() -> None:
    """Weights and preprocessing are those of the package: plain features tell plain pictures apart by more than
    noise.
    """
    features = EfficientNetFeatures()
    grey = torch.full((1, 3, 96, 96), 0.5)
    stripes = (torch.arange(96) // 6 % 2).float().expand(1, 3, 96, 96)
    moved = stripes.roll(3, 3)
    a, b, c = (torch.nn.functional.normalize(features.pooled(image), dim=1) for image in (grey, stripes, moved))
    assert features.pooled(grey).shape == (1, features.channels)
    assert (b * c).sum() > 0.9 > (a * b).sum() + 0.1


def test_lpips_says_which_file_it_needs_and_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import squeezenet1_1

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(FeatureError, match=r"squeezenet1_1-b8a52dc0.pth"):
        lpips("squeeze")
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    distance = lpips("squeeze")
    image, reference = picture(2, 3, 64, 64).requires_grad_(), picture(2, 3, 64, 64)
    values = distance(image, reference)
    values.sum().backward()
    assert values.shape == (2,) and (values > 0).all() and image.grad is not None and image.grad.abs().sum() > 0
    assert distance(reference, reference).abs().max() < 1e-6


def test_the_face_counts_by_itself_whatever_its_size(perceptual: FeatureDistance) -> None:
    photo, image = picture(2, 3, 64, 64), picture(2, 3, 64, 64)
    face = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    face[0, :, 10:26, 20:32] = True
    face[1, :, 5:9, 5:9] = True  # too small to say anything
    value = face_distance(image, photo, face, perceptual)
    off_face = image.clone()
    off_face[1] = 0
    off_face[0, :, 40:] = 0
    torch.testing.assert_close(face_distance(off_face, photo, face, perceptual), value)
    assert face_distance(torch.where(face, photo, image), photo, face, perceptual) < 1e-6 < value
    nobody = face_distance(image.requires_grad_(), photo, torch.zeros_like(face), perceptual)
    nobody.backward()
    assert nobody == 0


def test_kl_is_torch_distributions_s() -> None:
    style = Style(torch.from_numpy(RNG.normal(size=(3, 8))), torch.from_numpy(RNG.normal(size=(3, 8))))
    expected = kl_divergence(Normal(style.mean, (style.log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(style.divergence(), expected)


def test_adversarial_losses_are_their_papers_formulas() -> None:
    real, fake = torch.from_numpy(RNG.normal(0, 3, (2, 5)))
    probability = 1 / (1 + np.exp(-fake.numpy()))
    np.testing.assert_allclose(generator_loss(fake), -np.log(probability).mean(), rtol=1e-6)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    hinge = np.maximum(0, 1 - real.numpy()).mean() + np.maximum(0, 1 + fake.numpy()).mean()
    np.testing.assert_allclose(discriminator_loss(real, fake, "hinge"), hinge, rtol=1e-6)
    np.testing.assert_allclose(generator_loss(fake, "hinge"), -fake.numpy().mean(), rtol=1e-6)


def test_half_of_what_was_seen_is_hidden_in_patches() -> None:
    partial = picture(2, 4, 64, 64)
    partial[:, 3] = (torch.arange(64)[None, :] < torch.tensor([[40], [7]])[:, None]).float().expand(2, 64, 64)
    shown, hidden = hide_half(partial, torch.Generator().manual_seed(0))
    torch.testing.assert_close(shown[:, 3:] + hidden, partial[:, 3:])
    torch.testing.assert_close(shown[:, :3], partial[:, :3])
    share = hidden.sum((1, 2, 3)) / partial[:, 3].sum((1, 2))
    assert ((share - 0.5).abs() < 0.02).all()
    edges = (hidden[..., 1:] != hidden[..., :-1]).float().mean()
    assert edges < 0.1  # patches, not single texels
    again, _ = hide_half(partial, torch.Generator().manual_seed(1))
    assert (again != shown).any()


def test_a_photo_that_sees_nothing_is_refused_by_name() -> None:
    partial = picture(3, 4, 32, 32)
    partial[1, 3] = 0
    with pytest.raises(UnseenError, match="person 1 ") as caught:
        hide_half(partial, torch.Generator())
    assert caught.value.people == (1,)


def test_seen_texels_are_compared_where_they_were_hidden() -> None:
    texture, partial = picture(1, 3, 8, 8), picture(1, 4, 8, 8)
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., :2] = 0.5
    weight[..., 2:4] = 1
    partial[:, :3, :, 4:] = torch.nan
    difference = (texture - partial[:, :3]).abs().numpy()
    expected = (difference[..., :2].mean() * 0.5 + difference[..., 2:4].mean()) / 1.5
    np.testing.assert_allclose(seen_distance(texture, partial, weight), expected, rtol=1e-5)
    assert seen_distance(texture, partial, torch.zeros_like(weight)) == 0


def test_unseen_texels_are_drawn_to_the_other_side_and_seen_ones_stay(body: BodyModel) -> None:
    plane = uv_plane(body, 64)
    x, y, z = plane.geometry[:, :3].unbind(1)
    even = torch.stack([x.abs(), y, z], 1)  # alike on both sides of the body
    nothing = torch.zeros(1, 1, 64, 64)
    assert mirror_distance(even, plane, nothing) < 0.01
    one_sided = torch.stack([x, y, z], 1).requires_grad_()
    left = (x > 0.02)[:, None].float()
    distance = mirror_distance(one_sided, plane, left)
    distance.backward()
    assert distance > 0.05 and one_sided.grad is not None
    assert (one_sided.grad * left).abs().max() == 0  # the seen side teaches and does not learn
    right = (x < -0.02)[:, None]
    assert (one_sided.grad[:, :1][right] < 0).float().mean() > 0.9  # x there should grow to be that of the left
    assert mirror_distance(one_sided, plane, torch.ones_like(nothing)) == 0


def test_seams_join_the_two_places_of_the_same_points(mesh: UvMesh, body: BodyModel) -> None:
    seams = Seams.of(mesh)
    assert len(seams.first) > 1000 and (seams.first - seams.second).norm(dim=1).median() > 0.02
    # Positions on the rest body, filled beyond the islands, have no seam; the texture's own coordinates have nothing
    # but.
    from tests.atlases import atlas_of

    atlas = atlas_of(body, 512)
    rest = atlas.table.picture(atlas.table.interpolate(body.data.v_template, body.data.faces)).astype(np.float32)
    places = torch.from_numpy(rest).permute(2, 0, 1)[None]
    assert seam_distance(places, seams) < 0.004
    coordinates = torch.stack(torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij"))[None]
    assert seam_distance(coordinates, seams) > 0.05


def test_the_sum_weighs_every_term_and_leaves_out_those_of_weight_zero() -> None:
    terms = {
        "perceptual": torch.tensor(2.0),
        "reconstruction": torch.tensor(3.0),
        "kl": torch.tensor(10.0),
        "seam": torch.tensor(math.nan),
    }
    total, log = TextureLoss(TextureWeights(0.5, 2.0, 0.01, seam=0))(terms)
    assert total == pytest.approx(1 + 6 + 0.1) and log == pytest.approx(
        {"perceptual": 1.0, "reconstruction": 6.0, "kl": 0.1}
    )
    assert set(TextureLoss(PAPER)(terms)[1]) == {"perceptual", "reconstruction", "kl"}
    with pytest.raises(KeyError, match="sharpness"):
        TextureLoss()({"sharpness": torch.tensor(1.0)})
    with pytest.raises(KeyError, match="no term"):
        TextureLoss()({})
    both, log = TotalLoss(MeshLoss({"pose": 3.0}), TextureLoss(), 10.0)(
        {"pose": torch.tensor(2.0)}, {"reconstruction": torch.tensor(0.5)}
    )
    assert both == pytest.approx(11.0) and log == pytest.approx({"mesh/pose": 6.0, "texture/reconstruction": 5.0})
