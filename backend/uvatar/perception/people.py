"""Detects people: EfficientDet-Lite0 on the photo, and on parts of it for small people.

Model: Tan, Pang and Le, "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020; Lite0, int8, trained on
COCO.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.perception.geometry import Pyramid, box_iou
from uvatar.perception.models import Model

SIDE = 320
PERSON = 0
ANIMALS = (*range(15, 25), 87)  # bird to giraffe, and teddy bear: what is most often mistaken for a person
RIVAL_THRESHOLD = 0.2
RIVAL_OVERLAP = 0.5  # an animal whose box overlaps a person's by more than this (IoU) may be the same object
SAME_BOX = 0.6  # boxes that overlap by more than this (IoU) are one person; for others the poses decide
SMALL = 0.35  # share of the photo's longer side; around a lone person smaller than this, there may be more people
THRESHOLD = 0.25
FOREGROUND = 0.6  # people at least this share of the largest person's size need no more certainty than that person
BYSTANDER_PENALTY = 0.6
TILE_STEP = 0.55
CUT_MARGIN = 0.06

Window = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detections:
    """People boxes of one photo, best first.

    Attributes:
        boxes: (N, 4) x0, y0, x1, y1 in pixels, inside the photo.
        scores: (N,) 0..1.
        rivals: (N,) 0..1, how sure the detector is that the same box holds an animal or a teddy bear.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rivals: NDArray[np.float32]

    def only(self, kept: NDArray[np.bool_]) -> Detections:
        """Only the detections for which ``kept`` (N,) is true."""
        return Detections(self.boxes[kept], self.scores[kept], self.rivals[kept])


def anchors() -> NDArray[np.float32]:
    """(19206, 4) centre y, centre x, height, width of EfficientDet-Lite0's anchors in its 320-pixel input.

    Levels 3 to 7, three octaves, aspects 1, 2 and 1/2, anchor scale 3 (EfficientDet, section 5 and Lite configuration).
    """
    rows = []
    for level in range(3, 8):
        stride = 2**level
        cells = (np.arange(-(-SIDE // stride)) + 0.5) * stride
        shapes = [
            (3.0 * stride * 2 ** (octave / 3) / np.sqrt(aspect), 3.0 * stride * 2 ** (octave / 3) * np.sqrt(aspect))
            for octave in range(3)
            for aspect in (1.0, 2.0, 0.5)
        ]
        y, x, shape = np.meshgrid(cells, cells, np.arange(9), indexing="ij")
        size = np.array(shapes)[shape]
        rows.append(np.concatenate([np.stack([y, x], -1), size], -1).reshape(-1, 4))
    centres: NDArray[np.float32] = np.concatenate(rows).astype(np.float32)
    return centres


class PeopleDetector:
    """Finds people's boxes in a photo."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._anchors = anchors()

    def view(self, photo: Pyramid, window: Window, threshold: float) -> Detections:
        """People in one rectangle of the photo (which may reach beyond it), stretched to the model's square input."""
        outputs = self._model(photo.window(window, (SIDE, SIDE))[None])
        deltas, scores = sorted((output[0] for output in outputs), key=lambda output: output.shape[-1])
        animals = scores[:, ANIMALS].max(1)
        likely = animals > RIVAL_THRESHOLD
        keep = scores[:, PERSON] > threshold
        found = Detections(
            self._boxes(deltas, keep, window), scores[keep, PERSON], np.zeros(np.count_nonzero(keep), np.float32)
        )
        found = suppress(found, 0.5)
        same = box_iou(found.boxes, self._boxes(deltas, likely, window)) > RIVAL_OVERLAP
        return replace(found, rivals=np.max(same * animals[likely], axis=1, initial=0.0).astype(np.float32))

    def _boxes(self, deltas: Floats, keep: NDArray[np.bool_], window: Window) -> NDArray[np.float32]:
        """(K, 4) boxes in the photo of the anchors to keep, seen in a window of it."""
        x0, y0, x1, y1 = window
        cy, cx, h, w = self._anchors[keep].T
        dy, dx, dh, dw = deltas[keep].T
        cy, cx, h, w = cy + dy * h, cx + dx * w, h * np.exp(dh), w * np.exp(dw)
        boxes = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1) / SIDE
        boxes = boxes * [x1 - x0, y1 - y0, x1 - x0, y1 - y0] + [x0, y0, x0, y0]
        placed: NDArray[np.float32] = boxes.astype(np.float32)
        return placed

    def find(self, photo: Pyramid, threshold: float = THRESHOLD) -> Detections:
        """People of a photo, best first: seen whole, and in tiles where the photo is wide or the people are many or
        small.
        """
        width, height = photo.width, photo.height
        side = max(width, height)
        parts = [self.view(photo, (0, 0, side, side), threshold), self.view(photo, (0, 0, width, height), threshold)]
        first = suppress(_joined(photo, parts), SAME_BOX)
        sides = _sides(first.boxes)
        if len(sides) != 1 or sides[0] < SMALL * side:
            closer = [(window, self.view(photo, window, threshold)) for window in tiles(width, height)]
            whole = [_whole_in(photo, window, part) for window, part in closer]
            # if nobody is seen as a whole, a person cut by a tile is better than none
            parts += whole if any(len(part.scores) for part in parts + whole) else [part for _, part in closer]
        found = suppress(_joined(photo, parts), SAME_BOX)
        return without_bystanders(found)


def without_bystanders(found: Detections) -> Detections:
    """Leave out the crowd in the background: the smaller a person, the more certain the detection must be."""
    sides = _sides(found.boxes)
    smallness = np.clip(1.0 - sides / (FOREGROUND * np.max(sides, initial=1.0)), 0, 1)
    kept = found.scores >= THRESHOLD + BYSTANDER_PENALTY * smallness
    return found.only(kept)


def _sides(boxes: Floats) -> Floats:
    """(N, 4) boxes -> (N,) longer sides."""
    sides: Floats = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, initial=0.0)
    return sides


def tiles(width: int, height: int) -> list[Window]:
    """Overlapping squares that cover a photo: of its shorter side (if it is oblong), and of half its longer side."""
    windows: list[Window] = []
    for side in (min(width, height), max(width, height) / 2):
        columns, rows = (
            np.linspace(0, length - side, _steps(length, side)) if length > side else [0.0]
            for length in (width, height)
        )
        if len(columns) * len(rows) > 1:
            windows += [(float(x), float(y), float(x + side), float(y + side)) for y in rows for x in columns]
    return windows


def _steps(length: float, side: float) -> int:
    """The number of tiles along a length for which neighbours overlap by half or slightly less."""
    return int(np.ceil((length - side) / (TILE_STEP * side))) + 1


def _whole_in(photo: Pyramid, window: Window, found: Detections) -> Detections:
    """The detections that are not cut by a tile's border inside the photo."""
    x0, y0, x1, y1 = window
    margin = CUT_MARGIN * (x1 - x0)
    limits = [x0 + margin if x0 > 0 else -np.inf, y0 + margin if y0 > 0 else -np.inf]
    ends = [x1 - margin if x1 < photo.width else np.inf, y1 - margin if y1 < photo.height else np.inf]
    whole = np.all(found.boxes[:, :2] >= limits, 1) & np.all(found.boxes[:, 2:] <= ends, 1)
    return found.only(whole)


def suppress(found: Detections, overlap: float) -> Detections:
    """Non-maximum suppression: of boxes that overlap by more than ``overlap`` (IoU) only the best is kept.

    It gets the highest rival score of them all.
    """
    boxes, rivals = found.boxes, found.rivals.copy()
    kept: list[int] = []
    for index in np.argsort(-found.scores):
        same = box_iou(boxes[index : index + 1], boxes[kept])[0] > overlap
        if same.any():
            first = kept[int(np.argmax(same))]
            rivals[first] = max(rivals[first], rivals[index])
        else:
            kept.append(int(index))
    return Detections(boxes[kept], found.scores[kept], rivals[kept])


def _joined(photo: Pyramid, parts: list[Detections]) -> Detections:
    """All detections together, clipped to the photo; those entirely outside are left out."""
    boxes, scores, rivals = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "scores", "rivals")
    )
    boxes = np.clip(boxes, 0, [photo.width, photo.height, photo.width, photo.height]).astype(np.float32)
    return Detections(boxes, scores, rivals).only(np.min(boxes[:, 2:] - boxes[:, :2], 1) > 2)
