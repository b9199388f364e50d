"""Words for the terminal, whatever it can show and whatever people call their files."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal(stderr: bool = False) -> Console:
    """The terminal, where text is printed as it is.

    "[red]" and ":smile:" in somebody's file name are no commands; styles go by ``style=``.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_anything() -> None:
    """Have output that a terminal, file or pipe cannot hold (Japanese in cp1252, bytes that are not text) appear as
    "?", not fail.
    """
    for stream in (sys.stdout, sys.stderr):  # None where there is no console, other things in tests and notebooks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
