"""The journal: all jobs and their progress, stored so that no job is lost when a process dies.

Everything is in one data folder: ``journal.sqlite`` has the jobs and photos with their states
(`uvatar.service.journal_database`), and `uvatar.service.job_files` keeps the rest.

A job enters the journal only once its photos are safely on disk, and a photo is `done` only once its result is. States
only move forward: a job from queued to running to finished or cancelled, a photo from waiting to done, failed or
merged. Only when a journal is opened may a photo go back from done to waiting, if its result was lost and the photo
still exists (`uvatar.service.recovery`).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.service import journal_queries
from uvatar.service.job_files import JobFiles, Manifest, disk_error
from uvatar.service.job_records import ACTIVE, JobRecord, QueueLoad, WorkUnit
from uvatar.service.journal_database import open_database, transaction
from uvatar.service.recovery import reconcile


class Journal:
    """The jobs of one data folder. Only one journal at a time can have the folder; a killed process releases it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or create the journal, and reconcile it with the jobs' folders, however the last server ended.

        Jobs that were running are queued again. A damaged journal is set aside and rebuilt from the folders.

        Args:
            folder: the data folder.
            clock: gives seconds since the epoch.

        Raises:
            AlreadyServed: another process has the journal.
            UvatarError, OSError: the folder cannot be used ("disk-full", "data-folder").
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
        """Release the folder."""
        self._database.close()

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def knows(self, job: str) -> bool:
        """Whether there is a job of this id."""
        return journal_queries.job_digest(self._database, job) is not None

    def enter(self, job: str, manifest: Manifest, owner: str = "") -> JobRecord:
        """Record a job whose folder is stored. A known job stays unchanged.

        Args:
            job: its id.
            manifest: what it is.
            owner: the client that sent it; owners take turns, however many jobs each has.

        Raises:
            UvatarError: the id already has other photos or options ("job-id-taken"), or the disk is full ("disk-full").
                The new folder is deleted then.
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
        """The newest jobs, newest first; with ``states``, only jobs in these states."""
        return [self.job(job) for job in journal_queries.newest_jobs(self._database, states, limit)]

    def jobs_with(self, digest: str) -> list[str]:
        """Ids of all jobs that hold the photo with this sha256."""
        return [job for (job,) in self._database.execute("SELECT DISTINCT job FROM photos WHERE digest = ?", (digest,))]

    def load(self) -> QueueLoad:
        """The queue's load."""
        return journal_queries.queue_load(self._database)

    def cancel(self, job: str) -> JobRecord:
        """Cancel the job; it keeps its results. A finished job stays unchanged. Raises UvatarError ("unknown-job")."""
        try:
            self._set_cancelled(job)
        except sqlite3.Error:
            self.files.delete_photos(job)  # they are not needed any more, and a full disk has room then
            self._set_cancelled(job)
        self._delete_photos_of_ended(job)
        return self.job(job)

    def delete(self, job: str) -> None:
        """Delete a job with its photos and results permanently, even if a crash interrupts the deletion."""
        journal_queries.delete_job(self._database, self.files, job)

    def scrub(self) -> None:
        """Erase deleted entries from the journal's files, which otherwise keep them for a while."""
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- work ---------------------------------------------------------------------------------------------------------

    def next_unit(self, in_flight: Collection[tuple[str, int]]) -> WorkUnit | None:
        """The next photos to work on; None if there is nothing to do. See `journal_queries.next_unit`."""
        return journal_queries.next_unit(self._database, in_flight, self.clock())

    def finish_photo(self, job: str, index: int, merged: Iterable[int] = ()) -> bool:
        """Record that a photo's result is stored. False if it is no longer wanted (the job was cancelled).

        Args:
            job: the job's id.
            index: the photo's index.
            merged: further photos of the same person that went into this avatar; they change state together with it.
        """
        return self._end_photos(job, {index: "done", **dict.fromkeys(merged, "merged")})

    def fail_photo(self, job: str, index: int, error: UvatarError) -> bool:
        """Record why a photo has no result. False if the photo is not waiting."""
        return self._end_photos(job, {index: "failed"}, json.dumps(error.as_dict()))

    def count_crash(self, job: str, index: int, weight: int = 1) -> int:
        """Record that the model process died on this photo; returns the sum of the weights of all such deaths."""
        with transaction(self._database):
            self._database.execute(
                "UPDATE photos SET crashes = crashes + ? WHERE job = ? AND number = ?", (weight, job, index)
            )
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

    # -- for uvatar.service.retention ---------------------------------------------------------------------------------

    def ended(self) -> list[tuple[str, float, float, float | None]]:
        """Finished and cancelled jobs in order of arrival: id, creation, last change, since when each is overdue."""
        return self._database.execute(
            "SELECT id, created, updated, overdue FROM jobs WHERE state NOT IN (?, ?) ORDER BY rowid", ACTIVE
        ).fetchall()

    def mark_overdue(self, job: str, since: float | None) -> None:
        """Record since when a job is overdue for deletion, or that it is not (None)."""
        with transaction(self._database):
            self._database.execute("UPDATE jobs SET overdue = ? WHERE id = ?", (since, job))

    def touch(self, job: str, when: float) -> None:
        """Set the time of a job's last change."""
        with transaction(self._database):
            self._database.execute("UPDATE jobs SET updated = ?, overdue = NULL WHERE id = ?", (when, job))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _set_cancelled(self, job: str) -> None:
        with transaction(self._database):
            journal_queries.set_job_state(self._database, job, "cancelled", self.clock())

    def _end_photos(self, job: str, states: dict[int, str], error: str | None = None) -> bool:
        """Record the final states of waiting photos, and the end of the job with its last photo.

        Returns:
            False if the first of them is not waiting.
        """
        with transaction(self._database):
            wanted = journal_queries.photo_waits(self._database, job, next(iter(states)))
            if wanted:
                journal_queries.end_photos(self._database, job, states, error, self.clock())
        self._delete_photos_of_ended(job)
        if wanted and journal_queries.job_is_over(self._database, job):
            self.files.delete_parts(job)  # of a model process that was killed as it wrote; now nobody writes any more
        return wanted

    def _delete_photos_of_ended(self, job: str) -> None:
        if journal_queries.job_is_over(self._database, job):
            self.files.delete_photos(job)
