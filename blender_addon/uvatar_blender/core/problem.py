# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems as the panel shows them: what went wrong, what to do about it, and the button that does it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..protocol.errors import Code, UvatarError


class Remedy(Enum):
    """The button shown beside a problem."""

    NONE = "none"
    SETUP = "setup"  # set up the backend on this computer
    UPDATE = "update"  # update the backend to the add-on's version
    START = "start"  # start the backend
    CONNECT = "connect"  # look for the backend again
    PREFERENCES = "preferences"  # choose where the backend is or will be set up
    LOG = "log"  # read what the backend wrote
    RUN = "run"  # make the avatars again
    PHOTOS = "photos"  # remove the photos that cannot be read from the list
    TEXTURE = "texture"  # send the painted texture again
    ONLINE = "online"  # allow Blender to use the internet


@dataclass(frozen=True)
class Problem:
    """A problem.

    Attributes:
        message: what is wrong, in one sentence.
        fix: what to do, in one sentence; may be empty.
        remedy: the button that does it.
    """

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
ONLINE_NOW = Problem("Online access is now turned on in Blender.", "Continue with the set-up.", Remedy.SETUP)

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
    """Describe a backend that was set up by an older add-on and that this add-on cannot start."""
    message = f"The Uvatar backend on this computer has version {version}, which is too old for this add-on."
    return Problem(message, "Update it; this takes a few minutes.", Remedy.UPDATE)


def from_wire(error: UvatarError) -> Problem:
    """Describe an error reply of the backend."""
    return Problem(error.message, error.fix, _REMEDIES.get(error.code, Remedy.NONE))


def from_os(error: OSError, path: Path) -> Problem:
    """Describe a photo that cannot be read."""
    return Problem(
        f"{path.name} cannot be read: {in_words(error)}.", "Remove it from the list or choose it again.", Remedy.PHOTOS
    )


def unwritten(error: BaseException, path: Path) -> Problem:
    """Describe a picture that cannot be written for the backend."""
    reason = in_words(error) if isinstance(error, OSError) else "there is not enough memory"
    return Problem(
        f"{path.name} could not be written: {reason}.", "Free some space, then add the picture again.", Remedy.PHOTOS
    )


def in_words(error: OSError) -> str:
    """Return the system's reason in plain words, as part of a sentence."""
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
