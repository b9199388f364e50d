"""Assigns contested mask regions to people, using the pose model's claims.

The pose model looks at one person at a time. It claims a neighbour's arm or sleeve as confidently as the person's own,
mistakes the nearest arm for one that is hidden, and overlooks thin gaps between people. Pixels that only one person
claims are certain, and so are pixels that nobody claims. These give the local colours of each person and of the
background, by which the remaining pixels are assigned.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.landmarks import ELBOWS, INDICES, PINKIES, SHOULDERS, THUMBS, WRISTS
from uvatar.perception.pose import Pose

# Shoulder, elbow, wrist and the hand's landmarks of the left and the right arm.
ARMS = [list(arm) for arm in zip(SHOULDERS, ELBOWS, WRISTS, PINKIES, INDICES, THUMBS, strict=True)]
SAME_ARM = 0.35  # if elbows and wrists are nearer than this share of the longer forearm, one arm was found twice
UNEQUAL = 2.0  # how much a difference in length between a person's arms counts against a claim
SURER = 0.05  # claims that differ by less than this are equal
BORROWED = 0.4  # maximum visibility of an arm that belongs to somebody else

SURE = 2.0  # log odds above which a claim is certain, and below the negative of which there is none
FEW = 50  # fewer certain pixels than this say nothing about a person's colours
SAMPLES = 4000
NEIGHBOURS = 6
PLACE = 0.15  # Lab units per pixel of the grid: how much distance in the picture counts against distance in colour
COLOUR = 6.0  # Lab units: a colour that is this much nearer to one person's colours is that person's
COLOUR_ODDS = 3.0
WEAK = 9.0  # log odds up to which colours may overrule a claim in favour of the background
BACKGROUND_ODDS = 8.0
CLAIM_ODDS = 2.0  # limit of the model's own odds, which are high for either person


def without_borrowed_arms(poses: list[Pose]) -> list[Pose]:
    """Lower the visibility (below one half) of arms that belong to a neighbour.

    Of two arms in the same place, the one is kept whose elbow and wrist are more certain, and whose length is that of
    the same person's other arm. If this does not decide, both are kept.
    """
    visibility = [pose.landmarks[:, 2].copy() for pose in poses]
    for a, b in combinations(range(len(poses)), 2):
        for side_a, side_b in product((0, 1), repeat=2):
            joints_a, joints_b = _joints(poses[a], side_a), _joints(poses[b], side_b)
            apart = float(np.linalg.norm(joints_a[1:, :2] - joints_b[1:, :2], axis=1).max())
            forearm = max(float(np.linalg.norm(joints[1, :2] - joints[2, :2])) for joints in (joints_a, joints_b))
            claim = _arm_claim(poses[a], side_a) - _arm_claim(poses[b], side_b)
            if apart < SAME_ARM * forearm and abs(claim) > SURER:
                loser, side = (b, side_b) if claim > 0 else (a, side_a)
                arm = ARMS[side][1:]
                visibility[loser][arm] = np.minimum(visibility[loser][arm], BORROWED)
    return [
        replace(pose, landmarks=np.column_stack([pose.landmarks[:, :2], seen]))
        for pose, seen in zip(poses, visibility, strict=True)
    ]


def _joints(pose: Pose, side: int) -> NDArray[np.float32]:
    """(3, 3) shoulder, elbow and wrist of the left (0) or the right (1) arm."""
    return pose.landmarks[ARMS[side][:3]]


def _arm_claim(pose: Pose, side: int) -> float:
    """How likely an arm is the person's own, about 0..1."""
    own, other = (
        float(np.linalg.norm(np.diff(_joints(pose, which)[:, :2], axis=0), axis=1).sum()) for which in (side, 1 - side)
    )
    return float(np.prod(_joints(pose, side)[1:, 2])) - UNEQUAL * abs(own / max(other, 1e-6) - 1)


def contested_odds(
    guide: NDArray[np.float32],
    own: NDArray[np.float32],
    other: NDArray[np.float32],
    third: NDArray[np.float32],
    own_arms: NDArray[np.float32],
    other_arms: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Log odds (h, w) of one person against another where both claim a pixel; 50 elsewhere.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        own, other: (h, w) log odds of either person.
        third: (h, w) the highest log odds of all further people.
        own_arms, other_arms: (h, w) log odds that the landmarks of their arms add.
    """
    contested = (own + own_arms > 0) & (other + other_arms > 0)
    odds = np.full(own.shape, 50.0, np.float32)
    if not contested.any():
        return odds
    claims = np.clip(own - other, -CLAIM_ODDS, CLAIM_ODDS) + own_arms - other_arms
    claims[contested] += _colour_odds(
        guide, _sure(own, np.maximum(other, third)), _sure(other, np.maximum(own, third)), contested
    )
    claims = np.asarray(cv2.medianBlur(claims.astype(np.float32), 5), np.float32)
    odds[contested] = claims[contested]
    return odds


def background_odds(
    guide: NDArray[np.float32], own: NDArray[np.float32], rivals: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Log odds (h, w), by colour, of a person against the background where the claim is weak; 0 elsewhere.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        own: (h, w) log odds of the person.
        rivals: (h, w) the highest log odds of all others.
    """
    odds = np.zeros(own.shape, np.float32)
    asked = (np.abs(own) < WEAK) & (rivals < 0)
    if asked.any():
        nobody = (own < -WEAK) & (rivals < -WEAK)
        odds[asked] = BACKGROUND_ODDS / COLOUR_ODDS * _colour_odds(guide, own > WEAK, _away_from_edges(nobody), asked)
    return np.asarray(cv2.medianBlur(odds, 5), np.float32)


def _away_from_edges(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return cv2.erode(area.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _sure(odds: NDArray[np.float32], rivals: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where one person is certain, away from edges and from all others."""
    return _away_from_edges((odds > SURE) & (rivals < -SURE))


def _colour_odds(
    guide: NDArray[np.float32], own: NDArray[np.bool_], other: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(K,) log odds of the K pixels asked about, from each side's nearest certain pixels in colour and position."""
    if min(np.count_nonzero(own), np.count_nonzero(other)) < FEW:
        return np.zeros(np.count_nonzero(asked), np.float32)
    rows, columns = np.indices(asked.shape, np.float32)
    features = np.concatenate(
        [cv2.cvtColor(guide, cv2.COLOR_RGB2LAB), PLACE * columns[..., None], PLACE * rows[..., None]], -1
    )

    def distance(sure: NDArray[np.bool_]) -> NDArray[np.float64]:
        samples = features[sure]
        samples = samples[:: -(-len(samples) // SAMPLES)]
        distances: NDArray[np.float64] = cKDTree(samples).query(features[asked], NEIGHBOURS)[0].mean(1)
        return distances

    return (COLOUR_ODDS * np.clip((distance(other) - distance(own)) / COLOUR, -1, 1)).astype(np.float32)
