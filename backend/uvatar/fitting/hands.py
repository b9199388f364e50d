"""The hands of a photo's people: which are seen well enough to be believed, and how they are held."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.joints import ELBOW_JOINTS, WRIST_JOINTS
from uvatar.data.person import Hand, Person
from uvatar.fitting.chain import BodySkeleton
from uvatar.fitting.hand_correction import HandCorrection
from uvatar.fitting.hand_skeleton import HandSkeleton
from uvatar.fitting.hand_solver import DEFAULT_SETTINGS as SOLVER_SETTINGS
from uvatar.fitting.hand_solver import HandPose, HandSettings, solve_hands
from uvatar.geometry import rotations
from uvatar.protocol.rig import finger_angles


@dataclass(frozen=True)
class GateSettings:
    """When a hand's landmarks are believed.

    Chosen on 64 hands in 39 photos, where one of 59 kept ones was wrong; ``sideways`` and the last of
    ``picture_error`` on 62 more in 41, ``sure`` and ``unsure_error`` on 63 in 41.

    Attributes:
        score: of the hand model, at least.
        extent: longer side of the landmarks' box, pixels, at least.
        picture_error: of the solved hand in the picture, in units of the palm's length, at most.
        sure, unsure_error: from this score on ``picture_error`` is allowed, at the least score only the second:
            landmarks that are unsure and fit no hand well are another hand's, or none's.
        apart: distance from every other hand's middle, at least, in units of its own extent: one hand is sometimes
            given to two people, or to both sides of one.
        turned: angle between the solved palm and the body's wrist, degrees, at most: the back of a hand that hangs or
            is seen from its edge is sometimes taken for the palm.
        sideways: how far the wrist is bent to the side of the thumb or the little finger, degrees, at most. People
            reach 20 and 40; where palm and forearm ask for more, one of them is wrong, and the skin would wring.
        reversed_cost: cost of the pose with reversed depth, at most, in units of that of the other one.
    """

    score: float = 0.6
    extent: float = 28.0
    picture_error: float = 0.115
    sure: float = 0.75
    unsure_error: float = 0.075
    apart: float = 0.5
    turned: float = 100.0
    sideways: float = 35.0
    reversed_cost: float = 2.0

    def allowed_error(self, score: float) -> float:
        """Of the solved hand in the picture, at most, of landmarks with this score."""
        return float(np.interp(score, [self.score, self.sure], [self.unsure_error, self.picture_error]))


DEFAULT_GATE = GateSettings()


@dataclass(frozen=True)
class SeenHand:
    """A hand that is believed, all but which side of it is seen.

    Attributes:
        hand: its landmarks.
        candidates: its pose, and the one with reversed depth.
        palms: (2, 3, 3) of these: rotation from the body's axes at rest to those of the photo's camera.
        reversible: whether the second one explains the landmarks about as well.
    """

    hand: Hand
    candidates: tuple[HandPose, HandPose]
    palms: NDArray[np.float64]
    reversible: bool


@dataclass(frozen=True)
class FingerPoses:
    """The fingers of a body.

    Attributes:
        pose: (30, 3) axis-angle of the joints, radians, left hand first; relaxed where nothing is believed.
        seen: the sides, 0 left and 1 right, whose wrists are as the photo shows them.
    """

    pose: NDArray[np.float64]
    seen: tuple[int, ...]


Hands = tuple[SeenHand | None, SeenHand | None]  # a person's left and right one


def seen_hands(
    people: Sequence[Person],
    camera: Camera,
    skeleton: HandSkeleton,
    correction: HandCorrection | None = None,
    gate: GateSettings = DEFAULT_GATE,
    settings: HandSettings = SOLVER_SETTINGS,
) -> list[Hands]:
    """The hands of a photo's people that are believed, solved all at once.

    ``correction`` undoes what the hand model gets wrong.
    """
    found = [
        (number, side, hand)
        for number, person in enumerate(people)
        for side, hand in enumerate((person.left_hand, person.right_hand))
        if hand is not None and large_and_sure(hand, gate)
    ]
    landmarks, left = [hand for _, _, hand in found], [side == 0 for _, side, _ in found]
    poses = solve_hands(landmarks, left, skeleton, correction, settings)
    alone = apart(landmarks, gate)
    table: list[list[SeenHand | None]] = [[None, None] for _ in people]
    for (number, side, hand), candidates, is_alone in zip(found, poses, alone, strict=True):
        if is_alone and candidates[0].picture_error <= gate.allowed_error(hand.score):
            looking = rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays(hand.points.mean(0).astype(float)))
            palms = np.stack([looking @ candidate.palm for candidate in candidates])
            table[number][side] = SeenHand(hand, candidates, palms, _reversible(candidates, gate))
    return [(left, right) for left, right in table]


def _reversible(candidates: tuple[HandPose, HandPose], gate: GateSettings) -> bool:
    seen, turned = candidates
    return turned.picture_error <= gate.picture_error and turned.cost <= gate.reversed_cost * seen.cost


def large_and_sure(hand: Hand, gate: GateSettings = DEFAULT_GATE) -> bool:
    """Whether the hand model is sure of a hand that is large enough."""
    return hand.score >= gate.score and float(np.ptp(hand.points, axis=0).max()) >= gate.extent


def apart(hands: Sequence[Hand], gate: GateSettings = DEFAULT_GATE) -> list[bool]:
    """Whether each of a photo's hands lies elsewhere than all that are surer; of two in one place the surer is kept."""
    middles = np.array([hand.points.mean(0) for hand in hands]).reshape(-1, 2)
    extents = np.array([np.ptp(hand.points, axis=0).max() for hand in hands])
    scores = np.array([hand.score for hand in hands])
    near = np.linalg.norm(middles[:, None] - middles, axis=-1) < gate.apart * np.maximum(extents[:, None], extents)
    return [not (near[i] & (scores >= scores[i]) & (np.arange(len(hands)) != i)).any() for i in range(len(hands))]


def chosen_candidate(
    palms: Floats, reversible: bool, wrist: Floats, forearm: Floats, gate: GateSettings = DEFAULT_GATE
) -> int | None:
    """Which of a hand's two poses a body's arm can take.

    That of the landmarks unless the wrist cannot be turned or bent so, then that of reversed depth; None if neither
    can be.

    Args:
        palms, reversible: see `SeenHand`.
        wrist: (3, 3) rotation of the body's wrist, axes of the photo's camera.
        forearm: (3,) unit direction from the body's elbow to its wrist, the same axes.
        gate: what is believed.
    """
    # at rest, the body's z axis lies across the hand, from the little finger to the thumb
    sideways = np.arcsin(np.clip(np.abs(palms[:, :, 2] @ forearm), 0, 1))
    possible = (rotations.angle(palms, wrist) <= np.radians(gate.turned)) & (sideways <= np.radians(gate.sideways))
    if possible[0]:
        return 0
    return 1 if possible[1] and reversible else None


def with_twist_shared(pose: Floats, skeleton: BodySkeleton, sides: Collection[int]) -> NDArray[np.float64]:
    """A pose (21, 3) whose elbows and wrists share the forearms' twist, so that the skin does not wring at one of them.

    Nothing else changes: neither where the joints are nor how the hands are turned.

    Args:
        pose: axis-angle of joints 1..21, radians.
        skeleton: of the body.
        sides: 0 for the left arm, 1 for the right one.
    """
    pose = pose.copy()
    for side in sides:
        elbow, wrist = ELBOW_JOINTS[side], WRIST_JOINTS[side]
        bone = skeleton.template[wrist] - skeleton.template[elbow]
        bone /= np.linalg.norm(bone)
        bent, turned = rotations.exp(pose[[elbow - 1, wrist - 1]])
        moved = rotations.exp(bone * (rotations.twist(turned, bone) - rotations.twist(bent, bone)) / 2)
        pose[elbow - 1], pose[wrist - 1] = rotations.log(np.stack([bent @ moved, moved.T @ turned]))
    return pose


def finger_poses(
    hands: Hands, wrists: Floats, forearms: Floats, skeleton: HandSkeleton, gate: GateSettings = DEFAULT_GATE
) -> FingerPoses:
    """The fingers of a fitted body.

    Args:
        hands: that are believed.
        wrists: (2, 3, 3) rotations of the body's wrists, axes of the photo's camera.
        forearms: (2, 3) unit directions from its elbows to its wrists, the same axes.
        skeleton: of a left hand.
        gate: which side of a hand the wrist can show.
    """
    poses, seen = [], []
    for side, hand in enumerate(hands):
        palm = fingers = None
        if hand is not None:
            arm = hand.palms, hand.reversible, wrists[side], forearms[side]
            palm = chosen_candidate(*arm, gate)
            # how the fingers are bent is right more often than how the forearm lies in space
            fingers = chosen_candidate(*arm, replace(gate, sideways=90.0)) if palm is None else palm
        if palm is not None:
            seen.append(side)
        if hand is None or fingers is None:
            poses.append(skeleton.pose(finger_angles("relaxed"), side == 0))
        else:
            poses.append(hand.candidates[fingers].pose)
    return FingerPoses(np.concatenate(poses), tuple(seen))
