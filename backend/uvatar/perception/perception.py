"""Perception: finds the people in a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.perception.claims import without_borrowed_arms
from uvatar.perception.details import FaceFound, FaceModel, HandModel
from uvatar.perception.evidence import LIKELY, POSSIBLE, PersonEvidence, likelihood, likely_enough, upper_body_inside
from uvatar.perception.expression import ExpressionModel
from uvatar.perception.geometry import Pyramid, box_iou, same_person
from uvatar.perception.heads import head_outside, with_head_at, with_head_upright
from uvatar.perception.masks import doubted, person_masks
from uvatar.perception.models import Model
from uvatar.perception.people import Detections, PeopleDetector
from uvatar.perception.pose import Pose, PoseEstimator, averaged
from uvatar.perception.search import Hypothesis, choose, hypotheses, kept_box

Progress = Callable[[float], None]


class Perception:
    """Finds the people in a photo with the vendored models, which are loaded when first needed.

    Args:
        weights: the folder ``weights/perception``.
        threads: CPU threads for each model.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._detector = PeopleDetector(Model(weights, "person_detector.tflite", threads))
        self._faces = FaceModel(Model(weights, "face_landmarks.tflite", threads))
        self._expressions = ExpressionModel(Model(weights, "face_blendshapes.tflite", threads))
        self._hands = HandModel(Model(weights, "hand_landmarks.tflite", threads))
        self._poses = PoseEstimator(
            Model(weights, "pose_detector.tflite", threads), Model(weights, "pose_landmarks.tflite", threads)
        )

    def people(self, photo: Photo, progress: Progress | None = None) -> list[Person]:
        """All people in a photo, the most prominent (large and certain) first; empty if there is nobody.

        Args:
            photo: the photo.
            progress: called with the share done, 0..1.

        Raises:
            ModelError: a model file is missing or altered.
        """
        return self.found(photo, progress).people

    def found(
        self,
        photo: Photo,
        progress: Progress | None = None,
        least: float = LIKELY,
        wanted: NDArray[np.float64] | None = None,
    ) -> Found:
        """The people in a photo, each with the evidence.

        Args:
            photo: the photo.
            progress: as for `people`.
            least: the likelihood that a person alone in a photo must have (`likely_enough`).
            wanted: (K, 4) boxes of the only people who are returned, likely or not; None for all who are likely. Of the
                others, those who touch them are looked at as well, for they may hide them.

        Raises:
            ModelError: a model file is missing or altered.
        """
        report = progress or (lambda part: None)
        pyramid = Pyramid(photo.pixels)
        looks, enough = self._looks(pyramid, report, least, wanted)
        asked = enough if wanted is None else _same(np.array([look.box for look in looks]).reshape(-1, 4), wanted)
        left_out = sum(
            look.likelihood >= POSSIBLE for look, is_person in zip(looks, enough, strict=True) if not is_person
        )
        kept = [i for i in range(len(looks)) if enough[i] or asked[i]]
        poses = without_borrowed_arms([looks[i].pose for i in kept])
        masks = person_masks(pyramid, poses)
        report(0.9)
        people = [
            self._person(pyramid, looks[i], pose, mask)
            for i, pose, mask in zip(kept, poses, masks, strict=True)
            if asked[i]
        ]
        report(1.0)
        return Found(people, [looks[i].evidence for i in kept if asked[i]], left_out if wanted is None else 0)

    def glimpsed(self, photo: Photo, progress: Progress | None = None) -> list[Glimpse]:
        """Whoever may be a person in a photo, without what costs time: masks and hands.

        They come in the order in which `found` has them, and after them those who are not likely enough.
        """
        looks, enough = self._looks(Pyramid(photo.pixels), progress or (lambda part: None), LIKELY)
        seen = [
            Glimpse(look.box, look.likelihood, bool(likely))
            for look, likely in zip(looks, enough, strict=True)
            if likely or look.likelihood >= POSSIBLE
        ]
        return sorted(seen, key=lambda glimpse: not glimpse.likely)

    def _looks(
        self, pyramid: Pyramid, report: Progress, least: float, wanted: NDArray[np.float64] | None = None
    ) -> tuple[list[_Look], NDArray[np.bool_]]:
        """Everybody who may be a person, the most prominent first, and whether that is likely enough."""
        found = self._detector.find(pyramid)
        if wanted is not None:
            found = found.only(_touching(found.boxes, wanted))
        candidates = []
        for index, box in enumerate(found.boxes):
            report(0.1 + 0.5 * index / len(found.boxes))
            candidates += hypotheses(pyramid, self._poses, index, box)
        chosen = choose(candidates, found)
        prominence = found.scores * np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1))
        chosen.sort(key=lambda item: -prominence[item.index])
        looks = []
        for number, item in enumerate(chosen):
            report(0.6 + 0.2 * number / len(chosen))
            looks.append(self._look_again(pyramid, found, item))
        boxes = np.array([look.box for look in looks]).reshape(-1, 4)
        return looks, likely_enough(np.array([look.likelihood for look in looks]), boxes, least)

    def _look_again(self, pyramid: Pyramid, found: Detections, item: Hypothesis) -> _Look:
        """A chosen pose, averaged with that of the mirrored picture, with its face and its evidence."""
        box, score, rival = found.boxes[item.index], float(found.scores[item.index]), float(found.rivals[item.index])
        size = pyramid.width, pyramid.height
        again = self._poses.look(pyramid, item.pose.roi.flipped(), kept_box(box))
        pose = averaged(item.pose, again)
        face = self._faces.find(pyramid, pose.landmarks)
        evidence = PersonEvidence.of(item.pose, again, size, box, rival)
        head = head_outside(pose, size, face.points is not None)
        landmarks = pose.landmarks if head is None else with_head_at(pose.landmarks, head)
        likely = likelihood(evidence) if upper_body_inside(landmarks, size) else 0.0
        return _Look(box, score, pose, face, evidence, likely, head)

    def _person(
        self,
        pyramid: Pyramid,
        look: _Look,
        pose: Pose,
        masks: tuple[tuple[int, int, int, int], NDArray[np.uint8], NDArray[np.uint8]],
    ) -> Person:
        window, mask, others = masks
        left, right = (self._hands.find(pyramid, pose.landmarks, side) for side in (True, False))
        landmarks, world = doubted(pose.landmarks, window, mask), pose.world
        if look.head is not None:
            landmarks, world = with_head_at(landmarks, look.head), with_head_upright(world)
        points = look.face.points
        return Person(
            look.box, look.score, landmarks, world, window, mask, others, points, look.face.score,
            left_hand=left, right_hand=right, likelihood=look.likelihood, face_depth=look.face.depth,
            face_expression=None if points is None else self._expressions.scores(points),
        )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The people found in a photo.

    Attributes:
        people: the most prominent first.
        evidence: the evidence for each of them.
        left_out: how many others may be people, but are not likely enough.
    """

    people: list[Person]
    evidence: list[PersonEvidence]
    left_out: int = 0


@dataclass(frozen=True)
class Glimpse:
    """Somebody in a photo, not looked at closely.

    Attributes:
        box: (4,) left, top, right, bottom, pixels.
        likelihood: 0..1, how likely this is a person (`uvatar.perception.evidence`).
        likely: whether that is enough for an avatar.
    """

    box: NDArray[np.float32]
    likelihood: float
    likely: bool


def _touching(boxes: NDArray[np.float32], wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) which boxes (N, 4) overlap any of those wanted (K, 4)."""
    touching: NDArray[np.bool_] = (box_iou(boxes, wanted) > 0).any(1)
    return touching


def _same(boxes: NDArray[np.float32], wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) which of the boxes (N, 4) are those wanted (K, 4): for each of these the nearest one."""
    whose = same_person(wanted, boxes)
    chosen = np.zeros(len(boxes), bool)
    chosen[whose[whose >= 0]] = True
    return chosen


@dataclass(frozen=True)
class _Look:
    """A person found, before people are separated from each other.

    Attributes:
        head: (2,) likely position of the head outside the photo, pixels; None if it is seen.
    """

    box: NDArray[np.float32]
    score: float
    pose: Pose
    face: FaceFound
    evidence: PersonEvidence
    likelihood: float
    head: NDArray[np.float64] | None
