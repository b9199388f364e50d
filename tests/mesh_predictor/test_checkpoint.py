"""Checkpoints: what loads, and what is refused with which words."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from uvatar.mesh_predictor.networks.checkpoint import load_checkpoint
from uvatar.mesh_predictor.networks.network import head
from uvatar.runtime.networks import CheckpointError


@pytest.fixture
def network() -> nn.Module:
    return nn.ModuleDict({"backbone": nn.Conv2d(3, 4, 3), "final_layers": nn.ModuleDict({"1": head(6, 2, 2)})})


def filled(network: nn.Module, value: float) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, value) for name, tensor in network.state_dict().items()}


def weight(network: nn.Module) -> float:
    return network.state_dict()["backbone.weight"].flatten()[0].item()


def test_plain_state_dict_loads(network: nn.Module, tmp_path: Path) -> None:
    torch.save(filled(network, 2.0), tmp_path / "ROMP.pkl")
    assert load_checkpoint(network, tmp_path / "ROMP.pkl") is False
    assert weight(network) == 2


def test_safetensors_load(network: nn.Module, tmp_path: Path) -> None:
    save_file(filled(network, 3.0), tmp_path / "light.safetensors")
    load_checkpoint(network, tmp_path / "light.safetensors")
    assert weight(network) == 3


def test_training_names_are_mapped_and_extras_dropped(network: nn.Module, tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in filled(network, 4.0).items()}
    state["module.final_layers.0.weight"] = torch.zeros(34, 32, 1, 1)
    state["module._result_parser.params_map_parser.smpl_model.faces"] = torch.zeros(3)
    state["module._calc_loss.prior"] = torch.zeros(3)
    torch.save({"model_state_dict": state, "epoch": 3}, tmp_path / "trained.pth")
    assert load_checkpoint(network, tmp_path / "trained.pth") is True  # of the public training code
    assert weight(network) == 4


def test_wrong_checkpoint_names_the_first_faults_and_changes_nothing(network: nn.Module, tmp_path: Path) -> None:
    state = filled(network, 5.0)
    del state["backbone.bias"]
    state["head.extra"] = torch.zeros(1)
    before = weight(network)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"missing, first 'backbone.bias'.*unexpected, first 'head.extra'"):
        load_checkpoint(network, tmp_path / "other.pth")
    assert weight(network) == before


def test_wrong_shape_is_named(network: nn.Module, tmp_path: Path) -> None:
    state = filled(network, 5.0) | {"backbone.bias": torch.zeros(9)}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"'backbone.bias': \(9,\) instead of \(4,\)"):
        load_checkpoint(network, tmp_path / "other.pth")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_hostile_pickle_is_refused_and_not_run(network: nn.Module, tmp_path: Path, how: str) -> None:
    marker, path = tmp_path / "was-run", tmp_path / "evil.pkl"
    content = {"backbone.weight": Hostile(marker)}
    torch.save(content, path) if how == "torch" else path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"not opened|damaged"):
        load_checkpoint(network, path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_empty_and_missing_files(network: nn.Module, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(network, path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError):
        load_checkpoint(network, path)
    torch.save(filled(network, 1.0), path) if suffix == ".pth" else save_file(filled(network, 1.0), path)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(network, path)
