"""Decides which photos are worked on next."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from uvatar.protocol.jobs import has_one_result
from uvatar.service.job_records import ACTIVE, JobRecord, WorkUnit
from uvatar.service.journal_database import transaction
from uvatar.service.journal_queries import read_job, set_job_state


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
