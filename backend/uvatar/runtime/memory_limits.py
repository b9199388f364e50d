"""How much memory this process may use: the computer's, or less in a container or under a service manager.

Linux keeps such limits in control groups (the kernel's Documentation/admin-guide/cgroup-v2.rst; version 1:
cgroup-v1/memory.rst). A process that exceeds one is killed without a message, and the system-wide figures that `psutil`
gives do not include them. On other systems only the computer's memory counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

# Bytes of a model process with its models, and additional bytes per pixel of the photo while it is decoded and
# processed. Measured on Linux, one person, largest resident size: 1.28 GB (fast) and 1.34 GB with a JPEG of 1
# megapixel. A photo adds 10 to 14 bytes per pixel for JPEGs of 96 and 24 megapixels, and 12 (16-bit grey) to 20 (dim
# 16-bit colour) for PNGs of 99 megapixels.
MODEL_BYTES = 1_300_000_000
PIXEL_BYTES = 20

_ROOT = Path("/")
_NO_LIMIT = 1 << 60  # version 1 writes the largest multiple of a page for "none"


@dataclass(frozen=True)
class Memory:
    """Memory in bytes.

    Attributes:
        total: what all programs here may use together.
        available: what is left of it.
        limited: whether it is a container's or a service's share rather than the computer's memory.
    """

    total: int
    available: int
    limited: bool = False

    def describe(self, verb: str = "") -> str:
        """The figures in words; ``verb`` is "are " to form a sentence."""
        where = " that this container or service may use" if self.limited else ""
        return f"{self.available / 1e9:.1f} GB {verb}free of {self.total / 1e9:.1f} GB{where}"


@dataclass(frozen=True)
class _Group:
    """A control group's folder, and the names of its files.

    Attributes:
        cache: the line of ``memory.stat`` that counts memory which can be reclaimed without harm.
        kills: the file with the line ``oom_kill``.
    """

    folder: Path
    limit: str
    used: str
    cache: str
    kills: str


def memory(root: Path = _ROOT) -> Memory:
    """The memory that this process may use, and what of it is available now.

    Args:
        root: where ``proc`` and ``sys`` are, for tests.
    """
    computer = psutil.virtual_memory()
    found = Memory(computer.total, computer.available)
    for group in _groups(root):
        limit = _number(group.folder / group.limit)
        used = _number(group.folder / group.used)
        if limit is None or used is None or limit >= min(found.total, _NO_LIMIT):
            continue
        used -= _entry(group.folder / "memory.stat", group.cache) or 0
        found = Memory(limit, min(found.available, max(limit - used, 0)), limited=True)
    return found


def kills(root: Path = _ROOT) -> int | None:
    """How many processes the system has killed so far because memory ran out; None if unknown.

    If this process is in a control group, only processes of that group count.
    """
    for group in _groups(root):
        count = _entry(group.folder / group.kills, "oom_kill")
        if count is not None:
            return count
    return _entry(root / "proc" / "vmstat", "oom_kill") if root != _ROOT or sys.platform == "linux" else None


def needed(pixels: int = 0) -> str:
    """How much memory a model process needs, also with a photo of so many pixels, in a sentence."""
    words = f"A model process needs about {MODEL_BYTES / 1e9:.1f} GB"
    if pixels:
        words += (
            f", and with a photo of {pixels / 1e6:.0f} megapixels up to "
            f"{(MODEL_BYTES + PIXEL_BYTES * pixels) / 1e9:.1f} GB"
        )
    return f"{words}; here {memory().describe(verb='are ')}."


FIX = (
    "Close other programs, use smaller photos or fewer model processes, or give the container or service more "
    "memory if it runs in one."
)


def _groups(root: Path) -> Iterator[_Group]:
    """The control groups that this process is in, from the innermost outwards; the limit of each counts."""
    if root == _ROOT and sys.platform != "linux":
        return
    with suppress(OSError, ValueError):
        for line in (root / "proc" / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                names = ("memory.max", "memory.current", "inactive_file", "memory.events")
                base = root / "sys" / "fs" / "cgroup"
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory.oom_control")
                base = root / "sys" / "fs" / "cgroup" / "memory"
            else:
                continue
            # Inside a container its own group is at the top, whatever its path on the host.
            inner = PurePosixPath(path).relative_to("/") if path.startswith("/") else PurePosixPath()
            for place in (inner, *inner.parents):
                if (base / place).is_dir():
                    yield _Group(base / place, *names)


def _number(path: Path) -> int | None:
    """The number in a file, None if there is none ("max")."""
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _entry(path: Path, name: str) -> int | None:
    """The number in a line ``name number``."""
    with suppress(OSError, ValueError, IndexError):
        return next(
            (int(line.split()[1]) for line in path.read_text().splitlines() if line.split()[:1] == [name]), None
        )
    return None
