"""Human annotations in COCO's format, and the agreement of found people with them: perception's independent measure."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.person import Person
from uvatar.perception.geometry import box_iou

VISIBLE = 2
FOUND_OVERLAP = 0.5


@dataclass(frozen=True)
class Annotation:
    """One annotated person.

    Attributes:
        file: name of the photo.
        full_body: head to ankle visible, 200 px or taller.
        box: (4,) x0, y0, x1, y1, pixels.
        keypoints: (17, 3) x, y, flag in COCO's order; flags are 2 visible, 1 hidden, 0 not annotated.
        outline: polygons, each (N, 2) pixels.
    """

    file: str
    full_body: bool
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    outline: tuple[NDArray[np.float32], ...]

    @property
    def side(self) -> float:
        """The longer side of the box in pixels: the unit of keypoint errors."""
        return float(np.max(self.box[2:] - self.box[:2]))

    def mask(self, width: int, height: int) -> NDArray[np.bool_]:
        """(H, W) true inside the outline."""
        canvas = np.zeros((height, width), np.uint8)
        for polygon in self.outline:
            cv2.fillPoly(canvas, [np.round(polygon * 16 - 8).astype(np.int32)], [1.0], shift=4)
        return canvas > 0


def read_annotations(folder: Path) -> list[Annotation]:
    """Read ``annotations.json`` (COCO) and ``LICENSES.tsv`` (column ``full_body``) of a folder of photos."""
    with open(folder / "LICENSES.tsv", encoding="utf-8", newline="") as table:
        full = {row["file"]: row["full_body"] == "1" for row in csv.DictReader(table, delimiter="\t")}
    data = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in data["images"]}
    annotations = []
    for entry in data["annotations"]:
        x, y, width, height = entry["bbox"]
        annotations.append(
            Annotation(
                names[entry["image_id"]],
                full[names[entry["image_id"]]],
                np.array([x, y, x + width, y + height], np.float32),
                np.array(entry["keypoints"], np.float32).reshape(17, 3),
                tuple(np.array(polygon, np.float32).reshape(-1, 2) for polygon in entry["segmentation"]),
            )
        )
    return sorted(annotations, key=lambda annotation: annotation.file)


def keypoint_errors(points: Floats, annotation: Annotation) -> NDArray[np.float32]:
    """Distances of points (17, 2) from the K visible keypoints, as shares of the box side; (K,)."""
    visible = annotation.keypoints[:, 2] == VISIBLE
    errors: NDArray[np.float32] = (
        np.linalg.norm(points[visible] - annotation.keypoints[visible, :2], axis=1) / annotation.side
    )
    return errors


def mask_iou(person: Person, annotation: Annotation, width: int, height: int) -> float:
    """Intersection over union of the person's mask (at one half) and the annotated outline."""
    truth = annotation.mask(width, height)
    mask = person.whole_mask(truth.shape)
    return float(np.sum(mask & truth) / max(int(np.sum(mask | truth)), 1))


def match(people: list[Person], annotation: Annotation) -> Person | None:
    """The found person that the annotation describes; None if nobody matches.

    A person matches if their box overlaps the annotated one with an IoU of one half, or if half of the visible
    keypoints are within a tenth of the box side. Of several, the one with the smallest median keypoint error is taken.
    """

    def error(person: Person) -> float:
        errors = keypoint_errors(person.landmarks[COCO_LANDMARKS, :2], annotation)
        return float(np.median(errors)) if len(errors) else 1.0

    def fits(person: Person) -> bool:
        return box_iou(person.box[None], annotation.box[None])[0, 0] >= FOUND_OVERLAP or error(person) <= 0.1

    return min(filter(fits, people), key=error, default=None)
