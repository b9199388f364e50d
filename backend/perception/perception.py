"""Perception: a photo in, the people in it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.perception.geometry import Pyramid, Roi, box_iou, landmark_similarity
from backend.perception.masks import person_masks
from backend.perception.models import Model
from backend.perception.people import PeopleDetector
from backend.perception.person import Person
from backend.perception.pose import ROI_MARGIN, Pose, PoseEstimator, averaged
from backend.photo import Photo

Progress = Callable[[float], None]

BOX_MARGIN = 0.08
MIN_QUALITY = 0.2
SAME_PERSON = 0.5
GOOD_AGREEMENT = 0.7


class Perception:
    """Finds the people of a photo with the vendored models; they are loaded when first needed.

    Args:
        weights: the folder ``weights/perception``.
        threads: CPU threads of each model.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._detector = PeopleDetector(Model(weights, "person_detector.tflite", threads))
        self._poses = PoseEstimator(Model(weights, "pose_detector.tflite", threads), Model(weights, "pose_landmarks.tflite", threads))

    def people(self, photo: Photo, progress: Progress | None = None, max_people: int = 32) -> list[Person]:
        """The people of a photo, most prominent (largest and most certain) first; an empty list where there is nobody.

        Args:
            progress: called with the part done, 0..1.
            max_people: at most so many, the most certain.

        Raises:
            ModelError: a model file is missing or altered.
        """
        report = progress or (lambda part: None)
        pyramid = Pyramid(photo.pixels)
        found = self._detector.find(pyramid)
        taken: list[tuple[NDArray, float, Pose]] = []
        for index, (box, score) in enumerate(zip(found.boxes, found.scores, strict=True)):
            if len(taken) == max_people:
                break
            report(0.1 + 0.6 * index / len(found.scores))
            pose, quality = self._pose(pyramid, box, [other for _, _, other in taken])
            if quality >= MIN_QUALITY:
                taken.append((box, float(score), pose))
        taken.sort(key=lambda item: -item[1] * float(np.prod(item[0][2:] - item[0][:2])) ** 0.5)
        report(0.7)
        masks = person_masks(pyramid, [pose for _, _, pose in taken])
        report(1.0)
        return [
            Person(box, score, pose.landmarks, pose.world, window, mask, others)
            for (box, score, pose), (window, mask, others) in zip(taken, masks, strict=True)
        ]

    def _pose(self, photo: Pyramid, box: NDArray, taken: list[Pose]) -> tuple[Pose, float]:
        """The best explanation of a box that is not one of the people already ``taken``, and its quality, 0..1."""
        margin = BOX_MARGIN * (box[2:] - box[:2])
        keep = np.concatenate([box[:2] - margin, box[2:] + margin])
        upright = Roi(*((box[:2] + box[2:]) / 2).tolist(), float(np.max(box[2:] - box[:2])) * ROI_MARGIN)

        def quality(pose: Pose) -> float:
            seen = np.clip(pose.outline_box(), 0, [photo.width, photo.height] * 2)
            agreement = float(box_iou(seen[None], box[None])[0, 0])
            return pose.presence * agreement * (1 - max((same_person(pose, other) for other in taken), default=0.0))

        best = self._poses.look(photo, self._poses.look(photo, upright, keep).next_roi, keep)
        if quality(best) < GOOD_AGREEMENT:
            region, _ = self._poses.find(photo, upright, keep)
            other = self._poses.look(photo, self._poses.look(photo, region, keep).next_roi, keep)
            best = max(best, other, key=quality)
        again = self._poses.look(photo, best.roi.flipped(), keep)
        return averaged([best, again]), quality(best)


def same_person(a: Pose, b: Pose) -> float:
    """How alike two poses are as points in the photo, 0 other people .. 1 the same."""
    size = min(a.size(), b.size())
    return landmark_similarity(a.landmarks[:, :2], b.landmarks[:, :2], size, np.minimum(a.landmarks[:, 2], b.landmarks[:, 2]) + 0.05)
