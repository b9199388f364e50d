"""The devices that networks run on, as users choose them: on the command line, in Blender and in messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

AUTO, CPU, CUDA, DIRECTML, COREML, MPS = "auto", "cpu", "cuda", "directml", "coreml", "mps"
DEVICE_VARIABLE = "UVATAR_DEVICE"  # of the environment: the device where a user asks for none


@dataclass(frozen=True)
class Device:
    """A choice of device.

    Attributes:
        label: in a list of choices.
        in_words: in the middle of a sentence.
        about: what it is and what it needs, without a full stop.
    """

    label: str
    in_words: str
    about: str


# By the name that users select, and that messages and results contain.
DEVICES: Mapping[str, Device] = MappingProxyType({
    AUTO: Device("Automatic", "automatic", "The best GPU interface that starts, otherwise the CPU"),
    CPU: Device("CPU", "the CPU", "Never a GPU"),
    CUDA: Device("CUDA", "CUDA", "An NVIDIA GPU; needs onnxruntime-gpu"),
    DIRECTML: Device("DirectML", "DirectML", "Any GPU on Windows; needs onnxruntime-directml"),
    COREML: Device("CoreML", "CoreML", "Apple's processors"),
    MPS: Device("MPS", "MPS", "Apple's GPUs; needs the backend with PyTorch"),
})  # fmt: skip
