"""Answers clients' requests, with one method for each kind. docs/protocol.md describes the messages."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from typing import Any

import psutil

from uvatar.protocol import photo_lists
from uvatar.protocol.devices import AUTO
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import PROTOCOL_VERSION, RESULT_SCHEMA
from uvatar.protocol.jobs import checked_id
from uvatar.protocol.messages import Hello, finished_event
from uvatar.protocol.options import checked_options
from uvatar.protocol.photo_lists import JOB_PHOTOS
from uvatar.runtime import versions
from uvatar.runtime.weights import bodies, models_folder
from uvatar.service.ingest import Ingest
from uvatar.service.job_records import JobRecord
from uvatar.service.journal import Journal
from uvatar.service.listener import Peer, error_reply
from uvatar.service.pool import Pool
from uvatar.service.retention import forget
from uvatar.service.subscriptions import Subscriptions

CAPABILITIES = ("same_person", "result_per_photo", "cancel", "progress", "forget")
_SHA256 = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("uvatar.service.server")

Handler = Callable[[Peer, dict[str, Any]], dict[str, Any] | None]


class RequestHandlers:
    """Answers requests whose token is right. A handler returns its reply, or None if it sends the reply later.

    All handlers raise UvatarError if something is wrong with a request.
    """

    def __init__(
        self,
        runtime: Runtime,
        journal: Journal,
        pool: Pool,
        ingest: Ingest,
        subscriptions: Subscriptions,
        stop: Callable[[], None],
    ) -> None:
        """Connect the handlers to the server's parts; ``stop`` ends the server."""
        self._runtime = runtime
        self._journal = journal
        self._pool = pool
        self._ingest = ingest
        self._subscriptions = subscriptions
        self._stop = stop
        self._device = pool.settings.device or AUTO
        self._handlers: dict[str, Handler] = {
            "hello": self.hello,
            "reconstruct": self.reconstruct,
            "status": self.status,
            "result": self.result,
            "cancel": self.cancel,
            "forget": self.forget,
            "shutdown": self.shutdown,
        }

    def answer(self, peer: Peer, message: dict[str, Any]) -> None:
        """Answer a request; if it is about a job that is still being written, or all jobs, wait for that."""
        job, kind = message.get("job"), message.get("kind")
        whole = kind == "forget" and job is None
        if (whole or isinstance(job, str)) and self._ingest.postpone(lambda: self.answer(peer, message), job):
            return
        try:
            handler = self._handlers.get(kind) if isinstance(kind, str) else None
            if handler is None:
                known = ", ".join(self._handlers)
                raise UvatarError(
                    f"There is no request {str(kind)[:40]!r}. The requests are {known}.", Code.UNKNOWN_MESSAGE
                )
            reply = handler(peer, message)
        except Exception as error:
            reply = error_reply(error)
        if reply is not None:
            peer.send({**reply, "request": message["request"]})

    def hello(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """Reply with the server's version and capabilities."""
        log.info("Hello from %s", str(message.get("client"))[:80])
        reply: Hello = {
            "kind": "hello",
            "version": self._runtime.version,
            "protocol": PROTOCOL_VERSION,
            "result_schema": RESULT_SCHEMA,
            "capabilities": CAPABILITIES,
            "options": checked_options({}),
            "bodies": bodies(models_folder()),
            "models_folder": photo_lists.shown(str(models_folder())),
            "device": self._device,
            "model": self._pool.status(),
        }
        return dict(reply)

    def reconstruct(self, peer: Peer, message: dict[str, Any]) -> None:
        """Take a job; `accepted` follows once it is on disk."""
        identifier = checked_id(message.get("job"))
        photos = _checked_photos(message.get("photos"))
        options = checked_options(message.get("options", {}))

        def accept(job: JobRecord) -> None:
            if job.active:
                self._subscriptions.add(job, peer)
                self._pool.try_again()
            log.info("Job accepted: %d photos, %s", len(job.photos), job.state, extra={"job": job.id})
            peer.send({"kind": "accepted", **job.as_dict(), "request": message["request"]})

        def refuse(error: Exception) -> None:
            peer.send({**error_reply(error), "request": message["request"]})

        self._ingest.take(identifier, photos, options, f"{peer.listener.port}/{peer.identity.hex()}", accept, refuse)

    def status(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """Reply with the status of a job, or of the server."""
        if message.get("job") is not None:
            job = self._journal.job(checked_id(message["job"]))
            self._subscriptions.add(job, peer)
            return {"kind": "status", **job.as_dict()}
        load, limits = self._journal.load(), self._ingest.limits
        return {
            "kind": "status",
            "version": self._runtime.version,
            "pid": self._runtime.pid,
            "folder": photo_lists.shown(str(self._journal.folder)),
            "disk_free": shutil.disk_usage(self._journal.folder).free,
            "versions": versions.installed(),
            "memory": psutil.Process().memory_info().rss,
            "queue": {**vars(load), "most_photos": limits.photos, "most_bytes": limits.bytes},
            "model": self._pool.status(),
            "device": self._device,
            "workers": [{**worker, "memory": _memory(worker["pid"])} for worker in self._pool.workers()],
            "jobs": [job.summary() for job in self._journal.jobs(limit=20)],
        }

    def result(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """Reply with a photo's result."""
        job, photo = checked_id(message.get("job")), message.get("photo")
        if not isinstance(photo, int) or isinstance(photo, bool):
            raise UvatarError("A photo's number must be a whole number of at least 0.")
        return {"kind": "result", "job": job, "photo": photo, "result": self._journal.result(job, photo)}

    def cancel(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """Cancel a job unless it is finished."""
        identifier = checked_id(message.get("job"))
        was_active = self._journal.job(identifier).active
        job = self._journal.cancel(identifier)
        if was_active:
            self._pool.cancel(job.id)
            log.info("Job cancelled", extra={"job": job.id})
            self._subscriptions.publish(finished_event(job.as_dict()))
        return {"kind": "status", **job.as_dict()}

    def forget(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """Delete jobs with their photos and results."""
        photo, job, everything = message.get("photo"), message.get("job"), message.get("everything") is True
        if photo is not None and not (isinstance(photo, str) and _SHA256.fullmatch(photo)):
            raise UvatarError("A photo must be named by the sha256 of its bytes in hexadecimal.")

        def end(found: str) -> None:
            self._pool.drop(found)
            self._subscriptions.publish({**finished_event(self._journal.job(found).as_dict()), "state": "cancelled"})

        gone = forget(self._journal, end, job=checked_id(job) if job else None, photo=photo, everything=everything)
        return {"kind": "forgotten", "jobs": gone}

    def shutdown(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        """End the server; unfinished jobs continue with the next one."""
        self._stop()
        return {"kind": "bye", "unfinished": self._journal.load().photos}


def _memory(pid: int) -> int | None:
    """Bytes of memory that a process uses; None if it has ended."""
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None


def _checked_photos(photos: Any) -> list[tuple[str, bytes]]:
    """The photos of a request as (name, bytes)."""
    if not isinstance(photos, list) or not 1 <= len(photos) <= JOB_PHOTOS:
        raise UvatarError(f"A job must have 1 to {JOB_PHOTOS} photos.", fix="Send more photos as several jobs.")
    checked = []
    for photo in photos:
        if (
            not isinstance(photo, dict)
            or not isinstance(photo.get("name"), str)
            or not isinstance(photo.get("data"), bytes)
        ):
            raise UvatarError("A photo must have a name and its file's bytes.")
        checked.append((photo_lists.photo_name(photo["name"]), photo["data"]))
    return checked
