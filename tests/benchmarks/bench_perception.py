"""Perception against human annotations, and its speed. `python tests/benchmarks/bench_perception.py [FOLDER [EVERY]]`

FOLDER holds photos with COCO annotations of one person each (annotations.json, LICENSES.tsv; default: the shared ones
beside the repository); EVERY takes one photo in so many.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uvatar.perception import Perception, Person
from uvatar.perception.annotated import COCO_LANDMARKS, Annotation, keypoint_errors, mask_iou, match, read_annotations
from uvatar.photos.decoding import decode_photo

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "weights" / "perception"
ANNOTATED = ROOT.parent / "shared" / "photos" / "annotated"


@dataclass(frozen=True)
class Row:
    """One photo's outcome: the annotated person as found (or None), keypoint errors, mask IoU, people found,
    seconds.
    """

    annotation: Annotation
    person: Person | None
    errors: np.ndarray
    iou: float
    people: int
    seconds: float  # processor time


def measure(folder: Path, every: int = 1) -> list[Row]:
    """Find the people in every photo of the folder and compare the annotated ones."""
    perception = Perception(WEIGHTS)
    rows = []
    for annotation in read_annotations(folder)[::every]:
        photo = decode_photo((folder / annotation.file).read_bytes(), annotation.file)
        start = time.process_time()
        people = perception.people(photo)
        seconds = time.process_time() - start
        person = match(people, annotation)
        height, width = photo.pixels.shape[:2]
        errors = np.zeros(0) if person is None else keypoint_errors(person.landmarks[COCO_LANDMARKS, :2], annotation)
        iou = 0.0 if person is None else mask_iou(person, annotation, width, height)
        rows.append(Row(annotation, person, errors, iou, len(people), seconds))
    return rows


def summary(name: str, rows: list[Row]) -> str:
    """One line of the table; the averages are over the people found."""
    found = [row for row in rows if row.person is not None]
    errors = np.concatenate([row.errors for row in found])
    ious = [row.iou for row in found]
    return (
        f"{name:10} n {len(rows):3} missed {len(rows) - len(found):2}"
        f"  PCK@.05/.10 {np.mean(errors <= 0.05):.3f} / {np.mean(errors <= 0.1):.3f}"
        f"  median error {100 * np.median(errors):.2f} %  mask IoU mean/median {np.mean(ious):.3f} / "
        f"{np.median(ious):.3f}"
    )


def main(folder: str = str(ANNOTATED), every: str = "1") -> None:
    if not Path(folder).is_dir():
        print(f"{folder} is missing: nothing to measure perception on")
        return
    rows = measure(Path(folder), int(every))
    for name, full in (("full body", True), ("cut", False)):
        print(summary(name, [row for row in rows if row.annotation.full_body == full]))
    print("missed:", ", ".join(row.annotation.file for row in rows if row.person is None) or "nobody")
    seconds, people = sum(row.seconds for row in rows), sum(row.people for row in rows)
    print(
        f"{people} people in {len(rows)} photos; processor time {seconds / len(rows):.2f} s a photo, "
        f"{seconds / people:.2f} s a person"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
