"""The bones in space: the directions between landmarks, against those of perception's landmarks in space."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.hands import HandLandmark
from uvatar.data.landmarks import (
    ANKLES,
    EARS,
    ELBOWS,
    HEELS,
    HIPS,
    INDICES,
    KNEES,
    PINKIES,
    SHOULDERS,
    TOES,
    WRISTS,
    Landmark,
)
from uvatar.data.person import Hand, Person
from uvatar.fitting.observations import Observations, inside_photo, looking_at, world_landmarks
from uvatar.fitting.terms.base import PosedBodies, Residuals, Stage, Term, robust

# Bones between landmarks whose directions in space are compared, (from, to), left then right: upper arms, forearms,
# thighs, shins, feet, sides of the trunk; then across the shoulders, the hips, the ears; then from the wrists to the
# knuckles of the index and little fingers.
_PAIRS = (
    (SHOULDERS, ELBOWS), (ELBOWS, WRISTS), (HIPS, KNEES), (KNEES, ANKLES), (HEELS, TOES), (HIPS, SHOULDERS),
)  # fmt: skip
BONES = np.array([
    *zip(SHOULDERS, ELBOWS, strict=True), *zip(ELBOWS, WRISTS, strict=True),
    *zip(HIPS, KNEES, strict=True), *zip(KNEES, ANKLES, strict=True),
    *zip(HEELS, TOES, strict=True), *zip(HIPS, SHOULDERS, strict=True),
    SHOULDERS, HIPS, EARS,  # across
    *zip(WRISTS, INDICES, strict=True), *zip(WRISTS, PINKIES, strict=True),
])  # fmt: skip
TRUNK_SIDES = slice(10, 12)  # of the `BONES`
HAND_BONES = 4  # the last of the `BONES`: index and little finger's, left and right


@dataclass(frozen=True)
class BoneSettings:
    """Tuned numbers of the bone term.

    Attributes:
        error: expected error of a bone's direction, radians: BlazePose's is 12 degrees at the thighs, which have the
            weight 1.
        search_error: the same in the first stage. How it was chosen is not recorded.
        close_error: the same in the last stage, where the directions found so far are held: lowered in steps from 0.06.
            What that brought is not recorded.
        width: of the robust function, radians. How it was chosen is not recorded.
        trust: (19,) weight of each of the `BONES`, by BlazePose's median error on rendered people: thigh 12, shin 11,
            trunk 9, upper arm 22, forearm 26, feet 30, hands 40 degrees; shins are biased on top.
        trunk_back: radians that BlazePose leans trunks back.
        hand_trust: weight of the hand bones where the hand model saw the hand. How it was chosen is not recorded.
        hand_score: score from which the hand model is believed. How it was chosen is not recorded.
    """

    error: float = 0.2
    search_error: float = 0.15
    close_error: float = 0.025
    width: float = 0.6
    trust: tuple[float, ...] = (
        *[0.8] * 2, *[0.7] * 2, *[1.0] * 2, *[0.5] * 2, *[0.4] * 2, *[1.0] * 2, 1.0, 1.0, 0.5, *[0.2] * 4,
    )  # fmt: skip
    trunk_back: float = 0.1
    hand_trust: float = 0.8
    hand_score: float = 0.5


DEFAULT_SETTINGS = BoneSettings()


@dataclass(frozen=True)
class BoneTerm(Term):
    """Differences of unit directions.

    Attributes:
        directions: (B, 19, 3) unit directions of the `BONES`, camera axes.
        weights: (B, 19).
        palms: whether `PalmTerm` holds the palms in the last stage.
    """

    directions: NDArray[np.float64]
    weights: NDArray[np.float64]
    error: float
    palms: bool
    settings: BoneSettings

    @classmethod
    def of(cls, observed: Observations, settings: BoneSettings = DEFAULT_SETTINGS) -> BoneTerm:
        """A row for each person: what perception says, half way to what the lifter says where there is one.

        Half way: alone the lifter's directions say more of depth, but its bodies have grown-up proportions, and
        children would be taken for adults. Hands stay what the hand model saw.
        """
        people = zip(observed.people, observed.landmarks, strict=True)
        seen = [bones_in_space(person, points, observed.camera, settings) for person, points in people]
        directions, weights = np.stack([one for one, _ in seen]), np.stack([one for _, one in seen])
        if observed.lifted_landmarks is not None:
            between = directions + bone_directions(observed.lifted_landmarks)
            between /= np.maximum(np.linalg.norm(between, axis=-1, keepdims=True), 1e-9)
            directions = np.concatenate([between[:, :-HAND_BONES], directions[:, -HAND_BONES:]], 1)
        return cls(directions, weights, settings.error, observed.model.palms is not None, settings)

    def at(self, stage: Stage) -> BoneTerm:
        """Strict in the first stage, and in the last."""
        errors = {Stage.SEARCH: self.settings.search_error, Stage.CLOSE: self.settings.close_error}
        return replace(self, error=errors.get(stage, self.settings.error))

    def held(self, bodies: PosedBodies) -> BoneTerm:
        """The directions found so far are held: what the picture's noise would change of them is depth.

        Those of the hands are left to `PalmTerm` where there is one.
        """
        directions = bone_directions(bodies.landmarks.positions)
        weights = np.ones(directions.shape[:2])
        if self.palms:
            weights[:, -HAND_BONES:] = 0
        return replace(self, directions=directions, weights=weights)

    def residuals(self, bodies: PosedBodies) -> Residuals:
        """Three residuals of every bone."""
        start, end = BONES.T
        positions, whole = bodies.landmarks.positions, bodies.landmark_jacobian
        vector = positions[:, end] - positions[:, start]
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        unit = vector / length
        jacobian = None
        if whole is not None:
            moved = (whole[:, end] - whole[:, start]) / length[..., None]
            jacobian = moved - unit[..., None] * (unit[:, :, None] @ moved)
        return robust(unit - self.directions, jacobian, self.weights / self.error**2, self.settings.width)


def bone_directions(landmarks: Floats) -> NDArray[np.float64]:
    """Unit directions (..., 19, 3) of the `BONES` between landmarks (..., 33, 3)."""
    start, end = BONES.T
    vectors = landmarks[..., end, :] - landmarks[..., start, :]
    directions: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return directions


def bones_in_space(
    person: Person, landmarks: Floats, camera: Camera, settings: BoneSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit directions (19, 3) of the `BONES` in camera axes as perception says, and the weight of each (19,)."""
    start, end = BONES.T
    world = world_landmarks(person, camera)
    directions = bone_directions(world)
    forward = np.cross(world[Landmark.LEFT_SHOULDER] - world[Landmark.RIGHT_SHOULDER], directions[TRUNK_SIDES].mean(0))
    directions[TRUNK_SIDES] += settings.trunk_back * forward / max(np.linalg.norm(forward), 1e-9)
    seen = landmarks[:, 2] * inside_photo(landmarks, camera)
    weights = np.array(settings.trust) * np.minimum(seen[start], seen[end])
    rotation = looking_at(person, camera)
    for side, hand in enumerate((person.left_hand, person.right_hand)):
        if hand is not None and hand.score > settings.hand_score:
            first = len(BONES) - HAND_BONES + side
            for bone, knuckle in ((first, HandLandmark.INDEX_MCP), (first + 2, HandLandmark.PINKY_MCP)):
                directions[bone] = rotation @ _knuckle(hand, knuckle)
                weights[bone] = settings.hand_trust * hand.score
    return directions, weights


def _knuckle(hand: Hand, knuckle: HandLandmark) -> NDArray[np.float64]:
    """(3,) unit direction from the wrist, axes of a camera that looks at the person."""
    vector = (hand.world[knuckle] - hand.world[HandLandmark.WRIST]).astype(float)
    direction: NDArray[np.float64] = vector / max(np.linalg.norm(vector), 1e-9)
    return direction
