"""The front: the process that clients talk to.

It answers requests, keeps the journal and leads the model processes (`backend.pool`).  It never imports a model or an
image library, so that it starts at once, stays small, and cannot die of what kills those.  docs/protocol.md has the messages.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import secrets
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from backend import __version__, wire
from backend.jobs import MAX_PHOTOS, Journal, Policy, checked_id, disk_error
from backend.pool import Pool, PoolSettings
from backend.wire import WireError

TICK_MS = 100  # between looks at the model processes when nothing happens
CLEAN_EVERY = 3600.0  # seconds
CAPABILITIES = ("same_person", "result_per_photo", "cancel", "progress")

log = logging.getLogger("uvatar.server")


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        folder: data folder: journal, photos, results, logs.
        port: on 127.0.0.1, 0 for any that is free.
        token: what every request must carry; a new one by default.
        pool: the model processes.
        policy: how long jobs are kept.
        idle_exit: end after this many seconds without a request or a job; None to stay.
    """

    folder: Path
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    pool: PoolSettings = field(default_factory=PoolSettings)
    policy: Policy = field(default_factory=Policy)
    idle_exit: float | None = None


class Front:
    """A server: made, it has its port and its journal and can be found; `run` serves until `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Raises AlreadyServed where the data folder has a server, WireError and OSError where folder or port cannot be used."""
        self.settings = settings
        self.journal = Journal(settings.folder)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.MAXMSGSIZE, wire.LIMITS.frame_bytes)  # before it makes room for them
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # tells of clients that have gone
        try:
            self._socket.bind(f"tcp://127.0.0.1:{settings.port or '*'}")
        except zmq.ZMQError as error:
            self.journal.close()
            self._context.destroy(linger=0)
            raise WireError(f"Port {settings.port} cannot be used: {error}", "port-taken", "Choose another port, or 0 for any.") from error
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])
        self.runtime = wire.Runtime(self.port, settings.token, os.getpid(), __version__)
        self._pool = Pool(self.journal, settings.pool, self._publish, self._context)
        self._subscribers: dict[str, set[bytes]] = {}
        self._stopping = threading.Event()
        self._last_request = time.monotonic()
        self._next_cleaning = 0.0
        wire.write_runtime(settings.folder, self.runtime)
        self._handlers: dict[str, Callable[[bytes, dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "reconstruct": self._reconstruct,
            "status": self._status,
            "result": self._result,
            "cancel": self._cancel,
            "shutdown": self._shutdown,
        }

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler or another thread. Unfinished jobs go on with the next server."""
        self._stopping.set()

    def run(self) -> None:
        """Serve. Whatever a request or a model process does wrong, this goes on; it ends by `stop`, a `shutdown` or idleness."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._pool.socket, zmq.POLLIN)
        try:
            while not self._stopping.is_set() and not self._idle_too_long():
                ready = dict(poller.poll(TICK_MS))
                if self._socket in ready:
                    self._receive()
                self._look_after()
        finally:
            self._close()

    def _close(self) -> None:
        if wire.read_runtime(self.settings.folder) == self.runtime:
            with suppress(OSError):
                wire.runtime_file(self.settings.folder).unlink()
        self._pool.close()
        self._socket.close(linger=1000)
        self._context.term()
        self.journal.close()

    def _look_after(self) -> None:
        try:
            self._pool.tick()
            if time.monotonic() >= self._next_cleaning:
                self._next_cleaning = time.monotonic() + CLEAN_EVERY
                self.journal.clean(self.settings.policy)
        except Exception:
            log.exception("Looking after the model processes failed; trying again")
            self._pool.pause()

    def _idle_too_long(self) -> bool:
        if self._pool.busy:
            self._last_request = time.monotonic()
        limit = self.settings.idle_exit
        return limit is not None and time.monotonic() - self._last_request > limit

    # -- messages -----------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        client, *frames = self._socket.recv_multipart(copy=False)
        self._last_request = time.monotonic()
        request: Any = None
        try:
            message = wire.unpack(frames)
            if not isinstance(message, dict):
                raise WireError("A request is a dictionary.")
            request = message.get("request")
            reply = self._answer(client.bytes, message)
        except WireError as error:
            reply = {"kind": "error", **error.as_dict()}
        except (OSError, sqlite3.Error) as error:
            log.exception("A request failed")
            reply = {"kind": "error", **disk_error(error).as_dict()}
        except Exception as error:
            log.exception("A request failed")
            message = f"The server failed on this request: {type(error).__name__}: {error}"
            reply = {"kind": "error", "code": "server-error", "message": message, "fix": "Please report this with the server's log."}
        self._send(client.bytes, {**reply, "request": request if isinstance(request, (str, int, float)) else None})

    def _answer(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        token = message.get("token")
        if not isinstance(token, str) or not secrets.compare_digest(token.encode(), self.settings.token.encode()):
            fix = "Connect again: the server may have been started anew, with a new token."
            raise WireError("The token is not this server's.", "wrong-token", fix)
        handler = self._handlers.get(message["kind"]) if isinstance(message.get("kind"), str) else None
        if handler is None:
            known = ", ".join(self._handlers)
            raise WireError(f"There is no request {str(message.get('kind'))[:40]!r}; there are {known}.", "unknown-message")
        return handler(client, message)

    def _send(self, client: bytes, message: dict[str, Any]) -> bool:
        """Send to a client, dropping it where the client has gone or does not read. False where it was dropped."""
        try:
            frames = wire.pack(message)
        except WireError as error:
            frames = wire.pack({"kind": "error", "request": message.get("request"), **error.as_dict()})
        try:
            self._socket.send_multipart([client, *frames], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.info("A message to a client was dropped: %s", error)
            return False
        return True

    def _publish(self, event: dict[str, Any]) -> None:
        """Send an event to the job's subscribers."""
        listening = self._subscribers.get(event["job"], set())
        for client in list(listening):
            if not self._send(client, event):
                listening.discard(client)
        if event["kind"] == "finished":
            self._subscribers.pop(event["job"], None)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _hello(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        log.info("Hello from %s", str(message.get("client"))[:80])
        return {
            "kind": "hello",
            "version": self.runtime.version,
            "protocol": wire.PROTOCOL_VERSION,
            "result_schema": wire.RESULT_SCHEMA,
            "capabilities": CAPABILITIES,
            "options": {name: option.default for name, option in wire.OPTIONS.items()},
            "model": self._pool.status(),
        }

    def _reconstruct(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        identifier = checked_id(message.get("job"))
        photos = _checked_photos(message.get("photos"))
        job = self.journal.add(identifier, photos, wire.checked_options(message.get("options", {})))
        if job.active:
            self._subscribers.setdefault(job.id, set()).add(client)
            self._pool.try_again()
        log.info("Job %s: %d photos, %s", job.id, len(job.photos), job.state)
        return {"kind": "accepted", **job.as_dict()}

    def _status(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("job") is not None:
            job = self.journal.job(checked_id(message["job"]))
            if job.active:
                self._subscribers.setdefault(job.id, set()).add(client)
            return {"kind": "status", **job.as_dict()}
        return {
            "kind": "status",
            "version": self.runtime.version,
            "pid": self.runtime.pid,
            "folder": str(self.settings.folder),
            "disk_free": shutil.disk_usage(self.settings.folder).free,
            "model": self._pool.status(),
            "workers": self._pool.workers(),
            "jobs": [job.as_dict() for job in self.journal.jobs(limit=20)],
        }

    def _result(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        job = self.journal.job(checked_id(message.get("job")))
        photo = message.get("photo")
        if photo is None:
            results = [self.journal.result(job.id, p.index) if p.state == "done" else None for p in job.photos]
            return {"kind": "result", "job": job.id, "results": results}
        if not isinstance(photo, int) or isinstance(photo, bool):
            raise WireError("A photo's number is a whole number, from 0.")
        return {"kind": "result", "job": job.id, "photo": photo, "result": self.journal.result(job.id, photo)}

    def _cancel(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        was_active = self.journal.job(checked_id(message.get("job"))).active
        job = self.journal.cancel(message["job"])
        if was_active:
            self._pool.cancel(job.id)
            self._publish({"kind": "finished", **job.as_dict()})
        return {"kind": "status", **job.as_dict()}

    def _shutdown(self, client: bytes, message: dict[str, Any]) -> dict[str, Any]:
        self.stop()
        return {"kind": "bye", "unfinished": sum(len(job.waiting()) for job in self.journal.jobs(states=("queued", "running")))}


def _checked_photos(photos: Any) -> list[tuple[str, bytes]]:
    """The photos of a request as (name, bytes)."""
    if not isinstance(photos, list) or not 1 <= len(photos) <= MAX_PHOTOS:
        raise WireError(f"A job has 1 to {MAX_PHOTOS} photos.", fix="Send more photos as several jobs.")
    checked = []
    for photo in photos:
        if not isinstance(photo, dict) or not isinstance(photo.get("name"), str) or not isinstance(photo.get("data"), bytes):
            raise WireError("A photo has a name and its file's bytes.")
        checked.append((wire.photo_name(photo["name"]), photo["data"]))
    return checked


# -- the process ------------------------------------------------------------------------------------------------------


def serve(settings: Settings, exit_with_parent: bool = False) -> None:
    """Run a server in this process until it is stopped: by a request, Ctrl+C, SIGTERM or, if asked for, its parent's death.

    One JSON line on the standard output says when it is ready, for a parent that waits for it.  Raises as `Front`.
    """
    front = Front(settings)
    _log_to(settings.folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: front.stop())
    if exit_with_parent:
        threading.Thread(target=_stop_with_parent, args=(front,), daemon=True).start()
    ready = {"uvatar": __version__, "protocol": wire.PROTOCOL_VERSION, "port": front.port, "pid": os.getpid()}
    with suppress(OSError, ValueError, AttributeError):  # no standard output: started without a console
        print(json.dumps({**ready, "runtime": str(wire.runtime_file(settings.folder))}), flush=True)
    log.info("Serving on port %d, data in %s", front.port, settings.folder)
    front.run()
    log.info("Stopped")


def _stop_with_parent(front: Front) -> None:
    """Wait for the end of standard input: its other end closes when the parent ends, in whatever way."""
    with suppress(OSError, ValueError, AttributeError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    front.stop()


def _log_to(folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(logs / "server.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("uvatar")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
