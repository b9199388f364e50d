# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting the backend up: a virtual environment of its own, beside the user's data, with the backend in it.

Nothing is installed anywhere else. It is made beside the place where it is to be and moved there when it works, so an
update that fails leaves the old one. A stamp in it says whether it is whole; one that is not is never started.

What is installed are the packages that Uvatar was tested with, by their hashes: the zip brings a list for each system
and Python. At the end the backend makes an avatar that is known, so an environment that would make wrong ones is never
used.
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
from .packages import Choice, Packages, installed_names, packages_for
from .problem import Problem, Remedy, in_words
from .pythons import ADVICE, TAG_PROGRAM, bundled_pip, fetched_python_folder, find_python, find_uv
from .setup_errors import explain

# What an environment takes, bytes. Measured on Linux, where torch brings its GPU libraries; elsewhere torch is a fraction
# of that.
INSTALLED = {Choice.LIGHT: 700 * 10**6, Choice.TORCH: (5300 if sys.platform.startswith("linux") else 1600) * 10**6}
# With the downloads, which lie beside it until they are installed.
NEEDED = {Choice.LIGHT: 10**9, Choice.TORCH: (9 if sys.platform.startswith("linux") else 3) * 10**9}

PIP = "pip>=24.1"  # the first that tells its progress
PROGRESS_BAR = ("--progress-bar", "raw")

LOOK_SECONDS = 0.5  # between two looks at what pip has installed
_LOG_TAIL_BYTES = 8000
_DOWNLOADING, _INSTALLING, _TRYING = (
    0.08,
    0.70,
    0.95,
)  # where each step begins, of 1: by the minutes that they take on Linux


@dataclass(frozen=True)
class SetupOptions:
    """What to set up where.

    Attributes:
        folder: of the environment; it must be empty, not there, or one of ours.
        backend: what pip is to install: a wheel's path or a requirement.
        index: address of a package index; nothing for the one that pip is set to use.
        choice: whether it is set up with PyTorch.
        needed: bytes that must be free; 0 for what `NEEDED` says.
        tested: folder of the lists of packages that Uvatar was tested with; None to take what the index has.
        extension: the same as ``backend`` for `uvatar-blender`, with which the command line writes .blend and .glb
            files; nothing to do without.
    """

    folder: Path
    backend: str
    index: str = ""
    needed: int = 0
    tested: Path | None = None
    extension: str = ""
    choice: Choice = Choice.LIGHT


@dataclass(frozen=True)
class SetupProgress:
    """How far the set-up is: ``fraction`` 0 to 1, and what it does, in the artist's words."""

    fraction: float
    message: str


class SetupError(Exception):
    """Why the set-up cannot go on; ``problem`` says it with the button that helps."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class SetupCancelled(Exception):
    """The artist does not want it any more."""


def log_file() -> Path:
    """What the last set-up did and said."""
    return discovery.data_folder() / "logs" / "setup.log"


def log_tail() -> str:
    """The end of what the last set-up did and said."""
    with suppress(OSError):
        return log_file().read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    return ""


class Setup:
    """One set-up, in a thread and processes of its own. Made, it works.

    Attributes:
        progress: replaced as it goes on.
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
        """Whether it is under way."""
        return self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether the backend is set up."""
        return not self.running and self.problem is None and not self._cancelled.is_set()

    def cancel(self) -> None:
        """End it soon, without waiting; what it made is taken away."""
        with self._lock:
            self._cancelled.set()
            if self._process is not None:
                self._process.kill()

    def wait(self, seconds: float) -> None:
        """Wait for its end, for tests and scripts."""
        self._thread.join(seconds)

    # -- in the thread
    # ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        folder = self._options.folder
        try:
            log_file().parent.mkdir(parents=True, exist_ok=True)
            log_file().write_text(f"Setting up {self._options.backend} in {folder}\n", encoding="utf-8")
            self._check_folder()
            self._make_environment()
            self._install()
            version = self._try_it()
            if folder.exists():
                shutil.rmtree(folder)
            self._work.rename(folder)
            write_stamp(folder, {"complete": True, "version": version, "packages": self._options.choice.value})
            self._tell(1.0, "Ready")
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
            if not folder.exists():  # else the environment that is there may live on it
                shutil.rmtree(fetched_python_folder(folder), ignore_errors=True)

    def _check_folder(self) -> None:
        """Raises SetupError if the folder is somebody else's or the disk has no room, OSError if it cannot be
        written.
        """
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
                f"The disk has {free / 1e9:.1f} GB free; the backend needs {needed / 1e9:.0f} GB while "
                "it is set up."
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
            # Into a folder of ours beside the environment: uv would put it among its own, where nobody takes it away
            # again.
            place = {"UV_PYTHON_INSTALL_DIR": str(fetched_python_folder(self._options.folder)), "UV_NO_CACHE": "1"}
            self._call([uv, "venv", "--allow-existing", "--seed", "--python", ">=3.11,<3.14", folder], variables=place)
        except (SetupError, OSError) as error:
            why = error.problem.message if isinstance(error, SetupError) else f"{in_words(error)}."
            message = f"No Python 3.11 to 3.13 was found on this computer, and none could be downloaded: {why}"
            raise SetupError(Problem(message, ADVICE, Remedy.SETUP)) from error
        shutil.rmtree(self._uv_folder, ignore_errors=True)

    def _fetch_uv(self) -> str:
        """The program that fetches a Python, from the package index by the pip that comes with Blender's Python; its
        path.
        """
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
        # pip as old as the Python that brought it cannot tell its progress; and this is small, so it shows soon whether
        # there is a network.
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
        # All that it needs is there then; where nothing was tested for this system, pip chooses, and the self-test
        # judges.
        wanted = [word for word in (_with_extra(self._options.backend, choice.extra), self._options.extension) if word]
        self._call([*install, *wanted], self._take_pip_line)

    def _try_it(self) -> str:
        self._tell(_TRYING, "Making a test avatar")
        said: list[str] = []
        self._call([str(environment_python(self._work)), "-P", "-m", "uvatar.engine.self_test"], said.append)
        return next((line.split()[1] for line in said if line.startswith("version ")), "unknown")

    def _take_pip_line(self, line: str) -> None:
        """Make progress of what pip says."""
        if match := re.match(r"Progress (\d+) of (\d+)", line):
            done, size = int(match[1]), int(match[2])
            come, total = self._downloaded + done, self._packages.total
            of = f" of {total / 1e6:.0f}" if total else ""
            share = (
                min(come / total, 1.0) if total else come / (come + 500e6)
            )  # it never arrives where the end is not known
            self._tell(_DOWNLOADING + (_INSTALLING - _DOWNLOADING) * share, f"Downloading: {come / 1e6:.0f}{of} MB")
            self._downloaded += size if done >= size else 0
        elif line.startswith("Installing collected packages"):
            self._tell(_INSTALLING, "Installing")

    def _look_at_installed(self) -> None:
        """Make progress of what lies in the environment: pip is silent while it installs."""
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
        """Run a program to its end; its lines go to the log and to ``take``. Raises SetupError, SetupCancelled."""
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
