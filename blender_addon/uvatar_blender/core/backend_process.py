# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the backend as a separate process that ends with Blender."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..protocol import discovery
from ..protocol.framing import MAGIC
from .problem import NOT_INSTALLED, Problem, Remedy, outdated
from .zmtp import Dealer

# `uvatar serve` ends with this code where the data folder has a server already: then there is one to connect to.
EXIT_ALREADY_SERVED = 3
STAMP = "uvatar-environment.json"  # in an environment that `setup` made
OLDEST = (0, 2)  # what this add-on can start: before, the backend's module had another name than `uvatar`
_LOG_TAIL_BYTES = 4000
_STOP_SECONDS = 2.0  # for a backend to answer; Blender waits for it


class BackendNotFound(Exception):
    """There is no backend at the given location."""


class BackendOutdated(BackendNotFound):
    """The backend there was set up by an older add-on and cannot be started; ``version`` is the backend's."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


def find_command(location: str) -> list[str]:
    """The command that runs the backend's command line.

    Args:
        location: the ``uvatar`` program, or a Python executable that has it installed, or a folder of a virtual
            environment; nothing for the environment that was set up from Blender, else the one on the search path.

    Raises BackendNotFound, of which BackendOutdated is one.
    """
    if not location:
        if is_complete(environment_folder()):
            return _run_in(environment_folder())
        found = shutil.which("uvatar")
        if found is None:
            raise BackendNotFound("uvatar is not on the search path")
        return [found]
    path = Path(location).expanduser()
    if is_complete(path):
        return _run_in(path)
    if path.is_dir():
        programs = path / ("Scripts" if sys.platform == "win32" else "bin")
        candidates = [programs / f"uvatar{suffix}" for suffix in ("", ".exe")]
        path = next((candidate for candidate in candidates if candidate.is_file()), path)
    if not path.is_file():
        raise BackendNotFound(location)
    return [str(path), "-m", "uvatar"] if path.stem.lower().startswith("python") else [str(path)]


def _run_in(environment: Path) -> list[str]:
    """The backend in an environment that `setup` made; whatever is in Blender's working folder is not taken for it
    (-P).

    Raises BackendOutdated.
    """
    if old := outdated_version(environment):
        raise BackendOutdated(old)
    return [str(environment_python(environment)), "-P", "-m", "uvatar"]


def clean_environment() -> dict[str, str]:
    """This process's environment without what points Python programs at Blender's own Python."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")
    }


def without_console() -> dict[str, Any]:
    """Options for ``subprocess`` that keep Windows from opening a console window."""
    return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}


def environment_folder() -> Path:
    """Where `setup` creates the backend's environment if no other folder is chosen."""
    return discovery.data_folder() / "environment"


def environment_python(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def is_complete(folder: Path) -> bool:
    """Whether a folder is an environment that `setup` has finished."""
    with suppress(OSError, ValueError, AttributeError):
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return stamp.get("complete") is True and environment_python(folder).exists()
    return False


def outdated_version(folder: Path) -> str:
    """The version of the backend in an environment that `setup` made, if this add-on cannot start it; else nothing."""
    with suppress(OSError, ValueError, AttributeError):
        version = str(json.loads((folder / STAMP).read_text(encoding="utf-8")).get("version"))
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            return version
    return ""


class BackendProcess:
    """A backend that is started from here when needed. Methods may be called from any thread."""

    def __init__(self, location: str, device: str = "") -> None:
        """``location``: see `find_command`; ``device``: of ``--device``, nothing for the backend's default."""
        self._location = location
        self._device = device
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
                chosen = ["--device", self._device] if self._device else []
                log_file().parent.mkdir(parents=True, exist_ok=True)
                with open(log_file(), "wb") as output:
                    self._process = subprocess.Popen(
                        [*command, "serve", "--exit-with-parent", *chosen],
                        stdin=subprocess.PIPE,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=clean_environment(),
                        **without_console(),
                    )
            except BackendOutdated as error:
                return outdated(error.version)
            except BackendNotFound:
                return NOT_INSTALLED
            except OSError as error:
                return Problem(
                    f"The backend could not be started: {error.strerror or error}.",
                    "Check its path in the preferences.",
                    Remedy.PREFERENCES,
                )
            return None

    @property
    def running(self) -> bool:
        """Whether it was started, or is being started, and has not ended."""
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def failure(self) -> Problem | None:
        """Why it ended, in its own last line; None while it runs, or where another server runs in its stead."""
        code = self._process.poll() if self._process is not None else None
        if code in (None, 0, EXIT_ALREADY_SERVED):
            return None
        lines = log_tail().strip().splitlines()
        reason = lines[-1].strip() if lines else f"it exited with code {code}."
        if reason.endswith("No module named uvatar"):
            place = self._location or str(environment_folder())
            message = f"Uvatar is not installed in {place}."
            if is_complete(Path(place).expanduser()):
                return Problem(message, "Set up the backend again.", Remedy.SETUP)
            return Problem(message, "Install it there or choose another location.", Remedy.PREFERENCES)
        return Problem(f"The backend could not start: {reason}", "See its log for details.", Remedy.LOG)

    def stop(self) -> None:
        """Let it end, or not begin: it finishes what it is writing; jobs go on when a server is started again."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()


def log_file() -> Path:
    """Where a backend that was started here writes what it says."""
    return discovery.data_folder() / "logs" / "started-by-blender.log"


def log_tail() -> str:
    """The end of what the last backend that was started here has written."""
    with suppress(OSError):
        return log_file().read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    return ""


def stop_and_wait() -> None:
    """`stop_running`, and wait some seconds until another can be started in its stead."""
    deadline = time.monotonic() + _STOP_SECONDS
    if stop_running():
        while discovery.read_runtime(discovery.data_folder()) is not None and time.monotonic() < deadline:
            time.sleep(0.05)


def stop_running() -> bool:
    """Ask this user's backend to end, whoever started it and whatever version it speaks; whether it said that it does.

    Jobs go on with the next one.  No process is ever killed by its id: the file that tells the id outlives a server
    that was killed, and then the id, and the port, may long be another program's, which takes no notice of what is
    asked here.
    """
    with suppress(
        OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError
    ):  # of which UvatarError and ZmtpError are some
        told = json.loads(discovery.runtime_file(discovery.data_folder()).read_bytes())
        request = {"kind": "shutdown", "token": str(told["token"]), "request": "stop"}
        header = json.dumps(
            {"magic": MAGIC, "protocol": told["protocol"], "body": request}
        )  # in the server's own version
        with closing(Dealer("127.0.0.1", int(told["port"]), _STOP_SECONDS)) as dealer:
            dealer.send([header.encode("ascii")], _STOP_SECONDS)
            reply = dealer.receive(_STOP_SECONDS)
            body = json.loads(reply[0])["body"] if reply else {}
            return bool(body["kind"] == "bye" and body["request"] == "stop")
    return False
