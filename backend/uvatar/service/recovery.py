"""Recovery after a crash: reconciles the journal with the jobs' folders."""

from __future__ import annotations

import json
import logging
import sqlite3

from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import has_one_result
from uvatar.service.job_files import JobFiles
from uvatar.service.job_records import JobRecord
from uvatar.service.journal_database import transaction
from uvatar.service.journal_queries import delete_job, end_photos, insert_job, job_is_over, read_job

_LOST = UvatarError(
    "The disk lost the record of this photo and the photo itself.",
    Code.LOST,
    "Send the photo again in a new job.",
)

log = logging.getLogger("uvatar.service.journal")


def reconcile(database: sqlite3.Connection, files: JobFiles, now: float) -> None:
    """Make the journal and the folders agree, since a power cut may have set back either of them.

    Jobs that were running are queued again, and jobs that only have a folder are entered in the journal.

    Args:
        database: the journal's database.
        files: the jobs' folders.
        now: seconds since the epoch.

    Raises:
        sqlite3.Error, OSError: the journal or a folder cannot be used.
    """
    known = {job for (job,) in database.execute("SELECT id FROM jobs")}
    for job in known:
        if not files.exists(job):  # its deletion was interrupted, or somebody has put a link in its place
            delete_job(database, files, job)
    for job in files.jobs() - known:
        manifest = files.manifest(job)
        if manifest:
            log.warning("Job %s is missing in the journal; restoring it from its folder", job, extra={"job": job})
            with transaction(database):
                insert_job(database, job, manifest, "", now)
        else:
            files.delete(job)
    with transaction(database):
        database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
    for (identifier,) in database.execute("SELECT id FROM jobs").fetchall():
        files.delete_parts(identifier)
        record = read_job(database, identifier)
        if record and record.active:
            _settle(database, files, record, now)
        if job_is_over(database, identifier):
            files.delete_photos(identifier)


def _settle(database: sqlite3.Connection, files: JobFiles, job: JobRecord, now: float) -> None:
    """Bring the states of an active job's photos in line with its folder."""
    open_or_done = [photo.index for photo in job.photos if photo.state in ("waiting", "done")]
    whole = {index for index in open_or_done if files.result_is_whole(job.id, index)}
    ends: dict[int, str] = {}
    for photo in job.photos:
        if photo.state == "done" and photo.index not in whole and files.has_photo(job.id, photo.index):
            log.warning("The result of photo %d is damaged; doing it again", photo.index, extra={"job": job.id})
            with transaction(database):
                database.execute(
                    "UPDATE photos SET state = 'waiting' WHERE job = ? AND number = ?", (job.id, photo.index)
                )
        elif photo.state == "waiting":
            if photo.index in whole:
                ends[photo.index] = "done"
            elif has_one_result(job.options) and whole:
                ends[photo.index] = "merged"
            elif not files.has_photo(job.id, photo.index):
                ends[photo.index] = "failed"
    lost = {index: end for index, end in ends.items() if end == "failed"}
    with transaction(database):
        end_photos(database, job.id, lost, json.dumps(_LOST.as_dict()), now)
        end_photos(database, job.id, {index: end for index, end in ends.items() if index not in lost}, None, now)
