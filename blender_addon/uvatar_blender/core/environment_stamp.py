# SPDX-License-Identifier: GPL-3.0-or-later
"""The stamp in a backend environment that Uvatar has made: which folders are ours, and which are whole."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from .backend_process import STAMP
from .pythons import fetched_python_folder


def read_stamp(folder: Path) -> dict[str, object] | None:
    """The contents of an environment's stamp; None if the folder is not an environment of ours."""
    with suppress(OSError, ValueError):
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else None
    return None


def write_stamp(folder: Path, fields: dict[str, object]) -> None:
    """Write the stamp; a reader sees the old one or the new one. Raises OSError."""
    temporary = folder / f"{STAMP}.part"
    temporary.write_text(json.dumps({"uvatar": "environment", **fields}), encoding="utf-8")
    os.replace(temporary, folder / STAMP)


def remove_environment(folder: Path) -> None:
    """Remove an environment of ours. Raises OSError if that fails, ValueError if it is not ours."""
    if read_stamp(folder) is None:
        raise ValueError(f"{folder} does not belong to Uvatar.")
    shutil.rmtree(folder)
    shutil.rmtree(fetched_python_folder(folder), ignore_errors=True)
