# SPDX-License-Identifier: GPL-3.0-or-later
"""Turning the output of a program that failed during the set-up into a problem to show."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .problem import Problem, Remedy

_NETWORK = re.compile(
    r"name resolution|getaddrinfo|NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|"
    r"Connection (refused|reset)|Network is unreachable|Max retries|Connection broken|timed out",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")


def explain(lines: Sequence[str]) -> Problem:
    """Explain the output of a failed program.

    Args:
        lines: the lines of its output.
    """
    said = "\n".join(lines[-60:])
    if failed := next((line for line in lines if line.startswith("The self-test failed")), ""):
        return Problem(failed[:400], "The backend was not set up. See its log for details.", Remedy.LOG)
    if re.search(r"No space left|Errno 28|disk is full|not enough space", said, re.IGNORECASE):
        return Problem("The disk is full.", "Free some space or choose another folder.", Remedy.PREFERENCES)
    if _NETWORK.search(said):
        return Problem(
            "The package index cannot be reached.", "Check the network, then set up the backend again.", Remedy.SETUP
        )
    if re.search(r"error sending request|dns error|Failed to (download|fetch)", said):  # uv's words
        return Problem("The download failed.", "Check the network, then set up the backend again.", Remedy.SETUP)
    if missing := _NOT_FOUND.search(said):
        return Problem(
            f"The package index does not have {missing[1]}.", "Enter another index or wheel.", Remedy.PREFERENCES
        )
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in said:
        message = "The package index delivered a file that differs from the one Uvatar was tested with."
        return Problem(
            message, "Set up the backend again; if this happens again, enter another index.", Remedy.PREFERENCES
        )
    if re.search(r"Permission denied|Access is denied|Errno 13", said, re.IGNORECASE):
        return Problem("The folder cannot be written: permission denied.", "Choose another folder.", Remedy.PREFERENCES)
    reason = next((line for line in reversed(lines) if line), "a program failed without a message")
    return Problem(f"The set-up failed: {reason.removeprefix('ERROR: ')[:200]}", "See its log for details.", Remedy.LOG)
