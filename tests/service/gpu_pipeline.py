"""Pipelines on GPUs that exist only here (`tests.runtime.fake_devices`), in model processes of real servers.

The environment variable UVATAR_TEST_GPU holds what the GPUs do, as JSON: ``devices`` (those that there are), ``fails``
(what starting a network on each device raises), ``out_of_memory`` (which of a GPU's runs, counted from 0, run out of
memory), ``dies`` (the process dies in its first run on a GPU; "loading": while it loads), and ``log`` (path: a line for
each session and each run).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.runtime.fake_devices import OUT_OF_MEMORY, FakeRuntime
from tests.service.fake_pipeline import FakePipeline
from uvatar.protocol.devices import AUTO, CPU
from uvatar.runtime import networks
from uvatar.runtime.devices import Placement
from uvatar.runtime.onnx_sessions import NetworkSession

VARIABLE = "UVATAR_TEST_GPU"


@dataclass
class LoggedRuntime(FakeRuntime):
    """A `FakeRuntime` that writes down what it does, and whose process dies where it is told so."""

    log: str = ""
    dies: str | bool = False

    def start(self, path: Path, device: str, threads: int, index: int) -> NetworkSession:
        self.note(f"start {device} {index}")
        if device != CPU and self.dies == "loading":
            os._exit(9)
        return _Logged(self, device, super().start(path, device, threads, index))

    def note(self, line: str) -> None:
        with open(self.log, "a") as file:
            file.write(line + "\n")


@dataclass
class _Logged:
    runtime: LoggedRuntime
    device: str
    inner: NetworkSession

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.inner.metadata

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.runtime.note(f"run {self.device}")
        if self.device != CPU and self.runtime.dies:
            os._exit(9)
        return self.inner.run(inputs)


def runtime(real: bool) -> LoggedRuntime:
    """The runtime that the environment asks for; ``real``: its sessions compute."""
    orders = json.loads(os.environ[VARIABLE])
    errors: list[Exception | None] = [None] * 100
    for run in orders.get("out_of_memory", ()):
        errors[run] = OUT_OF_MEMORY
    return LoggedRuntime(
        (*orders["devices"], CPU),
        {device: RuntimeError(words) for device, words in orders.get("fails", {}).items()},
        {device: list(errors) for device in orders["devices"]},
        real,
        log=orders["log"],
        dies=orders.get("dies", False),
    )


class GpuPipeline(FakePipeline):
    """A pipeline with one network and no models, which does to each photo what the photo says."""

    def __init__(self, threads: int | None = None, device: str | None = None, gpu: int = 0) -> None:
        super().__init__(threads)
        placement = Placement(device or AUTO, gpu, threads or 1)
        self.network = networks.open_placed(Path(__file__), placement, runtime(real=False))

    @property
    def facts(self) -> dict[str, Any]:
        device, notes = self.network.device, self.network.notes
        return {"device": f"{device}, in words", "devices": {"mesh_predictor": device}, "device_notes": notes}

    @facts.setter
    def facts(self, value: dict[str, Any]) -> None:
        pass

    def reconstruct(
        self, photos: list[tuple[str, bytes]], options: dict[str, Any], progress: Any, photo_done: Any
    ) -> None:
        def done(index: int, result: dict[str, Any]) -> None:
            doubled = self.network({"x": np.arange(3.0)})["x"]
            assert doubled.tolist() == [0, 2, 4]
            devices = {"predicting": self.network.device}
            photo_done(index, {**result, "devices": devices, "notes": list(self.network.notes)})

        super().reconstruct(photos, options, progress, done)


def real_pipeline(threads: int | None = None, device: str | None = None, gpu: int = 0) -> Any:
    """Uvatar's own pipeline, whose networks compute on the CPU and believe that it is a GPU."""
    from uvatar.engine.pipeline import Pipeline

    shared = runtime(real=True)
    setattr(networks, "OnnxRuntime", lambda: shared)  # noqa: B010 -- to type checkers it is a class
    return Pipeline(threads=threads, device=device, gpu=gpu)
