"""StyleGAN2's layers against their formulas, written out in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d, correlate2d

from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.layers import (
    Conv2d,
    Linear,
    ModulatedConv2d,
    StyledLayer,
    blur,
    modulated_convolution,
    upsample,
)
from uvatar.texture_predictor.networks.synthesis import Mapping

TAPS = np.array([1.0, 3.0, 3.0, 1.0])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def modulated_weights(weight: NDArray[Any], style: NDArray[Any], demodulate: bool) -> NDArray[Any]:
    """Equations 1 and 3 of Karras et al. 2020: one set of weights (B, O, I, k, k) per sample."""
    scaled = weight[None] * style[:, None, :, None, None]
    if demodulate:
        scaled = scaled / np.sqrt((scaled**2).sum((2, 3, 4), keepdims=True) + 1e-8)
    return scaled


def reference(x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, demodulate: bool, up: bool) -> NDArray[Any]:
    """The convolution with one set of weights per sample, in float64; with ``up``: zeros inserted, convolved,
    low-passed.
    """
    pictures, weights = (
        x.double().numpy(),
        modulated_weights(weight.double().numpy(), style.double().numpy(), demodulate),
    )
    size = x.shape[2]
    results = []
    for picture, own in zip(pictures, weights, strict=True):
        channels = []
        for kernels in own:
            if up:
                spread = np.zeros((len(picture), 2 * size, 2 * size))
                spread[:, ::2, ::2] = picture
                full = sum(convolve2d(a, k, mode="full") for a, k in zip(spread, kernels, strict=True))
                smooth = convolve2d(full[:-1, :-1], np.outer(TAPS, TAPS) / 16, mode="full")
                channels.append(smooth[2 : 2 + 2 * size, 2 : 2 + 2 * size])
            else:
                channels.append(sum(correlate2d(a, k, mode="same") for a, k in zip(picture, kernels, strict=True)))
        results.append(np.stack(channels))
    return np.stack(results)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_scaled_activations_are_scaled_weights(demodulate: bool, up: bool) -> None:
    x, weight, style = random(3, 5, 8, 8), random(4, 5, 3, 3, seed=1), random(3, 5, seed=2) + 1
    got = modulated_convolution(x, weight, style, demodulate, up)
    np.testing.assert_allclose(got.numpy(), reference(x, weight, style, demodulate, up), atol=2e-5, rtol=1e-5)


def test_one_convolution_per_sample_in_groups_gives_the_same() -> None:
    """The other common form: the batch as groups of one convolution."""
    x, weight, style = random(3, 5, 8, 8), random(4, 5, 3, 3, seed=1), random(3, 5, seed=2)
    own = torch.from_numpy(modulated_weights(weight.double().numpy(), style.double().numpy(), True)).reshape(
        12, 5, 3, 3
    )
    grouped = torch.nn.functional.conv2d(x.double().reshape(1, 15, 8, 8), own, padding=1, groups=3).reshape(3, 4, 8, 8)
    torch.testing.assert_close(
        modulated_convolution(x.double(), weight.double(), style.double()), grouped, atol=1e-12, rtol=1e-9
    )


def test_demodulation_gives_unit_variance_and_forgets_the_style_s_size() -> None:
    x, weight, style = random(8, 64, 16, 16), random(32, 64, 3, 3, seed=1), random(8, 64, seed=2).exp()
    y = modulated_convolution(x, weight, style)[:, :, 1:-1, 1:-1]
    assert float(y.var()) == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(modulated_convolution(x, weight, 100 * style)[:, :, 1:-1, 1:-1], y, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("up", [False, True])
def test_half_precision_neither_overflows_nor_drifts(dtype: torch.dtype, up: bool) -> None:
    """Activations, weights and styles whose plain products are far beyond 65504."""
    x, weight, style = 50 * random(2, 64, 8, 8), 300 * random(16, 64, 3, 3, seed=1), 1000 * random(2, 64, seed=2)
    exact = modulated_convolution(x, weight, style, up=up)
    got = modulated_convolution(x.to(dtype), weight, style, up=up)
    assert got.dtype == dtype and torch.isfinite(got).all()
    assert float((got.float() - exact).abs().max() / exact.abs().max()) < (0.005 if dtype == torch.float16 else 0.03)


@pytest.mark.parametrize("up", [False, True])
def test_gradients_of_first_and_second_order(up: bool) -> None:
    tensors = [random(2, 3, 4, 4), random(2, 3, 3, 3, seed=1), random(2, 3, seed=2)]
    inputs = [tensor.double().requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(lambda x, w, s: modulated_convolution(x, w, s, up=up), inputs)
    assert torch.autograd.gradgradcheck(lambda x, w, s: modulated_convolution(x, w, s, up=up), inputs, fast_mode=True)


def test_upsampling_is_the_low_pass_filter_between_inserted_zeros() -> None:
    image = random(2, 3, 7, 7)
    expected = np.zeros((2, 3, 14, 14))
    for place in np.ndindex(2, 3):
        padded = np.pad(image[place].double().numpy(), 1, mode="edge")
        spread = np.zeros((18, 18))
        spread[::2, ::2] = padded
        # 1/16 of the taps' outer product sums to 4: three of four values are zeros
        expected[place] = convolve2d(spread, np.outer(TAPS, TAPS) / 16, mode="full")[3:-4, 3:-4]
    np.testing.assert_allclose(upsample(image).numpy(), expected, atol=1e-6)


def test_low_pass_and_halving_convolution() -> None:
    image = random(1, 2, 8, 8)
    filtered = np.stack(
        [correlate2d(np.pad(a, 2), np.outer(TAPS, TAPS) / 64, mode="valid") for a in image[0].double().numpy()]
    )
    np.testing.assert_allclose(blur(image, 2)[0].numpy(), filtered, atol=1e-6)
    layer = Conv2d(2, 3, 3, down=True)
    weight = layer.weight.detach().double().numpy() / math.sqrt(2 * 9)
    expected = [
        sum(correlate2d(a, k, mode="valid") for a, k in zip(filtered, kernels, strict=True))[::2, ::2]
        for kernels in weight
    ]
    got = layer(image)[0].detach()
    assert got.shape == (3, 4, 4)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_equalised_learning_rate_scales_as_it_is_used() -> None:
    torch.manual_seed(0)
    layer = Linear(400, 300, bias=0.5, rate=0.01)
    assert float(layer.weight.detach().std()) == pytest.approx(100, rel=0.02) and float(layer.bias[0]) == pytest.approx(
        50
    )
    x = random(64, 400, seed=1)
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    expected = x.double().numpy() @ weight.T * 0.01 / 20 + bias * 0.01
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-4)
    assert float(layer(x).detach().std()) == pytest.approx(1, rel=0.05)


def test_mapping_network_against_float64() -> None:
    torch.manual_seed(0)
    config = small()
    mapping = Mapping(config).eval()
    latent, structure = random(3, config.latent), 10 * random(3, config.structure, seed=1)
    parts = [part.double().numpy() for part in (latent, structure)]
    x = np.concatenate([part / np.sqrt((part**2).mean(1, keepdims=True) + 1e-8) for part in parts], 1)
    layer: Any
    for layer in mapping.layers:
        x = (
            x @ (layer.weight.detach().double().numpy().T * 0.01 / math.sqrt(x.shape[1]))
            + layer.bias.detach().double().numpy() * 0.01
        )
        x = np.where(x > 0, x, 0.2 * x) * math.sqrt(2)
    np.testing.assert_allclose(mapping(latent, structure).detach().numpy(), x, atol=1e-5)


def test_mapping_follows_the_average_in_training_and_truncates_towards_it() -> None:
    torch.manual_seed(0)
    config = small()
    mapping = Mapping(config)
    latent, structure = random(5, config.latent), random(5, config.structure, seed=1)
    code = mapping(latent, structure).detach()
    torch.testing.assert_close(mapping.average, 0.005 * code.mean(0))
    mapping.eval()
    torch.testing.assert_close(mapping(latent, structure, truncation=0.0), mapping.average.expand(5, -1))
    torch.testing.assert_close(mapping(latent, structure, truncation=0.5), 0.5 * (mapping.average + code))


def test_noise_is_scaled_by_what_was_learnt_and_rgb_is_not_demodulated() -> None:
    torch.manual_seed(0)
    layer = StyledLayer(4, 4, 8)
    x, code, noise = random(2, 4, 8, 8), random(2, 8, seed=1), random(2, 1, 8, 8, seed=2)
    torch.testing.assert_close(layer(x, code, noise), layer(x, code))  # a new layer has not learnt any
    with torch.no_grad():
        layer.noise_strength.fill_(0.5)
    before = layer.convolution(x, code) + 0.5 * noise
    torch.testing.assert_close(layer(x, code, noise), torch.where(before > 0, before, 0.2 * before) * math.sqrt(2))
    rgb = ModulatedConv2d(4, 3, 1, 8, demodulate=False)
    style = rgb.affine(code)
    expected = torch.einsum("oi,bi,bihw->bohw", rgb.weight[:, :, 0, 0] / 2, style, x)
    torch.testing.assert_close(rgb(x, code), expected, atol=1e-5, rtol=1e-5)
