# SPDX-License-Identifier: GPL-3.0-or-later
"""The events that the connection's thread sends to the main thread."""

from __future__ import annotations

from dataclasses import dataclass

from .any_result import Result
from .problem import Problem


@dataclass(frozen=True)
class Connected:
    """The backend has replied to the greeting.

    Attributes:
        version: of the backend.
        model: "loading", "ready" or "broken".
        options: names of the job options that it knows.
        bodies: the bodies that avatars can have; empty if it does not say.
        models_folder: where the user's own model files go.
        device: what it was started with, such as "auto" or "cuda"; empty if it does not say.
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
    """There is no connection.

    Attributes:
        problem: why; None while the backend is being started.
        final: whether the thread has given up; otherwise it keeps trying.
    """

    problem: Problem | None
    final: bool


@dataclass(frozen=True)
class Accepted:
    """The backend has the job on disk.

    Attributes:
        job: id of the job.
        sent: indices of the chosen photos that could be read and were sent, in the backend's order.
    """

    job: str
    sent: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """The progress of a job.

    Attributes:
        job: id of the job.
        photo: index of the chosen photo that is being worked on.
        stage: what is being done.
        fraction: of this photo, 0 to 1.
        message: what is being done, in words for the user.
        seconds_left: of the whole job; None if not known yet.
    """

    job: str
    photo: int
    stage: str
    fraction: float
    message: str
    seconds_left: float | None


@dataclass(frozen=True)
class PhotoDone:
    """The result of a photo has arrived. ``number`` is the index by which the backend knows the photo."""

    job: str
    photo: int
    result: Result
    number: int = 0


@dataclass(frozen=True)
class PhotoMerged:
    """A photo was merged into the avatar of another photo of the same person."""

    job: str
    photo: int


@dataclass(frozen=True)
class PhotoFailed:
    """A photo has failed."""

    job: str
    photo: int
    problem: Problem


@dataclass(frozen=True)
class JobEnded:
    """A job has ended. ``problem`` says why the whole job failed, or is None."""

    job: str
    cancelled: bool = False
    problem: Problem | None = None


@dataclass(frozen=True)
class Fetched:
    """A result that was requested again, or why it is not available."""

    job: str
    number: int
    result: Result | None
    problem: Problem | None = None


JobEvent = Accepted | Progress | PhotoDone | PhotoMerged | PhotoFailed | JobEnded
Event = Connected | Computes | Disconnected | JobEvent | Fetched
