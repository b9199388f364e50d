"""The package versions that Uvatar was tested with, and how this installation differs from them."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
_SYSTEMS = {"linux": "linux", "win32": "windows", "darwin": "macos"}
# Lists beside the plain one, by the package that only they have. The first two replace the plain one: their package
# takes onnxruntime's place.
_RUNTIMES = {"onnxruntime-gpu": "-cuda", "onnxruntime-directml": "-directml"}
_ADDITIONS = {"torch": "-torch"}
_MACHINES = {"linux": ("x86_64",), "win32": ("amd64", "x86_64"), "darwin": ("arm64",)}


@dataclass(frozen=True)
class Difference:
    """A package whose version is not the tested one.

    Attributes:
        name: the package.
        installed: its version here; None if it is missing.
        tested: the version that was tested.
    """

    name: str
    installed: str | None
    tested: str

    def __str__(self) -> str:
        return f"{self.name} is {self.installed or 'missing'}, but {self.tested} was tested"


def constraints_file(ending: str = "") -> Path | None:
    """The file of pinned packages for this system and Python (``tools/lock_dependencies.py`` makes it).

    ``ending``: of the file's name, such as "-torch". None if this system and Python were not tested.
    """
    if platform.machine().lower() not in _MACHINES.get(sys.platform, ()):
        return None
    package = Path(__file__).resolve().parents[1]
    name = f"{_SYSTEMS[sys.platform]}-py{sys.version_info[0]}{sys.version_info[1]}{ending}.txt"
    candidates = (package / "_constraints" / name, package.parents[1] / "constraints" / name)
    return next((path for path in candidates if path.is_file()), None)


def versions_in(path: Path) -> dict[str, str]:
    """The versions that a constraints file pins, by normalised package name."""
    return dict(_PIN.findall(path.read_text(encoding="utf-8")))


def runtimes() -> list[str]:
    """The installed packages that bring ONNX Runtime. More than one overwrite each other's files."""
    return [name for name in ("onnxruntime", *_RUNTIMES) if _version(name) is not None]


def differences() -> list[Difference]:
    """Packages whose version is not the tested one; empty if this system and Python were not tested."""
    runtime = next((ending for name, ending in _RUNTIMES.items() if _version(name)), "")
    endings = [runtime, *(ending for name, ending in _ADDITIONS.items() if _version(name))]
    files = [path for path in map(constraints_file, endings) if path is not None]
    pins = {name: tested for path in reversed(files) for name, tested in versions_in(path).items()}
    if runtime:
        pins.pop("onnxruntime", None)  # the list with PyTorch has it
    found = []
    for name, tested in pins.items():
        installed = _version(name)
        if installed is None or installed.split("+")[0] != tested:  # "2.12.1+cpu" is another build of the same version
            found.append(Difference(name, installed, tested))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
