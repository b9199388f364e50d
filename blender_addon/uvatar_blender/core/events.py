# SPDX-License-Identifier: GPL-3.0-or-later
"""What the connection's thread tells the main thread."""

from __future__ import annotations

from dataclasses import dataclass

from .problem import Problem
from .result import Result


@dataclass(frozen=True)
class Connected:
    """The backend has said hello.

    ``model`` is "loading", "ready" or "broken"; ``options``: names of those it knows; ``bodies``: that avatars can
    have, none where it does not say; ``models_folder``: where the user's own files go; ``device``: what it was started
    with, "auto" or "cuda" and the like, empty where it does not say.
    """

    version: str
    model: str
    options: frozenset[str] = frozenset()
    bodies: frozenset[str] = frozenset()
    models_folder: str = ""
    device: str = ""


@dataclass(frozen=True)
class Computes:
    """What the backend really computes on, in words, and sentences about devices that it cannot use."""

    on: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disconnected:
    """There is no connection; no problem yet (None) where the backend is being started.

    ``final``: the thread has given up, else it goes on trying.
    """

    problem: Problem | None
    final: bool


@dataclass(frozen=True)
class Accepted:
    """The backend has the job on disk.

    ``sent``: indices of the chosen photos that could be read, as the backend counts them.
    """

    job: str
    sent: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    ``fraction`` (0 to 1) is of this photo, ``seconds_left`` of the job, None if not known yet.
    """

    job: str
    photo: int
    stage: str
    fraction: float
    message: str
    seconds_left: float | None


@dataclass(frozen=True)
class PhotoDone:
    """A photo's result is here. ``number``: the photo as the backend counts, for asking again."""

    job: str
    photo: int
    result: Result
    number: int = 0


@dataclass(frozen=True)
class PhotoMerged:
    """A photo went into the avatar of another photo of the same person."""

    job: str
    photo: int


@dataclass(frozen=True)
class PhotoFailed:
    """A photo has no result."""

    job: str
    photo: int
    problem: Problem


@dataclass(frozen=True)
class JobEnded:
    """Nothing more will come of a job. ``problem``: why it could not be done at all, or None."""

    job: str
    cancelled: bool = False
    problem: Problem | None = None


@dataclass(frozen=True)
class Fetched:
    """A result that was asked for once more; or why it cannot be had."""

    job: str
    number: int
    result: Result | None
    problem: Problem | None = None


JobEvent = Accepted | Progress | PhotoDone | PhotoMerged | PhotoFailed | JobEnded
Event = Connected | Computes | Disconnected | JobEvent | Fetched
