"""Sessions of networks on one device each; the only module that imports onnxruntime.

Tests replace it with their own `NetworkRuntime`, which records where networks are placed and fails on demand.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from uvatar.protocol.devices import COREML, CPU, CUDA, DIRECTML
from uvatar.runtime.devices import PROVIDERS

if TYPE_CHECKING:
    import onnxruntime

_FATAL = 4  # onnxruntime's least verbose level: errors are raised and reported by the caller


class NetworkSession(Protocol):
    """A network on a device.

    Attributes:
        metadata: texts stored with the network, by name.
    """

    @property
    def metadata(self) -> Mapping[str, str]: ...  # noqa: D102

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name. Errors of the runtime are not converted."""
        ...


class NetworkRuntime(Protocol):
    """Starts sessions."""

    def providers(self) -> Sequence[str]:
        """The execution providers that are available, by onnxruntime's names."""
        ...

    def start(self, path: Path, device: str, threads: int, index: int) -> NetworkSession:
        """Start a session of the network in an .onnx file on exactly this device.

        Errors of the runtime are not converted; a RuntimeError is raised if the session runs on another device.

        Args:
            path: the file.
            device: one of `uvatar.protocol.devices.DEVICES`, but not "auto" or "mps".
            threads: number of CPU threads per run.
            index: of the GPU if there are several, from 0.
        """
        ...


class OnnxRuntime:
    """The installed onnxruntime."""

    def providers(self) -> Sequence[str]:
        """See `NetworkRuntime`."""
        import onnxruntime

        names: list[str] = onnxruntime.get_available_providers()
        return names

    def start(self, path: Path, device: str, threads: int, index: int) -> NetworkSession:
        """See `NetworkRuntime`."""
        import onnxruntime

        said = _load_libraries() if device == CUDA else ""
        session = onnxruntime.InferenceSession(
            path,
            _options(device, threads),
            providers=_providers(device, index),
            enable_fallback=0,  # onnxruntime reports its own fallback only on standard output
        )
        # If a provider's libraries are missing, onnxruntime leaves the provider out without an error.
        if session.get_providers()[0] != PROVIDERS[device]:
            raise RuntimeError(said.strip() or "its libraries or its driver are missing or too old.")
        return OnnxSession(session)


class OnnxSession:
    """An InferenceSession as a `NetworkSession`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `NetworkSession`."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def _options(device: str, threads: int) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    if device == DIRECTML:
        options.enable_mem_pattern = False  # required by DirectML's provider
    return options


def _providers(device: str, index: int) -> list[Any]:
    chosen: list[Any] = [PROVIDERS[CPU]]  # runs operations that another provider does not support
    if device in (CUDA, DIRECTML):
        return [(PROVIDERS[device], {"device_id": str(index)}), *chosen]
    if device == COREML:
        return [(PROVIDERS[device], {"ModelFormat": "MLProgram"}), *chosen]
    return chosen


def _load_libraries() -> str:
    """Load CUDA and cuDNN from where pip installed them; returns onnxruntime's messages about missing libraries."""
    import onnxruntime

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(Exception):
        onnxruntime.preload_dlls()
    return said.getvalue()
