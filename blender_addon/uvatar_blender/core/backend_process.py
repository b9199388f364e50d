# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the backend as a separate process that ends with Blender."""

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

from ..protocol import discovery, framing, handshake
from ..protocol.framing import MAGIC
from ..protocol.private_files import private_output
from .problem import NOT_INSTALLED, Problem, Remedy, outdated
from .zmtp import Dealer

# `uvatar serve` exits with this code if the data folder already has a server, to which the add-on can connect.
EXIT_ALREADY_SERVED = 3
STAMP = "uvatar-environment.json"  # in an environment that `setup` made
OLDEST = (0, 2)  # oldest version that this add-on can start: the module of earlier ones is not called `uvatar`
_LOG_TAIL_BYTES = 4000
_STOP_SECONDS = 2.0  # that a backend has to answer; Blender waits for it


class BackendNotFound(Exception):
    """There is no backend at the given location."""


class BackendOutdated(BackendNotFound):
    """The backend there was set up by an older add-on and cannot be started; ``version`` is its version."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


def find_command(location: str) -> list[str]:
    """Find the command that runs the backend's command line.

    Args:
        location: the ``uvatar`` program, a Python executable that has it installed, or the folder of a virtual
            environment. If empty, the environment that was set up from Blender, or else ``uvatar`` on the search path.

    Raises:
        BackendOutdated: the backend there is too old.
        BackendNotFound: there is no backend.
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
    """Return the command for an environment that `setup` made; with -P nothing is imported from the working folder."""
    if old := outdated_version(environment):
        raise BackendOutdated(old)
    return [str(environment_python(environment)), "-P", "-m", "uvatar"]


def clean_environment() -> dict[str, str]:
    """Return the environment variables of this process, without those that lead other Pythons to Blender's files."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")
    }


def without_console() -> dict[str, Any]:
    """Return arguments for ``subprocess`` that keep Windows from opening a console window."""
    return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)}


def environment_folder() -> Path:
    """Return where `setup` creates the backend's environment if no other folder is chosen."""
    return discovery.data_folder() / "environment"


def environment_python(folder: Path) -> Path:
    """Return the Python executable of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def is_complete(folder: Path) -> bool:
    """Whether a folder is an environment that `setup` has finished."""
    with suppress(OSError, ValueError, AttributeError):
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return stamp.get("complete") is True and environment_python(folder).exists()
    return False


def outdated_version(folder: Path) -> str:
    """Return the version of the backend in an environment that `setup` made, if it is too old; otherwise ""."""
    with suppress(OSError, ValueError, AttributeError):
        version = str(json.loads((folder / STAMP).read_text(encoding="utf-8")).get("version"))
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            return version
    return ""


class BackendProcess:
    """A backend that is started from Blender when needed. Methods may be called from any thread."""

    def __init__(self, location: str, device: str = "") -> None:
        """Remember the location (see `find_command`) and the device for ``serve --device`` (empty for the backend's
        default); nothing is started yet.
        """
        self._location = location
        self._device = device
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def start(self) -> Problem | None:
        """Start the server, without waiting for it.

        It ends when the pipe to its standard input closes, however Blender ends.

        Returns:
            Why it cannot be started, or None.
        """
        with self._lock:
            if self._stopped or self._process is not None:
                return None
            try:
                command = find_command(self._location)
                chosen = ["--device", self._device] if self._device else []
                discovery.private_subfolder("logs")
                with private_output(log_file()) as output:
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
        """Whether it was started and has not ended."""
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def failure(self) -> Problem | None:
        """Return why it ended, from the last line of its log; None if it runs, or another server runs instead."""
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
        """Ask the backend to end, or keep it from starting. It finishes writing; the next server continues its jobs."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()


def log_file() -> Path:
    """Return the log file of a backend that was started from Blender."""
    return discovery.data_folder() / "logs" / "started-by-blender.log"


def log_tail() -> str:
    """Return the end of the log of the last backend that was started from Blender."""
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
    """Ask this user's backend to end, whoever started it, even if it speaks version 1 of the protocol.

    The next backend continues its jobs. No process is killed by its id: the file with the id outlives a server that was
    killed, and the id and the port may meanwhile belong to another program, which ignores this request.

    Returns:
        Whether the backend replied that it ends.
    """
    # UvatarError and ZmtpError are among these.
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        told = json.loads(discovery.runtime_file(discovery.data_folder()).read_bytes())
        request, token, port = {"kind": "shutdown", "request": "stop"}, str(told["token"]), int(told["port"])
        with closing(Dealer("127.0.0.1", port, _STOP_SECONDS)) as dealer:
            if told["protocol"] == 1:
                whole = {"magic": MAGIC, "protocol": 1, "body": {"token": token, **request}}
                dealer.send([json.dumps(whole).encode("ascii")], _STOP_SECONDS)
            else:
                asked = handshake.challenge()
                dealer.send([asked], _STOP_SECONDS)
                handshake.check_proof(dealer.receive(_STOP_SECONDS) or [b""], asked, token, port)
                dealer.send([token.encode(), *framing.pack(request)], _STOP_SECONDS)
            reply = dealer.receive(_STOP_SECONDS)
            body = json.loads(reply[0])["body"] if reply else {}
            return bool(body["kind"] == "bye" and body["request"] == "stop")
    return False
