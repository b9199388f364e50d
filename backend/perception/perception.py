"""Perception: a photo in, the people in it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.perception.claims import without_borrowed_arms
from backend.perception.details import FaceModel, HandModel
from backend.perception.evidence import LIKELY, Evidence, likelihood, upper_body_inside
from backend.perception.geometry import Pyramid
from backend.perception.heads import head_outside, with_head_at, with_head_upright
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

    def people(self, photo: Photo, progress: Progress | None = None, max_people: int = 32) -> list[Person]:
        """The people of a photo, most prominent (large and certain) first; an empty list where there is nobody.

        Args:
            progress: called with the part done, 0..1.
            max_people: at most so many, the most certain.

        Raises:
            ModelError: a model file is missing or altered.
        """
        return [person for person, _ in self.found(photo, progress, max_people) if person.likelihood >= LIKELY]

    def found(self, photo: Photo, progress: Progress | None = None, max_people: int = 32) -> list[tuple[Person, Evidence]]:
        """Everybody who may be a person (arguments as for `people`), unlikely ones too, each with the evidence."""
        report = progress or (lambda part: None)
        pyramid = Pyramid(photo.pixels)
        size = pyramid.width, pyramid.height
        found = self._detector.find(pyramid)
        candidates = []
        for index, box in enumerate(found.boxes):
            report(0.1 + 0.5 * index / len(found.boxes))
            candidates += hypotheses(pyramid, self._poses, index, box)
        chosen = choose(candidates, found, max_people)
        prominence = found.scores * np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1))
        chosen.sort(key=lambda item: -prominence[item.index])
        passes = []
        for index, item in enumerate(chosen):
            report(0.6 + 0.2 * index / len(chosen))
            again = self._poses.look(pyramid, item.pose.roi.flipped(), kept_box(found.boxes[item.index]))
            passes.append((item.pose, again))
        poses = without_borrowed_arms([averaged(*both) for both in passes])
        masks = person_masks(pyramid, poses)
        report(0.9)
        people = []
        for item, both, pose, (window, mask, others) in zip(chosen, passes, poses, masks, strict=True):
            face, face_score = self._faces.find(pyramid, pose.landmarks)
            left, right = (self._hands.find(pyramid, pose.landmarks, side) for side in (True, False))
            box, score, rival = found.boxes[item.index], float(found.scores[item.index]), float(found.rivals[item.index])
            evidence = Evidence.of(*both, size, box, score, rival, face_score)
            landmarks, world = doubted(pose.landmarks, window, mask), pose.world
            if (middle := head_outside(pose, size, face is not None)) is not None:
                landmarks, world = with_head_at(landmarks, middle), with_head_upright(world)
            likely = likelihood(evidence) if upper_body_inside(landmarks, size) else 0.0
            person = Person(
                box, score, landmarks, world, window, mask, others, face, face_score,
                left_hand=left, right_hand=right, likelihood=likely,
            )  # fmt: skip
            people.append((person, evidence))
        report(1.0)
        return people
