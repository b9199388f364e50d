"""The Texture Predictor's network as a whole: sizes, counts, determinism, what its inputs do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import ResNet18_Weights, resnet18

from tests.texture_predictor.people import made_up
from uvatar.texture_predictor.config import CONFIGS, Config, ConfigError, default, light, paper, small
from uvatar.texture_predictor.networks.encoders import StyleEncoder, uv_maps
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.networks.synthesis import mixed
from uvatar_training.networks.initialise import grown

NARROW = replace(small(), resolution=64, photo_side=64, channel_max=32)


def network_of(config: Config = NARROW, seed: int = 0) -> TextureNetwork:
    torch.manual_seed(seed)
    return TextureNetwork(config).eval()


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024])
@pytest.mark.parametrize("spatial", [True, False])
def test_one_code_for_64_to_1024(size: int, spatial: bool) -> None:
    config = replace(small(), resolution=size, photo_side=64, channel_max=16, channel_base=4096, spatial_max=8)
    config = config if spatial else replace(config, spatial_base=0, spatial_max=0)
    network = network_of(config)
    photo, structure = made_up(config, batch=1)
    with torch.inference_mode():
        prediction = network(photo, structure)
    assert prediction.texture.shape == (1, 3, size, size) and torch.isfinite(prediction.texture).all()
    assert prediction.style.mean.shape == prediction.style.log_variance.shape == (1, config.latent)
    assert config.codes == {64: 10, 128: 12, 256: 14, 512: 16, 1024: 18}[size]  # texture.md, section 2


def test_parameter_counts() -> None:
    """Written out from the papers' layers: convolution, affine map of the style, bias, one noise strength.

    RGB; the start.
    """
    for config in (paper(), default(), light()):
        network = TextureNetwork(config)

        def convolution(inputs: int, outputs: int, kernel: int, code: int = config.style) -> int:
            return inputs * outputs * kernel**2 + (code + 1) * inputs

        expected, before = 16 * config.channels(4), 0
        for size in config.sizes:
            wide = config.channels(size)
            layers = [(before, wide)] * (size > 4) + [(wide, wide)]
            expected += sum(convolution(a, b, 3) + b + 1 for a, b in layers) + convolution(wide, 3, 1) + 3
            if config.spatial:
                expected += (config.spatial_channels(size) + 1) * 2 * wide
            before = wide
        assert count(network.synthesis) == expected
        widths = [config.latent + config.structure] + [config.style] * config.mapping_layers
        assert count(network.mapping) == sum((a + 1) * b for a, b in itertools.pairwise(widths))
        # torchvision states 11,689,512 for ResNet-18 with its classifier of 512 x 1000 + 1000
        assert count(network.style_encoder) == 11_689_512 - 513_000 + 513 * 2 * config.latent


def test_configurations() -> None:
    assert {name: make().resolution for name, make in CONFIGS.items()} == {
        "default": 256,
        "light": 256,
        "paper": 64,
        "small": 128,
    }
    assert not paper().spatial and default().spatial
    assert Config.from_dict(default().as_dict()) == default()
    sizes = (
        {"resolution": 100},
        {"resolution": 2048},
        {"resolution": 64.0},
        {"photo_side": 8},
        {"latent": 0},
        {"spatial_max": 0},
    )
    for wrong in (*sizes, {"trust": 1.5}, {"trust": 1}):
        with pytest.raises(ConfigError, match=next(iter(wrong)).split("_")[0]):
            replace(default(), **wrong)
    with pytest.raises(ConfigError, match="latent"):
        Config.from_dict({name: value for name, value in default().as_dict().items() if name != "latent"})


def test_the_same_photo_gives_the_same_texture_and_a_seed_another() -> None:
    network = network_of()
    photo, structure = made_up(NARROW)
    with torch.inference_mode():
        plain = [network(photo, structure).texture for _ in range(2)]
        seeded = [network(photo, structure, torch.Generator().manual_seed(seed)).texture for seed in (1, 1, 2)]
    assert torch.equal(*plain) and torch.equal(seeded[0], seeded[1])
    assert not torch.equal(seeded[0], seeded[2]) and not torch.equal(seeded[0], plain[0])
    one, other = (network_of(seed=3).state_dict()["mapping.layers.0.weight"] for _ in range(2))
    assert torch.equal(one, other)


def test_every_input_matters() -> None:
    network = network_of()
    photo, structure = made_up(NARROW)
    with torch.inference_mode():
        before = network(photo, structure).texture
        for name in ("pose", "betas", "camera", "geometry", "partial", "mirrored", "completed"):
            value = getattr(structure, name)
            changed = network(photo, replace(structure, **{name: value.flip(1 if name == "betas" else -1)})).texture
            assert float((changed - before).abs().max()) > 1e-4, name
        assert float((network(1 - photo, structure).texture - before).abs().max()) > 1e-4


def test_what_the_photo_shows_of_a_place_acts_on_that_place_most() -> None:
    network = network_of()
    photo, structure = made_up(NARROW, batch=1)
    partial = structure.partial.clone()
    partial[..., 16:24, 16:24] = 1 - partial[..., 16:24, 16:24]
    with torch.inference_mode():
        change = (
            (network(photo, replace(structure, partial=partial)).texture - network(photo, structure).texture)
            .abs()
            .mean((0, 1))
        )
    assert float(change[16:24, 16:24].mean()) > 5 * float(change.mean())


def test_the_network_only_adds_to_what_can_be_had_without_it() -> None:
    network = network_of()
    block: Any
    for block in network.synthesis.blocks:
        torch.nn.init.zeros_(block.to_rgb.weight)
    photo, structure = made_up(NARROW)
    with torch.inference_mode():
        torch.testing.assert_close(network(photo, structure).texture, structure.completed)


def test_a_grown_network_answers_what_the_small_one_does() -> None:
    """Where the maps are constant within each of the small one's texels: then the large one's encoder sees the same."""
    network = network_of()
    large = replace(NARROW, resolution=128)
    photo, structure = made_up(NARROW)
    enlarged = {
        name: F.interpolate(getattr(structure, name), scale_factor=2, mode="nearest")
        for name in ("geometry", "partial", "mirrored", "completed")
    }
    torch.manual_seed(1)
    other = grown(network, large).eval()
    block: Any
    with torch.inference_mode():
        answer = network(photo, structure).texture - structure.completed
        got = other(photo, replace(structure, **enlarged)).texture - enlarged["completed"]
        for block in other.synthesis.blocks[len(NARROW.sizes) :]:
            torch.nn.init.zeros_(block.to_rgb.weight)
        exact = other(photo, replace(structure, **enlarged)).texture - enlarged["completed"]
    torch.testing.assert_close(exact, F.interpolate(answer, scale_factor=2, mode="bilinear"), atol=1e-4, rtol=1e-4)
    assert 0 < float((got - exact).abs().mean()) < 0.1 * float(answer.abs().mean())
    with pytest.raises(ConfigError, match="cannot grow"):
        grown(network, replace(large, latent=32))
    with pytest.raises(ConfigError, match="cannot grow"):
        grown(other, NARROW)


def test_what_is_not_seen_is_not_read() -> None:
    _, structure = made_up(NARROW)
    hidden = structure.partial.clone()
    hidden[:, 3, :32], hidden[:, :3, :32] = 0, float("nan")
    maps = uv_maps(replace(structure, partial=hidden))
    assert torch.isfinite(maps).all() and not maps[:, 7:11, :32].any() and maps[:, 7:11, 32:].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_same_picture(dtype: torch.dtype) -> None:
    network = network_of()
    photo, structure = made_up(NARROW)
    with torch.inference_mode():
        exact, half = network(photo, structure).texture, network(photo, structure, dtype=dtype).texture
    assert half.dtype == torch.float32
    error = float((half - exact).square().mean().sqrt() / exact.std())
    assert 0 < error < (0.01 if dtype == torch.float16 else 0.06)


def test_gradients_reach_every_parameter() -> None:
    network = network_of().train()
    layer: Any
    for layer in network.modules():
        if hasattr(layer, "noise_strength"):
            torch.nn.init.constant_(layer.noise_strength, 0.1)
    photo, structure = made_up(NARROW)
    prediction = network(photo, structure, torch.Generator().manual_seed(0))
    (prediction.texture.square().mean() + 0.01 * prediction.style.divergence().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.any(), name


def test_divergence_from_the_standard_normal() -> None:
    style = network_of().style_encoder(made_up(NARROW)[0])
    theirs = torch.distributions.Normal(style.mean, (0.5 * style.log_variance).exp())
    expected = torch.distributions.kl_divergence(theirs, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(style.divergence(), expected, atol=1e-4, rtol=1e-4)


def test_style_mixing_takes_the_coarse_layers_of_one_and_the_fine_ones_of_the_other() -> None:
    network = network_of()
    photo, structure = made_up(NARROW)
    with torch.inference_mode():
        vector, features = network.structure_encoder(structure)
        one, other = (network.codes(torch.randn(2, NARROW.latent), vector) for _ in range(2))
        textures = [network.synthesis(mixed(one, other, layer), features) for layer in range(NARROW.codes + 1)]
        torch.testing.assert_close(textures[0], network.synthesis(other, features))
        torch.testing.assert_close(textures[-1], network.synthesis(one, features))
        assert all(not torch.equal(a, b) for a, b in itertools.pairwise(textures))
        rng = torch.Generator().manual_seed(0)
        assert not torch.equal(network(photo, structure, rng, mixing=1.0).texture, network(photo, structure).texture)


def test_wrong_shapes_are_named() -> None:
    network = network_of()
    photo, structure = made_up(NARROW)
    with pytest.raises(ValueError, match=r"photo of shape \(2, 3, 64, 64\), not \(2, 3, 32, 32\)"):
        network(photo[..., ::2, ::2], structure)
    assert structure.partial is not None
    with pytest.raises(ValueError, match="takes partial of shape"):
        network(photo, replace(structure, partial=structure.partial[..., ::2, ::2]))
    with pytest.raises(ValueError, match="takes geometry of shape"):
        network(photo, replace(structure, geometry=None))


def test_resnet_takes_torchvision_s_weights_by_name_and_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    published = resnet18().state_dict()
    fetched: list[str] = []

    def get_state_dict(self: ResNet18_Weights, **_: object) -> dict[str, torch.Tensor]:
        fetched.append(self.url)
        return published

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", get_state_dict)
    encoder = StyleEncoder(NARROW)
    assert not fetched
    encoder.fetch_imagenet_weights()
    assert fetched == [ResNet18_Weights.IMAGENET1K_V1.url]
    for name, tensor in encoder.resnet.state_dict().items():
        torch.testing.assert_close(tensor, published[name])
