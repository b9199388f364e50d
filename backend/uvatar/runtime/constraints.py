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


def constraints_file() -> Path | None:
    """The file of pinned packages for this system and Python (``tools/lock_dependencies.py`` makes it).

    None if this system and Python were not tested.
    """
    if platform.machine().lower() not in _MACHINES.get(sys.platform, ()):
        return None
    package = Path(__file__).resolve().parents[1]
    name = f"{_SYSTEMS[sys.platform]}-py{sys.version_info[0]}{sys.version_info[1]}.txt"
    candidates = (package / "_constraints" / name, package.parents[1] / "constraints" / name)
    return next((path for path in candidates if path.is_file()), None)


def versions_in(path: Path) -> dict[str, str]:
    """The versions that a constraints file pins, by normalised package name."""
    return dict(_PIN.findall(path.read_text(encoding="utf-8")))


def differences() -> list[Difference]:
    """Packages whose version is not the tested one; empty if this system and Python were not tested."""
    path = constraints_file()
    found = []
    for name, tested in versions_in(path).items() if path else ():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed is None or installed.split("+")[0] != tested:  # "2.12.1+cpu" is another build of the same version
            found.append(Difference(name, installed, tested))
    return found
