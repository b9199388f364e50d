"""Output to the terminal, whatever characters it can show and whatever file names contain."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def terminal(stderr: bool = False) -> Console:
    """A console that prints text as it is.

    "[red]" or ":smile:" in a file name is not interpreted; styles are given by ``style=``.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_anything() -> None:
    """Print "?" for characters that the output cannot encode (Japanese in cp1252, for example) instead of failing."""
    for stream in (sys.stdout, sys.stderr):  # None where there is no console, other things in tests and notebooks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
