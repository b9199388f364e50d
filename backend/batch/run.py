"""A batch from photos to files and report, whoever does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.batch.photos import Outcome, Photo, Record, figures, find_photos
from backend.batch.report import write_report
from backend.export import Exporter
from backend.wire import WireError

REPORT_EVERY = 50  # photos

# Takes photos (their names and bytes) as it has room for them; gives back each with its result or why there is none, in any order.
Engine = Callable[[Iterator[tuple[Photo, bytes]]], Iterable[tuple[Photo, dict[str, Any] | WireError]]]


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


def run_batch(source: Path, out: Path, engine: Engine, blender: list[str] | None, told: Callable[[int, int, Outcome], None]) -> Totals:
    """Reconstruct what is not done yet, write each photo's avatars and note its outcome; the report comes at the end in any case.

    Args:
        source: folder or list of photos.
        out: output folder.
        engine: does the work.
        blender: command that writes .blend and .glb, or None.
        told: called with every outcome: how many photos are over, of how many.

    Raises OSError where ``source`` or ``out`` cannot be used, whatever the engine raises.
    """
    photos = find_photos(source)
    record, exporter = Record(out), Exporter(out, blender)
    stems = {photo.key: record.stem(photo) for photo in photos}
    todo = [photo for photo in photos if not record.is_done(photo)]
    stamps: dict[str, str] = {}
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
                stamps[photo.key], data = photo.stamp(), photo.path.read_bytes()
            except OSError as error:
                reason = f"The file cannot be read: {error.strerror or error}."
                note(Outcome(photo.key, stems[photo.key], "", "unreadable", reason))
            else:
                yield photo, data

    try:
        for photo, result in engine(readable()):
            stem, stamp = stems[photo.key], stamps[photo.key]
            note(_written(exporter, photo.key, stem, stamp, result))
    finally:
        record.close()
        write_report(out, record.outcomes.values(), len(photos))
    outcomes = [record.outcomes[photo.key] for photo in photos if photo.key in record.outcomes]
    done = sum(outcome.done for outcome in outcomes)
    return Totals(len(photos), done, len(outcomes) - done, len(photos) - len(todo))


def _written(exporter: Exporter, key: str, stem: str, stamp: str, result: dict[str, Any] | WireError) -> Outcome:
    """Write a photo's avatars; its outcome."""
    if isinstance(result, WireError):
        return Outcome(key, stem, stamp, result.code, f"{result.message} {result.fix}".strip())
    try:
        people = exporter.write(result, stem)
    except OSError as error:
        return Outcome(key, stem, stamp, "unwritable", f"Its avatars cannot be written: {error.strerror or error}.")
    problems = [person.problem for person in people if person.problem]
    if problems:
        return Outcome(key, stem, stamp, "blender", f"No .blend and .glb: {problems[0]}", tuple(p.folder.name for p in people))
    return Outcome(key, stem, stamp, "", "", tuple(person.folder.name for person in people), figures(result), result.get("timings", {}))
