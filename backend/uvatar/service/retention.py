"""The retention policy: how long jobs are kept, and their deletion on request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from uvatar.protocol.errors import UvatarError
from uvatar.service.journal import Journal

_DAY = 86_400.0

log = logging.getLogger("uvatar.service.retention")


@dataclass(frozen=True)
class Policy:
    """How long finished and cancelled jobs are kept.

    How the defaults were chosen is not recorded. 10 GB are about 2,000 results of one person, 4 to 5 MB each.

    Attributes:
        days: days since a job's last change, after which it is overdue. It is deleted a thirtieth of this time later,
            if it is still overdue then, so that no results are lost to a clock that was wrong for a while.
        total_bytes: limit for all these jobs together; beyond it, the oldest are deleted at once.
    """

    days: float = 30.0
    total_bytes: int = 10 * 10**9


def clean(journal: Journal, policy: Policy) -> list[str]:
    """Delete finished jobs: the overdue ones, then the oldest until the rest is small enough. Returns their ids."""
    now = journal.clock()
    jobs = journal.ended()
    sizes = {job: journal.files.size(job) for job, *_ in jobs}
    total = sum(sizes.values())
    deleted = []
    for job, created, updated, overdue in jobs:
        # A job that was changed before it was made was `touched` while the clock was behind.
        changed = max(updated, created) if created <= now else updated
        if _too_old(journal, policy, job, changed, overdue, now) or total > policy.total_bytes:
            journal.delete(job)
            total -= sizes[job]
            deleted.append(job)
    if deleted:
        journal.scrub()
        log.info("Deleted %d jobs under the retention policy", len(deleted))
    return deleted


def _too_old(journal: Journal, policy: Policy, job: str, updated: float, overdue: float | None, now: float) -> bool:
    """Whether a job must be deleted because of its age; records since when it is overdue."""
    if updated > now + _DAY:  # the clock was ahead at that time, or is behind now: the job's age counts from now
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


def forget(
    journal: Journal,
    before: Callable[[str], None] = lambda _: None,
    *,
    job: str | None = None,
    photo: str | None = None,
    everything: bool = False,
) -> list[str]:
    """Delete jobs with their photos and results, whether they are finished or not.

    Args:
        journal: the journal.
        before: called with the id of each job before it is deleted.
        job: delete the job with this id.
        photo: delete all jobs that hold the photo with this sha256.
        everything: delete all jobs.

    Returns:
        the ids of the deleted jobs.

    Raises:
        UvatarError: there is no such job ("unknown-job"), or nothing was named.
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
        before(found)
        journal.delete(found)
    journal.scrub()
    log.info("Deleted %d jobs on request", len(jobs))
    return jobs
