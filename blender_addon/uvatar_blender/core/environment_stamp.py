# SPDX-License-Identifier: GPL-3.0-or-later
"""The stamp in the environments that Uvatar makes: it says that a folder is Uvatar's and whether it is complete."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from .backend_process import STAMP
from .pythons import fetched_python_folder


def read_stamp(folder: Path) -> dict[str, object] | None:
    """Read the stamp of an environment; None if the folder is not an environment of Uvatar's."""
    with suppress(OSError, ValueError):
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else None
    return None


def write_stamp(folder: Path, fields: dict[str, object]) -> None:
    """Write the stamp atomically.

    Raises:
        OSError: it cannot be written.
    """
    temporary = folder / f"{STAMP}.part"
    temporary.write_text(json.dumps({"uvatar": "environment", **fields}), encoding="utf-8")
    os.replace(temporary, folder / STAMP)


def remove_environment(folder: Path) -> None:
    """Remove an environment of Uvatar's, with the Python that was downloaded for it.

    Raises:
        ValueError: the folder is not an environment of Uvatar's.
        OSError: it cannot be removed.
    """
    if read_stamp(folder) is None:
        raise ValueError(f"{folder} does not belong to Uvatar.")
    shutil.rmtree(folder)
    shutil.rmtree(fetched_python_folder(folder), ignore_errors=True)
