"""onnxruntime, the only module that imports it: sessions of networks on one device each.

Tests put a `Runtime` of their own in its place, which records where networks are placed and fails on demand.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from uvatar.runtime.devices import COREML, CPU, CUDA, DIRECTML, PROVIDERS

if TYPE_CHECKING:
    import onnxruntime

_FATAL = 4  # onnxruntime's least talkative level: what goes wrong is raised, and said by whoever catches it


class Session(Protocol):
    """A network on a device.

    Attributes:
        metadata: texts by name that were stored with the network.
    """

    @property
    def metadata(self) -> Mapping[str, str]: ...  # noqa: D102

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name. Raises whatever the runtime raises."""
        ...


class Runtime(Protocol):
    """What starts sessions."""

    def providers(self) -> Sequence[str]:
        """What onnxruntime can run networks on here, by its own names."""
        ...

    def start(self, path: Path, device: str, threads: int, index: int) -> Session:
        """A session of the network in an .onnx file on exactly this device; raises whatever the runtime raises."""
        ...


class OnnxRuntime:
    """The installed onnxruntime."""

    def providers(self) -> Sequence[str]:
        """See `Runtime`."""
        import onnxruntime

        names: list[str] = onnxruntime.get_available_providers()
        return names

    def start(self, path: Path, device: str, threads: int, index: int) -> Session:
        """See `Runtime`."""
        import onnxruntime

        said = _load_libraries() if device == CUDA else ""
        session = onnxruntime.InferenceSession(
            path,
            _options(device, threads),
            providers=_providers(device, index),
            enable_fallback=0,  # onnxruntime's own says nothing of it but on the standard output
        )
        # Where a provider's libraries are missing, onnxruntime leaves the provider out and raises nothing.
        if session.get_providers()[0] != PROVIDERS[device]:
            raise RuntimeError(said.strip() or "its libraries or its driver are missing or too old.")
        return OnnxSession(session)


class OnnxSession:
    """An InferenceSession as a `Session`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Session`."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def _options(device: str, threads: int) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    if device == DIRECTML:
        options.enable_mem_pattern = False  # DirectML's provider asks for it
    return options


def _providers(device: str, index: int) -> list[Any]:
    chosen: list[Any] = [PROVIDERS[CPU]]  # takes over single operations that another provider does not have
    if device in (CUDA, DIRECTML):
        return [(PROVIDERS[device], {"device_id": str(index)}), *chosen]
    if device == COREML:
        return [(PROVIDERS[device], {"ModelFormat": "MLProgram"}), *chosen]
    return chosen


def _load_libraries() -> str:
    """Load CUDA and cuDNN where pip has put them; what onnxruntime says of those that are missing."""
    import onnxruntime

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(Exception):
        onnxruntime.preload_dlls()
    return said.getvalue()
