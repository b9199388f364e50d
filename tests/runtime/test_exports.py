"""The .onnx files that ship: they belong to the weights beside them, and give what PyTorch gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from tests.runtime.fake_devices import OUT_OF_MEMORY, FakeRuntime
from tools.export_onnx import NETWORKS, texture_inputs
from uvatar.body import load_open_body
from uvatar.fitting.lifter import FEATURES
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.mesh_predictor.networks.deployed import load_light, on_torch
from uvatar.mesh_predictor.predictor import LIGHT_FILE, LIGHT_ONNX_FILE, Predictor
from uvatar.parsing.inputs import network_inputs
from uvatar.photos.decoding import decode_photo
from uvatar.protocol.devices import CPU, CUDA
from uvatar.runtime.devices import Placement
from uvatar.runtime.networks import CheckpointError, open_onnx
from uvatar.runtime.torch_networks import TorchNetwork
from uvatar.runtime.weights import (
    WEIGHTS_FILE,
    WEIGHTS_SHA256,
    WeightsError,
    check_belonging,
    check_shipped,
    recorded_sha256,
    sha256_of,
    weights_folder,
)
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SMALL = 1_000_000  # bytes: an .onnx file holds operations; the weights lie in the safetensors file
Outputs = dict[str, NDArray[Any]]


def inputs_of(name: str, seed: int = 1) -> Outputs:
    rng = np.random.default_rng(seed)
    if name == "mesh_predictor":
        return {"image": rng.random((1, 3, INPUT_SIDE, INPUT_SIDE), np.float32)}
    if name == "pose_lifter":
        return {"features": rng.normal(size=(2, FEATURES)).astype(np.float32)}
    if name == "parser":
        pixels = rng.integers(0, 255, (300, 300, 3)).astype(np.uint8)
        return network_inputs(pixels, pixels[..., 0], rng.uniform(0, 300, (33, 3)).astype(np.float32))
    config = load_checkpoint(weights_folder() / "texture_predictor.safetensors").config
    return {key: tensor.numpy() for key, tensor in texture_inputs(config, seed).items()}


def in_torch(name: str) -> TorchNetwork:
    module, _, _ = NETWORKS[name](weights_folder() / f"{name}.safetensors")
    return TorchNetwork(module, Placement(CPU))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_file_belongs_to_the_weights_beside_it(name: str) -> None:
    path = weights_folder() / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    weights = path.with_name(metadata[WEIGHTS_FILE])
    assert weights.name == f"{name}.safetensors" and metadata[WEIGHTS_SHA256] == sha256_of(weights)
    assert recorded_sha256(path) == sha256_of(path), "record the new sha256 in the page beside it"
    assert path.stat().st_size < SMALL
    check_belonging(path)


@pytest.mark.parametrize(("name", "tolerance"), [("mesh_predictor", 1e-3), ("pose_lifter", 1e-4), ("parser", 1e-4)])
def test_onnx_gives_what_pytorch_gives(name: str, tolerance: float) -> None:
    inputs = inputs_of(name)
    ours, theirs = open_onnx(weights_folder() / f"{name}.onnx", CPU)(inputs), in_torch(name)(inputs)
    assert ours.keys() == theirs.keys()
    for output, values in ours.items():
        assert values.dtype == np.float32 and values.shape == theirs[output].shape
        np.testing.assert_allclose(values, theirs[output], atol=tolerance)


def test_textures_are_within_a_level() -> None:
    network, reference = open_onnx(weights_folder() / "texture_predictor.onnx", CPU), in_torch("texture_predictor")
    for seed in (1, 2):
        inputs = inputs_of("texture_predictor", seed)
        apart = np.abs(network(inputs)["texture"] - reference(inputs)["texture"])
        assert np.quantile(apart, 0.999) < 1 / 255 and apart.max() < 4 / 255


@pytest.mark.parametrize("photo", ["man.jpg", "woman.jpg"])
def test_decoded_joints_are_within_two_millimetres(photo: str) -> None:
    pixels = decode_photo((SAMPLES / photo).read_bytes(), photo).pixels
    ours = Predictor.load(weights_folder() / LIGHT_ONNX_FILE, Placement(CPU)).look(pixels)
    theirs = Predictor.load(weights_folder() / LIGHT_FILE, Placement(CPU)).look(pixels)
    assert len(ours.found) == len(theirs.found) > 0
    body = load_open_body()
    joints = [body.joints(look.found.betas, look.found.pose) for look in (ours, theirs)]
    assert np.linalg.norm(joints[0] - joints[1], axis=-1).max() < 0.002
    np.testing.assert_array_equal(ours.found.center, theirs.found.center)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_that_runs_out_of_memory_changes_no_result(name: str) -> None:
    """The fake GPU runs the real network, until it fails."""
    runtime = FakeRuntime((CUDA, CPU), run_errors={CUDA: [None, OUT_OF_MEMORY]}, real=True)
    network = open_onnx(weights_folder() / f"{name}.onnx", runtime=runtime)
    inputs = inputs_of(name)
    on_gpu, moved, after = (network(inputs) for _ in range(3))
    assert runtime.runs == [CUDA, CUDA, CPU, CPU] and network.device == CPU and len(network.notes) == 1
    for output in on_gpu:
        np.testing.assert_array_equal(on_gpu[output], moved[output])
        np.testing.assert_array_equal(on_gpu[output], after[output])


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        for suffix in (".onnx", ".safetensors", ".md"):
            shutil.copy(weights_folder() / f"{name}{suffix}", tmp_path)
        return tmp_path / f"{name}.onnx"

    return copy


def test_damaged_files_are_named(copied: Callable[[str], Path]) -> None:
    path = copied("pose_lifter")
    check_shipped(path.parent)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"pose_lifter\.onnx is damaged"):
        check_shipped(path.parent)
    with pytest.raises(CheckpointError, match=r"pose_lifter\.onnx is damaged or not a network"):
        open_onnx(path, CPU)
    path.write_bytes(content)
    path.with_suffix(".safetensors").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match=r"pose_lifter\.onnx is damaged or not a network"):
        open_onnx(path, CPU)


def test_other_weights_than_the_file_was_exported_from_are_refused(copied: Callable[[str], Path]) -> None:
    path = copied("pose_lifter")
    weights = path.with_suffix(".safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="exported from other weights"):
        check_belonging(path)


def test_pytorch_goes_on_on_the_cpu_where_its_gpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    network = on_torch(load_light(weights_folder() / LIGHT_FILE))
    assert network.device == CPU and "CUDA could not be started" in network.notes[0]
    assert network(inputs_of("mesh_predictor"))["center"].shape == (1, 1, 64, 64)
