"""How accurate perception is against human annotations, and how fast.

    python -m benchmarks.perception --every 10                # a short run: every tenth photo
    python -m benchmarks.perception --folder coco_photos      # your own annotated photos
    python -m benchmarks.perception --rendered 40             # rendered people whose limbs leave gaps, instead

Run it after a change of `uvatar.perception`. The folder holds photos with COCO annotations of one person each
(annotations.json, LICENSES.tsv); by default the shared ones beside the repository.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.csv_results import write_csv
from uvatar.body import load_open_body
from uvatar.data.arrays import Floats
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.photo import Photo
from uvatar.evaluation.gaps import gap_agreement, mask_of, people_with_gaps
from uvatar.geometry.masks import mask_iou as outline_iou
from uvatar.perception import Perception, Person
from uvatar.perception.annotated import Annotation, keypoint_errors, mask_iou, match, read_annotations
from uvatar.photos.decoding import decode_photo

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "weights" / "perception"
ANNOTATED = ROOT.parent / "shared" / "photos" / "annotated"


@dataclass(frozen=True)
class Row:
    """One photo's results.

    Attributes:
        annotation: the annotated person.
        person: the person found, or None.
        errors: of the keypoints.
        iou: intersection over union of the masks.
        people: number of people found.
        seconds: processor time.
    """

    annotation: Annotation
    person: Person | None
    errors: Floats
    iou: float
    people: int
    seconds: float  # processor time


def measure(folder: Path, every: int = 1) -> list[Row]:
    """Find the people in every ``every``-th photo of the folder, and compare the annotated ones."""
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


def summary(name: str, rows: list[Row]) -> dict[str, object]:
    """A row of the table; means are over the people found."""
    found = [row for row in rows if row.person is not None]
    errors = np.concatenate([np.zeros(0), *(row.errors for row in found)])
    ious = [row.iou for row in found]
    return {
        "people": name,
        "photos": len(rows),
        "missed": len(rows) - len(found),
        "PCK@.05": float(np.mean(errors <= 0.05)),
        "PCK@.10": float(np.mean(errors <= 0.1)),
        "median keypoint error, % of the box side": 100 * float(np.median(errors)),
        "mean mask IoU": float(np.mean(ious)),
        "median mask IoU": float(np.median(ious)),
    }


def measure_gaps(count: int, seed: int = 1) -> dict[str, object]:
    """Means over rendered people whose limbs leave gaps; the constants of `uvatar.perception.gaps` are of seed 0."""
    perception, body = Perception(WEIGHTS), load_open_body()
    figures = []
    for picture in people_with_gaps(body, count, seed):
        people = perception.people(Photo(picture.pixels, None, "0" * 64))
        person = max(people, key=lambda one: outline_iou(mask_of(one, picture.mask.shape), picture.mask), default=None)
        outline = outline_iou(mask_of(person, picture.mask.shape), picture.mask)
        figures.append((*gap_agreement(person, picture.mask), outline))
    names = ("gap IoU", "gaps left out", "mask IoU")
    return {"people": count, **dict(zip(names, np.mean(figures, 0).tolist(), strict=True))}


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ANNOTATED, help="folder of annotated photos")
    parser.add_argument("--every", type=int, default=1, help="take every Nth photo")
    parser.add_argument("--rendered", type=int, metavar="N", help="measure on N rendered people with gaps instead")
    arguments = parser.parse_args()
    if arguments.rendered:
        print("  ".join(f"{key} {cell:.4g}" for key, cell in measure_gaps(arguments.rendered).items()))
        return
    if not arguments.folder.is_dir():
        print(f"{arguments.folder} is missing: nothing to measure perception on")
        return
    rows = measure(arguments.folder, arguments.every)
    table = []
    for name, full in (("full body", True), ("cut", False)):
        of_kind = [row for row in rows if row.annotation.full_body == full]
        if of_kind:
            table.append(summary(name, of_kind))
            print(
                "  ".join(
                    f"{key} {cell:.3f}" if isinstance(cell, float) else f"{key} {cell}"
                    for key, cell in table[-1].items()
                )
            )
    print("missed:", ", ".join(row.annotation.file for row in rows if row.person is None) or "nobody")
    seconds, people = sum(row.seconds for row in rows), sum(row.people for row in rows)
    speed = (
        f"{people} people in {len(rows)} photos; processor time {seconds / len(rows):.2f} s a photo, "
        f"{seconds / people:.2f} s a person"
    )
    print(speed)
    write_csv("perception", table, [speed])


if __name__ == "__main__":
    main()
