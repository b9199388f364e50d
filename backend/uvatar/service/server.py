"""The front: the process that clients talk to.

It answers requests (`uvatar.service.requests`), keeps the journal and runs the model processes
(`uvatar.service.pool`). It never imports a model or an image library, so that it starts at once, stays small, and
survives whatever crashes those.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from uvatar.protocol import discovery, framing, handshake
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.version import __version__
from uvatar.service import network
from uvatar.service.ingest import Ingest, QueueLimits
from uvatar.service.journal import Journal
from uvatar.service.listener import Listener, Listeners, Peer
from uvatar.service.model_process import PoolSettings
from uvatar.service.pool import Pool
from uvatar.service.requests import RequestHandlers
from uvatar.service.retention import Policy, clean
from uvatar.service.subscriptions import Subscriptions

TICK_MS = 100  # milliseconds between checks of the model processes when nothing happens: far less than CANCEL_GRACE
ARRIVAL_TICK_MS = 5  # the same while a job is being written: its reply waits for one
CLEAN_EVERY = 3600.0  # seconds between applications of the retention policy, which counts in days
LARGE_MESSAGE = 64 << 10  # bytes of messages that are unpacked in a thread, so that others are answered meanwhile
MOST_REQUEST = 200  # characters of a request's number or name
RUNTIME_CHECK_EVERY = 1.0  # seconds between checks that clients can find this server; docs/reliability.md: "a second"

log = logging.getLogger("uvatar.service.server")


def new_token() -> str:
    """A new random token of 256 bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        folder: the data folder, for journal, photos, results and logs.
        port: the port on 127.0.0.1, 0 for any free port.
        network: host and port at which other computers may connect, encrypted; None for no such connections.
        token: must be in every request from this computer; a new one by default.
        pool: the model processes.
        policy: how long jobs are kept.
        queue: how much may wait.
        idle_exit: exit after this many seconds without a request or a job; None for never.
        memory_limit: bytes of this process at which all connections are dropped; None for the default of `Listeners`.
    """

    folder: Path
    port: int = 0
    network: tuple[str, int] | None = None
    token: str = field(default_factory=new_token)
    pool: PoolSettings = field(default_factory=PoolSettings)
    policy: Policy = field(default_factory=Policy)
    queue: QueueLimits = field(default_factory=QueueLimits)
    idle_exit: float | None = None
    memory_limit: int | None = None


class Front:
    """A server. Once created it has its port and journal, and clients can find it; `run` serves until `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Open the journal and the port.

        Raises:
            AlreadyServed: the data folder has a server.
            UvatarError, OSError: the folder or the port cannot be used.
        """
        self.settings = settings
        self.journal = Journal(settings.folder)
        self._context = zmq.Context()
        self._authenticator: network.ClientKeyAuthenticator | None = None
        try:
            listeners = [Listener(self._context, "127.0.0.1", settings.port, settings.token)]
            if settings.network:
                keys = network.load_keys(settings.folder)
                self._authenticator = network.ClientKeyAuthenticator(self._context, keys)
                listeners.append(Listener(self._context, *settings.network, keys.token, keys))
                self.access = network.write_access(settings.folder, keys, settings.network[0], listeners[-1].port)
        except BaseException:
            self.journal.close()
            if self._authenticator:
                self._authenticator.close()
            self._context.destroy(linger=0)
            raise
        self._listeners = Listeners(listeners, settings.memory_limit)
        self.port = listeners[0].port
        self.runtime = Runtime(self.port, settings.token, os.getpid(), __version__)
        subscriptions = Subscriptions()
        self._pool = Pool(self.journal, settings.pool, subscriptions.publish, self._context)
        self._listeners.also_wake_for(self._pool.socket)
        self._ingest = Ingest(self.journal, settings.queue)
        self._stopping = threading.Event()
        self._last_request = time.monotonic()
        self._next_cleaning = 0.0
        self._next_runtime_check = 0.0
        self._requests = RequestHandlers(self.runtime, self.journal, self._pool, self._ingest, subscriptions, self.stop)
        discovery.write_runtime(settings.folder, self.runtime)

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler or another thread.

        Unfinished jobs continue with the next server.
        """
        self._stopping.set()

    def run(self) -> None:
        """Serve until `stop`, a `shutdown` request or the idle limit.

        Errors in requests and model processes do not end it.
        """
        try:
            while not self._stopping.is_set() and not self._idle_too_long():
                for listener in self._listeners.wait(ARRIVAL_TICK_MS if self._ingest.busy else TICK_MS):
                    try:
                        self._receive(*listener.receive())
                    except Exception:  # whatever it is, one message does not end the server
                        log.exception("A message could not be handled")
                self._tick()
        finally:
            self._close()

    def _close(self) -> None:
        if discovery.read_runtime(self.settings.folder) == self.runtime:
            with suppress(OSError):
                discovery.runtime_file(self.settings.folder).unlink()
        self._pool.close()
        self._ingest.close()
        self._listeners.close()
        if self._authenticator:
            self._authenticator.close()
        self._context.term()
        self.journal.close()

    def _tick(self) -> None:
        try:
            self._ingest.tick()
            self._pool.tick()
            self._listeners.limit_memory()
            if time.monotonic() >= self._next_runtime_check:
                self._next_runtime_check = time.monotonic() + RUNTIME_CHECK_EVERY
                self._keep_runtime_file()
            if time.monotonic() >= self._next_cleaning:
                self._next_cleaning = time.monotonic() + CLEAN_EVERY
                clean(self.journal, self.settings.policy)
        except Exception:
            log.exception("Supervising the model processes failed; trying again")
            self._pool.pause()

    def _keep_runtime_file(self) -> None:
        """Rewrite the file by which clients find this server if somebody has deleted or damaged it."""
        if discovery.read_runtime(self.settings.folder) is None and self.settings.folder.is_dir():
            log.warning("server.json is missing or damaged; writing it again")
            discovery.write_runtime(self.settings.folder, self.runtime)

    def _idle_too_long(self) -> bool:
        if self._pool.busy or self._ingest.busy:
            self._last_request = time.monotonic()
        limit = self.settings.idle_exit
        if limit is None or time.monotonic() - self._last_request <= limit:
            return False
        if self.journal.load().photos:  # photos may wait for models that load slowly, or for space on the disk
            self._last_request = time.monotonic()
            return False
        return True

    # -- messages -----------------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer, frames: Sequence[Any]) -> None:
        """Answer a message, of which nothing is looked at but its beginning unless that is the token."""
        frames, token = frames or [b""], peer.listener.token
        if handshake.is_challenge(frames):
            peer.send_frames([handshake.proof(bytes(frames[0]), token, peer.listener.port)])
            return
        if not handshake.has_token(frames, token):
            peer.send_frames(handshake.refusal(frames))
            return
        self._last_request = time.monotonic()
        size = sum(memoryview(frame).nbytes for frame in frames)
        try:
            if size > LARGE_MESSAGE:
                self._ingest.later(size, partial(_unpacked, frames), partial(self._answer, peer), peer.send_error)
            else:
                self._answer(peer, _unpacked(frames))
        except UvatarError as error:
            peer.send_error(error)

    def _answer(self, peer: Peer, message: dict[str, Any]) -> None:
        request = message.get("request")
        if not isinstance(request, (int, float)) and not (isinstance(request, str) and len(request) <= MOST_REQUEST):
            request = None  # the reply repeats it
        self._requests.answer(peer, {**message, "request": request})


def _unpacked(frames: Sequence[Any]) -> dict[str, Any]:
    """The request in a message that begins with the token. Raises UvatarError."""
    message = framing.unpack(frames[1:])
    if not isinstance(message, dict):
        raise UvatarError("A request must be a dictionary.")
    return message
