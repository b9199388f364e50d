# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, in one sentence, with the one button that helps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .wire import WireError


class Remedy(Enum):
    """The button beside a problem."""

    NONE = "none"
    START = "start"  # start the backend
    CONNECT = "connect"  # look for the backend again
    PREFERENCES = "preferences"  # say where the backend is
    LOG = "log"  # read what the backend wrote
    RUN = "run"  # reconstruct again


@dataclass(frozen=True)
class Problem:
    """One problem. ``message`` is a sentence; ``fix`` another that says what to do, or nothing."""

    message: str
    fix: str = ""
    remedy: Remedy = Remedy.NONE


NOT_INSTALLED = Problem("The Uvatar backend was not found on this computer.", "Say in the preferences where it is.", Remedy.PREFERENCES)
NOT_RUNNING = Problem("The Uvatar backend is not running.", "Start it.", Remedy.START)
SLOW_START = Problem("The Uvatar backend does not answer.", "Its log may say why.", Remedy.LOG)
LOST = Problem("The connection to the backend was lost.", "Running jobs go on when it is back.", Remedy.START)

_REMEDIES = {
    "wrong-token": Remedy.CONNECT,
    "unsupported-version": Remedy.PREFERENCES,
    "models-not-loaded": Remedy.LOG,
    "model-crashed": Remedy.LOG,
    "server-error": Remedy.LOG,
    "unknown-job": Remedy.RUN,
    "result-damaged": Remedy.RUN,
    "disk-full": Remedy.RUN,
}


def from_wire(error: WireError) -> Problem:
    """The problem that an error reply, or an unreadable message, tells of."""
    return Problem(error.message, error.fix, _REMEDIES.get(error.code, Remedy.NONE))


def from_os(error: OSError, path: Path) -> Problem:
    """The problem of a file that cannot be read."""
    return Problem(f"{path.name} cannot be read: {error.strerror or error}.", "Choose the photo again.")
