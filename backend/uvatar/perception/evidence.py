"""A check of every detection: is it a person, and is the person where the landmarks are?

The detector mistakes horses, hats and dinosaurs for people, and the landmark model fits a whole body to whatever it is
given: to a horse, upside down, or to a shirt, with the head on the collar. The following evidence is combined:

- *support*: for a person, the landmarks' heatmaps have peaks where the landmarks are; for a guessed pose they do not;
- the *mirror image*: for a person, the model gives the same landmarks in the mirrored picture; for a guess, others;
- the *detector's other classes*: an animal or a teddy bear found in the same box;
- how well the *segmentation* fills the detected box, and whether the trunk is *upright*.

The detector's own score and the face model's add nothing to these.

Legs alone do not count as a person, however well they are seen, since nearly all of the avatar would be invented
(`upper_body_inside`).

`WEIGHTS` are those of a logistic regression, fitted by ``tools/confidence.py`` to the data in docs/confidence.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import ELBOWS, HEAD, HIPS, SHOULDERS, WRISTS
from uvatar.perception.geometry import box_iou
from uvatar.perception.pose import Pose

UPPER = [*HEAD, *ELBOWS, *WRISTS]


@dataclass(frozen=True)
class PersonEvidence:
    """The evidence for one found person. All values are 0..1 unless noted.

    Attributes:
        rival: the detector's certainty that the box holds an animal or a teddy bear.
        presence: the landmark model's certainty that its region holds a person, the lower of the two passes.
        support: mean support of the landmarks inside the photo.
        apart: median distance between the landmarks and those of the mirror image, as a share of their extent.
        box: overlap (IoU) of the segmentation's box and the detected one.
        upright: cosine of the trunk's lean, -1 upside down .. 1.
    """

    rival: float
    presence: float
    support: float
    apart: float
    box: float
    upright: float

    @classmethod
    def of(cls, pose: Pose, again: Pose, size: tuple[int, int], box: Floats, rival: float) -> PersonEvidence:
        """Collect the evidence for a detection.

        Args:
            pose: the pose.
            again: the pose of the same region in the mirrored picture.
            size: width and height of the photo.
            box: (4,) the detected box, pixels.
            rival: see `PersonEvidence`.
        """
        points = pose.landmarks[:, :2]
        inside = np.all((points >= 0) & (points <= size), axis=1)
        support = (pose.support + again.support) / 2
        outline = np.clip(pose.outline_box(), 0, [*size, *size])
        up = points[SHOULDERS].mean(0) - points[HIPS].mean(0)
        return cls(
            rival=rival,
            presence=min(pose.presence, again.presence),
            support=float(support[inside].mean()) if inside.any() else 0.0,
            apart=float(np.median(np.linalg.norm(points - again.landmarks[:, :2], axis=1)) / max(pose.size(), 1e-6)),
            box=float(box_iou(outline[None], box[None])[0, 0]),
            upright=float(-up[1] / max(np.hypot(*up), 1e-6)),
        )


FEATURES = ("one", "rival", "presence", "support", "apart", "box", "upright")
WEIGHTS = (-10.01, -3.52, 1.69, 5.30, 0.86, 3.36, 0.59)
POSSIBLE = 0.1  # likelihood above which a left-out person is mentioned; below are horses, hats and pumpkins
# likelihood above which a detection is a person: where, on the fitted half, accepted things and lost people balance
LIKELY = 0.6
# People are seldom alone: if a photo certainly shows somebody, others need less evidence. Pictures of things show
# nobody certain. In photos of groups, the lower limit lies between people who were found twice (.06 at most) and a
# player in the middle of a leap (.21).
CERTAIN, LIKELY_IN_COMPANY = 0.9, 0.15
# Between two people who stand close together the detector can find a third, made of both, whose likelihood is up to .37
# with OpenCV 5: more certain people's boxes cover .94 of its box, but at most .77 of real people's (three group
# photos).
COVERED = 0.85


def features(evidence: PersonEvidence) -> NDArray[np.float64]:
    """The regression's input: one number for each of `FEATURES`."""
    apart = -np.log(max(evidence.apart, 0.01))
    return np.array([1.0, evidence.rival, evidence.presence, evidence.support, apart, evidence.box, evidence.upright])


def likelihood(evidence: PersonEvidence) -> float:
    """How likely this is a person whose landmarks are in the right places, 0..1."""
    return float(1 / (1 + np.exp(-features(evidence) @ WEIGHTS)))


def likely_enough(likelihoods: NDArray[np.float64], boxes: Floats, least: float = LIKELY) -> NDArray[np.bool_]:
    """Which of a photo's detections are people, (N,).

    Args:
        likelihoods: (N,) from `likelihood`.
        boxes: (N, 4) left, top, right, bottom, pixels.
        least: the likelihood that a person alone in a photo must have.
    """
    enough = likelihoods >= least
    if likelihoods.max(initial=0.0) >= CERTAIN:
        for index in np.flatnonzero(~enough & (likelihoods >= LIKELY_IN_COMPANY)):
            enough[index] = covered(boxes[index], boxes[likelihoods > likelihoods[index]]) < COVERED
    return enough


def covered(box: Floats, others: Floats) -> float:
    """The share of a box (4,) that lies in any of the others (N, 4)."""
    x, y = (
        np.unique(np.clip(np.r_[box[k], others[:, k], box[k + 2], others[:, k + 2]], box[k], box[k + 2]))
        for k in (0, 1)
    )
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    beside = (others[:, 0, None] < middle_x) & (middle_x < others[:, 2, None])
    level = (others[:, 1, None] < middle_y) & (middle_y < others[:, 3, None])
    inside = (level[:, :, None] & beside[:, None, :]).any(0)
    area = np.outer(np.diff(y), np.diff(x))
    return float(area[inside].sum() / max(area.sum(), 1e-9))


def upper_body_inside(landmarks: Floats, size: tuple[int, int]) -> bool:
    """Whether any landmark (33, 2 or more), pixels, of head or arms lies inside a photo of ``size`` (width, height)."""
    points = landmarks[UPPER, :2]
    return bool(np.any(np.all((points >= 0) & (points <= size), axis=1)))
