"""The devices that networks run on: their names in onnxruntime, and the choice of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from uvatar.protocol.devices import AUTO, COREML, CPU, CUDA, DEVICES, DIRECTML, MPS
from uvatar.protocol.errors import Code, UvatarError

# onnxruntime's names, in the order in which "auto" tries them. Only PyTorch supports MPS.
PROVIDERS: Mapping[str, str] = MappingProxyType({
    CUDA: "CUDAExecutionProvider",
    DIRECTML: "DmlExecutionProvider",
    COREML: "CoreMLExecutionProvider",
    CPU: "CPUExecutionProvider",
})  # fmt: skip
NAMES: Mapping[str, str] = MappingProxyType({name: device.in_words for name, device in DEVICES.items()})
_INSTALL: Mapping[str, str] = MappingProxyType({
    CUDA: "Install onnxruntime-gpu in place of onnxruntime, and NVIDIA's driver",
    DIRECTML: "On Windows, install onnxruntime-directml in place of onnxruntime",
    COREML: "CoreML needs a Mac",
    MPS: "MPS needs a Mac and PyTorch: install uvatar[torch]",
})  # fmt: skip


class DeviceError(UvatarError):
    """A selected device cannot be used; the message gives the reason, and ``fix`` says what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, Code.BAD_OPTION, fix)


@dataclass(frozen=True)
class Placement:
    """Where networks are to run.

    Attributes:
        device: one of `uvatar.protocol.devices.DEVICES`; "auto" selects the first GPU interface that starts, or else
            the CPU.
        index: of the GPU if there are several, from 0.
        threads: number of CPU threads per run.
    """

    device: str = AUTO
    index: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise DeviceError if there is no device of this name."""
        if self.device not in DEVICES:
            raise DeviceError(f"There is no device {self.device!r}.", f"Choose one of {', '.join(DEVICES)}.")


ANYWHERE = Placement()


def usable(providers: Sequence[str]) -> tuple[str, ...]:
    """The devices that onnxruntime's ``providers`` support, best first; the CPU is always included."""
    return tuple(device for device, provider in PROVIDERS.items() if provider in providers or device == CPU)


def unusable(device: str, why: str) -> DeviceError:
    """The error for an explicitly selected device that cannot be used because of ``why``."""
    fix = f"{_INSTALL[device]}, or choose the device auto." if device in _INSTALL else "Choose the device auto."
    return DeviceError(f"The networks cannot run on {NAMES.get(device, device)}: {why}", fix)
