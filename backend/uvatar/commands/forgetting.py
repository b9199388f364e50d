"""Deletes a person's data from the server's folder and from folders of avatars."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from uvatar.files.avatar_folders import RECORD, SUMMARY, THUMBNAILS, delete_abandoned, delete_avatar, read_avatar
from uvatar.files.photo_files import gathered, read_photo
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.service.batch.record import BatchRecord
from uvatar.service.batch.report import REPORT, write_report
from uvatar.service.client import Client
from uvatar.service.journal import Journal
from uvatar.service.journal_database import AlreadyServed
from uvatar.service.retention import forget


@dataclass(frozen=True)
class Forgotten:
    """The outcome of deleting avatars.

    Attributes:
        deleted: folders whose avatar was deleted.
        kept: those of them that still exist because they hold other files, too.
        failed: (path, reason) for what could not be deleted.
    """

    deleted: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    failed: tuple[tuple[Path, str], ...] = ()

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(self.deleted + other.deleted, self.kept + other.kept, self.failed + other.failed)


def photo_digests(paths: Sequence[Path]) -> tuple[list[str], list[tuple[str, str]]]:
    """The sha256 of photos and of all photos in folders, read one at a time.

    Returns:
        the digests, and (path, reason) for every photo that cannot be read.
    """
    photos, failures = gathered(paths)
    digests = []
    for path, _ in photos:
        try:
            digests.append(hashlib.sha256(read_photo(path)).hexdigest())
        except UvatarError as error:
            failures.append((shown(str(path)), f"{error.message} {error.fix}".strip()))
    return digests, failures


def forget_jobs(
    find: Callable[[], Client | None], folder: Path, digests: Sequence[str], jobs: Sequence[str], everything: bool
) -> list[str]:
    """Delete jobs: those with these ids, those that hold one of these photos, or all.

    Args:
        find: gives a client of the running server, or None; then the journal of ``folder`` is opened directly.
        folder: the data folder.
        digests: sha256 of photos.
        jobs: ids of jobs.
        everything: delete all jobs.

    Returns:
        the ids of the deleted jobs.

    Raises:
        UvatarError, OSError: a job cannot be deleted, or the server does not answer.
    """
    client = find()
    if client is None and not (folder / "journal.sqlite").exists():
        return []
    if client is None:
        try:
            with closing(Journal(folder)) as journal:
                deleted = [job for digest in digests for job in forget(journal, photo=digest)]
                deleted += [gone for job in jobs for gone in forget(journal, job=job)]
                return deleted + (forget(journal, everything=True) if everything else [])
        except AlreadyServed as error:  # a server was started just now, or it does not answer
            raise OSError(f"{error} It does not respond; stop it, then try again.") from error
    with client:
        deleted = [job for digest in digests for job in client.forget(photo=digest)]
        deleted += [gone for job in jobs for gone in client.forget(job=job)]
        return deleted + (client.forget(everything=True) if everything else [])


def forget_avatars(folder: Path, digests: Collection[str]) -> Forgotten:
    """Delete the avatars of photos (sha256) below a folder, with leftovers of killed runs and entries in batch records.

    Only files that an avatar's ``result.json`` lists are deleted, and its folder only if it holds nothing else.
    """
    deleted, kept, failed = [], [], []
    for summary in list(folder.rglob(SUMMARY)):
        avatar = read_avatar(summary.parent)
        if avatar is None or not avatar.shows(digests):
            continue
        try:
            if not delete_avatar(avatar):
                kept.append(avatar.folder)
            deleted.append(avatar.folder)
        except OSError as error:
            failed.append((avatar.folder, f"The avatar cannot be deleted: {error.strerror or error}."))
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        delete_abandoned(place, digests)
        if (place / RECORD).is_file():
            try:
                _forget_in_record(place, digests)
            except OSError as error:
                failed.append((place / RECORD, f"The file cannot be changed: {error.strerror or error}."))
    return Forgotten(tuple(deleted), tuple(kept), tuple(failed))


def _forget_in_record(out: Path, digests: Collection[str]) -> None:
    """Remove photos from a batch's record, report and thumbnails. Raises OSError."""
    record = BatchRecord(out)
    try:
        if not record.forget(digests):
            return
    finally:
        record.close()
    if (out / REPORT).is_file() or (out / THUMBNAILS).is_dir():
        write_report(out, record.outcomes.values(), len(record.outcomes))
