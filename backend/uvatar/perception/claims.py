"""Assigns contested mask regions to people, using the pose model's claims.

The pose model looks at one person at a time. Beside a neighbour it claims the neighbour's arm or sleeve as surely as
what is its own, and where one person's arm is hidden it takes the nearest arm for it. Thin gaps between people it
overlooks. What only one person claims is certain, and so is what nobody claims: they tell the colours of that person
and of the background thereabouts, and by these the rest is given out.
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
SAME_ARM = 0.35  # elbows and wrists nearer than this part of the longer forearm: one arm, found twice
UNEQUAL = 2.0  # how much a difference in length between a person's arms counts against a claim
SURER = 0.05  # claims nearer than this are equal
BORROWED = 0.4  # visibility, at most, of an arm that belongs to somebody else

SURE = 2.0  # log odds from which on a claim is certain, and below minus which nobody else has one
FEW = 50  # pixels: so few certain ones tell nothing about a person's colours
SAMPLES = 4000
NEIGHBOURS = 6
PLACE = 0.15  # Lab units per pixel of the grid: how much farther off a similar colour may be
COLOUR = 6.0  # Lab units: a colour that is so much nearer to one person's is that person's
COLOUR_ODDS = 3.0
WEAK = 9.0  # log odds up to which colours may tell that there is nobody
BACKGROUND_ODDS = 8.0
CLAIM_ODDS = 2.0  # the model's own odds count so much at most: it is sure of either


def without_borrowed_arms(poses: list[Pose]) -> list[Pose]:
    """The poses with little visibility (below one half) for arms that are a neighbour's, found again from beside.

    Of two arms in one place the one stays whose elbow and wrist are seen more certainly, and that is as long as the
    other arm of the same person; where that does not tell, both stay.
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
    """How certain it is that an arm is the person's own, about 0..1."""
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
        own, other: (h, w) log odds of either person; third: the highest of all further people.
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
    """Log odds (h, w) by colour of a person against the background where the claim is a weak one; 0 elsewhere.

    Args:
        guide: (h, w, 3) colours in [0, 1].
        own: (h, w) log odds of the person; rivals: the highest of all others.
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
    """Where one person is certain and away from everything else."""
    return _away_from_edges((odds > SURE) & (rivals < -SURE))


def _colour_odds(
    guide: NDArray[np.float32], own: NDArray[np.bool_], other: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(K,) log odds by colour of the K pixels asked about, from the nearest certain pixels of either person in colour
    and place.
    """
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
