"""New jobs on their way to the disk: how many may wait, and the thread that writes them.

A job of a gigabyte takes seconds to write, and nobody else's question, and no cancelling, shall wait for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.service.job_files import Manifest
from uvatar.service.job_records import JobRecord
from uvatar.service.journal import Journal

Photos = Sequence[tuple[str, bytes]]
_LATER = "Wait until some of the queued photos are finished or cancel a job, then send this one again."


@dataclass(frozen=True)
class QueueLimits:
    """How much may wait; a job that would exceed it is refused before anything is written.

    Attributes:
        photos: that nobody has finished, of all jobs.
        bytes: of these photos, on disk.
        arriving: bytes of jobs that are in memory, on their way to the disk.
        reserve: bytes that have to stay free on the disk.
    """

    photos: int = 5000
    bytes: int = 16 << 30
    arriving: int = 2 * LIMITS.total_bytes
    reserve: int = 256 << 20


@dataclass
class _Arrival:
    size: int
    written: Future[Manifest]
    done: Callable[[Manifest], None]
    failed: Callable[[Exception], None]
    after: list[Callable[[], None]] = field(default_factory=list)


class Ingest:
    """Writes new jobs one after the other in a thread of its own; all callbacks come from `tick`."""

    def __init__(self, journal: Journal, limits: QueueLimits) -> None:
        self._journal = journal
        self.limits = limits
        self._writer = ThreadPoolExecutor(1, "uvatar ingest")
        self._arriving: dict[str, _Arrival] = {}

    @property
    def busy(self) -> bool:
        """Whether a job is on its way."""
        return bool(self._arriving)

    def take(
        self,
        job: str,
        photos: Photos,
        options: dict[str, Any],
        owner: str,
        done: Callable[[JobRecord], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Begin to store a job that is not arriving already; one that is known is compared with what is known of it.

        Raises UvatarError: "queue-full" where too much waits already, "disk-full".
        """
        size = sum(len(data) for _, data in photos)
        known = self._journal.knows(job)
        if not known:
            self._check_room(len(photos), size)

        def write() -> Manifest:
            manifest = Manifest.of(photos, options, self._journal.clock())
            if not known:
                self._journal.files.store(job, manifest, [data for _, data in photos])
            return manifest

        self._arriving[job] = _Arrival(
            size, self._writer.submit(write), lambda manifest: done(self._journal.enter(job, manifest, owner)), failed
        )

    def postpone(self, job: Any, call: Callable[[], None]) -> bool:
        """Make a call that is about this job once it has arrived. False if it is not on its way."""
        arrival = self._arriving.get(job) if isinstance(job, str) else None
        if arrival:
            arrival.after.append(call)
        return arrival is not None

    def tick(self) -> None:
        """Note jobs that have been written."""
        for job, arrival in list(self._arriving.items()):
            if arrival.written.done():
                del self._arriving[job]
                try:
                    arrival.done(arrival.written.result())
                except Exception as error:
                    arrival.failed(error)
                for call in arrival.after:
                    call()

    def close(self) -> None:
        """Finish pending writes; jobs that were not acknowledged are deleted or adopted at the next start."""
        self._writer.shutdown(cancel_futures=True)

    def _check_room(self, photos: int, size: int) -> None:
        load, limits = self._journal.load(), self.limits
        arriving = sum(arrival.size for arrival in self._arriving.values())
        if load.photos + photos > limits.photos or load.bytes + arriving + size > limits.bytes:
            raise UvatarError(f"The queue is full: {load.photos} photos are already waiting.", Code.QUEUE_FULL, _LATER)
        if arriving + size > limits.arriving:
            raise UvatarError(
                "The server is busy storing other jobs.", Code.QUEUE_FULL, "Send the job again in a few seconds."
            )
        if shutil.disk_usage(self._journal.folder).free < arriving + size + limits.reserve:
            raise UvatarError(
                "The disk is full.",
                Code.DISK_FULL,
                "Free some space on the disk of Uvatar's data folder, then try again.",
            )
