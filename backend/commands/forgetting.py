"""Deleting what is kept of a person, where the server keeps it and where avatars were written."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from backend.client import Client
from backend.jobs import AlreadyServed, Journal
from backend.retention import forget


def forget_jobs(
    find: Callable[[], Client | None], folder: Path, photos: Sequence[bytes], jobs: Sequence[str], everything: bool
) -> list[str]:
    """Delete jobs, by their ids, or because they hold one of the photos (bytes), or all; the ids of those that were deleted.

    Args:
        find: the running server, or None: then the journal of ``folder`` is opened directly.

    Raises WireError, OSError.
    """
    client = find()
    if client is None and not (folder / "journal.sqlite").exists():
        return []
    if client is None:
        try:
            with closing(Journal(folder)) as journal:
                digests = [hashlib.sha256(photo).hexdigest() for photo in photos]
                deleted = [job for digest in digests for job in forget(journal, photo=digest)]
                deleted += [gone for job in jobs for gone in forget(journal, job=job)]
                return deleted + (forget(journal, everything=True) if everything else [])
        except AlreadyServed as error:  # it was started at this very moment, or does not answer
            raise OSError(f"{error} It does not answer: stop it, then try again.") from error
    with client:
        deleted = [job for photo in photos for job in client.forget(photo=photo)]
        deleted += [gone for job in jobs for gone in client.forget(job=job)]
        return deleted + (client.forget(everything=True) if everything else [])


def forget_avatars(folders: Sequence[Path], photos: Sequence[bytes]) -> list[Path]:
    """Delete avatar folders (those with a ``result.json`` of one of the photos) below these folders; which they were."""
    digests = {hashlib.sha256(photo).hexdigest() for photo in photos}
    deleted = []
    for summary in [path for folder in folders for path in folder.rglob("result.json")]:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if json.loads(summary.read_bytes())["photo"]["digest"] in digests:
                shutil.rmtree(summary.parent)
                deleted.append(summary.parent)
    return deleted
