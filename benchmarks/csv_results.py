"""Writes benchmarks' results to benchmarks/results/NAME.csv, with the command and the machine in the file's head."""

from __future__ import annotations

import csv
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = (
    "ai-edge-litert",
    "bpy",
    "embreex",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pyzmq",
    "scipy",
    "torch",
)


def _load() -> float | None:
    """Mean number of busy processes during the last minute; None if the system does not count them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


LOAD_BEFORE = _load()  # by other programs, since this one has just started


def write_csv(name: str, rows: Sequence[Mapping[str, object]], notes: Sequence[str] = ()) -> Path:
    """Write a benchmark's rows to its file, below lines that begin with # and describe the run.

    Args:
        name: of the file, without its suffix; an existing file is replaced.
        rows: each maps columns' names, with units, to values. Floats are rounded to four significant digits.
        notes: sentences for the head, such as what was left out.

    Returns:
        The file's path.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}\n" for line in (f"command: {_command()}", *machine(), *notes) if line)
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows({column: _cell(value) for column, value in row.items()} for row in rows)
    print(f"written: {path.relative_to(RESULTS.parents[1])}")
    return path


def machine() -> list[str]:
    """Lines that describe what the results depend on, without the names of computer, folders and user."""
    lines = [
        f"date: {date.today().isoformat()}",
        f"processor: {_processor()}, {os.cpu_count()} logical cores",
        f"system: {_system()}, {platform.machine()}",
        f"python: {platform.python_implementation()} {platform.python_version()}",
        f"packages: {', '.join(_versions())}",
    ]
    if LOAD_BEFORE is not None:
        shared = "other programs ran: the machine was shared" if LOAD_BEFORE > 0.3 else "nothing else of note ran"
        lines.append(f"load before the run: {LOAD_BEFORE:.1f}; {shared}")
    return lines


def _command() -> str:
    """The command line, with only the last part of paths."""
    return " ".join(
        [f"python -m benchmarks.{Path(sys.argv[0]).stem}", *(Path(part).name or part for part in sys.argv[1:])]
    )


def _processor() -> str:
    with suppress(OSError, subprocess.SubprocessError, StopIteration):
        if sys.platform == "linux":
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
        if sys.platform == "darwin":
            asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
            return asked.stdout.strip()
    return platform.processor() or "unknown"


def _system() -> str:
    with suppress(OSError, KeyError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{platform.system()} {platform.release()}"


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return found


def _cell(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
