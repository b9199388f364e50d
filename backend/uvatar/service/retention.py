"""The retention policy: what is kept for how long, and deletion on request."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from uvatar.protocol.errors import UvatarError
from uvatar.service.journal import Journal

_DAY = 86_400.0

log = logging.getLogger("uvatar.service.retention")


@dataclass(frozen=True)
class Policy:
    """How long jobs that are over are kept.

    Attributes:
        days: since their last change. They go a thirtieth of that later, when the clock says so a second time: a clock
            that was wrong for a while costs nobody his results.
        total_bytes: of all jobs that are over; beyond that the oldest go at once.
    """

    days: float = 30.0
    total_bytes: int = 10 * 10**9


def clean(journal: Journal, policy: Policy) -> list[str]:
    """Delete jobs that are over: those too old, then the oldest until the rest is small enough. Their ids."""
    now = journal.clock()
    jobs = journal.ended()
    sizes = {job: journal.files.size(job) for job, _, _ in jobs}
    total = sum(sizes.values())
    deleted = []
    for job, updated, overdue in jobs:
        if _too_old(journal, policy, job, updated, overdue, now) or total > policy.total_bytes:
            journal.delete(job)
            total -= sizes[job]
            deleted.append(job)
    if deleted:
        journal.scrub()
        log.info("Deleted %d jobs under the retention policy", len(deleted))
    return deleted


def _too_old(journal: Journal, policy: Policy, job: str, updated: float, overdue: float | None, now: float) -> bool:
    """Whether a job's time is over; notes what this look at the clock found."""
    if updated > now + _DAY:  # the clock was ahead when that was noted: the job's time begins now
        journal.touch(job, now)
        return False
    if now - updated <= policy.days * _DAY:
        if overdue is not None:
            journal.mark_overdue(job, None)
        return False
    if overdue is None or overdue > now:
        journal.mark_overdue(job, now)
        overdue = now
    return now - overdue >= policy.days / 30 * _DAY


def forget(journal: Journal, job: str | None = None, photo: str | None = None, everything: bool = False) -> list[str]:
    """Delete jobs with all that is kept of them, whether they are over or not; their ids.

    Args:
        job: id of one job.
        photo: sha256 of a photo: all jobs that hold it.
        everything: all jobs.

    Raises UvatarError ("unknown-job").
    """
    if everything:
        jobs = [found.id for found in journal.jobs(limit=-1)]
    elif photo is not None:
        jobs = journal.jobs_with(photo)
    elif job is not None:
        jobs = [journal.job(job).id]
    else:
        raise UvatarError("Specify what to delete: a job, a photo or everything.")
    for found in jobs:
        journal.delete(found)
    journal.scrub()
    log.info("Deleted %d jobs on request", len(jobs))
    return jobs
