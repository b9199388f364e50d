# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that talks to the backend.

It owns the socket, and everything slow happens in it: reading photos, sending them, waiting, unpacking and checking
results. The main thread gives it commands and takes events, both through queues, and never waits for it. It connects again
by itself: jobs are asked for by their id, so a backend that was killed and started again loses none.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .conversation import Conversation, Order, Stopped
from .events import Disconnected, Event
from .problem import LOST, NOT_RUNNING, Problem, Remedy, from_wire
from .wire import WireError
from .zmtp import Dealer

RETRY = 0.3  # seconds between attempts to connect
RECONNECT = 60.0  # seconds to go on trying when a connection was lost


@dataclass(frozen=True)
class Endpoint:
    """Where a backend is, and the token that it wants to hear."""

    host: str
    port: int
    token: str


class Connection:
    """The connection to one backend; made, it works. All methods are for the main thread and return at once."""

    def __init__(
        self,
        find: Callable[[], Endpoint | None],
        failure: Callable[[], str | None] = lambda: None,
        patience: float = 0.0,
        orders: Iterable[Order] = (),
    ) -> None:
        """
        Args:
            find: where the backend is, or None where that is not known; asked by the thread before each attempt.
            failure: why a backend that is being started has ended, or None; asked likewise.
            patience: seconds to go on trying to connect; at least one attempt is made.
            orders: jobs to go on with.
        """
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[Callable[[Conversation], None]] = queue.SimpleQueue()
        self._find = find
        self._failure = failure
        self._patience = patience
        self._orders = {order.id: order for order in orders}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uvatar connection", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still works, or tries to."""
        return self._thread.is_alive()

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        happened = []
        while True:
            try:
                happened.append(self._events.get_nowait())
            except queue.Empty:
                return happened

    def submit(self, order: Order) -> None:
        """Have photos reconstructed. From now on the order belongs to the thread."""

        def begin(conversation: Conversation) -> None:
            self._orders[order.id] = order
            conversation.advance(order)

        self._commands.put(begin)

    def cancel(self, job: str) -> None:
        """Have a job worked on no more; `JobEnded` follows."""

        def cancel(conversation: Conversation) -> None:
            if job in self._orders:
                conversation.cancel(self._orders[job])

        self._commands.put(cancel)

    def close(self) -> None:
        """End the thread soon, without waiting for it. Jobs go on in the backend."""
        self._stop.set()

    def _run(self) -> None:
        deadline = time.monotonic() + self._patience
        told: Problem | None = None
        try:
            while True:
                problem, connected, hopeless = self._connect_and_talk()
                if connected:
                    deadline, told = time.monotonic() + RECONNECT, None
                final = hopeless or time.monotonic() >= deadline
                if final or problem != told:
                    self._events.put(Disconnected(problem, final))
                    told = problem
                if final or self._stop.wait(RETRY):
                    return
        except Stopped:
            return

    def _connect_and_talk(self) -> tuple[Problem, bool, bool]:
        """Talk until the connection ends: why it did, whether there was one, and whether trying again is of no use."""
        reason = self._failure()
        if reason is not None:
            return Problem(f"The backend could not start: {reason}", "Its log says more.", Remedy.LOG), False, True
        endpoint = self._find()
        if endpoint is None:
            return NOT_RUNNING, False, False
        connected = False
        try:
            dealer = Dealer(endpoint.host, endpoint.port)
            try:
                conversation = Conversation(dealer, endpoint.token, self._orders, self._events.put, self._stop.is_set)
                conversation.begin()
                connected = True
                while True:
                    while not self._commands.empty():
                        self._commands.get()(conversation)
                    conversation.listen()
            finally:
                dealer.close()
        except WireError as error:
            # A backend that was started anew has a new token, which may not have been written when it was asked for.
            return from_wire(error), connected, error.code != "wrong-token" or endpoint == self._find()
        except OSError:
            return (LOST if connected else NOT_RUNNING), connected, False
        except (KeyError, TypeError, ValueError) as error:
            return Problem(f"The backend sent something that cannot be understood: {error!r}.", "Update both.", Remedy.LOG), connected, True
