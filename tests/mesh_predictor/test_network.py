"""The network against an independent reference of the published layout, and its light sister."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import nn

from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.inference import for_inference
from uvatar.mesh_predictor.networks.network import MeshPredictor, coordinate_channels, romp

# sha256 of the published checkpoint's sorted "name<TAB>shape" lines (1851 of them).
PUBLISHED_KEYS = "769079419a123335886624f6bdc3bd51073aee46118cce7817f0979e33b359d5"


def reference_forward(state: dict[str, torch.Tensor], image: torch.Tensor) -> dict[str, torch.Tensor]:
    """ROMP's forward pass straight from its table of layers: plain functions over a dictionary of tensors,
    NCHW, eager.
    """
    functional = nn.functional

    def conv(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def bn(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=1e-5)

    def basic(x: torch.Tensor, name: str) -> torch.Tensor:
        y = functional.relu(bn(conv(x, f"{name}.conv1"), f"{name}.bn1"))
        return functional.relu(bn(conv(y, f"{name}.conv2"), f"{name}.bn2") + x)

    def bottleneck(x: torch.Tensor, name: str) -> torch.Tensor:
        y = functional.relu(bn(conv(x, f"{name}.conv1"), f"{name}.bn1"))
        y = functional.relu(bn(conv(y, f"{name}.conv2"), f"{name}.bn2"))
        y = bn(conv(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in state:
            x = bn(conv(x, f"{name}.downsample.0"), f"{name}.downsample.1")
        return functional.relu(x + y)

    x = image * 255 / 255 * 2 - 1
    x = functional.relu(bn(conv(x, "backbone.conv1", 2), "backbone.bn1"))
    x = functional.relu(bn(conv(x, "backbone.conv2", 2), "backbone.bn2"))
    for block in range(4):
        x = bottleneck(x, f"backbone.layer1.{block}")
    first = functional.relu(bn(conv(x, "backbone.transition1.0.0"), "backbone.transition1.0.1"))
    second = functional.relu(bn(conv(x, "backbone.transition1.1.0.0", 2), "backbone.transition1.1.0.1"))
    branches = [first, second]
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        if stage > 2:
            name = f"backbone.transition{stage - 1}.{stage - 1}.0"
            branches.append(functional.relu(bn(conv(branches[-1], f"{name}.0", 2), f"{name}.1")))
        for module in range(modules):
            prefix = f"backbone.stage{stage}.{module}"
            for b in range(stage):
                for block in range(4):
                    branches[b] = basic(branches[b], f"{prefix}.branches.{b}.{block}")
            fused = []
            for i in range(1 if (stage, module) == (4, 2) else stage):
                total = branches[i]
                for j in range(stage):
                    name = f"{prefix}.fuse_layers.{i}.{j}"
                    if j > i:
                        up = bn(conv(branches[j], f"{name}.0"), f"{name}.1")
                        total = total + up.repeat_interleave(2 ** (j - i), 2).repeat_interleave(2 ** (j - i), 3)
                    elif j < i:
                        down = branches[j]
                        for k in range(i - j):
                            down = bn(conv(down, f"{name}.{k}.0", 2), f"{name}.{k}.1")
                            down = functional.relu(down) if k < i - j - 1 else down
                        total = total + down
                fused.append(functional.relu(total))
            branches = fused
    features = branches[0]
    axis = 2 * torch.arange(features.shape[-1]) / (features.shape[-1] - 1) - 1
    xs = axis.expand(features.shape[-2], -1)
    features = torch.cat([features, xs[None, None], xs.T[None, None]], 1)
    maps = {}
    for number, key in ((1, "smpl"), (2, "center"), (3, "camera")):
        name = f"final_layers.{number}"
        y = functional.relu(bn(conv(features, f"{name}.0.0", 2), f"{name}.0.1"))
        for block in range(2):
            y = basic(y, f"{name}.1.{block}.0")
        maps[key] = conv(y, f"{name}.2")
    return maps


def randomise_statistics(network: nn.Module) -> None:
    """Running statistics away from 0 and 1, so that a batch norm left out or swapped shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            module.weight.data.uniform_(0.4, 0.8)
            module.bias.data.normal_(0, 0.1)


@pytest.fixture(scope="module")
def network() -> MeshPredictor:
    torch.manual_seed(0)
    built = romp().eval()
    randomise_statistics(built)
    return built


def test_names_and_shapes_are_the_published_checkpoint_s(network: MeshPredictor) -> None:
    lines = sorted(f"{name}\t{tuple(tensor.shape)}" for name, tensor in network.state_dict().items())
    assert len(lines) == 1851
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED_KEYS


def test_parameter_counts_are_the_published_ones(network: MeshPredictor) -> None:
    def count(part: str) -> int:
        return sum(p.numel() for name, p in network.named_parameters() if name.startswith(part))

    published = {
        "": 29_048_274, "backbone.": 28_535_552, "backbone.conv1": 1_728, "backbone.layer1": 286_208,
        "backbone.transition1": 221_376,
        "backbone.transition2": 73_984, "backbone.transition3": 295_424, "backbone.stage2": 390_848,
        "backbone.stage3": 6_821_632,
        "backbone.stage4": 20_407_232, "final_layers.1": 176_974, "final_layers.2": 167_809, "final_layers.3": 167_939,
    }  # fmt: skip
    assert {part: count(part) for part in published} == published


def test_forward_equals_an_independent_reference(network: MeshPredictor) -> None:
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, theirs = network(image), reference_forward(network.state_dict(), image)
    for key, expected in theirs.items():
        torch.testing.assert_close(getattr(ours, key), expected, rtol=1e-4, atol=1e-4)


def test_maps_have_the_published_sizes(network: MeshPredictor) -> None:
    with torch.inference_mode():
        maps = for_inference(network)(torch.zeros(1, 3, 512, 512))
    assert (maps.center.shape, maps.camera.shape, maps.smpl.shape) == ((1, 1, 64, 64), (1, 3, 64, 64), (1, 142, 64, 64))


def test_coordinate_channels_put_one_at_the_last_pixel() -> None:
    grid = coordinate_channels(torch.zeros(2, 5, 128, 128))
    expected = 2 * torch.arange(128) / 127 - 1
    torch.testing.assert_close(grid[1, 0, 7], expected)  # x changes along the width
    torch.testing.assert_close(grid[1, 1, :, 7], expected)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("build", [romp, lambda: MeshPredictor(LightBackbone())], ids=["romp", "light"])
def test_inference_copy_computes_the_same(
    build: Callable[[], MeshPredictor], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not packed:  # as on processors that oneDNN has no packed convolutions for
        monkeypatch.setattr("uvatar.mesh_predictor.networks.inference.can_pack", lambda dtype: False)
    torch.manual_seed(3)
    original = build().eval()
    randomise_statistics(original)
    fast = for_inference(original)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    image = torch.rand(2, 3, 160, 96)
    with torch.inference_mode():
        expected, got = original(image), fast(image.to(memory_format=torch.channels_last))
    for key in ("center", "camera", "smpl"):
        torch.testing.assert_close(getattr(got, key), getattr(expected, key), rtol=1e-3, atol=1e-3)
    assert any(isinstance(module, nn.BatchNorm2d) for module in original.modules())


def test_inference_copy_leaves_its_image_as_it_was_and_says_the_same_again() -> None:
    """Its sums are made in place."""
    fast = for_inference(romp())
    image = torch.rand(1, 3, 96, 64).to(memory_format=torch.channels_last)
    before = image.clone()
    with torch.inference_mode():
        first, again = fast(image), fast(image)
    assert (
        torch.equal(image, before) and torch.equal(first.smpl, again.smpl) and torch.equal(first.center, again.center)
    )


def test_bfloat16_keeps_the_maps_in_float32_and_near() -> None:
    torch.manual_seed(5)
    network = MeshPredictor(LightBackbone()).eval()
    image = torch.rand(1, 3, 128, 128).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        exact, rounded = for_inference(network)(image), for_inference(network, torch.bfloat16)(image.bfloat16())
    for key in ("center", "camera", "smpl"):
        assert getattr(rounded, key).dtype == torch.float32
        torch.testing.assert_close(getattr(rounded, key), getattr(exact, key), rtol=0.05, atol=0.01)
