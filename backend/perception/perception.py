"""Perception: a photo in, the people in it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.perception.claims import without_borrowed_arms
from backend.perception.details import FaceModel, HandModel
from backend.perception.geometry import Pyramid
from backend.perception.masks import doubted, person_masks
from backend.perception.models import Model
from backend.perception.people import PeopleDetector
from backend.perception.person import Person
from backend.perception.pose import PoseEstimator, averaged
from backend.perception.search import choose, hypotheses, kept_box
from backend.photo import Photo

Progress = Callable[[float], None]


class Perception:
    """Finds the people of a photo with the vendored models; they are loaded when first needed.

    Args:
        weights: the folder ``weights/perception``.
        threads: CPU threads of each model.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._detector = PeopleDetector(Model(weights, "person_detector.tflite", threads))
        self._faces = FaceModel(Model(weights, "face_landmarks.tflite", threads))
        self._hands = HandModel(Model(weights, "hand_landmarks.tflite", threads))
        self._poses = PoseEstimator(Model(weights, "pose_detector.tflite", threads), Model(weights, "pose_landmarks.tflite", threads))

    def people(self, photo: Photo, progress: Progress | None = None) -> list[Person]:
        """All people of a photo, most prominent (large and certain) first; an empty list where there is nobody.

        Args:
            progress: called with the part done, 0..1.

        Raises:
            ModelError: a model file is missing or altered.
        """
        report = progress or (lambda part: None)
        pyramid = Pyramid(photo.pixels)
        found = self._detector.find(pyramid)
        candidates = []
        for index, box in enumerate(found.boxes):
            report(0.1 + 0.5 * index / len(found.boxes))
            candidates += hypotheses(pyramid, self._poses, index, box)
        chosen = choose(candidates, found)
        prominence = found.scores * np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1))
        chosen.sort(key=lambda item: -prominence[item.index])
        poses = []
        for index, item in enumerate(chosen):
            report(0.6 + 0.2 * index / len(chosen))
            again = self._poses.look(pyramid, item.pose.roi.flipped(), kept_box(found.boxes[item.index]))
            poses.append(averaged(item.pose, again))
        poses = without_borrowed_arms(poses)
        masks = person_masks(pyramid, poses)
        report(0.9)
        people = []
        for item, pose, (window, mask, others) in zip(chosen, poses, masks, strict=True):
            face, face_score = self._faces.find(pyramid, pose.landmarks)
            left, right = (self._hands.find(pyramid, pose.landmarks, side) for side in (True, False))
            box, score = found.boxes[item.index], float(found.scores[item.index])
            landmarks = doubted(pose.landmarks, window, mask)
            people.append(
                Person(box, score, landmarks, pose.world, window, mask, others, face, face_score, left_hand=left, right_hand=right)
            )
        report(1.0)
        return people
