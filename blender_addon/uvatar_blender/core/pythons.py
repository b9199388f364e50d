# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a Python that can run the backend."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .backend_process import clean_environment, without_console

VERSIONS = ((3, 12), (3, 11))  # of Python on which the backend runs, the preferred one first
ADVICE = "Install Python 3.12 (64 bit) from python.org, or uv, and try again."

# Checks for the version, for 64 bits, and for the modules that an environment needs, which some systems leave out.
_PROBE = (
    f"import sys, struct, venv, ensurepip, ssl; sys.exit(0 if sys.version_info[:2] in {VERSIONS!r} and "
    "struct.calcsize('P') == 8 else 1)"
)

# Prints system, machine and version of a Python, such as "linux-x86_64-py312".
TAG_PROGRAM = (
    "import sys, platform; system = {'win32': 'windows', 'darwin': 'macos'}.get(sys.platform, sys.platform); "
    "print(f'{system}-{platform.machine().lower()}-py{sys.version_info[0]}{sys.version_info[1]}')"
)


def find_python(candidates: Iterable[str] | None = None) -> str | None:
    """Find a Python executable on which the backend can run; None if there is none.

    The candidates are on the search path, in the folders where installers put Python, and last Blender's own Python. An
    environment made from that one installs nothing into it, but must be made again when that Blender is removed.
    """
    for candidate in _candidates() if candidates is None else candidates:
        with suppress(OSError, subprocess.TimeoutExpired):
            probe = [candidate, "-c", _PROBE]
            if (
                subprocess.run(
                    probe, capture_output=True, timeout=20, env=clean_environment(), **without_console()
                ).returncode
                == 0
            ):
                return candidate
    return None


def find_uv() -> str | None:
    """Find the ``uv`` program, which can download a Python; None if it is not installed."""
    name = "uv.exe" if sys.platform == "win32" else "uv"
    homes = [
        Path.home() / ".local" / "bin",
        Path.home() / ".cargo" / "bin",
        Path("/opt/homebrew/bin"),
        Path("/usr/local/bin"),
    ]
    return shutil.which("uv") or next((str(home / name) for home in homes if (home / name).is_file()), None)


def bundled_pip() -> list[str]:
    """Return the command of the pip bundled with this Python. It runs from its wheel, so it need not be installed.

    Raises:
        OSError: this Python has no bundled pip.
    """
    found = importlib.util.find_spec("ensurepip")  # some systems leave it out
    wheels = sorted((Path(found.origin).parent / "_bundled").glob("pip-*.whl")) if found and found.origin else []
    if not wheels:
        raise OSError("Blender's Python has no pip")
    return [sys.executable, str(wheels[-1] / "pip")]


def fetched_python_folder(environment: Path) -> Path:
    """Return the folder of a Python that was downloaded for an environment.

    It is beside the environment, because that is moved when it is complete.
    """
    return environment.with_name(environment.name + ".python")


def _candidates() -> Iterator[str]:
    names = [f"python{major}.{minor}" for major, minor in VERSIONS]
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if sys.platform == "win32":
        roots = [os.environ.get("LOCALAPPDATA", "") + r"\Programs\Python", os.environ.get("PROGRAMFILES", ""), "C:"]
        for major, minor in VERSIONS:
            yield from (f"{root}\\Python{major}{minor}\\python.exe" for root in roots)
    elif sys.platform == "darwin":
        folders += ["/opt/homebrew/bin", "/usr/local/bin"]
        folders += [f"/Library/Frameworks/Python.framework/Versions/{major}.{minor}/bin" for major, minor in VERSIONS]
    suffix = ".exe" if sys.platform == "win32" else ""
    for name in (*names, "python3", "python"):
        for folder in folders:
            path = Path(folder, name + suffix)
            if folder and path.is_file():
                yield str(path)
    yield sys.executable
