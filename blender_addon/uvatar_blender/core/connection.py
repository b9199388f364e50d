# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that communicates with the backend.

It owns the socket and does everything that may take long: reading photos, sending them, waiting, unpacking and checking
results. The main thread exchanges commands and events with it through queues and never waits for it. It reconnects by
itself, and asks for jobs by their id, so that none is lost when the backend is killed and started again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass

from ..protocol.errors import Code, UvatarError
from .backend_process import BackendProcess
from .events import Disconnected, Event
from .problem import LOST, NOT_RUNNING, SLOW_START, Problem, Remedy, from_wire
from .protocol_client import PendingJob, ProtocolClient, Stopped
from .zmtp import Dealer

RETRY = 0.3  # seconds between attempts to connect
START = 60.0  # seconds that a backend may take to start, the first time from a cold disk
RECONNECT = 60.0  # seconds to keep trying after a connection was lost


@dataclass(frozen=True)
class Endpoint:
    """A backend's address and the token it expects."""

    host: str
    port: int
    token: str


class Connection:
    """The connection to one backend. All methods are for the main thread and return at once."""

    def __init__(
        self,
        find: Callable[[], Endpoint | None],
        backend: BackendProcess | None = None,
        pending_jobs: Iterable[PendingJob] = (),
    ) -> None:
        """Start the thread.

        Args:
            find: returns where the backend is, or None if that is not known; called before each attempt to connect.
            backend: started if none is found; None to give up in that case.
            pending_jobs: jobs to continue.
        """
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[Callable[[ProtocolClient], None]] = queue.SimpleQueue()
        self._find = find
        self._backend = backend
        self._pending_jobs = {pending.id: pending for pending in pending_jobs}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uvatar connection", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is running, or there are events that have not been read yet."""
        return self._thread.is_alive() or not self._events.empty()

    def events(self) -> list[Event]:
        """Return the events since the last call."""
        happened = []
        while True:
            try:
                happened.append(self._events.get_nowait())
            except queue.Empty:
                return happened

    def submit(self, pending: PendingJob) -> None:
        """Submit a job. From now on it belongs to the thread."""

        def begin(client: ProtocolClient) -> None:
            self._pending_jobs[pending.id] = pending
            client.advance(pending)

        self._commands.put(begin)

    def cancel(self, job: str) -> None:
        """Cancel a job; `JobEnded` follows."""

        def cancel(client: ProtocolClient) -> None:
            if job in self._pending_jobs:
                client.cancel(self._pending_jobs[job])

        self._commands.put(cancel)

    def fetch(self, job: str, photo: int) -> None:
        """Request a result again; `Fetched` follows. ``photo`` as the backend counts."""
        self._commands.put(lambda client: client.fetch(job, photo))

    def close(self) -> None:
        """Ask the thread to end, without waiting for it. Jobs continue in the backend."""
        self._stop.set()

    def _run(self) -> None:
        backend, deadline = self._backend, time.monotonic() + (START if self._backend is not None else 0.0)
        told: Problem | None = None
        with suppress(Stopped):
            while True:
                end = self._talk()
                if end.connected:
                    backend, deadline = None, time.monotonic() + RECONNECT
                elif backend is not None and not end.hopeless:
                    problem = backend.start() or backend.failure()
                    end = _End(problem, hopeless=problem is not None)
                final = end.hopeless or time.monotonic() >= deadline
                if final or end.connected or end.problem != told:
                    self._events.put(Disconnected(end.problem or (SLOW_START if final else None), final))
                    told = end.problem
                if final or self._stop.wait(RETRY):
                    return

    def _talk(self) -> _End:
        """Connect, communicate until the connection ends, and return how it ended. Raises Stopped."""
        endpoint = self._find()
        if endpoint is None:
            return _End(NOT_RUNNING)
        connected = False
        try:
            with closing(Dealer(endpoint.host, endpoint.port)) as dealer:
                client = ProtocolClient(
                    dealer, endpoint.port, endpoint.token, self._pending_jobs, self._events.put, self._stop.is_set
                )
                client.begin()
                connected = True
                while True:
                    while not self._commands.empty():
                        self._commands.get()(client)
                    client.listen()
        except UvatarError as error:
            # A restarted backend has a new token, which it may not have written yet when the file was read.
            return _End(from_wire(error), connected, error.code != Code.WRONG_TOKEN or endpoint == self._find())
        except OSError:
            return _End(LOST if connected else NOT_RUNNING, connected)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            problem = Problem(f"The backend sent an unexpected message: {error!r}.", "Update it.", Remedy.UPDATE)
            return _End(problem, connected, hopeless=True)


@dataclass(frozen=True)
class _End:
    """How an attempt to connect and communicate ended.

    Attributes:
        problem: why it ended; None while the backend is being started.
        connected: whether there was a connection.
        hopeless: whether trying again is pointless.
    """

    problem: Problem | None
    connected: bool = False
    hopeless: bool = False
