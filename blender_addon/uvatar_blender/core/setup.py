# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up the backend in a virtual environment of its own, in the user's data folder.

Nothing is installed anywhere else. A new environment is made beside its final place and moved there when it works, so
an update that fails leaves the old one. A stamp says whether an environment is complete; otherwise it is never started.

The packages are those that Uvatar was tested with, checked by their hashes: the add-on's zip has a list for each system
and Python version. At the end the self-test makes an avatar and compares it with known values, so that an environment
that makes wrong avatars is never used.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..protocol import discovery
from .backend_process import clean_environment, environment_python, without_console
from .environment_stamp import read_stamp, write_stamp
from .packages import Packages, PackageSet, installed_names, packages_for
from .problem import Problem, Remedy, in_words
from .pythons import ADVICE, TAG_PROGRAM, bundled_pip, fetched_python_folder, find_python, find_uv
from .setup_errors import explain

# Bytes that an environment takes. Measured on Linux, where torch brings its GPU libraries; on other systems torch is
# much smaller.
INSTALLED = {
    PackageSet.LIGHT: 700 * 10**6,
    PackageSet.TORCH: (5700 if sys.platform.startswith("linux") else 1600) * 10**6,
}
# Bytes that must be free for an environment and its downloads, which are kept until they are installed.
NEEDED = {PackageSet.LIGHT: 10**9, PackageSet.TORCH: (9 if sys.platform.startswith("linux") else 3) * 10**9}

PIP = "pip>=24.1"  # the first version that reports its progress
PROGRESS_BAR = ("--progress-bar", "raw")

LOOK_SECONDS = 0.5  # between two looks at what pip has installed
_LOG_TAIL_BYTES = 8000
# Progress (0 to 1) at which each step begins, in proportion to the time that it takes on Linux.
_DOWNLOADING, _INSTALLING, _TRYING, _FETCHING = 0.08, 0.70, 0.95, 0.98


@dataclass(frozen=True)
class SetupOptions:
    """What to set up, and where.

    Attributes:
        folder: of the environment; it must be empty or missing, or an environment of Uvatar's.
        backend: what pip installs: the path of a wheel, or a requirement.
        index: URL of a package index; empty for the one that pip is configured to use.
        needed: bytes that must be free; 0 for what `NEEDED` says.
        tested: folder with the lists of tested packages; None to take what the index has.
        extension: like ``backend``, for `uvatar-blender`, with which the command line writes .blend and .glb files;
            empty to leave it out.
        choice: whether PyTorch is installed, too.
        parser: whether Google's parser of people is downloaded, too.
    """

    folder: Path
    backend: str
    index: str = ""
    needed: int = 0
    tested: Path | None = None
    extension: str = ""
    choice: PackageSet = PackageSet.LIGHT
    parser: bool = False


@dataclass(frozen=True)
class SetupProgress:
    """The progress of a set-up: ``fraction`` is 0 to 1, ``message`` says what it does in words for the user."""

    fraction: float
    message: str


class SetupError(Exception):
    """The set-up cannot continue; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class SetupCancelled(Exception):
    """The user has cancelled the set-up."""


def log_file() -> Path:
    """Return the log file of the last set-up."""
    return discovery.data_folder() / "logs" / "setup.log"


def log_tail() -> str:
    """Return the end of the log of the last set-up."""
    with suppress(OSError):
        return log_file().read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    return ""


class Setup:
    """A set-up, which runs in a thread and child processes from the moment it is created.

    Attributes:
        progress: the current progress.
        problem: why it failed, or None.
    """

    def __init__(self, options: SetupOptions) -> None:
        self.progress = SetupProgress(0.0, "Starting")
        self.problem: Problem | None = None
        self._options = options
        self._work = options.folder.with_name(options.folder.name + ".new")
        self._cancelled = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._downloaded = 0
        self._packages = Packages()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="uvatar set-up", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is in progress."""
        return self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether the backend is set up."""
        return not self.running and self.problem is None and not self._cancelled.is_set()

    def cancel(self) -> None:
        """Cancel it, without waiting; what it has made is removed."""
        with self._lock:
            self._cancelled.set()
            if self._process is not None:
                self._process.kill()

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so many seconds; for tests and scripts."""
        self._thread.join(seconds)

    def _run(self) -> None:
        folder = self._options.folder
        try:
            discovery.private_subfolder("logs")
            log_file().write_text(f"Setting up {self._options.backend} in {folder}\n", encoding="utf-8")
            self._check_folder()
            self._make_environment()
            self._install()
            version = self._try_it()
            parsed = not self._options.parser or self._fetch_parser()
            if folder.exists():
                shutil.rmtree(folder)
            self._work.rename(folder)
            write_stamp(folder, {"complete": True, "version": version, "packages": self._options.choice.value})
            self._tell(1.0, "Ready" if parsed else "Ready, but Google's parser could not be downloaded")
            return
        except SetupError as error:
            self.problem = error.problem
        except SetupCancelled:
            pass
        except OSError as error:
            self.problem = Problem(
                f"The backend cannot be set up in {folder}: {in_words(error)}.",
                "Choose another folder.",
                Remedy.PREFERENCES,
            )
        if read_stamp(self._work) is not None:
            self._tell(self.progress.fraction, "Cleaning up")
            shutil.rmtree(self._work, ignore_errors=True)
            if not folder.exists():  # otherwise the existing environment may use it
                shutil.rmtree(fetched_python_folder(folder), ignore_errors=True)

    def _check_folder(self) -> None:
        """Check folder and disk space. Raises SetupError if they cannot be used, OSError if nothing can be written."""
        self._tell(0.0, "Checking disk space")
        for folder in (self._options.folder, self._work):
            if folder.exists() and any(folder.iterdir()) and read_stamp(folder) is None:
                raise SetupError(
                    Problem(
                        f"{folder} is not empty and does not belong to Uvatar.",
                        "Choose another folder.",
                        Remedy.PREFERENCES,
                    )
                )
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        write_stamp(self._work, {"complete": False})
        free = shutil.disk_usage(self._work).free
        needed = self._options.needed or NEEDED[self._options.choice]
        if free < needed:
            message = (
                f"The disk has {free / 1e9:.1f} GB free; the backend needs {needed / 1e9:.0f} GB while it is set up."
            )
            raise SetupError(Problem(message, "Choose another folder.", Remedy.PREFERENCES))

    def _make_environment(self) -> None:
        self._tell(0.01, "Looking for Python")
        folder, python = str(self._work), find_python()
        if python is not None:
            self._tell(0.02, "Creating the environment")
            self._call([python, "-m", "venv", folder])
            return
        try:
            uv = find_uv() or self._fetch_uv()
            self._tell(0.03, "Downloading Python")
            # Into a folder beside the environment; uv would put it into its own folder, from which nobody removes it.
            place = {"UV_PYTHON_INSTALL_DIR": str(fetched_python_folder(self._options.folder)), "UV_NO_CACHE": "1"}
            self._call([uv, "venv", "--allow-existing", "--seed", "--python", ">=3.11,<3.14", folder], variables=place)
        except (SetupError, OSError) as error:
            why = error.problem.message if isinstance(error, SetupError) else f"{in_words(error)}."
            message = f"No Python 3.11 to 3.13 was found on this computer, and none could be downloaded: {why}"
            raise SetupError(Problem(message, ADVICE, Remedy.SETUP)) from error
        shutil.rmtree(self._uv_folder, ignore_errors=True)

    def _fetch_uv(self) -> str:
        """Download uv, which downloads a Python, with the pip of Blender's Python, and return its path."""
        self._tell(0.02, "Downloading uv, which downloads Python")
        tested = self._options.tested / "uv.txt" if self._options.tested else None
        what = ["--require-hashes", "-r", str(tested)] if tested is not None and tested.is_file() else ["uv"]
        pip = [*bundled_pip(), "--disable-pip-version-check", "--no-input"]
        self._call(
            [*pip, "install", "--no-cache-dir", "--no-deps", "--target", str(self._uv_folder), *self._index(), *what]
        )
        return str(self._uv_folder / "bin" / ("uv.exe" if sys.platform == "win32" else "uv"))

    @property
    def _uv_folder(self) -> Path:
        return self._work / "uv"

    def _index(self) -> list[str]:
        return ["--index-url", self._options.index] if self._options.index else []

    def _install(self) -> None:
        python = str(environment_python(self._work))
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        self._tell(0.05, "Checking the network")
        # The pip that comes with Python may be too old to report progress. This download is small and soon shows
        # whether there is a network.
        self._call([*pip, "install", "--upgrade", "--timeout", "15", "--retries", "1", *self._index(), PIP])
        said: list[str] = []
        self._call([python, "-c", TAG_PROGRAM], said.append)
        choice = self._options.choice
        tested = packages_for(self._options.tested, said[-1] if said else "", choice)
        self._tell(_DOWNLOADING, "Downloading")
        install = [
            *pip,
            "install",
            "--no-cache-dir",
            *PROGRESS_BAR,
            "--timeout",
            "60",
            "--retries",
            "2",
            *self._index(),
        ]
        if tested is not None:
            self._packages = tested
            self._call([*install, "--no-deps", "--require-hashes", "-r", str(tested.path)], self._take_pip_line)
        # With a list, all requirements are there by now. Without one, pip chooses them and the self-test checks them.
        wanted = [word for word in (_with_extra(self._options.backend, choice.extra), self._options.extension) if word]
        self._call([*install, *wanted], self._take_pip_line)

    def _try_it(self) -> str:
        self._tell(_TRYING, "Making a test avatar")
        said: list[str] = []
        self._call([str(environment_python(self._work)), "-P", "-m", "uvatar.engine.self_test"], said.append)
        return next((line.split()[1] for line in said if line.startswith("version ")), "unknown")

    def _fetch_parser(self) -> bool:
        """Download Google's parser into the user's models folder; whether that worked. It is optional.

        Raises SetupCancelled.
        """
        self._tell(_FETCHING, "Downloading Google's parser")
        try:
            self._call([str(environment_python(self._work)), "-P", "-m", "uvatar", "weights", "--download-parser"])
        except SetupError:  # the log says why
            return False
        return True

    def _take_pip_line(self, line: str) -> None:
        """Update the progress from a line of pip's output."""
        if match := re.match(r"Progress (\d+) of (\d+)", line):
            done, size = int(match[1]), int(match[2])
            come, total = self._downloaded + done, self._packages.total
            of = f" of {total / 1e6:.0f}" if total else ""
            # If the total is not known, the fraction approaches 1.
            share = min(come / total, 1.0) if total else come / (come + 500e6)
            self._tell(_DOWNLOADING + (_INSTALLING - _DOWNLOADING) * share, f"Downloading: {come / 1e6:.0f}{of} MB")
            self._downloaded += size if done >= size else 0
        elif line.startswith("Installing collected packages"):
            self._tell(_INSTALLING, "Installing")

    def _look_at_installed(self) -> None:
        """Update the progress from what is in the environment, because pip is silent while it installs."""
        if self.progress.fraction < _INSTALLING or not self._packages.sizes:
            return
        there = installed_names(self._work)
        share = self._packages.share(there)
        count = sum(name in there for name in self._packages.sizes)
        self._tell(
            _INSTALLING + (_TRYING - _INSTALLING) * share,
            f"Installing: {count} of {len(self._packages.sizes)} packages",
        )

    def _call(
        self,
        command: Sequence[str],
        take: Callable[[str], object] = lambda line: None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program to its end; its output goes to the log, and each line to ``take``.

        Raises:
            SetupError: the program has failed.
            SetupCancelled: the set-up was cancelled.
        """
        lines: list[str] = []
        ended = threading.Event()
        with open(log_file(), "a", encoding="utf-8") as log:
            log.write(f"\n> {' '.join(command)}\n")
            with self._lock:
                if self._cancelled.is_set():
                    raise SetupCancelled
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={
                        **clean_environment(),
                        "PYTHONUNBUFFERED": "1",
                        "PYTHONIOENCODING": "utf-8",
                        **(variables or {}),
                    },
                    encoding="utf-8",
                    errors="replace",
                    **without_console(),
                )
            threading.Thread(target=self._look_while, args=(ended,), name="uvatar set-up progress", daemon=True).start()
            try:
                with self._process as process:
                    assert process.stdout is not None
                    for line in process.stdout:
                        take(line.strip())
                        if not line.startswith("Progress "):
                            log.write(line)
                            log.flush()
                            lines.append(line.strip())
            finally:
                ended.set()
        with self._lock:
            self._process = None
        if self._cancelled.is_set():
            raise SetupCancelled
        if process.returncode:
            raise SetupError(explain(lines))

    def _look_while(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            self._look_at_installed()

    def _tell(self, fraction: float, message: str) -> None:
        self.progress = SetupProgress(max(fraction, self.progress.fraction), message)


def _with_extra(backend: str, extra: str) -> str:
    """What pip is to install: a requirement (``uvatar==1.0``) or a wheel's path, with an extra."""
    name, separator, version = backend.partition("==")
    return f"{name}{extra}{separator}{version}"
