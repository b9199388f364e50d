"""The journal's statements: reading and writing rows of jobs and photos.

Functions that write must be called within a `transaction`; `delete_job` and `next_unit` open their own. They move
states forward only, as `uvatar.service.journal` describes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from uvatar.protocol.jobs import has_one_result
from uvatar.service.job_files import JobFiles, Manifest
from uvatar.service.job_records import ACTIVE, JobRecord, PhotoState, QueueLoad, WorkUnit
from uvatar.service.journal_database import transaction


def read_job(database: sqlite3.Connection, job: str) -> JobRecord | None:
    """The job of this id, None if there is none."""
    row = database.execute("SELECT id, state, options, created, updated FROM jobs WHERE id = ?", (job,)).fetchone()
    if row is None:
        return None
    photos = database.execute(
        "SELECT number, name, state, error, crashes FROM photos WHERE job = ? ORDER BY number", (job,)
    ).fetchall()
    states = (
        PhotoState(number, name, state, json.loads(error) if error else None, crashes)
        for number, name, state, error, crashes in photos
    )
    return JobRecord(row[0], row[1], json.loads(row[2]), row[3], row[4], tuple(states))


def newest_jobs(database: sqlite3.Connection, states: Collection[str], limit: int) -> list[str]:
    """Ids of the newest jobs, newest first; with ``states``, only of jobs in these states."""
    where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
    query = f"SELECT id FROM jobs {where} ORDER BY rowid DESC LIMIT ?"  # noqa: S608 (of placeholders alone)
    return [job for (job,) in database.execute(query, (*states, limit)).fetchall()]


def job_digest(database: sqlite3.Connection, job: str) -> str | None:
    """The digest of a job's photos and options, None if there is no job of this id."""
    row = database.execute("SELECT digest FROM jobs WHERE id = ?", (job,)).fetchone()
    return row[0] if row else None


def job_is_over(database: sqlite3.Connection, job: str) -> bool:
    """Whether the job is known, and finished or cancelled."""
    row = database.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
    return row is not None and row[0] not in ACTIVE


def queue_load(database: sqlite3.Connection) -> QueueLoad:
    """The queue's load."""
    jobs = database.execute("SELECT COUNT(*) FROM jobs WHERE state IN (?, ?)", ACTIVE).fetchone()[0]
    photos, size = database.execute(
        "SELECT COUNT(*), TOTAL(bytes) FROM photos JOIN jobs ON jobs.id = photos.job"
        " WHERE jobs.state IN (?, ?) AND photos.state = 'waiting'",
        ACTIVE,
    ).fetchone()
    return QueueLoad(jobs, photos, int(size))


def photo_waits(database: sqlite3.Connection, job: str, index: int) -> bool:
    """Whether the photo is waiting, and its job queued or running."""
    row = database.execute(
        "SELECT 1 FROM photos JOIN jobs ON jobs.id = photos.job WHERE job = ? AND number = ?"
        " AND photos.state = 'waiting' AND jobs.state IN (?, ?)",
        (job, index, *ACTIVE),
    ).fetchone()
    return row is not None


def insert_job(database: sqlite3.Connection, job: str, manifest: Manifest, owner: str, now: float) -> None:
    """Add a job with its photos."""
    row = (job, json.dumps(manifest.options), manifest.digest, owner, manifest.created, now)
    photos = zip(manifest.names, manifest.digests, manifest.sizes, strict=True)
    database.execute(
        "INSERT INTO jobs (id, state, options, digest, owner, created, updated) VALUES (?, 'queued', ?, ?, ?, ?, ?)",
        row,
    )
    database.executemany(
        "INSERT INTO photos (job, number, name, digest, bytes) VALUES (?, ?, ?, ?, ?)",
        [(job, number, *photo) for number, photo in enumerate(photos)],
    )


def delete_job(database: sqlite3.Connection, files: JobFiles, job: str) -> None:
    """Delete a job with its photos and results permanently, even if a crash interrupts the deletion.

    Files are deleted first, which makes room for the journal's own writes on a full disk.
    """
    files.disown(job)
    files.delete(job)
    with transaction(database):
        database.execute("DELETE FROM jobs WHERE id = ?", (job,))


def set_job_state(database: sqlite3.Connection, job: str, state: str, now: float) -> None:
    """Change the state of a queued or running job."""
    database.execute(
        "UPDATE jobs SET state = ?, updated = ? WHERE id = ? AND state IN (?, ?)", (state, now, job, *ACTIVE)
    )


def end_photos(database: sqlite3.Connection, job: str, states: dict[int, str], error: str | None, now: float) -> None:
    """Write the final states of waiting photos; a job without waiting photos becomes finished.

    Args:
        database: the journal's database.
        job: the job's id.
        states: final state of each photo, by index.
        error: JSON of the error, for photos that failed.
        now: seconds since the epoch.
    """
    database.executemany(
        "UPDATE photos SET state = ?, error = ? WHERE job = ? AND number = ? AND state = 'waiting'",
        [(state, error, job, index) for index, state in states.items()],
    )
    waiting = database.execute("SELECT COUNT(*) FROM photos WHERE job = ? AND state = 'waiting'", (job,)).fetchone()[0]
    if not waiting:
        set_job_state(database, job, "finished", now)


def next_unit(database: sqlite3.Connection, in_flight: Collection[tuple[str, int]], now: float) -> WorkUnit | None:
    """Choose the next photos to work on, and record the turn of their job; None if there is nothing to do.

    Owners take turns photo by photo, and so do the jobs of each owner, so that one photo need not wait for a hundred
    photos of somebody else.

    Args:
        database: the journal's database.
        in_flight: (job, photo index) of the photos that model processes are working on.
        now: seconds since the epoch.
    """
    rows = database.execute(
        "SELECT id FROM jobs WHERE state IN (?, ?)"
        " ORDER BY (SELECT MAX(turn) FROM jobs AS others WHERE others.owner = jobs.owner), turn, rowid",
        ACTIVE,
    ).fetchall()
    for (identifier,) in rows:
        job = read_job(database, identifier)
        unit = _unit(job, in_flight) if job else None
        if unit:
            with transaction(database):
                database.execute("UPDATE jobs SET turn = (SELECT MAX(turn) + 1 FROM jobs) WHERE id = ?", (identifier,))
                set_job_state(database, identifier, "running", now)
            return unit
    return None


def _unit(job: JobRecord, in_flight: Collection[tuple[str, int]]) -> WorkUnit | None:
    """The job's photos to work on next; None if all its waiting photos are being worked on."""
    if has_one_result(job.options):
        busy = any((job.id, photo.index) in in_flight for photo in job.photos)
        indices = tuple(photo.index for photo in job.photos if photo.state != "failed")
        return None if busy or not job.waiting() else WorkUnit(job.id, indices, job.options)
    free = [index for index in job.waiting() if (job.id, index) not in in_flight]
    return WorkUnit(job.id, (free[0],), job.options) if free else None
