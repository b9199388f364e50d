"""Networks on devices: placement, falling back to the CPU, running out of memory; no GPU is needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.fake_devices import OUT_OF_MEMORY, FakeRuntime
from uvatar.protocol.devices import COREML, CPU, CUDA, DIRECTML, MPS
from uvatar.protocol.errors import Code
from uvatar.runtime.devices import DeviceError, Placement, usable
from uvatar.runtime.memory import is_out_of_memory
from uvatar.runtime.networks import CheckpointError, OutOfMemory, open_onnx, open_placed

INPUT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"read by nobody")
    return path


def doubled(outputs: dict[str, NDArray[Any]]) -> bool:
    return set(outputs) == {"x"} and bool((outputs["x"] == 2 * INPUT["x"]).all())


@pytest.mark.parametrize(
    ("devices", "chosen"),
    [
        ((CPU,), CPU),
        ((CUDA, CPU), CUDA),
        ((CPU, DIRECTML), DIRECTML),
        ((CPU, COREML), COREML),
        ((COREML, DIRECTML, CPU, CUDA), CUDA),
    ],
)
def test_auto_takes_the_best_that_there_is(file: Path, devices: tuple[str, ...], chosen: str) -> None:
    runtime = FakeRuntime(devices)
    network = open_onnx(file, threads=2, index=1, runtime=runtime)
    assert (network.device, network.notes) == (chosen, ())
    assert runtime.placed == [("network.onnx", chosen, 2, 0 if chosen == CPU else 1)]
    assert doubled(network(INPUT)) and runtime.runs == [chosen]


def test_auto_goes_on_where_a_device_does_not_start_and_says_why(file: Path) -> None:
    old = RuntimeError("CUDA driver version is insufficient for CUDA runtime version\nat cuda_call.cc")
    runtime = FakeRuntime((CUDA, DIRECTML, CPU), {CUDA: old, DIRECTML: OUT_OF_MEMORY})
    network = open_onnx(file, runtime=runtime)
    assert network.device == CPU and doubled(network(INPUT))
    assert [device for _, device, _, _ in runtime.placed] == [CUDA, DIRECTML, CPU]
    first, second = network.notes
    assert "CUDA driver version is insufficient" in first and "cuda_call" not in first
    assert "DirectML" in second and "out of memory" in second


def test_a_device_asked_for_by_name_is_used_or_refused(file: Path) -> None:
    runtime = FakeRuntime((CUDA, DIRECTML, CPU))
    assert open_placed(file, Placement(DIRECTML, 1, 4), runtime).device == DIRECTML
    assert open_onnx(file, CPU, runtime=runtime).device == CPU
    assert runtime.placed == [("network.onnx", DIRECTML, 4, 1), ("network.onnx", CPU, 1, 0)]
    broken = FakeRuntime((CUDA, CPU), {CUDA: RuntimeError("no driver")})
    with pytest.raises(DeviceError, match="CUDA: no driver") as refused:
        open_onnx(file, CUDA, runtime=broken)
    assert refused.value.code == Code.BAD_OPTION and "onnxruntime-gpu" in refused.value.fix
    assert [device for _, device, _, _ in broken.placed] == [CUDA]


@pytest.mark.parametrize("device", [CUDA, DIRECTML, COREML, MPS])
def test_devices_that_this_onnxruntime_does_not_have(file: Path, device: str) -> None:
    with pytest.raises(DeviceError) as refused:
        open_onnx(file, device, runtime=FakeRuntime())
    assert "auto" in refused.value.fix


def test_unknown_devices_are_refused(file: Path) -> None:
    with pytest.raises(DeviceError, match="'gpu'"):
        open_onnx(file, "gpu", runtime=FakeRuntime())


def test_out_of_memory_in_the_middle_is_run_again_on_the_cpu(file: Path) -> None:
    runtime = FakeRuntime((CUDA, CPU), run_errors={CUDA: [None, OUT_OF_MEMORY]})
    network = open_onnx(file, threads=3, runtime=runtime)
    assert doubled(network(INPUT)) and network.device == CUDA
    assert doubled(network(INPUT))
    assert network.device == CPU and "ran out of memory" in network.notes[-1]
    assert doubled(network(INPUT))
    assert runtime.runs == [CUDA, CUDA, CPU, CPU]
    assert runtime.placed == [("network.onnx", CUDA, 3, 0), ("network.onnx", CPU, 3, 0)]


def test_other_failures_of_a_gpu_are_not_a_job_s_end_either(file: Path) -> None:
    runtime = FakeRuntime((DIRECTML, CPU), run_errors={DIRECTML: [RuntimeError("DXGI_ERROR_DEVICE_REMOVED")]})
    network = open_onnx(file, DIRECTML, runtime=runtime)
    assert doubled(network(INPUT)) and network.device == CPU
    assert "DXGI_ERROR_DEVICE_REMOVED" in network.notes[-1]


def test_no_memory_on_the_cpu_either(file: Path) -> None:
    runtime = FakeRuntime((CUDA, CPU), run_errors={CUDA: [OUT_OF_MEMORY], CPU: [MemoryError(), OUT_OF_MEMORY]})
    network = open_onnx(file, runtime=runtime)
    for _ in range(2):
        with pytest.raises(OutOfMemory) as failed:
            network(INPUT)
        assert is_out_of_memory(failed.value)
    assert runtime.runs == [CUDA, CPU, CPU]
    with pytest.raises(OutOfMemory):
        open_onnx(file, runtime=FakeRuntime(start_errors={CPU: MemoryError()}))


def test_errors_of_the_cpu_are_raised_as_they_are(file: Path) -> None:
    network = open_onnx(file, runtime=FakeRuntime(run_errors={CPU: [ValueError("a wrong shape")]}))
    with pytest.raises(ValueError, match="a wrong shape"):
        network(INPUT)
    assert network.notes == ()


def test_threads_that_fail_together_move_the_network_once(file: Path) -> None:
    together = threading.Barrier(2, timeout=60)

    class Waiting(Exception):
        def __str__(self) -> str:
            return "the device is lost"

    class Failing(list[Exception | None]):
        def pop(self, index: object = -1) -> Exception:
            together.wait()  # both are in the GPU's run before either fails
            return Waiting()

        def __bool__(self) -> bool:
            return True

    runtime = FakeRuntime((CUDA, CPU), run_errors={CUDA: Failing()})
    network = open_onnx(file, runtime=runtime)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(doubled(network(INPUT)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]
    assert [device for _, device, _, _ in runtime.placed] == [CUDA, CPU] and len(network.notes) == 1


def test_files_that_are_missing_or_no_networks(file: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        open_onnx(file.with_name("none.onnx"))
    with pytest.raises(CheckpointError, match=r"network\.onnx is damaged or not a network"):
        open_onnx(file, CPU)


def test_what_is_usable_here() -> None:
    assert usable(["CPUExecutionProvider"]) == (CPU,)
    assert usable(["AzureExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"]) == (CUDA, CPU)
