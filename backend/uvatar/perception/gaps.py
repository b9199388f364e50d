"""Finds the background that a person's coarse outline bridges: between the legs, between arm and trunk.

The pose model's segmentation covers such gaps nearly as confidently as clothes. But no bone crosses them, and they have
the colours of the background beside the person, not those of the person along the bones. Only what lies between two
limbs is asked about, so that a light dress before a light wall, or a hat before the sky, stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import ANKLES, EARS, ELBOWS, HEELS, HIPS, INDICES, KNEES, SHOULDERS, TOES, WRISTS

_ARMS = [bone for arm in zip(SHOULDERS, ELBOWS, WRISTS, strict=True) for bone in pairwise(arm)]
_LEGS = [bone for leg in zip(HIPS, KNEES, ANKLES, HEELS, TOES, ANKLES, strict=True) for bone in pairwise(leg)]


@dataclass(frozen=True)
class GapSettings:
    """Tuned numbers of finding gaps. Lengths are shares of the trunk's, colours Lab units.

    Attributes:
        core: radius around the bones within which a pixel certainly is the person's: there colours are learnt.
        arm, leg: radius within which there is no gap.
        thigh: share of the thigh along which an arm may hang.
        head: radius of the head's part of the core, at least this, or half the distance of the ears.
        background: log odds of all people below which a pixel is certainly background.
        place: Lab units per pixel of the grid: how much distance in the picture counts against distance in colour.
        samples, neighbours: of the colours that are compared.
        few: fewer certain pixels than this say nothing.
        clip: difference of colour distances that counts at most.
        bias, claim, colour: of the log odds of person against gap: constant, per log odds of the claim, and per unit of
            colour distance. Fitted by logistic regression to 24 rendered people (`uvatar.evaluation.gaps`, seed 0).
    """

    core: float = 0.05
    arm: float = 0.07
    leg: float = 0.11
    thigh: float = 0.4
    head: float = 0.15
    background: float = -3.0
    place: float = 0.04
    samples: int = 3000
    neighbours: int = 4
    few: int = 50
    clip: float = 12.0
    bias: float = -0.8
    claim: float = 0.3
    colour: float = 0.58


DEFAULT_SETTINGS = GapSettings()


def gap_odds(
    guide: NDArray[np.float32],
    own: NDArray[np.float32],
    rivals: NDArray[np.float32],
    landmarks: Floats,
    settings: GapSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Log odds (h, w) of a person against the background between the limbs; 50 elsewhere.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        own: (h, w) log odds of the person.
        rivals: (h, w) the highest log odds of all others.
        landmarks: (33, 2) pixels of the grid.
        settings: tuned numbers.
    """
    odds = np.full(own.shape, 50.0, np.float32)
    core = along_bones(landmarks, settings.core, settings.core, own.shape, settings)
    flesh = along_bones(landmarks, settings.arm, settings.leg, own.shape, settings)
    person, claimed = core & (own > 0), (own > 0) & (rivals < 0)
    asked = claimed & ~flesh & _between_limbs(landmarks, own.shape, settings)
    nobody = cv2.erode((np.maximum(own, rivals) < settings.background).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not asked.any() or min(np.count_nonzero(nobody), np.count_nonzero(person)) < settings.few:
        return odds
    rows, columns = np.indices(own.shape, np.float32) * np.float32(settings.place)
    features = np.dstack([cv2.cvtColor(guide, cv2.COLOR_RGB2LAB), columns, rows])

    def distance(sure: NDArray[np.bool_]) -> NDArray[np.float64]:
        samples = features[sure]
        samples = samples[:: -(-len(samples) // settings.samples)]
        found: NDArray[np.float64] = cKDTree(samples).query(features[asked], settings.neighbours)[0].mean(1)
        return found

    nearer = np.clip(distance(nobody) - distance(person), -settings.clip, settings.clip)
    odds[asked] = settings.bias + settings.claim * own[asked] + settings.colour * nearer
    return np.asarray(cv2.medianBlur(odds, 5), np.float32)


def along_bones(
    landmarks: Floats,
    arm: float,
    leg: float,
    shape: tuple[int, ...],
    settings: GapSettings = DEFAULT_SETTINGS,
    seen: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """(h, w) the pixels of trunk and head, and those within ``arm`` or ``leg`` of the limbs' bones.

    Where it is given which landmarks (33,) are ``seen``, other bones do not count.
    """
    shoulders, hips, ears = landmarks[SHOULDERS], landmarks[HIPS], landmarks[EARS]
    length = max(
        float(np.linalg.norm(shoulders.mean(0) - hips.mean(0))),
        1.2 * float(np.linalg.norm(shoulders[0] - shoulders[1])),
    )
    canvas = np.zeros(shape, np.uint8)
    _fill(canvas, landmarks[[*SHOULDERS, *HIPS]])
    for bones, radius in ((_ARMS, arm), (_LEGS, leg)):
        for bone in bones:
            if seen is not None and not seen[list(bone)].all():
                continue
            start, end = np.round(landmarks[list(bone)]).astype(int).tolist()
            cv2.line(canvas, start, end, (1,), max(1, round(2 * radius * length)))
    head = max(settings.head * length, 0.5 * float(np.linalg.norm(ears[0] - ears[1])))
    cv2.circle(canvas, np.round(ears.mean(0)).astype(int).tolist(), round(head), (1,), -1)
    return canvas > 0


def _between_limbs(landmarks: Floats, shape: tuple[int, ...], settings: GapSettings) -> NDArray[np.bool_]:
    """(h, w) what lies between the legs, and between an arm and what is beside it."""
    canvas = np.zeros(shape, np.uint8)
    for corners in ([*HIPS, *KNEES], [*KNEES, *ANKLES], [*HIPS, *ANKLES]):
        _fill(canvas, landmarks[corners])
    hips, knees = landmarks[HIPS], landmarks[KNEES]
    for side, thigh in enumerate(hips + settings.thigh * (knees - hips)):
        arm = [joints[side] for joints in (SHOULDERS, ELBOWS, WRISTS, INDICES, HIPS)]
        _fill(canvas, np.vstack([landmarks[arm], thigh]))
    return canvas > 0


def _fill(canvas: NDArray[np.uint8], points: Floats) -> None:
    """Fill the convex hull of ``points`` (K, 2)."""
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.round(points).astype(np.int32)), (1,))
