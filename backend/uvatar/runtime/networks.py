"""The interface of networks for the stages: from named arrays to named arrays, on any device.

`open_onnx` opens the networks that ship; `uvatar.runtime.torch_networks` runs a user's own checkpoints with the same
interface. If a run on a GPU fails, the network is opened on the CPU, runs again and adds a note, and the job continues.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from numpy.typing import NDArray

from uvatar.protocol.devices import AUTO, CPU, CUDA, MPS
from uvatar.protocol.errors import first_line
from uvatar.runtime.devices import NAMES, Placement, unusable, usable
from uvatar.runtime.memory import is_out_of_memory
from uvatar.runtime.onnx_sessions import NetworkRuntime, NetworkSession, OnnxRuntime

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], dict[str, NDArray[Any]]]
_log = logging.getLogger(__name__)


class OutOfMemory(MemoryError):
    """There is not enough memory to run a network, even on the CPU."""


class CheckpointError(ValueError):
    """A network's file cannot be used; the message gives the reason."""


class Network(Protocol):
    """A network, ready to run.

    Attributes:
        device: the device that runs it: "cpu", "cuda", "directml", "coreml" or "mps".
        notes: sentences for the user about its device, such as why it does not run on a GPU.
        metadata: texts stored with the network, by name.
    """

    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def metadata(self) -> Mapping[str, str]: ...  # noqa: D102

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the network on inputs by name, and return the outputs by name.

        Raises:
            OutOfMemory: there is not enough memory, even on the CPU.
        """
        ...


class PlacedNetwork:
    """A `Network` that runs on a device, and on the CPU after this device has failed."""

    def __init__(
        self,
        run: Run,
        device: str,
        on_cpu: Callable[[], Run],
        notes: tuple[str, ...] = (),
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Place a network.

        Args:
            run: computes outputs from inputs on ``device``.
            device: the device of ``run``.
            on_cpu: opens the network on the CPU; called at most once, if ``run`` fails on another device.
            notes, metadata: see `Network`.
        """
        self._run, self._on_cpu = run, on_cpu
        self._lock = threading.Lock()
        self.device, self.notes, self.metadata = device, notes, metadata

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the network on inputs by name, and return the outputs by name.

        Raises:
            OutOfMemory: there is not enough memory, even on the CPU.
        """
        run, device = self._run, self.device
        try:
            return run(inputs)
        except Exception as error:  # each runtime and driver raises different errors
            if device == CPU:
                raise _clear(error) from error
            run = self._moved(run, error)
        try:
            return run(inputs)
        except Exception as error:
            raise _clear(error) from error

    def _moved(self, failed: Run, error: Exception) -> Run:
        """The run on the CPU after ``failed`` has failed; if several threads fail at once, it moves only once."""
        with self._lock:
            if self._run is failed:
                note = (
                    f"{NAMES[self.device]} failed in the middle of a job ({cause(error)}); from now on the CPU is used."
                )
                _log.warning(note)
                self._run, self.device, self.notes = self._on_cpu(), CPU, (*self.notes, note)
            return self._run


def open_onnx(
    path: Path, device: str = AUTO, threads: int = 1, index: int = 0, runtime: NetworkRuntime | None = None
) -> PlacedNetwork:
    """Open a network in an .onnx file.

    Args:
        path: the file.
        device: one of `uvatar.protocol.devices.DEVICES`. "auto" tries the GPU interfaces that onnxruntime offers, and
            uses the CPU if none starts; the network's notes give the reason.
        threads: number of CPU threads per run.
        index: of the GPU if there are several, from 0.
        runtime: starts sessions; onnxruntime by default.

    Raises:
        DeviceError: an explicitly selected device cannot be used.
        CheckpointError: the file is missing, damaged or not a network.
    """
    wanted = Placement(device, index, threads)
    runtime = runtime or OnnxRuntime()
    if not path.is_file():
        raise CheckpointError(f"The file {path} does not exist.")
    if device == MPS:
        raise unusable(MPS, "onnxruntime has no such device.")
    found = usable(runtime.providers())
    if device not in (AUTO, *found):
        raise unusable(device, f"this onnxruntime has only {', '.join(NAMES[name] for name in found)}.")
    notes: list[str] = []
    for candidate in (name for name in (found if device == AUTO else (device,)) if name != CPU):
        try:
            session = runtime.start(path, candidate, wanted.threads, wanted.index)
        except Exception as error:  # missing libraries, an old driver, too little memory: errors differ
            notes.append(not_started(candidate, device, error))
            continue
        return _placed(session, candidate, path, wanted.threads, runtime, notes)
    return _placed(_on_cpu(path, wanted.threads, runtime), CPU, path, wanted.threads, runtime, notes)


def torch_is_installed() -> bool:
    """Whether PyTorch is installed, without importing it."""
    return importlib.util.find_spec("torch") is not None


def cause(error: Exception) -> str:
    """Why a device failed, in words that fit into a sentence."""
    return "it ran out of memory" if is_out_of_memory(error) else first_line(error)


def not_started(device: str, wanted: str, error: Exception) -> str:
    """The note that a device did not start, where the next one is tried.

    Raises DeviceError if the user asked for this device: ``wanted`` is not "auto".
    """
    why = cause(error) + ("." if is_out_of_memory(error) else "")
    if wanted != AUTO:
        raise unusable(device, why) from error
    return f"{NAMES[device]} could not be started, so another device is used instead: {why}"


def wants_torch(placement: Placement, runtime: NetworkRuntime | None = None) -> bool:
    """Whether only PyTorch supports the selected device: MPS, or CUDA if this onnxruntime lacks it."""
    if placement.device == CUDA:
        missing = CUDA not in usable((runtime or OnnxRuntime()).providers())
        return missing and torch_is_installed()
    return placement.device == MPS


def open_placed(path: Path, placement: Placement, runtime: NetworkRuntime | None = None) -> PlacedNetwork:
    """Open a network in an .onnx file on a placement, see `open_onnx`."""
    return open_onnx(path, placement.device, placement.threads, placement.index, runtime)


def _placed(
    session: NetworkSession, device: str, path: Path, threads: int, runtime: NetworkRuntime, notes: list[str]
) -> PlacedNetwork:
    return PlacedNetwork(
        session.run, device, lambda: _on_cpu(path, threads, runtime).run, tuple(notes), session.metadata
    )


def _on_cpu(path: Path, threads: int, runtime: NetworkRuntime) -> NetworkSession:
    try:
        return runtime.start(path, CPU, threads, 0)
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"There is not enough memory for the network in {path.name}.") from error
        raise CheckpointError(
            f"{path.name} is damaged or not a network; download it again. ({first_line(error)})"
        ) from error


def _clear(error: Exception) -> Exception:
    """The error to raise for an error of a run on the CPU."""
    return (
        OutOfMemory(f"There is not enough memory for a network. ({first_line(error)})")
        if (is_out_of_memory(error))
        else error
    )
