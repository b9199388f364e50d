# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of the protocol (docs/protocol.md): requests, replies and events."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..protocol import framing, handshake
from ..protocol.errors import Code, UvatarError
from ..protocol.messages import JobRequest, SentPhoto
from ..protocol.options import COMPLETE_TEXTURE
from .any_result import parse_any
from .events import (
    Accepted,
    Computes,
    Connected,
    Event,
    Fetched,
    JobEnded,
    PhotoDone,
    PhotoFailed,
    PhotoMerged,
    Progress,
)
from .problem import NOT_SENT, Problem, Remedy, from_os, from_wire, in_words
from .result import ResultError
from .zmtp import Dealer

CLIENT = "uvatar blender add-on"  # by which the backend's log knows it
TICK = 0.05  # seconds between checks for commands of the main thread
QUIET = 3.0  # seconds of silence after which the backend is pinged and asked for the status of the jobs
SILENT = 20.0  # seconds of silence after which the connection counts as lost
REPLY = 60.0  # seconds that a reply may take, because storing a job on a busy disk may be slow


class Stopped(Exception):
    """Raised when the thread was asked to end."""


@dataclass
class PendingJob:
    """A job as the connection's thread keeps it across reconnections.

    Attributes:
        id: UUID.
        photos: the files as chosen.
        options: option name -> value, as in the protocol.
        write: writes the photos that are not files yet, and may raise OSError; None once it has run.
        known: whether the backend may know the job, so that its status is asked for before it is sent.
        accepted: whether the backend has confirmed the job.
        sent: index among the chosen files of each photo that was sent; files that cannot be read are not sent.
        payload: names and bytes of the photos, until the backend has them on disk.
        told: the backend's indices of the photos whose end was reported.
    """

    id: str
    photos: tuple[Path, ...]
    options: Mapping[str, Any]
    write: Callable[[], None] | None = None
    known: bool = False
    accepted: bool = False
    sent: list[int] = field(default_factory=list)
    payload: list[SentPhoto] | None = None
    told: set[int] = field(default_factory=set)

    def chosen(self, photo: int) -> int:
        """Return the index among the chosen files of a photo with the backend's index."""
        return self.sent[photo] if photo < len(self.sent) else photo


class ProtocolClient:
    """An established connection: requests, their replies, and events. It belongs to the connection's thread.

    Every method may raise OSError if the connection ends, and Stopped.
    """

    def __init__(
        self,
        dealer: Dealer,
        port: int,
        token: str,
        pending_jobs: dict[str, PendingJob],
        tell: Callable[[Event], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Take over a socket.

        Args:
            dealer: the connected socket.
            port: the port that it is connected to.
            token: the token that the backend expects.
            pending_jobs: the jobs in progress, by id; jobs that end are removed.
            tell: called with events for the main thread.
            stopped: whether to end; the methods then raise Stopped.
        """
        self._dealer = dealer
        self._port = port
        self._token = token
        self._pending_jobs = pending_jobs
        self._tell = tell
        self._stopped = stopped
        self._requests = 0
        self._waiting: deque[dict[str, Any]] = deque()  # the backend's events, until no request is in progress
        self._next_question = 0.0

    def begin(self) -> None:
        """Greet the backend and resume the jobs.

        Raises:
            UvatarError: the backend refuses the connection, or the program at this port is not this user's backend.
        """
        asked = handshake.challenge()
        self._dealer.send([asked])
        frames, deadline = None, time.monotonic() + REPLY
        while frames is None:
            if self._stopped():
                raise Stopped
            if time.monotonic() > deadline:
                raise TimeoutError("The backend did not reply.")
            frames = self._dealer.receive(TICK)
        handshake.check_proof(frames, asked, self._token, self._port)
        hello = self._request("hello", client=CLIENT)
        model, options, bodies = hello.get("model"), hello.get("options"), hello.get("bodies")
        self._tell(
            Connected(
                str(hello.get("version")),
                str(model.get("state")) if isinstance(model, Mapping) else "unknown",
                frozenset(str(name) for name in options) if isinstance(options, Mapping) else frozenset(),
                frozenset(str(name) for name in bodies) if isinstance(bodies, list) else frozenset(),
                str(hello.get("models_folder", "")),
                str(hello.get("device", "")),
            )
        )
        self._tell_device(model)
        for pending in list(self._pending_jobs.values()):
            self.advance(pending)

    def _tell_device(self, model: Any) -> None:
        """Tell what the backend computes on, where it says so: once its models are loaded."""
        if isinstance(model, Mapping) and isinstance(model.get("device"), str):
            notes = model.get("device_notes")
            told = tuple(str(note) for note in notes) if isinstance(notes, list) else ()
            self._tell(Computes(model["device"], told))

    def listen(self) -> None:
        """Process what arrives within a tick; after some silence, ping the backend and ask for the jobs' status."""
        self._receive()
        while self._waiting:
            self._deal_with(self._waiting.popleft())
        silence = time.monotonic() - self._dealer.last_heard
        if silence > SILENT:
            raise ConnectionError("The backend does not respond.")
        if silence > QUIET and time.monotonic() > self._next_question:
            self._next_question = time.monotonic() + QUIET
            self._dealer.ping()
            for pending in list(self._pending_jobs.values()):
                self.advance(pending)

    def advance(self, pending: PendingJob) -> None:
        """Move a job forward: ask for its status, or send it if the backend does not know it yet."""
        try:
            if pending.known:
                try:
                    self._take_status(pending, self._request("status", job=pending.id))
                    return
                except UvatarError as error:
                    if error.code != Code.UNKNOWN_JOB or pending.accepted:
                        raise
            self._send(pending)
        except UvatarError as error:
            self._end(pending, JobEnded(pending.id, problem=from_wire(error)))

    def cancel(self, pending: PendingJob) -> None:
        """Cancel a job."""
        try:
            self._request("cancel", job=pending.id)
        except UvatarError as error:
            if error.code != Code.UNKNOWN_JOB:  # a job cancelled before it arrived is cancelled as well
                self._end(pending, JobEnded(pending.id, problem=from_wire(error)))
                return
        self._end(pending, JobEnded(pending.id, cancelled=True))

    def fetch(self, job: str, photo: int) -> None:
        """Request a result again; `Fetched` follows. ``photo`` is the backend's index."""
        try:
            self._tell(Fetched(job, photo, parse_any(self._request("result", job=job, photo=photo)["result"])))
        except UvatarError as error:
            self._tell(Fetched(job, photo, None, from_wire(error)))
        except ResultError as error:
            self._tell(Fetched(job, photo, None, Problem(str(error), "Make the avatar again.", Remedy.RUN)))

    def _send(self, pending: PendingJob) -> None:
        if pending.write is not None:
            try:
                pending.write()
            except OSError as error:
                problem = Problem(
                    f"The picture to send cannot be written: {in_words(error)}.", "Fix this, then try again."
                )
                self._end(pending, JobEnded(pending.id, problem=problem))
                return
            pending.write = None  # releases the pixels that it holds
        if pending.payload is None:
            pending.payload, unreadable = _read_photos(pending)
            if unreadable and pending.options.get(COMPLETE_TEXTURE):  # such a job needs all of its pictures
                self._end(pending, JobEnded(pending.id, problem=NOT_SENT))
                return
            for photo, problem in unreadable.items():
                self._tell(PhotoFailed(pending.id, photo, problem))
        if not pending.payload:
            self._end(
                pending,
                JobEnded(
                    pending.id,
                    problem=Problem("None of the photos can be read.", "Choose other photos.", Remedy.PHOTOS),
                ),
            )
            return
        pending.known = True
        job = JobRequest(job=pending.id, photos=pending.payload, options=dict(pending.options))
        status = self._request("reconstruct", **job)
        pending.payload, pending.accepted = None, True
        self._tell(Accepted(pending.id, tuple(pending.sent)))
        self._take_status(pending, status)

    def _take_status(self, pending: PendingJob, status: Mapping[str, Any]) -> None:
        for photo in status["photos"]:
            self._end_photo(pending, int(photo["index"]), photo["state"], photo.get("error"))
        if status["state"] in ("finished", "cancelled"):
            self._end(pending, JobEnded(pending.id, cancelled=status["state"] == "cancelled"))

    def _end_photo(self, pending: PendingJob, photo: int, state: str, error: Mapping[str, Any] | None) -> None:
        if photo in pending.told or state not in ("done", "failed", "merged"):
            return
        chosen = pending.chosen(photo)
        event: Event
        if state == "done":
            try:
                reply = self._request("result", job=pending.id, photo=photo)
                event = PhotoDone(pending.id, chosen, parse_any(reply["result"]), photo)
            except UvatarError as failure:
                event = PhotoFailed(pending.id, chosen, from_wire(failure))
            except ResultError as failure:
                event = PhotoFailed(pending.id, chosen, Problem(str(failure), "Make the avatar again.", Remedy.RUN))
        elif state == "failed":
            event = PhotoFailed(pending.id, chosen, from_wire(UvatarError.from_dict(error or {})))
        else:
            event = PhotoMerged(pending.id, chosen)
        pending.told.add(photo)
        self._tell(event)

    def _end(self, pending: PendingJob, event: JobEnded) -> None:
        if self._pending_jobs.pop(pending.id, None) is None:
            return
        self._tell(event)
        if event.problem is None and not event.cancelled:
            # The models are loaded now, and a GPU may have failed on the way.
            self._tell_device(self._request("hello", client=CLIENT).get("model"))

    def _deal_with(self, event: Mapping[str, Any]) -> None:
        pending = self._pending_jobs.get(str(event.get("job")))
        if pending is None:
            return
        if event["kind"] == "progress":
            left = event.get("seconds_left")
            self._tell(
                Progress(
                    pending.id,
                    pending.chosen(int(event["photo"])),
                    str(event["stage"]),
                    float(event["fraction"]),
                    str(event["message"]),
                    None if left is None else float(left),
                )
            )
        elif event["kind"] == "photo":
            self._end_photo(pending, int(event["photo"]), str(event["state"]), event.get("error"))
        elif event["kind"] == "finished":
            self._take_status(pending, event)

    def _request(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for the reply, while events are queued. Raises UvatarError for an error reply."""
        self._requests += 1
        message = framing.pack({"kind": kind, "request": self._requests, **fields})
        self._dealer.send([self._token.encode(), *message])
        deadline = time.monotonic() + REPLY
        while time.monotonic() < deadline:
            reply = self._receive()
            if reply is None:
                continue
            if reply.get("kind") == "error" and reply.get("request") in (None, self._requests):
                raise UvatarError.from_dict(reply)
            if reply.get("request") == self._requests:
                return reply
        raise TimeoutError("The backend did not reply.")

    def _receive(self) -> dict[str, Any] | None:
        """Return a reply that arrives within a tick, or None; events are queued."""
        if self._stopped():
            raise Stopped
        frames = self._dealer.receive(TICK)
        if frames is None:
            return None
        message = framing.unpack(frames)
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise UvatarError("The backend sent an unreadable message.")
        if "request" in message:
            return message
        self._waiting.append(message)
        return None


def _read_photos(pending: PendingJob) -> tuple[list[SentPhoto], dict[int, Problem]]:
    """Read the photos of a job and note in it which are sent.

    Returns:
        Names and bytes of the photos, and the problems of those that cannot be read, by index.
    """
    payload: list[SentPhoto] = []
    unreadable: dict[int, Problem] = {}
    pending.sent.clear()
    for index, path in enumerate(pending.photos):
        try:
            payload.append({"name": path.name, "data": path.read_bytes()})
            pending.sent.append(index)
        except OSError as error:
            unreadable[index] = from_os(error, path)
    return payload, unreadable
