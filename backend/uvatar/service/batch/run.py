"""A batch from photos to files and report, whoever does the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uvatar.files.avatar_folders import is_disk_fault, output_error, prepare
from uvatar.files.export import Exporter
from uvatar.files.photo_files import read_photo
from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.batch.photos import Outcome, Photo, Record, figures, find_photos
from uvatar.service.batch.report import write_report

REPORT_EVERY = 50  # photos

# Takes photos (their names and bytes) as it has room for them; gives back each with its result or why there is none, in
# any order.
Engine = Callable[[Iterator[tuple[Photo, bytes]]], Iterable[tuple[Photo, dict[str, Any] | UvatarError]]]


@dataclass(frozen=True)
class Totals:
    """What a batch has come to.

    Attributes:
        photos: of the batch.
        done, failed: of all runs together.
        skipped: that an earlier run had finished.
    """

    photos: int
    done: int
    failed: int
    skipped: int


def run_batch(
    source: Path, out: Path, engine: Engine, blender: list[str] | None, told: Callable[[int, int, Outcome], None]
) -> Totals:
    """Reconstruct what is not done yet, write each photo's avatars and note its outcome; the report comes at the end in
    any case.

    Args:
        source: folder or list of photos, or a photo.
        out: output folder.
        engine: does the work.
        blender: command that writes .blend and .glb, or None.
        told: called with every outcome: how many photos are over, of how many.

    Raises UvatarError and OSError where ``source`` or ``out`` cannot be used or the disk becomes full, whatever the
    engine raises.
    """
    photos = find_photos(source)
    prepare(out)
    record, exporter = Record(out), Exporter(out, blender)
    stems = {photo.key: record.stem(photo) for photo in photos}
    todo = [photo for photo in photos if not record.is_done(photo)]
    stamps: dict[str, tuple[str, str]] = {}  # of photos at work: stamp, sha256
    finished = len(photos) - len(todo)

    def note(outcome: Outcome) -> None:
        nonlocal finished
        record.add(outcome)
        finished += 1
        told(finished, len(photos), outcome)
        if finished % REPORT_EVERY == 0:
            write_report(out, record.outcomes.values(), len(photos))

    def readable() -> Iterator[tuple[Photo, bytes]]:
        for photo in todo:
            try:
                stamp = photo.stamp()  # first: a file that changes while it is read is done again
                data = read_photo(photo.path)
                stamps[photo.key] = stamp, hashlib.sha256(data).hexdigest()
            except (UvatarError, OSError) as error:
                note(_failed(photo.key, stems[photo.key], "", error))
            else:
                yield photo, data

    try:
        for photo, result in engine(readable()):
            stem, (stamp, digest) = stems[photo.key], stamps[photo.key]
            outcome = _written(exporter, photo.key, stem, stamp, result, record.folders(photo))
            note(replace(outcome, digest=digest))
    except BaseException as error:
        record.close()
        with suppress(OSError):  # on a full disk there is no room for it either
            write_report(out, record.outcomes.values(), len(photos))
        if isinstance(error, OSError) and is_disk_fault(error):
            raise output_error(out, error) from error
        raise
    record.close()
    write_report(out, record.outcomes.values(), len(photos))
    outcomes = [record.outcomes[photo.key] for photo in photos if photo.key in record.outcomes]
    done = sum(outcome.done for outcome in outcomes)
    return Totals(len(photos), done, len(outcomes) - done, len(photos) - len(todo))


def _written(
    exporter: Exporter, key: str, stem: str, stamp: str, result: dict[str, Any] | UvatarError, older: Collection[str]
) -> Outcome:
    """Write a photo's avatars in place of the ``older`` folders; its outcome.

    Raises OSError where the disk is full or broken.
    """
    if isinstance(result, UvatarError):
        return _failed(key, stem, stamp, result)
    try:
        people = exporter.write(result, stem, older)
    except OSError as error:
        if is_disk_fault(error):  # so it would go with all photos that are left, after the work on them
            raise
        return Outcome(key, stem, stamp, Code.UNWRITABLE, f"Its avatars cannot be written: {error.strerror or error}.")
    folders = tuple(person.folder.name for person in people)
    problems = [person.problem for person in people if person.problem]
    if problems:
        return Outcome(key, stem, stamp, "blender", f"No .blend and .glb: {problems[0]}", folders)
    return Outcome(key, stem, stamp, "", "", folders, figures(result), result.get("timings", {}))


def _failed(key: str, stem: str, stamp: str, error: UvatarError | OSError) -> Outcome:
    if isinstance(error, OSError):
        return Outcome(key, stem, stamp, Code.UNREADABLE, f"The file cannot be read: {error.strerror or error}.")
    return Outcome(key, stem, stamp, error.code, f"{error.message} {error.fix}".strip())
