# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that the backend was tested with: the add-on's zip has lists for each system and Python version."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# "name==version --hash=sha256:… # bytes of the wheel", as tools/lock_dependencies.py writes it.
_LINE = re.compile(r"^([a-z0-9-]+)==\S+ .*# (\d+)$", re.MULTILINE)
_SYSTEMS = {"linux": "linux-x86_64", "win32": "windows-amd64", "darwin": "macos-arm64"}
_TAGS = {"linux-x86_64": "linux", "windows-amd64": "windows", "macos-arm64": "macos"}


class PackageSet(Enum):
    """What the artist can have set up; the value is in the environment's stamp."""

    LIGHT = "light"
    TORCH = "torch"  # with PyTorch

    @property
    def ending(self) -> str:
        """Of the lists' names."""
        return "" if self is PackageSet.LIGHT else "-torch"

    @property
    def extra(self) -> str:
        """What pip is to install with the backend, after its name."""
        return "" if self is PackageSet.LIGHT else "[torch]"


@dataclass(frozen=True)
class Packages:
    """The packages to install.

    Attributes:
        path: file of the list; None if there is none.
        sizes: normalised package name -> bytes to download.
    """

    path: Path | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Bytes to download; 0 if not known."""
        return sum(self.sizes.values())

    def share(self, installed: Collection[str]) -> float:
        """Return the fraction of the packages that is installed, 0 to 1, by size."""
        return sum(size for name, size in self.sizes.items() if name in installed) / max(self.total, 1)


def packages_for(folder: Path | None, tag: str, choice: PackageSet = PackageSet.LIGHT) -> Packages | None:
    """Read the list for the tag of an environment; None if there is no list, because it was not tested.

    Args:
        folder: where the lists are.
        tag: for example "linux-x86_64-py312", see `pythons.TAG_PROGRAM`.
    """
    machine, _, python = tag.strip().rpartition("-")
    if folder is None or machine not in _TAGS:
        return None
    path = folder / f"{_TAGS[machine]}-{python}{choice.ending}.txt"
    with suppress(OSError):
        found = _LINE.findall(path.read_text(encoding="utf-8"))
        return Packages(path, {name: int(size) for name, size in found})
    return None


def expected_download(folder: Path | None, choice: PackageSet = PackageSet.LIGHT) -> int:
    """Return how many bytes a set-up on this system downloads with Python 3.12; 0 if not known."""
    tested = packages_for(folder, f"{_SYSTEMS.get(sys.platform, '')}-py312", choice)
    return tested.total if tested else 0


def installed_names(environment: Path) -> set[str]:
    """Return the normalised names of the packages in a virtual environment."""
    found = [
        *environment.glob("Lib/site-packages/*.dist-info"),
        *environment.glob("lib/python3*/site-packages/*.dist-info"),
    ]
    return {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in found if (path / "RECORD").exists()}
