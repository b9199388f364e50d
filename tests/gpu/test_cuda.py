"""CUDA beside the CPU: the same numbers, sooner. Needs an NVIDIA GPU and onnxruntime-gpu: `make test-gpu`.

The test prints how long each network and a whole photo take, models loaded.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.commands.test_cli import uvatar
from uvatar.body import load_open_body
from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.mesh_predictor.decoding import centers_at, sample
from uvatar.mesh_predictor.maps import MAP_SIDE, Maps
from uvatar.protocol.devices import CPU, CUDA
from uvatar.runtime.devices import DeviceError, Placement
from uvatar.runtime.networks import Arrays, Network, open_placed
from uvatar.runtime.weights import weights_folder

PHOTO = Path(__file__).resolve().parents[2] / "samples" / "man.jpg"
JOINT_TOLERANCE = 2.0  # millimetres
TEXTURE_TOLERANCE = 1 / 255  # of the 99.9th percentile of the values
WARM_UPS, REPEATS = 3, 9

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


@dataclass
class Recorder:
    """A network that keeps the inputs and outputs of its last run."""

    network: Network
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)
    outputs: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        self.inputs, self.outputs = dict(inputs), self.network(inputs)
        return self.outputs


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    """Skips everything where CUDA does not start, with the reason."""
    try:
        open_placed(weights_folder() / "pose_lifter.onnx", Placement(CUDA))
    except DeviceError as error:
        pytest.skip(f"{error.message} {error.fix}")


@pytest.fixture(scope="module")
def on_cpu() -> Engine:
    """The engine on the CPU, whose networks have been at the photo and remember it."""
    engine = Engine.load(device=CPU)
    assert engine.mesh_predictor is not None and engine.texture_predictor is not None
    for owner in (engine.mesh_predictor, engine.texture_predictor):
        owner.network = Recorder(owner.network)
    reconstruct((PHOTO.name, PHOTO.read_bytes()), engine)
    return engine


@pytest.fixture(scope="module")
def on_cuda() -> Iterator[Engine]:
    engine = Engine.load(device=CUDA)
    yield engine
    for owner in (engine.mesh_predictor, engine.texture_predictor):
        assert owner is not None and owner.network.device == CUDA and not owner.network.notes


def milliseconds(run: Callable[..., object], *arguments: Any) -> float:
    """The median time of ``run(*arguments)``."""
    times = []
    for number in range(WARM_UPS + REPEATS):
        started = time.perf_counter()
        run(*arguments)
        if number >= WARM_UPS:
            times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def test_the_mesh_predictor_says_the_same(on_cpu: Engine, on_cuda: Engine) -> None:
    assert on_cpu.mesh_predictor is not None and on_cuda.mesh_predictor is not None
    recorder = on_cpu.mesh_predictor.network
    assert isinstance(recorder, Recorder)
    every = np.arange(0, MAP_SIDE * MAP_SIDE, 97)
    xy = (np.stack([every % MAP_SIDE, every // MAP_SIDE], -1).astype(np.float32) + 0.5) / MAP_SIDE * 2 - 1
    joints = []
    for outputs in (recorder.outputs, on_cuda.mesh_predictor.network(recorder.inputs)):
        maps = Maps(**outputs)
        bodies = sample(maps, centers_at(maps.center, np.zeros(len(every), np.int64), xy))
        joints.append(load_open_body().joints(bodies.betas, bodies.pose))
    apart = 1000 * np.linalg.norm(joints[0] - joints[1], axis=-1).max()
    print(f"\nMesh Predictor, CUDA against CPU: joints at most {apart:.3f} mm apart")
    assert apart < JOINT_TOLERANCE


def test_the_texture_predictor_says_the_same(on_cpu: Engine, on_cuda: Engine) -> None:
    assert on_cpu.texture_predictor is not None and on_cuda.texture_predictor is not None
    recorder = on_cpu.texture_predictor.network
    assert isinstance(recorder, Recorder)
    outputs = on_cuda.texture_predictor.network(recorder.inputs)
    for name, expected in recorder.outputs.items():
        apart = float(np.percentile(np.abs(outputs[name] - expected), 99.9))
        print(f"\nTexture Predictor, CUDA against CPU: {name} {255 * apart:.3f}/255 apart at the 99.9th percentile")
        assert apart < TEXTURE_TOLERANCE


def test_networks_are_faster(on_cpu: Engine, on_cuda: Engine) -> None:
    for name in ("mesh_predictor", "texture_predictor"):
        recorder, network = getattr(on_cpu, name).network, getattr(on_cuda, name).network
        there, here = (milliseconds(run, recorder.inputs) for run in (network, recorder.network))
        print(f"\n{name}: {there:.1f} ms on CUDA, {here:.1f} ms on {on_cpu.threads} CPU threads: {here / there:.1f} x")
        assert there < here, name


def test_a_photo_becomes_the_same_avatar(on_cpu: Engine, on_cuda: Engine) -> None:
    photo, times = (PHOTO.name, PHOTO.read_bytes()), {}
    vertices = {}
    for name, engine in (("CPU", on_cpu), ("CUDA", on_cuda)):
        person = reconstruct(photo, engine).people[0]
        vertices[name] = engine.body.posed(person.fit.body, person.fit.offsets)[0]
        times[name] = milliseconds(reconstruct, photo, engine) / 1000
    apart = 1000 * np.linalg.norm(vertices["CPU"] - vertices["CUDA"], axis=-1)
    print(f"\nphoto to avatar, models loaded: {times['CUDA']:.2f} s with CUDA, {times['CPU']:.2f} s without")
    print(f"{on_cpu.threads} CPU threads; vertices {apart.mean():.3f} mm apart, at most {apart.max():.3f}")
    assert np.percentile(apart, 99) < JOINT_TOLERANCE


def test_results_say_that_the_gpu_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    try:
        done = uvatar("reconstruct", PHOTO, "--out", tmp_path, "--no-blend", "--device", "cuda")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "CUDA" in uvatar("status").stdout
    finally:
        uvatar("stop")
    result = json.loads((tmp_path / "man_p0" / "result.json").read_text())
    assert result["devices"]["predicting"] == result["devices"]["clothing and texturing"] == CUDA
