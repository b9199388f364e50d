"""Which device the networks of a server run on, and what becomes of jobs when a GPU fails; no GPU is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.gpu_pipeline import VARIABLE
from tests.service.servers import Server, photo
from tests.service.test_server import run, states

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "man.jpg"
OLD_DRIVER = "CUDA driver version is insufficient for CUDA runtime version"
StartServer = Callable[..., Server]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gpu.log"


@pytest.fixture
def gpu_server(start_server: StartServer, log: Path) -> StartServer:
    """Starts a server whose computer has the GPUs that the keywords describe (`tests.service.gpu_pipeline`)."""

    def start(*arguments: str, **gpu: Any) -> Server:
        orders = json.dumps({"devices": ["cuda"], **gpu, "log": str(log)})
        return start_server(*arguments, pipeline="tests.service.gpu_pipeline:GpuPipeline", **{VARIABLE: orders})

    return start


def reconstructed(server: Server, *photos: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of photos, all of which are done, and the server's status after them."""
    with server.client() as client:
        job, events = run(client, *photos)
        assert states(events[-1]) == ["done"] * len(photos), events[-1]
        return [client.result(job, index) for index in range(len(photos))], client.status()


@pytest.mark.parametrize(
    ("arguments", "device", "asked"),
    [((), "cuda", "auto"), (("--device", "cpu"), "cpu", "cpu"), (("--device", "directml"), "directml", "directml")],
)
def test_status_and_results_say_what_is_used(
    gpu_server: StartServer, log: Path, arguments: tuple[str, ...], device: str, asked: str
) -> None:
    [result], status = reconstructed(gpu_server(*arguments, devices=["cuda", "directml"]), photo())
    assert result["devices"] == {"predicting": device} and result["notes"] == []
    assert status["device"] == asked and status["model"]["devices"] == {"mesh_predictor": device}
    assert status["model"]["device"] == status["workers"][0]["device"] == f"{device}, in words"
    assert log.read_text().splitlines() == [f"start {device} 0", f"run {device}"]


def test_a_gpu_that_does_not_start_is_left_out_with_a_note(gpu_server: StartServer, log: Path) -> None:
    [result], status = reconstructed(gpu_server(fails={"cuda": OLD_DRIVER}), photo())
    assert result["devices"] == {"predicting": "cpu"}
    [note] = result["notes"]
    assert OLD_DRIVER in note and status["model"]["device_notes"] == [note]
    assert log.read_text().splitlines() == ["start cuda 0", "start cpu 0", "run cpu"]


def test_a_gpu_asked_for_by_name_that_does_not_start_is_an_error(gpu_server: StartServer) -> None:
    with gpu_server("--device", "cuda", fails={"cuda": OLD_DRIVER}).client() as client:
        _, events = run(client, photo())
        error = events[-1]["photos"][0]["error"]
        assert error["code"] == "bad-option" and OLD_DRIVER in error["message"] and "auto" in error["fix"]
        assert client.status()["model"]["state"] == "broken"


def test_a_gpu_that_runs_out_of_memory_loses_no_photo(gpu_server: StartServer, log: Path) -> None:
    results, status = reconstructed(gpu_server(out_of_memory=[1]), photo(), photo(), photo())
    assert [result["devices"]["predicting"] for result in results] == ["cuda", "cpu", "cpu"]
    assert [len(result["notes"]) for result in results] == [0, 1, 1] and "out of memory" in results[1]["notes"][0]
    assert status["model"]["devices"] == {"mesh_predictor": "cpu"}
    assert "out of memory" in status["model"]["device_notes"][0]
    assert log.read_text().splitlines() == ["start cuda 0", "run cuda", "run cuda", "start cpu 0", "run cpu", "run cpu"]


@pytest.mark.parametrize("when", [True, "loading"])
def test_a_model_process_that_dies_of_the_gpu_twice_is_replaced_by_one_on_the_cpu(
    gpu_server: StartServer, log: Path, when: str | bool
) -> None:
    results, status = reconstructed(gpu_server(dies=when), photo(), photo())
    for result in results:
        assert result["devices"] == {"predicting": "cpu"}
        assert "died twice" in result["notes"][-1] and "CPU" in result["notes"][-1]
    assert status["model"]["device_notes"][-1] == results[0]["notes"][-1]
    starts = [line for line in log.read_text().splitlines() if line.startswith("start")]
    assert starts == ["start cuda 0", "start cuda 0", "start cpu 0"]


def test_a_photo_that_crashes_on_the_cpu_too_is_given_up(gpu_server: StartServer) -> None:
    with gpu_server().client() as client:
        _, events = run(client, photo(always_crash=True), photo())
        assert states(events[-1]) == ["failed", "done"]
        assert events[-1]["photos"][0]["error"]["code"] == "model-crashed"


def test_each_gpu_has_a_model_process_of_its_own(gpu_server: StartServer) -> None:
    server = gpu_server("--gpus", "0,1")
    with server.client() as client:
        run(client, photo())
        assert len(client.status()["workers"]) == 2


@pytest.mark.slow
def test_a_whole_avatar_is_made_although_the_gpu_runs_out_of_memory_in_the_middle(
    start_server: StartServer, log: Path
) -> None:
    orders = json.dumps({"devices": ["cuda"], "out_of_memory": [1], "log": str(log)})
    server = start_server(pipeline="tests.service.gpu_pipeline:real_pipeline", **{VARIABLE: orders})
    with server.client() as client:
        job, events = run(client, SAMPLE.read_bytes())
        assert states(events[-1]) == ["done"], events[-1]
        result, model = client.result(job, 0), client.status()["model"]
    # The Mesh Predictor ran on the GPU, and the Texture Predictor found no room there.
    assert result["devices"]["predicting"] == "cuda" and result["devices"]["fitting"] == "cpu"
    assert result["devices"]["clothing and texturing"] == "cpu"
    [note] = result["notes"]
    assert "out of memory" in note and model["device_notes"] == [note]
    assert model["devices"] == {"mesh_predictor": "cuda", "texture_predictor": "cpu"}
    assert model["device"].startswith("CUDA (Mesh Predictor) and ")
    assert len(result["people"]) == 1 and result["people"][0]["licence"]["texture_predictor"]
    lines = log.read_text().splitlines()  # the pose lifter always runs on the CPU
    assert [line for line in lines if "cuda" in line] == ["start cuda 0", "start cuda 0", "run cuda", "run cuda"]
    assert lines[-2:] == ["start cpu 0", "run cpu"]
