# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems as the panel shows them: what went wrong in one sentence, and the button that helps."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..protocol.errors import Code, UvatarError


class Remedy(Enum):
    """The button shown beside a problem."""

    NONE = "none"
    SETUP = "setup"  # set the backend up on this computer
    UPDATE = "update"  # make the backend the add-on's version
    START = "start"  # start the backend
    CONNECT = "connect"  # look for the backend again
    PREFERENCES = "preferences"  # say where the backend is, or where it may be set up
    LOG = "log"  # read what the backend wrote
    RUN = "run"  # reconstruct again
    PHOTOS = "photos"  # take the photos that cannot be read off the list
    TEXTURE = "texture"  # send the painted texture again
    ONLINE = "online"  # allow Blender to use the internet


@dataclass(frozen=True)
class Problem:
    """A problem: ``message`` states it in one sentence; ``fix`` is a sentence that says what to do, or empty."""

    message: str
    fix: str = ""
    remedy: Remedy = Remedy.NONE


NOT_INSTALLED = Problem(
    "The Uvatar backend is not installed on this computer yet.", "Set it up; this takes a few minutes.", Remedy.SETUP
)
NOT_RUNNING = Problem("The Uvatar backend is not running.", "Start it.", Remedy.START)
SLOW_START = Problem("The Uvatar backend is not responding.", "Its log may show why.", Remedy.LOG)
LOST = Problem("The connection to the backend was lost.", "Running jobs continue once it is back.", Remedy.START)
NOT_SENT = Problem(
    "Blender was closed before the painted texture was sent.",
    "Select the avatar and press Complete Painted Texture again.",
    Remedy.TEXTURE,
)
OFFLINE = Problem(
    "Online access is turned off in Blender.", "Allow it so that the backend can be downloaded.", Remedy.ONLINE
)

_REMEDIES = {
    Code.WRONG_TOKEN: Remedy.CONNECT,
    Code.UNSUPPORTED_VERSION: Remedy.UPDATE,
    Code.BAD_OPTION: Remedy.UPDATE,
    Code.UNKNOWN_MESSAGE: Remedy.UPDATE,
    Code.MODELS_NOT_LOADED: Remedy.LOG,
    Code.SELF_TEST_FAILED: Remedy.UPDATE,
    Code.MODEL_CRASHED: Remedy.LOG,
    Code.SERVER_ERROR: Remedy.LOG,
    Code.DATA_FOLDER: Remedy.LOG,
    Code.UNKNOWN_JOB: Remedy.RUN,
    Code.RESULT_DAMAGED: Remedy.RUN,
    Code.DISK_FULL: Remedy.RUN,
}


def outdated(version: str) -> Problem:
    """A backend set up by an older add-on, which this add-on cannot start."""
    message = f"The Uvatar backend on this computer has version {version}, which is too old for this add-on."
    return Problem(message, "Update it; this takes a few minutes.", Remedy.UPDATE)


def from_wire(error: UvatarError) -> Problem:
    """The problem described by an error reply or an unreadable message."""
    return Problem(error.message, error.fix, _REMEDIES.get(error.code, Remedy.NONE))


def from_os(error: OSError, path: Path) -> Problem:
    """A photo that cannot be read."""
    return Problem(
        f"{path.name} cannot be read: {in_words(error)}.", "Remove it from the list or choose it again.", Remedy.PHOTOS
    )


def unwritten(error: BaseException, path: Path) -> Problem:
    """A picture that cannot be written for the backend."""
    reason = in_words(error) if isinstance(error, OSError) else "there is not enough memory"
    return Problem(
        f"{path.name} could not be written: {reason}.", "Free some space, then add the picture again.", Remedy.PHOTOS
    )


def in_words(error: OSError) -> str:
    """The system's reason, in words that an artist understands."""
    known = {
        errno.ENOENT: "the file does not exist",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the disk is read-only",
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk is full",
        errno.EISDIR: "it is a folder",
    }
    return known.get(error.errno or 0) or error.strerror or str(error)
