"""Checkpoints: what is written is read, and what cannot be used is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.texture_predictor.people import made_up
from uvatar.runtime.networks import CheckpointError
from uvatar.texture_predictor.config import ConfigError, paper, small
from uvatar.texture_predictor.networks.checkpoint import FORMAT, load_checkpoint, read_config, save_checkpoint
from uvatar.texture_predictor.networks.layers import Conv2d
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.structure import MATERIALS
from uvatar_training.networks.initialise import with_materials

CONFIG = replace(small(), resolution=64, photo_side=64, channel_max=16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_checkpoint(TextureNetwork(CONFIG), tmp_path / "texture_predictor.safetensors", note="random")
    return tmp_path / "texture_predictor.safetensors"


def altered(path: Path, config: dict[str, Any] | None = None, /, **changes: torch.Tensor | None) -> Path:
    """The file with some tensors replaced or, where None, left out."""
    state = {**load_file(path), **changes}
    metadata = {"format": FORMAT, "config": json.dumps(config or CONFIG.as_dict())}
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path, metadata)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_is_written_is_read(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    network = TextureNetwork(CONFIG).eval()
    save_checkpoint(network, tmp_path / "file.safetensors", dtype)
    loaded = load_checkpoint(tmp_path / "file.safetensors", resolution=64)
    assert loaded.config == CONFIG == read_config(tmp_path / "file.safetensors") and not loaded.training
    photo, structure = made_up(CONFIG)
    with torch.inference_mode():
        expected, got = network(photo, structure).texture, loaded(photo, structure).texture
    assert float((expected - got).abs().max()) <= (0 if dtype == torch.float32 else 0.05)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())


def test_another_resolution(path: Path) -> None:
    with pytest.raises(CheckpointError, match="makes textures of 64 x 64 texels, not 256"):
        load_checkpoint(path, resolution=256)
    config = replace(CONFIG, resolution=128).as_dict()
    with pytest.raises(
        CheckpointError, match=r"tensors are missing, first 'structure_encoder.uv.*its own|its own configuration"
    ):
        load_checkpoint(altered(path, config))


def test_missing_unexpected_misshapen_and_nan(path: Path) -> None:
    name = "mapping.layers.0.weight"
    weight = load_file(path)[name]
    with pytest.raises(
        CheckpointError, match=f"1 tensors are missing, first '{name}'.*1 are unexpected, first 'other'"
    ):
        load_checkpoint(altered(path, **{name: None, "other": weight}))
    with pytest.raises(CheckpointError, match=f"1 have another shape, first '{name}'"):
        load_checkpoint(altered(path, **{name: weight[1:], "other": None}))
    weight[3, 2] = float("nan")
    with pytest.raises(CheckpointError, match=f"not finite, first '{name}'"):
        load_checkpoint(altered(path, **{name: weight}))


def test_files_of_another_kind(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is not a checkpoint of this version's Texture Predictor"):
        load_checkpoint(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no usable configuration: The texture's resolution"):
        load_checkpoint(altered(path, {**paper().as_dict(), "resolution": 65}))
    for size in (0, 7, 1000):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


def test_files_from_before_there_were_materials_are_read(path: Path) -> None:
    older = {name: value for name, value in CONFIG.as_dict().items() if name != "materials"}
    assert load_checkpoint(altered(path, older)).config == CONFIG


def test_a_network_that_takes_materials_goes_on_from_one_that_does_not(path: Path, tmp_path: Path) -> None:
    before = load_checkpoint(path)
    network = with_materials(before).eval()
    assert network.config == replace(CONFIG, materials=len(MATERIALS)) and with_materials(network) is network
    photo, structure = made_up(network.config)
    with torch.inference_mode():
        expected = before(photo, replace(structure, materials=None)).texture
        torch.testing.assert_close(network(photo, structure).texture, expected, atol=1e-4, rtol=1e-4)
        assert network.structure_encoder.uv is not None
        for entry in network.structure_encoder.uv.entries:
            cast(Conv2d, entry).weight[:, -len(MATERIALS) :] = 1
        assert float((network(photo, structure).texture - expected).abs().max()) > 0.01
    save_checkpoint(network, tmp_path / "file.safetensors")
    assert load_checkpoint(tmp_path / "file.safetensors").config.materials == len(MATERIALS)
    with pytest.raises(ValueError, match="takes materials of shape"):
        network(photo, replace(structure, materials=None))
    with pytest.raises(ConfigError, match="materials must be 0"):
        replace(paper(), materials=len(MATERIALS))
