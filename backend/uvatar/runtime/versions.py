"""Versions and devices of this installation, for `uvatar status` and `uvatar doctor`; never sent anywhere."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from uvatar.protocol.version import __version__

PACKAGES = (
    "numpy", "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "torch", "ai-edge-litert",
    "opencv-python-headless", "pillow", "pi-heif", "scipy", "embreex", "safetensors", "pyzmq", "psutil",
)  # fmt: skip


def installed() -> dict[str, str]:
    """The versions of Uvatar, Python, this system and important packages; missing packages are left out."""
    found = {
        "uvatar": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """What a model process computes on: the GPU if torch is loaded and finds one, else the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)} (GPU) and {os.cpu_count()} processor cores"
    return f"{os.cpu_count()} processor cores"
