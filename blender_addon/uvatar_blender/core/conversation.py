# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said between the add-on and a backend that answers: docs/protocol.md from the client's side."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..protocol import framing
from ..protocol.errors import Code, UvatarError
from .events import Accepted, Connected, Event, Fetched, JobEnded, PhotoDone, PhotoFailed, PhotoMerged, Progress
from .problem import NOT_SENT, Problem, Remedy, from_os, from_wire, in_words
from .result import ResultError, parse_any
from .zmtp import Dealer

TICK = 0.05  # seconds between looks at what the main thread wants
QUIET = 3.0  # seconds without a word from the backend before it is asked for a sign of life and for the jobs' status
SILENT = 20.0  # seconds after which a backend that gives none is taken for dead
REPLY = 60.0  # seconds that a reply may take: a busy disk may be slow to store a job


class Stopped(Exception):
    """The thread was asked to end."""


@dataclass
class Order:
    """A job as the connection's thread keeps it, also from one connection to the next.

    Attributes:
        id: UUID.
        photos: files as chosen.
        options: as the protocol names them.
        write: writes those photos that are no files yet; None when it has. May raise OSError.
        known: whether the backend may know the job: ask for its status before sending it.
        accepted: whether it has said that it has the job.
        sent: index among the chosen files of each photo that was sent: those that cannot be read are not.
        payload: names and bytes of the photos, until the backend has them on disk.
        told: photos (as the backend counts) whose end was told.
    """

    id: str
    photos: tuple[Path, ...]
    options: Mapping[str, Any]
    write: Callable[[], None] | None = None
    known: bool = False
    accepted: bool = False
    sent: list[int] = field(default_factory=list)
    payload: list[dict[str, Any]] | None = None
    told: set[int] = field(default_factory=set)

    def chosen(self, photo: int) -> int:
        """Index among the chosen files of a photo as the backend counts."""
        return self.sent[photo] if photo < len(self.sent) else photo


class Conversation:
    """One connection that holds: requests with their replies, and events. Belongs to the connection's thread."""

    def __init__(
        self,
        dealer: Dealer,
        token: str,
        orders: dict[str, Order],
        tell: Callable[[Event], None],
        stopped: Callable[[], bool],
    ):
        """
        Args:
            orders: the jobs that are under way, by id; jobs that end are taken out.
            tell: takes events for the main thread.
            stopped: whether to end; then whatever is going on raises Stopped.
        """
        self._dealer = dealer
        self._token = token
        self._orders = orders
        self._tell = tell
        self._stopped = stopped
        self._requests = 0
        self._waiting: deque[dict[str, Any]] = deque()  # the backend's events, until no request is under way
        self._next_question = 0.0

    # Every method may raise OSError where the connection ends, and Stopped.

    def begin(self) -> None:
        """Say hello and pick up the jobs. UvatarError where the backend does not want to talk to us."""
        hello = self._request("hello", client="uvatar blender add-on")
        model, options, bodies = hello.get("model"), hello.get("options"), hello.get("bodies")
        self._tell(
            Connected(
                str(hello.get("version")),
                str(model.get("state")) if isinstance(model, Mapping) else "unknown",
                frozenset(str(name) for name in options) if isinstance(options, Mapping) else frozenset(),
                frozenset(str(name) for name in bodies) if isinstance(bodies, list) else frozenset(),
                str(hello.get("models_folder", "")),
            )
        )
        for order in list(self._orders.values()):
            self.advance(order)

    def listen(self) -> None:
        """Deal with what comes within a tick; after some silence ask whether the backend is there and how the
        jobs are.
        """
        self._receive()
        while self._waiting:
            self._deal_with(self._waiting.popleft())
        silence = time.monotonic() - self._dealer.last_heard
        if silence > SILENT:
            raise ConnectionError("The backend is silent.")
        if silence > QUIET and time.monotonic() > self._next_question:
            self._next_question = time.monotonic() + QUIET
            self._dealer.ping()
            for order in list(self._orders.values()):
                self.advance(order)

    def advance(self, order: Order) -> None:
        """Bring a job forward: ask how it is, or send it where the backend does not know it yet."""
        try:
            if order.known:
                try:
                    self._take_status(order, self._request("status", job=order.id))
                    return
                except UvatarError as error:
                    if error.code != Code.UNKNOWN_JOB or order.accepted:
                        raise
            self._send(order)
        except UvatarError as error:
            self._end(order, JobEnded(order.id, problem=from_wire(error)))

    def cancel(self, order: Order) -> None:
        """Have the backend work on a job no more."""
        try:
            self._request("cancel", job=order.id)
        except UvatarError as error:
            if error.code != Code.UNKNOWN_JOB:  # cancelled before it arrived is cancelled too
                self._end(order, JobEnded(order.id, problem=from_wire(error)))
                return
        self._end(order, JobEnded(order.id, cancelled=True))

    def fetch(self, job: str, photo: int) -> None:
        """Ask for a result once more; `Fetched` follows. ``photo`` as the backend counts."""
        try:
            self._tell(Fetched(job, photo, parse_any(self._request("result", job=job, photo=photo)["result"])))
        except UvatarError as error:
            self._tell(Fetched(job, photo, None, from_wire(error)))
        except ResultError as error:
            self._tell(Fetched(job, photo, None, Problem(str(error), "Make it again.", Remedy.RUN)))

    # -- jobs
    # -------------------------------------------------------------------------------------------------------------

    def _send(self, order: Order) -> None:
        if order.write is not None:
            try:
                order.write()
            except OSError as error:
                problem = Problem(f"What is to be sent cannot be written: {in_words(error)}.", "Then try it again.")
                self._end(order, JobEnded(order.id, problem=problem))
                return
            order.write = None  # with all that it holds
        if order.payload is None:
            order.payload, unreadable = _read_photos(order)
            if unreadable and order.options.get("complete_texture"):  # all of its pictures or none
                self._end(order, JobEnded(order.id, problem=NOT_SENT))
                return
            for photo, problem in unreadable.items():
                self._tell(PhotoFailed(order.id, photo, problem))
        if not order.payload:
            self._end(
                order,
                JobEnded(order.id, problem=Problem("None of the photos can be read.", "Choose others.", Remedy.PHOTOS)),
            )
            return
        order.known = True
        status = self._request("reconstruct", job=order.id, photos=order.payload, options=dict(order.options))
        order.payload, order.accepted = None, True
        self._tell(Accepted(order.id, tuple(order.sent)))
        self._take_status(order, status)

    def _take_status(self, order: Order, status: Mapping[str, Any]) -> None:
        for photo in status["photos"]:
            self._end_photo(order, int(photo["index"]), photo["state"], photo.get("error"))
        if status["state"] in ("finished", "cancelled"):
            self._end(order, JobEnded(order.id, cancelled=status["state"] == "cancelled"))

    def _end_photo(self, order: Order, photo: int, state: str, error: Mapping[str, Any] | None) -> None:
        if photo in order.told or state not in ("done", "failed", "merged"):
            return
        chosen = order.chosen(photo)
        event: Event
        if state == "done":
            try:
                reply = self._request("result", job=order.id, photo=photo)
                event = PhotoDone(order.id, chosen, parse_any(reply["result"]), photo)
            except UvatarError as failure:
                event = PhotoFailed(order.id, chosen, from_wire(failure))
            except ResultError as failure:
                event = PhotoFailed(order.id, chosen, Problem(str(failure), "Make it again.", Remedy.RUN))
        elif state == "failed":
            event = PhotoFailed(order.id, chosen, from_wire(UvatarError.from_dict(error or {})))
        else:
            event = PhotoMerged(order.id, chosen)
        order.told.add(photo)
        self._tell(event)

    def _end(self, order: Order, event: JobEnded) -> None:
        if self._orders.pop(order.id, None) is not None:
            self._tell(event)

    # -- messages
    # ---------------------------------------------------------------------------------------------------------

    def _deal_with(self, event: Mapping[str, Any]) -> None:
        order = self._orders.get(str(event.get("job")))
        if order is None:
            return
        if event["kind"] == "progress":
            left = event.get("seconds_left")
            self._tell(
                Progress(
                    order.id,
                    order.chosen(int(event["photo"])),
                    str(event["stage"]),
                    float(event["fraction"]),
                    str(event["message"]),
                    None if left is None else float(left),
                )
            )
        elif event["kind"] == "photo":
            self._end_photo(order, int(event["photo"]), str(event["state"]), event.get("error"))
        elif event["kind"] == "finished":
            self._take_status(order, event)

    def _request(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Ask, and wait for the reply; events that come first wait. UvatarError for an error reply."""
        self._requests += 1
        self._dealer.send(framing.pack({"kind": kind, "token": self._token, "request": self._requests, **fields}))
        deadline = time.monotonic() + REPLY
        while time.monotonic() < deadline:
            reply = self._receive()
            if reply is None:
                continue
            if reply.get("kind") == "error" and reply.get("request") in (None, self._requests):
                raise UvatarError.from_dict(reply)
            if reply.get("request") == self._requests:
                return reply
        raise TimeoutError("The backend does not reply.")

    def _receive(self) -> dict[str, Any] | None:
        """A reply that comes within a tick, or None; an event is put with those that wait."""
        if self._stopped():
            raise Stopped
        frames = self._dealer.receive(TICK)
        if frames is None:
            return None
        message = framing.unpack(frames)
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise UvatarError("The backend sent something that is no message.")
        if "request" in message:
            return message
        self._waiting.append(message)
        return None


def _read_photos(order: Order) -> tuple[list[dict[str, Any]], dict[int, Problem]]:
    """Names and bytes of the photos, and what is wrong with those that cannot be read, by index; notes in the order
    which are sent.
    """
    payload: list[dict[str, Any]] = []
    unreadable: dict[int, Problem] = {}
    order.sent.clear()
    for index, path in enumerate(order.photos):
        try:
            payload.append({"name": path.name, "data": path.read_bytes()})
            order.sent.append(index)
        except OSError as error:
            unreadable[index] = from_os(error, path)
    return payload, unreadable
