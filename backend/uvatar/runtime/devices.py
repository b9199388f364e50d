"""The devices that networks run on: their names, what onnxruntime calls them, and which of them to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from uvatar.protocol.errors import Code, UvatarError

AUTO, CPU, CUDA, DIRECTML, COREML, MPS = "auto", "cpu", "cuda", "directml", "coreml", "mps"
DEVICES = (AUTO, CPU, CUDA, DIRECTML, COREML, MPS)  # what a user can ask for
# onnxruntime's names, in the order in which "auto" tries them. MPS is PyTorch's alone.
PROVIDERS: Mapping[str, str] = MappingProxyType({
    CUDA: "CUDAExecutionProvider",
    DIRECTML: "DmlExecutionProvider",
    COREML: "CoreMLExecutionProvider",
    CPU: "CPUExecutionProvider",
})  # fmt: skip
NAMES: Mapping[str, str] = MappingProxyType({
    AUTO: "automatic", CPU: "the CPU", CUDA: "CUDA", DIRECTML: "DirectML", COREML: "CoreML", MPS: "MPS",
})  # fmt: skip
_INSTALL: Mapping[str, str] = MappingProxyType({
    CUDA: "Install onnxruntime-gpu in place of onnxruntime, and NVIDIA's driver",
    DIRECTML: "On Windows, install onnxruntime-directml in place of onnxruntime",
    COREML: "CoreML needs a Mac",
    MPS: "MPS needs a Mac and PyTorch: install uvatar[torch]",
})  # fmt: skip


class DeviceError(UvatarError):
    """A device that was asked for by name cannot be used; the message says why, the fix what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, Code.BAD_OPTION, fix)


@dataclass(frozen=True)
class Placement:
    """Where networks are to run.

    Attributes:
        device: one of `DEVICES`; "auto" is the first GPU interface that starts, else the CPU.
        index: which of several GPUs, from 0.
        threads: CPU threads of one run.
    """

    device: str = AUTO
    index: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Raises DeviceError for a device that does not exist."""
        if self.device not in DEVICES:
            raise DeviceError(f"There is no device {self.device!r}.", f"Choose one of {', '.join(DEVICES)}.")


ANYWHERE = Placement()


def usable(providers: Sequence[str]) -> tuple[str, ...]:
    """The devices among onnxruntime's ``providers``, best first; the CPU is always one of them."""
    return tuple(device for device, provider in PROVIDERS.items() if provider in providers or device == CPU)


def unusable(device: str, why: str) -> DeviceError:
    """The error for a device that was asked for by name."""
    fix = f"{_INSTALL[device]}, or choose the device auto." if device in _INSTALL else "Choose the device auto."
    return DeviceError(f"The networks cannot run on {NAMES.get(device, device)}: {why}", fix)
