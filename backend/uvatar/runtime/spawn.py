"""Starts Python processes that can import this package, wherever they run and however it is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this installation."""
    return [sys.executable, "-m", module, *arguments]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment and ``extra``, with the folder that holds this package first in PYTHONPATH."""
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **extra, "PYTHONPATH": os.pathsep.join(paths)}
