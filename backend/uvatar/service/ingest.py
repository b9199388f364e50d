"""Accepts new jobs: limits how many may wait, and unpacks and writes them in a thread.

A job of a gigabyte takes seconds to write, and no other request or cancellation should wait for that.
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
    """How much may wait. A job that would exceed a limit is refused before anything is written.

    How the limits of photos and bytes were chosen is not recorded: ten of the largest jobs, and photos of 3 MB each.

    Attributes:
        photos: unfinished photos of all jobs.
        bytes: bytes of these photos on disk.
        arriving: bytes of jobs in memory that are still being unpacked or written. Two of the largest messages, so that
            one can arrive while the other is written.
        reserve: bytes that must stay free on the disk, for results and the journal: as many as the largest frame has.
    """

    photos: int = 5000
    bytes: int = 16 << 30
    arriving: int = 2 * LIMITS.total_bytes
    reserve: int = 256 << 20


@dataclass
class _Arrival:
    size: int
    result: Future[Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    job: str | None
    after: list[Callable[[], None]] = field(default_factory=list)


class Ingest:
    """Unpacks and writes new jobs one after the other in a thread; all callbacks are called from `tick`."""

    def __init__(self, journal: Journal, limits: QueueLimits) -> None:
        self._journal = journal
        self.limits = limits
        self._thread = ThreadPoolExecutor(1, "uvatar ingest")
        self._arriving: list[_Arrival] = []

    @property
    def busy(self) -> bool:
        """Whether a job is still being unpacked or written."""
        return bool(self._arriving)

    def later(
        self,
        size: int,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        job: str | None = None,
    ) -> None:
        """Do ``work`` in the thread, after all that waits for it already.

        Args:
            size: bytes of memory that it holds.
            work: what is to be done.
            done: called with its result.
            failed: called with the exception that it, or ``done``, has raised.
            job: the job that it is about, if that is known.

        Raises:
            UvatarError: too much waits already ("queue-full").
        """
        if self._held() + size > self.limits.arriving:
            raise UvatarError(
                "The server is busy storing other jobs.", Code.QUEUE_FULL, "Send the job again in a few seconds."
            )
        self._arriving.append(_Arrival(size, self._thread.submit(work), done, failed, job))

    def take(
        self,
        job: str,
        photos: Photos,
        options: dict[str, Any],
        owner: str,
        done: Callable[[JobRecord], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Begin to store a job, unless it is being written already. A known job is compared with its record.

        Args:
            job: its id.
            photos: names and bytes.
            options: all job options.
            owner: the client that sent it.
            done: called with the job's record once it is stored.
            failed: called with the exception if it cannot be stored.

        Raises:
            UvatarError: too much waits already ("queue-full"), or the disk is full ("disk-full").
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

        self.later(size, write, lambda manifest: done(self._journal.enter(job, manifest, owner)), failed, job)

    def postpone(self, call: Callable[[], None], job: str | None = None) -> bool:
        """Call ``call`` once a job, or all that has arrived, is unpacked and written. False if nothing is to be."""
        concerned = [arrival for arrival in self._arriving if job is None or arrival.job in (None, job)]
        if concerned:
            concerned[-1].after.append(call)
        return bool(concerned)

    def tick(self) -> None:
        """Go on with what the thread has done."""
        while self._arriving and self._arriving[0].result.done():
            arrival = self._arriving.pop(0)
            try:
                arrival.done(arrival.result.result())
            except Exception as error:
                arrival.failed(error)
            for call in arrival.after:
                call()

    def close(self) -> None:
        """Finish pending writes; jobs that were not acknowledged are deleted or recovered at the next start."""
        self._thread.shutdown(cancel_futures=True)

    def _held(self) -> int:
        return sum(arrival.size for arrival in self._arriving)

    def _check_room(self, photos: int, size: int) -> None:
        load, limits, arriving = self._journal.load(), self.limits, self._held()
        if load.photos + photos > limits.photos or load.bytes + arriving + size > limits.bytes:
            raise UvatarError(f"The queue is full: {load.photos} photos are already waiting.", Code.QUEUE_FULL, _LATER)
        if shutil.disk_usage(self._journal.folder).free < arriving + size + limits.reserve:
            raise UvatarError(
                "The disk is full.",
                Code.DISK_FULL,
                "Free some space on the disk of Uvatar's data folder, then try again.",
            )
