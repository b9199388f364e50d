"""GPUs that these tests do not have: a runtime that records where networks are placed, and fails on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.protocol.devices import CPU
from uvatar.runtime.devices import PROVIDERS
from uvatar.runtime.onnx_sessions import NetworkSession, OnnxRuntime

OUT_OF_MEMORY = RuntimeError(
    "Non-zero status code returned while running Conv node. Name:'conv' Status Message: "
    "/onnxruntime/core/framework/bfc_arena.cc:376 Available memory of 0 is smaller than requested bytes of 67108864"
)


@dataclass
class FakeRuntime:
    """What starts sessions on devices that exist only here.

    Attributes:
        devices: those that onnxruntime would name.
        start_errors: what starting a network on a device raises.
        run_errors: what the runs on a device raise, run after run; None for a run that succeeds.
        real: whether the sessions run the file on the CPU; otherwise they double their inputs.
        placed: every session that was started: file name, device, threads, index.
        runs: the device of every run.
    """

    devices: Sequence[str] = (CPU,)
    start_errors: Mapping[str, Exception] = field(default_factory=dict)
    run_errors: dict[str, list[Exception | None]] = field(default_factory=dict)
    real: bool = False
    placed: list[tuple[str, str, int, int]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def providers(self) -> Sequence[str]:
        return [PROVIDERS[device] for device in self.devices]

    def start(self, path: Path, device: str, threads: int, index: int) -> NetworkSession:
        self.placed.append((path.name, device, threads, index))
        if device in self.start_errors:
            raise self.start_errors[device]
        inner = OnnxRuntime().start(path, CPU, threads, 0) if self.real else None
        return FakeSession(self, device, inner)


@dataclass
class FakeSession:
    runtime: FakeRuntime
    device: str
    inner: NetworkSession | None

    @property
    def metadata(self) -> Mapping[str, str]:
        return {} if self.inner is None else self.inner.metadata

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.runtime.runs.append(self.device)
        errors = self.runtime.run_errors.get(self.device)
        error = errors.pop(0) if errors else None
        if error is not None:
            raise error
        return (
            {name: np.multiply(values, 2) for name, values in inputs.items()}
            if self.inner is None
            else (self.inner.run(inputs))
        )
