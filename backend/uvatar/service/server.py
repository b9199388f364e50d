"""The front: the process that clients talk to.

It answers requests, keeps the journal and leads the model processes (`uvatar.service.pool`).  It never imports a model
or an image library, so that it starts at once, stays small, and cannot die of what kills those.  docs/protocol.md has
the messages.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import zmq

from uvatar import __version__
from uvatar.protocol import discovery, framing, photo_lists
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import PROTOCOL_VERSION, RESULT_SCHEMA
from uvatar.protocol.options import checked_options
from uvatar.protocol.photo_lists import JOB_PHOTOS
from uvatar.runtime import versions
from uvatar.runtime.memory import always_give_back
from uvatar.runtime.weights import bodies, models_folder
from uvatar.service import network
from uvatar.service.ingest import Ingest, QueueLimits
from uvatar.service.job_files import disk_error
from uvatar.service.journal import Job, Journal, checked_id
from uvatar.service.listener import Listener, Listeners, Peer
from uvatar.service.logs import log_to_folder
from uvatar.service.pool import Pool, PoolSettings
from uvatar.service.private import private_folder
from uvatar.service.retention import Policy, clean, forget

TICK_MS = 100  # between looks at the model processes when nothing happens
ARRIVAL_TICK_MS = 5  # the same while a job is being written
CLEAN_EVERY = 3600.0  # seconds
RUNTIME_CHECK_EVERY = 1.0  # seconds between looks whether this server can still be found
CAPABILITIES = ("same_person", "result_per_photo", "cancel", "progress", "forget")
_SHA256 = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("uvatar.service.server")


def new_token() -> str:
    """A token that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        folder: data folder: journal, photos, results, logs.
        port: on 127.0.0.1, 0 for any that is free.
        network: host and port of this computer at which other computers may come in, encrypted; None to stay alone.
        token: what every request of this computer must carry; a new one by default.
        pool: the model processes.
        policy: how long jobs are kept.
        queue: how much may wait.
        idle_exit: end after this many seconds without a request or a job; None to stay.
        memory_limit: bytes of this process, at which all connections are dropped; None: see `Listeners`.
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
    """A server: made, it has its port and its journal and can be found; `run` serves until `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Raises AlreadyServed where the data folder has a server, UvatarError and OSError where folder or port cannot
        be used.
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
        self._pool = Pool(self.journal, settings.pool, self._publish, self._context)
        self._listeners.also_wake_for(self._pool.socket)
        self._ingest = Ingest(self.journal, settings.queue)
        self._subscribers: dict[str, set[Peer]] = {}
        self._stopping = threading.Event()
        self._last_request = time.monotonic()
        self._next_cleaning = 0.0
        self._next_runtime_check = 0.0
        discovery.write_runtime(settings.folder, self.runtime)
        self._handlers: dict[str, Callable[[Peer, dict[str, Any]], dict[str, Any] | None]] = {
            "hello": self._hello,
            "reconstruct": self._reconstruct,
            "status": self._status,
            "result": self._result,
            "cancel": self._cancel,
            "forget": self._forget,
            "shutdown": self._shutdown,
        }

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler or another thread.

        Unfinished jobs go on with the next server.
        """
        self._stopping.set()

    def run(self) -> None:
        """Serve.

        Whatever a request or a model process does wrong, this goes on; it ends by `stop`, a `shutdown` or idleness.
        """
        try:
            while not self._stopping.is_set() and not self._idle_too_long():
                for listener in self._listeners.wait(ARRIVAL_TICK_MS if self._ingest.busy else TICK_MS):
                    self._receive(*listener.receive())
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
            log.exception("Looking after the model processes failed; trying again")
            self._pool.pause()

    def _keep_runtime_file(self) -> None:
        """Write the file anew by which clients find this server, where somebody has deleted or damaged it."""
        if discovery.read_runtime(self.settings.folder) is None and self.settings.folder.is_dir():
            log.warning("server.json has gone: writing it again")
            discovery.write_runtime(self.settings.folder, self.runtime)

    def _idle_too_long(self) -> bool:
        if self._pool.busy or self._ingest.busy:
            self._last_request = time.monotonic()
        limit = self.settings.idle_exit
        if limit is None or time.monotonic() - self._last_request <= limit:
            return False
        if self.journal.load().photos:  # they wait for models that take long to load, or for room on the disk
            self._last_request = time.monotonic()
            return False
        return True

    # -- messages -----------------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer, frames: Sequence[Any]) -> None:
        self._last_request = time.monotonic()
        request: Any = None
        try:
            message = framing.unpack(frames)
            if not isinstance(message, dict):
                raise UvatarError("A request is a dictionary.")
            if isinstance(message.get("request"), (str, int, float)):
                request = message["request"]
            self._check_token(peer, message.get("token"))
        except UvatarError as error:
            self._send(peer, {"kind": "error", **error.as_dict(), "request": request})
        else:
            self._respond(peer, {**message, "request": request})

    def _check_token(self, peer: Peer, token: Any) -> None:
        if not isinstance(token, str) or not secrets.compare_digest(token.encode(), peer.listener.token.encode()):
            fix = "Connect again: the server may have been started anew, with a new token."
            raise UvatarError("The token is not this server's.", Code.WRONG_TOKEN, fix)

    def _respond(self, peer: Peer, message: dict[str, Any]) -> None:
        """Answer a request; one about a job that is still being written waits for that."""
        if self._ingest.postpone(message.get("job"), lambda: self._respond(peer, message)):
            return
        try:
            handler = self._handlers.get(message["kind"]) if isinstance(message.get("kind"), str) else None
            if handler is None:
                known = ", ".join(self._handlers)
                raise UvatarError(
                    f"There is no request {str(message.get('kind'))[:40]!r}; there are {known}.", Code.UNKNOWN_MESSAGE
                )
            reply = handler(peer, message)
        except Exception as error:
            reply = _error_reply(error)
        if reply is not None:
            self._send(peer, {**reply, "request": message["request"]})

    def _send(self, peer: Peer, message: dict[str, Any]) -> bool:
        """Send to a client, dropping it where the client has gone or does not read. False where it was dropped."""
        try:
            frames = framing.pack(message)
        except UvatarError as error:
            frames = framing.pack({"kind": "error", "request": message.get("request"), **error.as_dict()})
        return peer.listener.send(peer.identity, frames)

    def _publish(self, event: dict[str, Any]) -> None:
        """Send an event to the job's subscribers."""
        listening = self._subscribers.get(event["job"], set())
        for peer in list(listening):
            if not self._send(peer, event):
                listening.discard(peer)
        if event["kind"] == "finished":
            self._subscribers.pop(event["job"], None)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        log.info("Hello from %s", str(message.get("client"))[:80])
        return {
            "kind": "hello",
            "version": self.runtime.version,
            "protocol": PROTOCOL_VERSION,
            "result_schema": RESULT_SCHEMA,
            "capabilities": CAPABILITIES,
            "options": checked_options({}),
            "bodies": bodies(models_folder()),
            "models_folder": photo_lists.shown(str(models_folder())),
            "model": self._pool.status(),
        }

    def _reconstruct(self, peer: Peer, message: dict[str, Any]) -> None:
        identifier = checked_id(message.get("job"))
        photos = _checked_photos(message.get("photos"))
        options = checked_options(message.get("options", {}))

        def accept(job: Job) -> None:
            if job.active:
                self._subscribe(job, peer)
                self._pool.try_again()
            log.info("Job accepted: %d photos, %s", len(job.photos), job.state, extra={"job": job.id})
            self._send(peer, {"kind": "accepted", **job.as_dict(), "request": message["request"]})

        def refuse(error: Exception) -> None:
            self._send(peer, {**_error_reply(error), "request": message["request"]})

        self._ingest.take(identifier, photos, options, f"{peer.listener.port}/{peer.identity.hex()}", accept, refuse)

    def _status(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("job") is not None:
            job = self.journal.job(checked_id(message["job"]))
            self._subscribe(job, peer)
            return {"kind": "status", **job.as_dict()}
        load, limits = self.journal.load(), self.settings.queue
        return {
            "kind": "status",
            "version": self.runtime.version,
            "pid": self.runtime.pid,
            "folder": photo_lists.shown(str(self.settings.folder)),
            "disk_free": shutil.disk_usage(self.settings.folder).free,
            "versions": versions.installed(),
            "memory": psutil.Process().memory_info().rss,
            "queue": {**vars(load), "most_photos": limits.photos, "most_bytes": limits.bytes},
            "model": self._pool.status(),
            "workers": [{**worker, "memory": _memory(worker["pid"])} for worker in self._pool.workers()],
            "jobs": [job.summary() for job in self.journal.jobs(limit=20)],
        }

    def _result(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        job = checked_id(message.get("job"))
        photo = message.get("photo")
        if photo is None:
            return {"kind": "result", "job": job, "results": self.journal.results(job)}
        if not isinstance(photo, int) or isinstance(photo, bool):
            raise UvatarError("A photo's number is a whole number, from 0.")
        return {"kind": "result", "job": job, "photo": photo, "result": self.journal.result(job, photo)}

    def _cancel(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "status", **self._end(checked_id(message.get("job"))).as_dict()}

    def _forget(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        photo, job, everything = message.get("photo"), message.get("job"), message.get("everything") is True
        if photo is not None and not (isinstance(photo, str) and _SHA256.fullmatch(photo)):
            raise UvatarError("A photo is named by the sha256 of its bytes, in hexadecimal.")
        if everything:
            doomed = [found.id for found in self.journal.jobs(limit=-1)]
        else:
            doomed = self.journal.jobs_with(photo) if photo else [checked_id(job)]
        for identifier in doomed:
            self._end(identifier)
        return {"kind": "forgotten", "jobs": forget(self.journal, job=job, photo=photo, everything=everything)}

    def _shutdown(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        self.stop()
        return {"kind": "bye", "unfinished": self.journal.load().photos}

    def _subscribe(self, job: Job, peer: Peer) -> None:
        if job.active:
            self._subscribers.setdefault(job.id, set()).add(peer)

    def _end(self, identifier: str) -> Job:
        """Cancel a job, where it is not over."""
        was_active = self.journal.job(identifier).active
        job = self.journal.cancel(identifier)
        if was_active:
            self._pool.cancel(job.id)
            log.info("Job cancelled", extra={"job": job.id})
            self._publish({"kind": "finished", **job.as_dict()})
        return job


def _error_reply(error: Exception) -> dict[str, Any]:
    """What went wrong with a request, as the client is told of it."""
    if isinstance(error, UvatarError):
        return {"kind": "error", **error.as_dict()}
    log.error("A request failed", exc_info=error)
    if isinstance(error, (OSError, sqlite3.Error)):
        return {"kind": "error", **disk_error(error).as_dict()}
    message = f"The server failed on this request: {type(error).__name__}: {error}"
    unexpected = UvatarError(message, Code.SERVER_ERROR, "Please report this with the server's log.")
    return {"kind": "error", **unexpected.as_dict()}


def _memory(pid: int) -> int | None:
    """Bytes that a process has in memory, None where it has ended."""
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None


def _checked_photos(photos: Any) -> list[tuple[str, bytes]]:
    """The photos of a request as (name, bytes)."""
    if not isinstance(photos, list) or not 1 <= len(photos) <= JOB_PHOTOS:
        raise UvatarError(f"A job has 1 to {JOB_PHOTOS} photos.", fix="Send more photos as several jobs.")
    checked = []
    for photo in photos:
        if (
            not isinstance(photo, dict)
            or not isinstance(photo.get("name"), str)
            or not isinstance(photo.get("data"), bytes)
        ):
            raise UvatarError("A photo has a name and its file's bytes.")
        checked.append((photo_lists.photo_name(photo["name"]), photo["data"]))
    return checked


# -- the process ------------------------------------------------------------------------------------------------------


def serve(settings: Settings, exit_with_parent: bool = False) -> None:
    """Run a server in this process until it is stopped: by a request, Ctrl+C, SIGTERM or, if asked for, its parent's
    death.

    One JSON line on the standard output says when it is ready, for a parent that waits for it.  Raises as `Front`.
    """
    always_give_back()
    os.umask(0o077)
    private_folder(settings.folder, whole=False)
    log_to_folder(settings.folder)
    front = Front(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: front.stop())
    if exit_with_parent:
        threading.Thread(target=_stop_with_parent, args=(front,), daemon=True).start()
    ready = {"uvatar": __version__, "protocol": PROTOCOL_VERSION, "port": front.port, "pid": os.getpid()}
    with suppress(OSError, ValueError, AttributeError):  # no standard output: started without a console
        print(json.dumps({**ready, "runtime": str(discovery.runtime_file(settings.folder))}), flush=True)
    log.info("Serving on port %d%s", front.port, f" and, encrypted, at {settings.network}" if settings.network else "")
    front.run()
    log.info("Stopped")


def _stop_with_parent(front: Front) -> None:
    """Wait for the end of standard input: its other end closes when the parent ends, in whatever way."""
    with suppress(OSError, ValueError, AttributeError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    front.stop()
