"""Runs a batch from photos to files and report, whichever runner does the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uvatar.files.avatar_folders import is_disk_fault, output_error, prepare
from uvatar.files.export import Exporter
from uvatar.files.photo_files import read_photo
from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.batch.photos import BatchPhoto, find_photos
from uvatar.service.batch.record import BatchRecord, PhotoOutcome, figures
from uvatar.service.batch.report import write_report

REPORT_EVERY = 50  # photos after which the report is written again, which takes longer the more photos there are

# Takes photos and their bytes as it has room for them, and the last outcome of earlier runs; yields each photo with its
# result, or the error, in any order.
PhotoRunner = Callable[
    [Iterator[tuple[BatchPhoto, bytes]], PhotoOutcome | None], Iterable[tuple[BatchPhoto, dict[str, Any] | UvatarError]]
]
# Takes the number of finished photos, the number of all photos, and the outcome of the last one.
Told = Callable[[int, int, PhotoOutcome], None]


@dataclass(frozen=True)
class BatchTotals:
    """The totals of a batch: numbers of photos.

    Attributes:
        photos: all photos of the batch.
        done: those that gave avatars, in all runs together.
        failed: those that failed, in all runs together.
        skipped: those that an earlier run had finished.
    """

    photos: int
    done: int
    failed: int
    skipped: int


def run_batch(source: Path, runner: PhotoRunner, exporter: Exporter, told: Told) -> BatchTotals:
    """Reconstruct the photos that are not done yet, write their avatars and record the outcomes.

    The report is written at the end, also after an interruption.

    Args:
        source: folder of photos, list of photos, or a photo.
        runner: does the work.
        exporter: writes the avatars below the output folder.
        told: called with every outcome.

    Raises:
        UvatarError, OSError: ``source`` or the output folder cannot be used, or the disk is full. Whatever the runner
            raises is passed on.
    """
    photos, out = find_photos(source), exporter.out
    prepare(out)
    record = BatchRecord(out)
    stems = {photo.key: record.stem(photo) for photo in photos}
    todo = [photo for photo in photos if not record.is_done(photo)]
    stamps: dict[str, tuple[str, str]] = {}  # stamp and sha256 of the photos at work
    finished = len(photos) - len(todo)

    def note(outcome: PhotoOutcome) -> None:
        nonlocal finished
        record.add(outcome)
        finished += 1
        told(finished, len(photos), outcome)
        if finished % REPORT_EVERY == 0:
            write_report(out, record.outcomes.values(), len(photos))

    def readable() -> Iterator[tuple[BatchPhoto, bytes]]:
        for photo in todo:
            try:
                stamp = photo.stamp()  # before reading: a file that changes meanwhile is done again
                data = read_photo(photo.path)
                stamps[photo.key] = stamp, hashlib.sha256(data).hexdigest()
            except (UvatarError, OSError) as error:
                note(_failed(photo.key, stems[photo.key], "", error))
            else:
                yield photo, data

    complete = False
    try:
        for photo, result in runner(readable(), record.last):
            stem, (stamp, digest) = stems[photo.key], stamps[photo.key]
            outcome = _written(exporter, photo.key, stem, stamp, result, record.folders(photo))
            note(replace(outcome, digest=digest))
        complete = True
    except OSError as error:
        if is_disk_fault(error):
            raise output_error(out, error) from error
        raise
    finally:
        record.close()
        # After an error, that error is raised, not one from the report, which a full disk has no room for.
        with nullcontext() if complete else suppress(OSError):
            write_report(out, record.outcomes.values(), len(photos))
    return _totals(photos, len(photos) - len(todo), record)


def _totals(photos: Sequence[BatchPhoto], skipped: int, record: BatchRecord) -> BatchTotals:
    """Count the outcomes of these photos in the record."""
    outcomes = [record.outcomes[photo.key] for photo in photos if photo.key in record.outcomes]
    done = sum(outcome.done for outcome in outcomes)
    return BatchTotals(len(photos), done, len(outcomes) - done, skipped)


def _written(
    exporter: Exporter, key: str, stem: str, stamp: str, result: dict[str, Any] | UvatarError, older: Collection[str]
) -> PhotoOutcome:
    """Write a photo's avatars in place of the ``older`` folders, and return the outcome.

    Raises OSError if the disk is full or faulty.
    """
    if isinstance(result, UvatarError):
        return _failed(key, stem, stamp, result)
    try:
        people = exporter.write(result, stem, older)
    except OSError as error:
        if is_disk_fault(error):  # it would happen to all remaining photos, after the work on them
            raise
        return PhotoOutcome(
            key, stem, stamp, Code.UNWRITABLE, f"The avatars cannot be written: {error.strerror or error}."
        )
    folders = tuple(person.folder.name for person in people)
    problems = [person.problem for person in people if person.problem]
    if problems:
        return PhotoOutcome(key, stem, stamp, "blender", f"Files are missing: {problems[0]}", folders)
    return PhotoOutcome(key, stem, stamp, "", "", folders, figures(result), result.get("timings", {}))


def _failed(key: str, stem: str, stamp: str, error: UvatarError | OSError) -> PhotoOutcome:
    if isinstance(error, OSError):
        return PhotoOutcome(key, stem, stamp, Code.UNREADABLE, f"The file cannot be read: {error.strerror or error}.")
    return PhotoOutcome(key, stem, stamp, error.code, f"{error.message} {error.fix}".strip())
