# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's state outside any .blend file: the backend, the jobs, and what they have brought so far.

Lives on the main thread. Opening another file does not touch it; nothing in it refers to Blender's data.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from . import wire
from .backend_process import BackendProcess
from .connection import Connection, Endpoint
from .conversation import Order
from .events import Connected, Disconnected, Event, JobEnded, PhotoDone, PhotoFailed, PhotoMerged, Progress
from .problem import Problem
from .result import PhotoResult


class Link(Enum):
    """How things stand with the backend."""

    OFF = "off"
    CONNECTING = "connecting"
    ON = "on"


class JobState(Enum):
    """How things stand with a job."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass
class Job:
    """One run, as the panel shows it.

    Attributes:
        id: UUID.
        photos: files as chosen.
        state: how it stands.
        fraction: 0 to 1, of all photos.
        message: what is being done, in the artist's words.
        seconds_left: of the job, None where not known.
        ended: photos that are over, by index.
        problems: of photos, by index.
        problem: of the whole job, or None.
        results: photos that have come and wait to be imported, by index.
        imported: people imported so far.
    """

    id: str
    photos: tuple[Path, ...]
    state: JobState = JobState.RUNNING
    fraction: float = 0.0
    message: str = "Waiting"
    seconds_left: float | None = None
    ended: set[int] = field(default_factory=set)
    problems: dict[int, Problem] = field(default_factory=dict)
    problem: Problem | None = None
    results: dict[int, PhotoResult] = field(default_factory=dict)
    imported: int = 0

    def apply(self, event: Event) -> None:
        """Take in what has happened to it."""
        if isinstance(event, Progress):
            self.fraction = max(self.fraction, (len(self.ended) + event.fraction) / max(len(self.photos), 1))
            self.message, self.seconds_left = event.message, event.seconds_left
        elif isinstance(event, JobEnded):
            self.problem = event.problem
            failed = event.problem is not None or (not event.cancelled and len(self.problems) == len(self.photos))
            self.state = JobState.CANCELLED if event.cancelled else JobState.FAILED if failed else JobState.DONE
            self.fraction, self.seconds_left = 1.0, None
        elif isinstance(event, (PhotoDone, PhotoFailed, PhotoMerged)):
            self.ended.add(event.photo)
            self.fraction = max(self.fraction, len(self.ended) / max(len(self.photos), 1))
            if isinstance(event, PhotoDone):
                self.results[event.photo] = event.result
            elif isinstance(event, PhotoFailed):
                self.problems[event.photo] = event.problem


class Session:
    """One backend and one job at a time."""

    def __init__(self) -> None:
        self.link = Link.OFF
        self.version = ""
        self.problem: Problem | None = None
        self.job: Job | None = None
        self._order: Order | None = None
        self._connection: Connection | None = None
        self._backend: BackendProcess | None = None

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self.job is not None and self.job.state is JobState.RUNNING

    @property
    def busy(self) -> bool:
        """Whether something may happen without the artist's doing: `pump` must be called."""
        return self._connection is not None and self._connection.alive or bool(self.job and self.job.results)

    def connect(self, address: tuple[str, int] | None = None, token: str = "") -> None:
        """Connect to this user's backend if it runs, or to the one at an address (host, port) with its token."""
        fixed = Endpoint(*address, token) if address else None
        self._reconnect(lambda: fixed or _find_own(), None)

    def start(self, location: str) -> None:
        """Connect to this user's backend; where none runs, start the one at ``location`` (see `find_command`)."""
        if self._backend is None or not self._backend.running:  # one that is only slow to answer is not replaced
            self._backend = BackendProcess(location)
        self._reconnect(_find_own, self._backend)

    def run(self, photos: Sequence[Path], options: Mapping[str, Any]) -> Job:
        """Have photos reconstructed; progress and results come with `pump`. Connect or start first; it need not be done yet."""
        self.job = Job(str(uuid.uuid4()), tuple(photos))
        self._order = Order(self.job.id, self.job.photos, dict(options))
        if self._connection is not None:
            self._connection.submit(self._order)
        return self.job

    def cancel(self) -> None:
        """Have the job worked on no more. Without a connection it ends here; the backend forgets it in its own time."""
        if not self.running or self.job is None:
            return
        if self._connection is not None and self._connection.alive and self.link is Link.ON:
            self._connection.cancel(self.job.id)
        else:
            self._drop_connection()  # whoever connects next must not go on with it
            self._order = None
            self.job.apply(JobEnded(self.job.id, cancelled=True))

    def pump(self) -> list[Event]:
        """Take in what has happened since the last call; the events, for whoever wants to know."""
        events = self._connection.events() if self._connection is not None else []
        for event in events:
            if isinstance(event, Connected):
                self.link, self.version, self.problem = Link.ON, event.version, None
                if event.model == "loading" and self.running and self.job is not None and not self.job.fraction:
                    self.job.message = "Loading the models"
            elif isinstance(event, Disconnected):
                self.link = Link.OFF if event.final else Link.CONNECTING
                self.problem = event.problem
            elif self.job is not None and event.job == self.job.id:
                self.job.apply(event)
                if isinstance(event, JobEnded):
                    self._order = None
        return events

    def close(self) -> None:
        """End the connection and the backend that was started here. Neither is waited for; jobs can be picked up again."""
        self._drop_connection()
        if self._backend is not None:
            self._backend.stop()
            self._backend = None

    def _reconnect(self, find: Callable[[], Endpoint | None], backend: BackendProcess | None) -> None:
        self._drop_connection()
        self._connection = Connection(find, backend, [self._order] if self._order is not None and self.running else [])
        self.link, self.problem = Link.CONNECTING, None

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self.pump()  # what it has told already counts
            self._connection.close()
            self._connection = None
        self.link = Link.OFF


def _find_own() -> Endpoint | None:
    runtime = wire.read_runtime(wire.data_folder())
    return Endpoint("127.0.0.1", runtime.port, runtime.token) if runtime is not None else None
