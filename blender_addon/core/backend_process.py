# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the backend as a process of its own, that ends with Blender."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import wire

# `uvatar serve` ends with this code where the data folder has a server already: then there is one to connect to.
EXIT_ALREADY_SERVED = 3
_LOG_TAIL_BYTES = 4000


class BackendNotFound(Exception):
    """There is no backend at the given place."""


def find_command(location: str) -> list[str]:
    """The command that runs the backend's command line.

    Args:
        location: the ``uvatar`` program, or a Python executable that has it installed, or a folder of a virtual
            environment; nothing to look on the search path.

    Raises BackendNotFound.
    """
    if not location:
        found = shutil.which("uvatar")
        if found is None:
            raise BackendNotFound("uvatar is not on the search path")
        return [found]
    path = Path(location).expanduser()
    if path.is_dir():
        programs = path / ("Scripts" if sys.platform == "win32" else "bin")
        candidates = [programs / f"uvatar{suffix}" for suffix in ("", ".exe")]
        path = next((candidate for candidate in candidates if candidate.is_file()), path)
    if not path.is_file():
        raise BackendNotFound(location)
    return [str(path), "-m", "backend"] if path.stem.lower().startswith("python") else [str(path)]


def clean_environment() -> dict[str, str]:
    """This process's environment without what points Python programs at Blender's own Python."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")}


@dataclass
class BackendProcess:
    """A backend that was started here.

    Attributes:
        process: its process; the server ends when our end of its standard input closes, however Blender ends.
        log: file with what it wrote to its standard output and error.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, command: list[str]) -> BackendProcess:
        """Run ``command serve``; returns at once. OSError where it cannot be run or its log not be written."""
        log = log_file()
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [*command, "serve", "--exit-with-parent"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        return cls(process, log)

    def failure(self) -> str | None:
        """Why it ended, in its own last line, or None while it runs (or where another server runs already)."""
        code = self.process.poll()
        if code in (None, 0, EXIT_ALREADY_SERVED):
            return None
        lines = self.log_tail().strip().splitlines()
        return lines[-1].strip() if lines else f"it ended with code {code}"

    def log_tail(self) -> str:
        """The end of what it wrote."""
        with suppress(OSError):
            return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
        return ""

    def stop(self) -> None:
        """Let it end: it finishes what it is writing; jobs go on when a server is started again."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()


def log_file() -> Path:
    """Where a backend that was started here writes what it says."""
    return wire.data_folder() / "logs" / "started-by-blender.log"
