# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the backend as a process of its own, that ends with Blender."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from . import wire
from .problem import NOT_INSTALLED, Problem, Remedy

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


class BackendProcess:
    """A backend to be started from here when it is needed. Methods may be called from any thread."""

    def __init__(self, location: str) -> None:
        """``location``: see `find_command`."""
        self._location = location
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def start(self) -> Problem | None:
        """Run the server, without waiting for it; why that cannot be done, or None.

        It ends when our end of its standard input closes, however Blender ends.
        """
        with self._lock:
            if self._stopped or self._process is not None:
                return None
            try:
                command = find_command(self._location)
                log_file().parent.mkdir(parents=True, exist_ok=True)
                with open(log_file(), "wb") as output:
                    self._process = subprocess.Popen(
                        [*command, "serve", "--exit-with-parent"],
                        stdin=subprocess.PIPE,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=clean_environment(),
                        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                    )
            except BackendNotFound:
                return NOT_INSTALLED
            except OSError as error:
                return Problem(f"The backend could not be started: {error.strerror or error}.", "Check its place.", Remedy.PREFERENCES)
            return None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def failure(self) -> Problem | None:
        """Why it ended, in its own last line; None while it runs, or where another server runs in its stead."""
        code = self._process.poll() if self._process is not None else None
        if code in (None, 0, EXIT_ALREADY_SERVED):
            return None
        lines = log_tail().strip().splitlines()
        reason = lines[-1].strip() if lines else f"it ended with code {code}."
        return Problem(f"The backend could not start: {reason}", "Its log says more.", Remedy.LOG)

    def stop(self) -> None:
        """Let it end, or not begin: it finishes what it is writing; jobs go on when a server is started again."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()


def log_file() -> Path:
    """Where a backend that was started here writes what it says."""
    return wire.data_folder() / "logs" / "started-by-blender.log"


def log_tail() -> str:
    """The end of what the last backend that was started here has written."""
    with suppress(OSError):
        return log_file().read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    return ""
