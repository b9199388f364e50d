"""The journal: which jobs there are and how far they have come, so that no death of any process loses one.

Everything lies in one data folder: ``journal.sqlite`` has jobs and photos with their states
(`uvatar.service.journal_database`), `uvatar.service.job_files` the rest.

A job is in the journal only when its photos are safe on disk, and a photo is `done` only when its result is.  States
only move forward: a job from queued to running to finished or cancelled, a photo from waiting to done, failed or
merged.  Only opening a journal may take a photo back: from done to waiting, where its result was lost and the photo is
still there (`uvatar.service.recovery`).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import LIMITS
from uvatar.service import journal_queries, scheduler
from uvatar.service.job_files import JobFiles, Manifest, disk_error
from uvatar.service.job_records import ACTIVE, JobRecord, QueueLoad, WorkUnit
from uvatar.service.journal_database import open_database, transaction
from uvatar.service.recovery import reconcile


class Journal:
    """The jobs of one data folder. One journal at a time has the folder; a killed process lets go of it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or create the journal, and bring it and the jobs' folders to agree, whatever ended the last server.

        Jobs that were running are queued again. A damaged journal is set aside and made anew from the folders.

        Args:
            clock: seconds since the epoch.

        Raises AlreadyServed if another process has it, UvatarError ("disk-full", "data-folder") and OSError if it
        cannot be used.
        """
        self.folder = Path(folder)
        self.clock = clock
        self._database = open_database(self.folder)
        try:
            self.files = JobFiles(self.folder / "jobs")
            reconcile(self._database, self.files, self.clock())
        except (sqlite3.Error, OSError) as error:
            self._database.close()
            raise disk_error(error) from error

    def close(self) -> None:
        """Let go of the folder."""
        self._database.close()

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def add(self, job: str, photos: Sequence[tuple[str, bytes]], options: dict[str, Any], owner: str = "") -> JobRecord:
        """Store a new job: photos (name, bytes) first, then its entry. The same job again changes nothing.

        Raises UvatarError: "job-id-taken" where the id has other photos or options, "disk-full".
        """
        manifest = Manifest.of(photos, options, self.clock())
        if not self.knows(job):
            self.files.store(job, manifest, [data for _, data in photos])
        return self.enter(job, manifest, owner)

    def knows(self, job: str) -> bool:
        """Whether there is a job of this id."""
        return journal_queries.job_digest(self._database, job) is not None

    def enter(self, job: str, manifest: Manifest, owner: str = "") -> JobRecord:
        """Record a job whose folder is stored. A known job stays unchanged.

        Args:
            owner: whoever sent it; those who send many jobs share their turns among them.

        Raises UvatarError: "job-id-taken" where the id has other photos or options, "disk-full"; then the new folder is
        deleted.
        """
        known = journal_queries.job_digest(self._database, job)
        if known and known != manifest.digest:
            raise UvatarError(
                "This job id is already used for other photos or options.",
                Code.JOB_ID_TAKEN,
                "Send the job with a new id.",
            )
        if not known:
            try:
                with transaction(self._database):
                    journal_queries.insert_job(self._database, job, manifest, owner, self.clock())
            except sqlite3.Error as error:
                self.files.delete(job)
                raise disk_error(error) from error
        return self.job(job)

    def job(self, job: str) -> JobRecord:
        """The job of this id. Raises UvatarError ("unknown-job")."""
        record = journal_queries.read_job(self._database, job)
        if record is None:
            raise UvatarError(
                "There is no job with this id.",
                Code.UNKNOWN_JOB,
                "Reconstruct the photos again; old results are deleted.",
            )
        return record

    def jobs(self, states: Collection[str] = (), limit: int = 100) -> list[JobRecord]:
        """The newest jobs, newest first; only those in ``states`` where given."""
        return [self.job(job) for job in journal_queries.newest_jobs(self._database, states, limit)]

    def jobs_with(self, digest: str) -> list[str]:
        """Ids of all jobs that hold the photo with this sha256."""
        return [job for (job,) in self._database.execute("SELECT DISTINCT job FROM photos WHERE digest = ?", (digest,))]

    def load(self) -> QueueLoad:
        """The queue's load."""
        return journal_queries.queue_load(self._database)

    def cancel(self, job: str) -> JobRecord:
        """Cancel the job; it keeps its results. A job that is over stays unchanged.

        Raises UvatarError ("unknown-job").
        """
        with transaction(self._database):
            journal_queries.set_job_state(self._database, job, "cancelled", self.clock())
        self._delete_photos_of_ended(job)
        return self.job(job)

    def delete(self, job: str) -> None:
        """Delete a job with its photos and results permanently, even if a crash interrupts the deletion."""
        journal_queries.delete_job(self._database, self.files, job)

    def scrub(self) -> None:
        """Leave nothing of deleted entries in the journal's files, which keep them for a while otherwise."""
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- work ---------------------------------------------------------------------------------------------------------

    def next_unit(self, in_flight: Collection[tuple[str, int]]) -> WorkUnit | None:
        """The next photos to work on; None if there is nothing to do. See `scheduler.next_unit`."""
        return scheduler.next_unit(self._database, in_flight, self.clock())

    def photo(self, job: str, index: int) -> tuple[str, bytes]:
        """Name and bytes of a photo that waits. Raises OSError if the file has gone."""
        row = self._database.execute("SELECT name FROM photos WHERE job = ? AND number = ?", (job, index)).fetchone()
        return row[0], self.files.photo(job, index)

    def finish_photo(self, job: str, index: int, result: dict[str, Any], merged: Iterable[int] = ()) -> bool:
        """Store a photo's result. False if nobody wants it any more (cancelled, failed before).

        Args:
            merged: further photos of the same person that went into this one's avatar; they end with it or not at all.

        Raises UvatarError if the result cannot be stored ("disk-full") or packed.
        """
        if not journal_queries.photo_waits(self._database, job, index):
            return False
        self.files.store_result(job, index, result)
        try:
            return self._end_photos(job, {index: "done", **dict.fromkeys(merged, "merged")})
        except sqlite3.Error as error:
            raise disk_error(error) from error

    def fail_photo(self, job: str, index: int, error: UvatarError) -> bool:
        """Note why a photo has no result. False if nobody waits for it."""
        return self._end_photos(job, {index: "failed"}, json.dumps(error.as_dict()))

    def count_crash(self, job: str, index: int) -> int:
        """Note that the model process died on this photo; how often it has by now."""
        with transaction(self._database):
            self._database.execute("UPDATE photos SET crashes = crashes + 1 WHERE job = ? AND number = ?", (job, index))
        crashes: int = self._database.execute(
            "SELECT crashes FROM photos WHERE job = ? AND number = ?", (job, index)
        ).fetchone()[0]
        return crashes

    def result(self, job: str, index: int) -> dict[str, Any]:
        """A photo's stored result. Raises UvatarError: "unknown-job", "no-result", "result-damaged"."""
        photos = self.job(job).photos
        if not 0 <= index < len(photos):
            raise UvatarError(
                f"The job has {len(photos)} photos; there is no photo {index}.",
                Code.NO_RESULT,
                "Ask for the job's status.",
            )
        if photos[index].state != "done":
            raise UvatarError(
                f"{photos[index].name} has no result: it is {photos[index].state}.",
                Code.NO_RESULT,
                "Ask for the job's status.",
            )
        try:
            return self.files.result(job, index)
        except (OSError, UvatarError) as error:
            fix = "Reconstruct the photo again."
            raise UvatarError(
                f"The stored result of {photos[index].name} cannot be read: {error}", Code.RESULT_DAMAGED, fix
            ) from error

    def results(self, job: str) -> list[dict[str, Any] | None]:
        """All results of a job, None if there is none.

        Raises UvatarError as `result`, "too-large" before anything is read.
        """
        photos = self.job(job).photos
        done = [photo.index for photo in photos if photo.state == "done"]
        if sum(self.files.result_bytes(job, index) for index in done) > LIMITS.total_bytes:
            raise UvatarError(
                "The results are too large for one message.", Code.TOO_LARGE, "Request the results one photo at a time."
            )
        return [self.result(job, photo.index) if photo.state == "done" else None for photo in photos]

    # -- for uvatar.service.retention ---------------------------------------------------------------------------------

    def ended(self) -> list[tuple[str, float, float | None]]:
        """Jobs that are over, in the order in which they came: id, last change, since when they are known to be too
        old.
        """
        return self._database.execute(
            "SELECT id, updated, overdue FROM jobs WHERE state NOT IN (?, ?) ORDER BY rowid", ACTIVE
        ).fetchall()

    def mark_overdue(self, job: str, since: float | None) -> None:
        """Note since when a job is too old, or that it is not."""
        with transaction(self._database):
            self._database.execute("UPDATE jobs SET overdue = ? WHERE id = ?", (since, job))

    def touch(self, job: str, when: float) -> None:
        """Set the time of a job's last change."""
        with transaction(self._database):
            self._database.execute("UPDATE jobs SET updated = ?, overdue = NULL WHERE id = ?", (when, job))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _end_photos(self, job: str, states: dict[int, str], error: str | None = None) -> bool:
        """Note the end of photos that wait, and with the last one the job's.

        False if the first of them does not wait.
        """
        with transaction(self._database):
            wanted = journal_queries.photo_waits(self._database, job, next(iter(states)))
            if wanted:
                journal_queries.end_photos(self._database, job, states, error, self.clock())
        self._delete_photos_of_ended(job)
        return wanted

    def _delete_photos_of_ended(self, job: str) -> None:
        if journal_queries.job_is_over(self._database, job):
            self.files.delete_photos(job)
