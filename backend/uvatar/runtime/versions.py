"""Versions and devices of this installation, for `uvatar status` and `uvatar doctor`; never sent anywhere."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from uvatar.protocol.version import __version__

PACKAGES = (
    "numpy", "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "torch", "ai-edge-litert",
    "opencv-python-headless", "pillow", "pillow-heif", "scipy", "embreex", "safetensors", "pyzmq", "psutil",
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


def processors() -> str:
    """This computer's processor, in words."""
    return f"{os.cpu_count()} processor cores"
