"""Finds the pose for each detected box: several hypotheses per box, chosen so that nobody is counted twice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uvatar.data.arrays import Floats
from uvatar.perception.geometry import Pyramid, Roi, box_iou, landmark_similarity
from uvatar.perception.people import Detections
from uvatar.perception.pose import LANDMARK_SIDE, ROI_MARGIN, Pose, PoseEstimator

BOX_MARGIN = 0.08
LYING = 1.4  # width / height of a box above which the person probably lies
EDGE = 4.0  # pixels; the person in a box that is closer to the photo's edge than this may be cut by it
GOOD_QUALITY, GOOD_CERTAINTY = 0.85, 0.6
UNSEEN = 0.55  # support below which most of the person may be outside the photo or behind something
WIDER = (
    (2.0, 0.3),
    (3.0, 0.3),
    (4.5, 0.0),
)  # regions for those: sides, and how far below the box's centre, in the box's longer side
MIN_QUALITY = 0.23  # least quality times the root of the detection's score; below, it is no person or a wrong pose
MIN_NOVELTY = 0.5  # a hypothesis more similar to (or covered by) a chosen person than this is that person again
SAMPLE_STEP = 4


@dataclass(frozen=True)
class Hypothesis:
    """A pose that may explain a box.

    Attributes:
        index: index of the box among the detections.
        pose: the pose.
        quality: 0..1, presence times overlap of the segmentation's box with the detected one.
        support: 0..1, mean support of the landmarks inside the photo: how well the picture agrees with the pose.
    """

    index: int
    pose: Pose
    quality: float
    support: float

    @property
    def worth(self) -> float:
        """The score by which hypotheses are compared; the heatmaps' certainty counts most."""
        worth: float = self.pose.certainty * self.quality**0.5
        return worth


def hypotheses(photo: Pyramid, estimator: PoseEstimator, index: int, box: Floats) -> list[Hypothesis]:
    """Poses for one box: from an upright region (good for whole people) and, unless that fits, the pose detector's.

    The pose detector misses people who lie, so for a wide box regions rotated to either side are also tried. The
    picture outside the box is greyed out, so that the model does not jump to a neighbour, and the region is refined
    once. If no pose agrees with the picture, much of the person may be outside the photo or behind a table, and the
    region is too small: the model fits a whole body into it, for instance with the head on a shirt. Then larger regions
    are tried, without refinement, which would shrink them to the visible part.
    """
    keep = kept_box(box)
    x, y = (box[:2] + box[2:]) / 2
    side = float(np.max(box[2:] - box[:2]))
    upright = Roi(float(x), float(y), side * ROI_MARGIN)
    size = np.array([photo.width, photo.height])

    def judged(pose: Pose) -> Hypothesis:
        seen = np.clip(pose.outline_box(), 0, [*size, *size])
        inside = np.all((pose.landmarks[:, :2] >= 0) & (pose.landmarks[:, :2] <= size), axis=1)
        support = float(pose.support[inside].mean()) if inside.any() else 0.0
        return Hypothesis(index, pose, pose.presence * float(box_iou(seen[None], box[None])[0, 0]), support)

    def refined(roi: Roi) -> Hypothesis:
        return judged(estimator.look(photo, estimator.look(photo, roi, keep).next_roi, keep))

    first = refined(upright)
    cut = bool(np.any(box < EDGE) or np.any(box[2:] > size - EDGE))
    if not cut and first.quality > GOOD_QUALITY and first.pose.certainty > GOOD_CERTAINTY:
        return [first]
    angles = (np.pi / 2, -np.pi / 2) if not cut and box[2] - box[0] > LYING * (box[3] - box[1]) else ()
    regions = [estimator.find(photo, upright, keep)[0], *(replace(upright, angle=angle) for angle in angles)]
    tried = [first, *(refined(region) for region in regions)]
    if max(hypothesis.support for hypothesis in tried) < UNSEEN:
        tried += [
            judged(estimator.look(photo, Roi(float(x), float(y) + below * side, sides * side), keep))
            for sides, below in WIDER
        ]
    return tried


def kept_box(box: Floats) -> Floats:
    """The box with a margin for parts that the detector cut off."""
    margin = BOX_MARGIN * (box[2:] - box[:2])
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def choose(candidates: list[Hypothesis], found: Detections) -> list[Hypothesis]:
    """Choose people greedily: always the best hypothesis of a new box that is not a person already chosen."""
    chosen: list[Hypothesis] = []
    trust = np.sqrt(found.scores)
    open_ones = [
        (it, it.worth * float(trust[it.index]), 1.0) for it in candidates if it.quality * trust[it.index] >= MIN_QUALITY
    ]
    while open_ones:
        best, _, _ = max(open_ones, key=lambda item: item[1] * item[2])
        chosen.append(best)
        novel = [
            (
                candidate,
                worth,
                min(novelty, 1 - same_person(candidate.pose, best.pose), 1 - covered(candidate.pose, best.pose)),
            )
            for candidate, worth, novelty in open_ones
            if candidate.index != best.index
        ]
        open_ones = [item for item in novel if item[2] >= MIN_NOVELTY]
    return chosen


def same_person(a: Pose, b: Pose) -> float:
    """Similarity of two poses in the photo, from 0 (different people) to 1 (the same)."""
    weights = np.minimum(a.landmarks[:, 2], b.landmarks[:, 2]) + 0.05
    return landmark_similarity(a.landmarks[:, :2], b.landmarks[:, :2], min(a.size(), b.size()), weights)


def covered(a: Pose, b: Pose) -> float:
    """The share of ``a``'s segmentation that lies in ``b``'s, 0..1."""
    rows, columns = np.nonzero(a.logits[::SAMPLE_STEP, ::SAMPLE_STEP] > 0)
    if len(rows) == 0:
        return 1.0
    points = a.roi.to_photo(np.column_stack([columns, rows]) * float(SAMPLE_STEP) + 0.5, LANDMARK_SIDE)
    crop = np.floor(b.roi.to_crop(points, LANDMARK_SIDE)).astype(int)
    inside = np.all((crop >= 0) & (crop < LANDMARK_SIDE), 1)
    hits = b.logits[crop[inside, 1], crop[inside, 0]] > 0
    return float(np.sum(hits)) / len(rows)
