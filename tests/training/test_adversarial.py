"""Adversarial training parts against formulas in float64 and against what they promise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.texture_predictor.people import made_up
from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar_training.adversarial.augmentation import Strength, augmented
from uvatar_training.adversarial.averaging import Average
from uvatar_training.adversarial.discriminator import Discriminator, DiscriminatorConfig, group_spread
from uvatar_training.adversarial.penalties import (
    Lazy,
    PathLength,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_gamma,
    r1_penalty,
)

TINY = DiscriminatorConfig(16, channel_base=128, channel_max=8)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_losses_are_cross_entropies() -> None:
    real, fake = random(7), random(7, seed=1)
    probability = lambda logits: 1 / (1 + np.exp(-logits.numpy()))  # noqa: E731
    assert float(generator_loss(fake)) == pytest.approx(-np.log(probability(fake)).mean())
    expected = -np.log(probability(real)).mean() - np.log(1 - probability(fake)).mean()
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected)


def test_r1_of_a_quadratic_form() -> None:
    """D(x) = x A x / 2 has the gradient (A + A') x / 2."""
    form, x = random(12, 12), random(5, 3, 2, 2, seed=1).requires_grad_()
    flat = x.flatten(1)
    penalty = r1_penalty(0.5 * torch.einsum("bi,ij,bj->b", flat, form, flat), x)
    expected = (flat.detach().numpy() @ ((form + form.T) / 2).numpy()) ** 2
    assert float(penalty.detach()) == pytest.approx(expected.sum(1).mean())
    assert r1_gamma(256, 32) == pytest.approx(0.4096)


def test_path_length_of_a_linear_generator() -> None:
    """G(w) = M w has the Jacobian M; the code of every layer counts, and the mean is over layers."""
    matrix, codes = random(3 * 4 * 4, 2 * 5), random(6, 2, 5, seed=1).requires_grad_()
    textures = (codes.flatten(1) @ matrix.T).reshape(6, 3, 4, 4)
    noise = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float32).double() / 4
    lengths = path_lengths(textures.float(), codes, torch.Generator().manual_seed(3))
    gradient = (noise.flatten(1).numpy() @ matrix.numpy()).reshape(6, 2, 5)
    np.testing.assert_allclose(lengths.detach().numpy(), np.sqrt((gradient**2).sum(2).mean(1)), rtol=1e-5)


def test_path_length_penalty_pulls_to_its_running_mean() -> None:
    penalty, codes = PathLength(decay=0.5), random(4, 1, 3).requires_grad_()
    textures = (codes[:, 0] * 2.0)[:, :, None, None].expand(-1, -1, 4, 4)
    lengths = path_lengths(textures, codes, torch.Generator().manual_seed(1)).detach().numpy()
    first = float(penalty(textures, codes, torch.Generator().manual_seed(1)).detach())
    assert penalty.mean == pytest.approx(lengths.mean() / 2)
    assert first == pytest.approx(((lengths - lengths.mean() / 2) ** 2).mean(), rel=1e-5)


def test_gradients_of_the_penalties_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(TINY).double()
    x = random(4, 3, 16, 16).requires_grad_()
    weight: Any = discriminator.blocks[0].second.weight

    def penalty() -> torch.Tensor:
        return r1_penalty(discriminator(x), x)

    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction = random(*weight.shape, seed=2)
    with torch.no_grad():
        weight += 1e-5 * direction
    above = float(penalty().detach())
    with torch.no_grad():
        weight -= 2e-5 * direction
    below = float(penalty().detach())
    assert float((gradient * direction).sum()) == pytest.approx((above - below) / 2e-5, rel=1e-3)


def test_path_length_through_the_real_synthesis_trains_it() -> None:
    torch.manual_seed(0)
    config = replace(small(), resolution=64, photo_side=64, channel_max=8)
    network = TextureNetwork(config)
    _, structure = made_up(config)
    vector, features = network.structure_encoder(structure)
    codes = network.codes(torch.randn(2, config.latent), vector)
    PathLength()(network.synthesis(codes, features), codes).backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert "synthesis.blocks.2.enlarge.convolution.weight" in gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_lazy_penalties_come_as_often_as_they_count() -> None:
    lazy, penalty = Lazy(16), torch.tensor(3.0)
    assert sum(float(lazy.weighted(penalty, 0.5)) for step in range(64) if lazy.due(step)) == pytest.approx(
        64 * 0.5 * 3
    )
    rate, betas = lazy.optimiser_settings(0.0025, (0.0, 0.99))
    assert rate == pytest.approx(0.0025 * 16 / 17) and betas == pytest.approx((0.0, 0.99 ** (16 / 17)))


@pytest.mark.parametrize("size", [16, 64, 256])
def test_discriminator_s_shapes_and_counts(size: int) -> None:
    config = replace(TINY, resolution=size, channel_base=1024)
    discriminator = Discriminator(config)
    expected, wide = 4 * config.features(size), config.features(4)
    while size > 4:
        a, b = config.features(size), config.features(size // 2)
        expected += a * (9 * a + 1) + b * (9 * a + 1) + a * b
        size //= 2
    expected += wide * (9 * (wide + 1) + 1) + wide * (16 * wide + 1) + wide + 1
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == expected
    assert discriminator(torch.rand(2, 3, config.resolution, config.resolution)).shape == (2,)


def test_spread_within_groups() -> None:
    x = random(8, 3, 2, 2)
    grouped = x.numpy().reshape(4, 2, 3, 2, 2)  # groups of four: textures 0, 2, 4, 6 and 1, 3, 5, 7
    spread = np.sqrt(grouped.var(0) + 1e-8).mean((1, 2, 3))
    np.testing.assert_allclose(group_spread(x, 4)[:, 0, 0, 0].numpy(), np.tile(spread, 4))
    assert group_spread(x[:5], 4).shape == (5, 1, 2, 2)  # five textures are one group of none but one, or of five
    assert not group_spread(torch.ones(4, 3, 2, 2), 4).sub(1e-4).clamp_min(1e-6).gt(1e-5).any()


def test_discriminator_learns_to_tell_stripes_from_spots() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(TINY)
    across = torch.arange(16) % 4 < 2
    stripes, spots = across.float().expand(16, 16), (across ^ across[:, None]).float()
    optimiser = torch.optim.Adam(discriminator.parameters(), 0.002, (0.0, 0.99))
    for _ in range(60):
        real, fake = ((picture + 0.3 * torch.randn(8, 3, 16, 16)).requires_grad_() for picture in (stripes, spots))
        logits = discriminator(real)
        loss = discriminator_loss(logits, discriminator(fake)) + 0.05 * r1_penalty(logits, real)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        real_logits, fake_logits = (
            discriminator(picture + 0.3 * torch.randn(64, 3, 16, 16)) for picture in (stripes, spots)
        )
    assert float((real_logits > 0).float().mean()) > 0.95 and float((fake_logits < 0).float().mean()) > 0.95


def test_augmentation_leaves_alone_with_probability_zero_and_is_differentiable_twice() -> None:
    textures = torch.rand(6, 3, 16, 16, requires_grad=True)
    assert augmented(textures, 0.0, torch.Generator()) is textures
    changed = augmented(textures, 1.0, torch.Generator().manual_seed(0))
    assert changed.shape == textures.shape and not torch.isclose(changed, textures).all((1, 2, 3)).any()
    penalty = r1_penalty(changed.square().sum((1, 2, 3)), textures)
    (gradient,) = torch.autograd.grad(penalty, textures)
    assert torch.isfinite(gradient).all() and gradient.any()


def test_augmentation_s_strength_is_the_probability_of_each_kind_of_change() -> None:
    textures = torch.rand(1, 3, 8, 8).expand(2000, -1, -1, -1)
    rng = torch.Generator().manual_seed(0)
    unchanged = torch.isclose(augmented(textures, 0.1, rng), textures, atol=1e-4).all(3).all(2).all(1).float().mean()
    # eight moves and four changes of colour; two that do nothing half the time, flip and inverted luma; quarter turns,
    # one in four is none
    assert float(unchanged) == pytest.approx(0.9**12 * 0.95**2 * 0.925, abs=0.04)


def test_grey_stays_grey_but_for_brightness() -> None:
    grey = torch.full((500, 3, 4, 4), 0.6)
    changed = augmented(grey, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed, changed[:, :1].expand(-1, 3, -1, -1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(changed, changed[:, :, :1, :1].expand(-1, -1, 4, 4), atol=1e-4, rtol=1e-4)
    assert float(changed.std()) > 0.05


def test_strength_grows_while_real_textures_are_told_too_surely() -> None:
    strength = Strength(target=0.6, textures=1000)
    for _ in range(5):
        strength.update(torch.ones(100))
    assert strength.p == pytest.approx(0.5)
    for _ in range(3):
        strength.update(torch.linspace(-1, 1, 100))
    assert strength.p == pytest.approx(0.2)
    for _ in range(20):
        strength.update(torch.ones(100))
    assert strength.p == 1.0


def test_average_forgets_by_half_and_copies_statistics() -> None:
    network: Any = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(network[0].weight, 1.0)
    average: Any = Average(network, half_life=100, ramp=None)
    nn.init.constant_(network[0].weight, 0.0)
    network[1].running_mean.fill_(7.0)
    for _ in range(10):
        average.update(network, batch=10)
    assert float(average.network[0].weight) == pytest.approx(0.5) and float(average.network[1].running_mean) == 7
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    early: Any = Average(network, half_life=1e6)
    nn.init.constant_(network[0].weight, 1.0)
    early.update(network, batch=32)
    assert float(early.network[0].weight) == pytest.approx(1, abs=1e-5)
    assert math.isclose(float(network[0].weight), 1.0)
