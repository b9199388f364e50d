# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's state outside any .blend file: the backend, the run, and what it has brought so far.

Lives on the main thread. Opening another file does not touch it; nothing in it refers to Blender's data.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from ..protocol import discovery
from .backend_process import BackendProcess
from .connection import Connection, Endpoint
from .events import Computes, Connected, Disconnected, Event, Fetched, JobEnded, Progress
from .jobs import Job, JobGroup, JobState, portioned
from .problem import Problem, Remedy
from .protocol_client import PendingJob
from .result import Result
from .unfinished_jobs import UnfinishedJobs


class Link(Enum):
    """How things stand with the backend."""

    OFF = "off"
    CONNECTING = "connecting"
    ON = "on"


class Session:
    """One backend and one run at a time.

    Attributes:
        link: how things stand with the backend; ``problem``: why it is not well, or None.
        version: of the backend, when connected; ``options``: names of the job options that it knows;
            ``bodies``: that avatars can have, empty where unknown; ``models_folder``: where the user's own files go;
            ``device``: that it was started with; ``computes_on``: what it really computes on, None where unknown.
        run: the last run, or None.
        unfinished: jobs of earlier runs that can be picked up.
        fetched: results that were asked for once more and have come.
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
        """Whether a run is under way."""
        return self.run is not None and self.run.state is JobState.RUNNING

    @property
    def fetching(self) -> bool:
        """Whether a result that was asked for once more has not come yet."""
        return bool(self._fetching)

    @property
    def busy(self) -> bool:
        """Whether something may happen without the artist's doing: `pump` must be called."""
        waits = self.run is not None and any(self.run.waiting())
        return self._connection is not None and self._connection.alive or waits or bool(self.fetched)

    # -- the backend
    # ------------------------------------------------------------------------------------------------------

    def connect(self, address: tuple[str, int] | None = None, token: str = "") -> None:
        """Connect to this user's backend if it runs, or to the one at an address (host, port) with its token."""
        fixed = Endpoint(*address, token) if address else None
        self._fixed = fixed is not None
        self._reconnect(lambda: fixed or _find_own(), None)

    def start(self, location: str, device: str = "") -> None:
        """Connect to this user's backend; where none runs, start the one at ``location`` (see `find_command`).

        ``device``: what it is to compute on, as ``uvatar serve --device`` has it; nothing for its own default.
        """
        if self._backend is None or not self._backend.running:  # one that is only slow to answer is not replaced
            self._backend = BackendProcess(location, device)
        self._fixed = False
        self._reconnect(_find_own, self._backend)

    def stop_backend(self) -> None:
        """End the connection, and the backend that was started here once it has written what it is writing.

        Runs wait.
        """
        self._drop_connection()
        if self._backend is not None:
            self._backend.stop()
            self._backend = None

    # -- runs
    # -------------------------------------------------------------------------------------------------------------

    def reconstruct(
        self, jobs: Sequence[tuple[Sequence[Path], Mapping[str, Any]]], write: Callable[[], None] | None = None
    ) -> JobGroup:
        """Have photos reconstructed, with the options of each job, several jobs where they are many.

        Progress and results come with `pump`.

        Connect or start first; it need not be done yet. ``write`` writes those photos that are no files yet; it is
        called away from the main thread before a job's photos are read, and may raise OSError.
        """
        shared = [(portion, options) for photos, options in jobs for portion in portioned(photos, options)]
        return self._begin([Job(str(uuid.uuid4()), tuple(photos), dict(options)) for photos, options in shared], write)

    def resume(self) -> JobGroup:
        """Go on with the jobs that an earlier Blender left unfinished."""
        jobs, self.unfinished = self.unfinished, []
        return self._begin(jobs)

    def forget_unfinished(self) -> None:
        """Let the jobs that an earlier Blender left unfinished be. The backend still does those that it has."""
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
        """Have the run worked on no more. Without a connection it ends here; the backend forgets it in its own time."""
        if not self.running or self.run is None:
            return
        running = [job for job in self.run.jobs if job.state is JobState.RUNNING]
        if self._connection is not None and self._connection.alive and self.link is Link.ON:
            for job in running:
                self._connection.cancel(job.id)
            return
        self._drop_connection()  # whoever connects next must not go on with it
        for job in running:
            self._end(job, JobEnded(job.id, cancelled=True))

    def imported(self, job: Job, photo: int, people: int) -> None:
        """A photo's people are in the file, or cannot be (0)."""
        job.results.pop(photo, None)
        job.imported.add(photo)
        job.people += people
        self._unfinished_jobs.record(job)

    def fetch(self, job: str, photo: int) -> None:
        """Ask for a result once more; it comes to `fetched`. ``photo`` as the backend counts.

        Connect or start first.
        """
        self._fetching.append((job, photo))
        if self._connection is not None:
            self._connection.fetch(job, photo)

    # -- events
    # -----------------------------------------------------------------------------------------------------------

    def pump(self) -> list[Event]:
        """Take in what has happened since the last call; the events, for whoever wants to know."""
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
            # Nothing can be started, updated or found anew at another's address.
            self.problem = replace(event.problem, fix="Check the address and the token.", remedy=Remedy.PREFERENCES)

    def _end(self, job: Job, event: JobEnded) -> None:
        job.apply(event)
        self._pending_jobs.pop(job.id, None)
        self._unfinished_jobs.record(job)

    def close(self) -> None:
        """End the connection and the backend that was started here.

        Neither is waited for; jobs can be picked up again.
        """
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
            self.pump()  # what it has told already counts
            self._connection.close()
            self._connection = None
        self.link = Link.OFF


def _pending_job(job: Job, write: Callable[[], None] | None) -> PendingJob:
    """What the connection's thread needs to bring a job to its end, from wherever it stands."""
    pending = PendingJob(job.id, job.photos, job.options, write)
    if job.sent is not None:
        pending.known = pending.accepted = True
        pending.sent = list(job.sent)
        pending.told = {job.number(photo) for photo in job.imported}
    return pending


def _find_own() -> Endpoint | None:
    runtime = discovery.read_runtime(discovery.data_folder())
    return Endpoint("127.0.0.1", runtime.port, runtime.token) if runtime is not None else None
