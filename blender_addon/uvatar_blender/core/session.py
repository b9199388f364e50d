# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the add-on that is not in a .blend file: the connection to the backend, and the current run.

It belongs to the main thread. Opening another file does not change it, because nothing in it refers to Blender's data.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from ..protocol import discovery
from .any_result import Result
from .backend_process import BackendProcess
from .connection import Connection, Endpoint
from .events import Computes, Connected, Disconnected, Event, Fetched, JobEnded, Progress
from .jobs import Job, JobGroup, JobState, portioned
from .problem import Problem, Remedy
from .protocol_client import PendingJob
from .unfinished_jobs import UnfinishedJobs


class Link(Enum):
    """The state of the connection to the backend."""

    OFF = "off"
    CONNECTING = "connecting"
    ON = "on"


class Session:
    """One backend and one run at a time.

    Attributes:
        link: state of the connection.
        problem: what is wrong with the backend or the connection, or None.
        version: of the backend, when connected.
        options: names of the job options that the backend knows.
        bodies: the bodies that avatars can have; empty if unknown.
        models_folder: where the user's own model files go.
        device: what the backend was started with, such as "auto"; empty if unknown.
        computes_on: what the backend really computes on; None if unknown.
        run: the last run, or None.
        unfinished: jobs of earlier runs that can be continued.
        fetched: results that were requested again and have arrived.
    """

    def __init__(self) -> None:
        self.link = Link.OFF
        self.version = ""
        self.options: frozenset[str] = frozenset()
        self.bodies: frozenset[str] = frozenset()
        self.models_folder = ""
        self.device = ""
        self.computes_on: Computes | None = None
        self.problem: Problem | None = None
        self.run: JobGroup | None = None
        self.fetched: list[Result] = []
        self._unfinished_jobs = UnfinishedJobs(discovery.data_folder() / "blender")
        self.unfinished = self._unfinished_jobs.load()
        self._pending_jobs: dict[str, PendingJob] = {}
        self._fetching: list[tuple[str, int]] = []
        self._fixed = False
        self._connection: Connection | None = None
        self._backend: BackendProcess | None = None

    @property
    def running(self) -> bool:
        """Whether a run is in progress."""
        return self.run is not None and self.run.state is JobState.RUNNING

    @property
    def fetching(self) -> bool:
        """Whether a result that was requested again has not arrived yet."""
        return bool(self._fetching)

    @property
    def busy(self) -> bool:
        """Whether something may happen without the user's doing, so that `pump` must be called."""
        waits = self.run is not None and any(self.run.waiting())
        return (self._connection is not None and self._connection.alive) or waits or bool(self.fetched)

    def connect(self, address: tuple[str, int] | None = None, token: str = "") -> None:
        """Connect to this user's backend if it is running, or to the one at an address (host, port) with its token."""
        fixed = Endpoint(*address, token) if address else None
        self._fixed = fixed is not None
        self._reconnect(lambda: fixed or _find_own(), None)

    def start(self, location: str, device: str = "") -> None:
        """Connect to this user's backend; if none is running, start the one at ``location`` (see `find_command`).

        ``device``: for ``uvatar serve --device``; empty for the backend's default.
        """
        if self._backend is None or not self._backend.running:  # one that is only slow to respond is not replaced
            self._backend = BackendProcess(location, device)
        self._fixed = False
        self._reconnect(_find_own, self._backend)

    def stop_backend(self) -> None:
        """End the connection, and ask the backend that was started here to end. Jobs wait for the next backend."""
        self._drop_connection()
        if self._backend is not None:
            self._backend.stop()
            self._backend = None

    def reconstruct(
        self, jobs: Sequence[tuple[Sequence[Path], Mapping[str, Any]]], write: Callable[[], None] | None = None
    ) -> JobGroup:
        """Start a run. Progress and results arrive with `pump`.

        Call `connect` or `start` first; the connection need not be established yet.

        Args:
            jobs: the photos of each job and its options; a job with too many photos is divided.
            write: writes the photos that are not files yet. It is called in another thread before the photos of a job
                are read, and may raise OSError.
        """
        shared = [(portion, options) for photos, options in jobs for portion in portioned(photos, options)]
        return self._begin([Job(str(uuid.uuid4()), tuple(photos), dict(options)) for photos, options in shared], write)

    def resume(self) -> JobGroup:
        """Continue the jobs that were unfinished when Blender was closed."""
        jobs, self.unfinished = self.unfinished, []
        return self._begin(jobs)

    def forget_unfinished(self) -> None:
        """Discard the unfinished jobs. The backend still finishes those that it has."""
        for job in self.unfinished:
            self._unfinished_jobs.remove(job.id)
        self.unfinished = []

    def _begin(self, jobs: list[Job], write: Callable[[], None] | None = None) -> JobGroup:
        self.run = JobGroup(jobs)
        self._pending_jobs = {job.id: _pending_job(job, write) for job in jobs}
        for job in jobs:
            self._unfinished_jobs.record(job)
            if self._connection is not None:
                self._connection.submit(self._pending_jobs[job.id])
        return self.run

    def cancel(self) -> None:
        """Cancel the run. Without a connection it ends only here, and the backend finishes what it has."""
        if not self.running or self.run is None:
            return
        running = [job for job in self.run.jobs if job.state is JobState.RUNNING]
        if self._connection is not None and self._connection.alive and self.link is Link.ON:
            for job in running:
                self._connection.cancel(job.id)
            return
        self._drop_connection()  # the next connection must not continue the jobs
        for job in running:
            self._end(job, JobEnded(job.id, cancelled=True))

    def imported(self, job: Job, photo: int, people: int) -> None:
        """Note that the people of a photo were imported, or could not be (0 people)."""
        job.results.pop(photo, None)
        job.imported.add(photo)
        job.people += people
        self._unfinished_jobs.record(job)

    def fetch(self, job: str, photo: int) -> None:
        """Request a result again; it arrives in `fetched`. Call `connect` or `start` first.

        Args:
            job: id of the job.
            photo: the backend's index of the photo.
        """
        self._fetching.append((job, photo))
        if self._connection is not None:
            self._connection.fetch(job, photo)

    def pump(self) -> list[Event]:
        """Process the events since the last call, and return them."""
        events = self._connection.events() if self._connection is not None else []
        for event in events:
            if isinstance(event, (Connected, Disconnected)):
                self._take_link(event)
            elif isinstance(event, Computes):
                self.computes_on = event
            elif isinstance(event, Fetched):
                self._fetching = [wanted for wanted in self._fetching if wanted != (event.job, event.number)]
                if event.result is not None:
                    self.fetched.append(event.result)
                self.problem = event.problem
            elif self.run is not None and (job := self.run.job(event.job)) is not None:
                self._end(job, event) if isinstance(event, JobEnded) else job.apply(event)
                if not isinstance(event, Progress):
                    self._unfinished_jobs.record(job)
        return events

    def _take_link(self, event: Connected | Disconnected) -> None:
        if isinstance(event, Connected):
            self.link, self.version, self.options, self.problem = Link.ON, event.version, event.options, None
            self.bodies, self.models_folder, self.device = event.bodies, event.models_folder, event.device
            self.computes_on = None  # until it says so
            if event.model == "loading" and self.running and self.run is not None and not self.run.fraction:
                self.run.current.message = "Loading the models"
            return
        self.link = Link.OFF if event.final else Link.CONNECTING
        self.problem = event.problem
        if self._fixed and event.problem is not None and event.problem.remedy is not Remedy.NONE:
            # A backend at a given address cannot be started, updated or found again from here.
            self.problem = replace(event.problem, fix="Check the address and the token.", remedy=Remedy.PREFERENCES)

    def _end(self, job: Job, event: JobEnded) -> None:
        job.apply(event)
        self._pending_jobs.pop(job.id, None)
        self._unfinished_jobs.record(job)

    def close(self) -> None:
        """End the connection and the backend that was started here, without waiting. Jobs can be continued later."""
        self.stop_backend()
        self._unfinished_jobs.flush()

    def _reconnect(self, find: Callable[[], Endpoint | None], backend: BackendProcess | None) -> None:
        self._drop_connection()
        self._connection = Connection(find, backend, list(self._pending_jobs.values()))
        for job, photo in self._fetching:
            self._connection.fetch(job, photo)
        self.link, self.problem = Link.CONNECTING, None

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self.pump()  # the events that have arrived still count
            self._connection.close()
            self._connection = None
        self.link = Link.OFF


def _pending_job(job: Job, write: Callable[[], None] | None) -> PendingJob:
    """Make what the connection's thread needs to finish a job, whatever its state."""
    pending = PendingJob(job.id, job.photos, job.options, write)
    if job.sent is not None:
        pending.known = pending.accepted = True
        pending.sent = list(job.sent)
        pending.told = {job.number(photo) for photo in job.imported}
    return pending


def _find_own() -> Endpoint | None:
    runtime = discovery.read_runtime(discovery.data_folder())
    return Endpoint("127.0.0.1", runtime.port, runtime.token) if runtime is not None else None
