"""Perception's evidence about a photo's people, corrected and in one frame, for all terms of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import FACE_OF_BODY_LANDMARK, FACE_SCORE
from uvatar.data.hands import HandLandmark
from uvatar.data.landmarks import ANKLES, HEELS, HIPS, INDICES, KNEES, PINKIES, SHOULDERS, THUMBS, TOES, WRISTS
from uvatar.data.person import Person
from uvatar.fitting.chain import State
from uvatar.fitting.hands import Hands, large_and_sure, seen_hands
from uvatar.fitting.lifter import Lifted
from uvatar.fitting.prepared import FittingModel
from uvatar.geometry import rotations

# BlazePose bends nearly straight knees: seen at (first row), they are really at (second row), medians over rendered
# people, radians.
KNEE_SEEN, KNEE_TRUE = np.radians([[0, 20, 30, 40, 50, 60, 180], [0, 3, 12, 26, 38, 52, 180]])
SEEN = 0.5  # visibility from which a landmark counts as seen
GUESSED = 0.15  # visibility from which it is near the place that it has; of knees in 3 photos of people who sit


@dataclass(frozen=True)
class Observations:
    """The people of a photo as the fit sees them, a row for each of N.

    Attributes:
        people: what perception found.
        camera: the photo's.
        model: the body that is fitted.
        silhouette: whether the outline is to be fitted.
        side: (N,) longer side of each person's box, pixels: the unit of landmark errors.
        landmarks: (N, 33, 3) pixels and visibility.
        unseen_legs: (N, 2) 1 where nothing is seen of the left or the right leg.
        lifted: what the pose lifter says of each; empty where there is none.
        lifted_landmarks: (N, 33, 3) the landmarks of the lifted bodies, metres, camera axes; None if there are none.
        hands: the hands of each that are believed.
        heights: (N,) metres, as somebody has typed them; NaN where nobody has.
    """

    people: Sequence[Person]
    camera: Camera
    model: FittingModel
    silhouette: bool
    side: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    unseen_legs: NDArray[np.float64]
    lifted: Sequence[Lifted] = ()
    lifted_landmarks: NDArray[np.float64] | None = None
    hands: Sequence[Hands] = ()
    heights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def hand_seen(self) -> NDArray[np.bool_]:
        """(N, 2) whether the left and the right hand are believed."""
        return np.array([[hand is not None for hand in hands] for hands in self.hands]).reshape(-1, 2)

    @classmethod
    def of(
        cls,
        people: Sequence[Person],
        camera: Camera,
        model: FittingModel,
        silhouette: bool = True,
        heights: Sequence[float | None] = (),
    ) -> Observations:
        """What is seen of the people, and what the model's lifter makes of it."""
        landmarks = np.stack([image_landmarks(person) for person in people])
        known = np.full(len(people), np.nan)
        told = [np.nan if height is None else height for height in heights[: len(people)]]
        known[: len(told)] = told
        lifted = [model.lifter.lift(person, camera) for person in people] if model.lifter else []
        return cls(
            people,
            camera,
            model,
            silhouette,
            np.array([person.side for person in people]),
            landmarks,
            np.stack([unseen_legs(points, camera) for points in landmarks]),
            lifted,
            _landmarks_of(lifted, model) if lifted else None,
            seen_hands(people, camera, model.hand, model.hand_correction)
            if model.hand
            else [(None, None) for _ in people],
            known,
        )


def _landmarks_of(lifted: Sequence[Lifted], model: FittingModel) -> NDArray[np.float64]:
    """(N, 33, 3) metres, of the lifted bodies, the pelvis of each at the origin."""
    orient, pose, betas = (np.stack([getattr(one, name) for one in lifted]) for name in ("orient", "pose", "betas"))
    state = State(orient, pose, betas, np.zeros((len(lifted), 3)))
    return model.skeleton.pose(state).place(model.landmarks).positions


def image_landmarks(person: Person) -> NDArray[np.float64]:
    """(33, 3) pixels and visibility, the face's points from the face mesh where there is one."""
    landmarks = person.landmarks.astype(float)
    if person.face is not None and person.face_score > FACE_SCORE:
        for ours, theirs in FACE_OF_BODY_LANDMARK.items():
            landmarks[ours, :2] = person.face[theirs]
    return landmarks


def with_seen_hands(landmarks: Floats, person: Person) -> NDArray[np.float64]:
    """A person's landmarks (33, 3) as a fitted body is compared with them.

    Where the hand model sees a hand, the body follows that: the wrist is where it sees it, and the fingers' landmarks
    do not count.
    """
    landmarks = landmarks.astype(float)
    for side, hand in enumerate((person.left_hand, person.right_hand)):
        if hand is not None and large_and_sure(hand):
            landmarks[WRISTS[side], :2] = hand.points[HandLandmark.WRIST]
            landmarks[[PINKIES[side], INDICES[side], THUMBS[side]], 2] = 0
    return landmarks


def looking_at(person: Person, camera: Camera) -> NDArray[np.float64]:
    """(3, 3) rotation from the axes of a camera that looks at the person to those of the photo's camera."""
    middle = (person.box[:2] + person.box[2:]).astype(float) / 2
    return rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays(middle))


def world_landmarks(person: Person, camera: Camera) -> NDArray[np.float64]:
    """(33, 3) metres in the axes of the photo's camera: perception's are those of a camera that looks at the person."""
    return _knees_straightened(person.world_landmarks.astype(float)) @ looking_at(person, camera).T


def _knees_straightened(world: Floats) -> NDArray[np.float64]:
    """World landmarks (33, 3), shins and feet rotated forward about the knees by what BlazePose bends them back."""
    world = world.copy()
    for hip, knee, ankle, heel, toe in zip(HIPS, KNEES, ANKLES, HEELS, TOES, strict=True):
        thigh, shin = world[knee] - world[hip], world[ankle] - world[knee]
        axis = np.cross(thigh, shin)
        sine = np.linalg.norm(axis)
        bend = np.arctan2(sine, thigh @ shin)
        swing = np.interp(bend, KNEE_SEEN, KNEE_TRUE) - bend
        below = [ankle, heel, toe]
        world[below] = world[knee] + (world[below] - world[knee]) @ rotations.exp(axis / max(sine, 1e-9) * swing).T
    return world


def unseen_legs(landmarks: Floats, camera: Camera) -> NDArray[np.float64]:
    """(2,) 1 where neither knee nor ankle of the left or the right leg is seen in the photo.

    A knee whose place can be guessed from what is seen, as of somebody who sits, counts as seen.
    """
    seen = landmarks[:, 2] * inside_photo(landmarks, camera)
    return np.array(
        [float(seen[knee] <= GUESSED and seen[ankle] <= SEEN) for knee, ankle in zip(KNEES, ANKLES, strict=True)]
    )


def standing(landmarks: Floats) -> float:
    """0..1, whether someone with these image landmarks (33, 3) stands on both feet.

    Both legs are seen, long, and end side by side.
    """
    shoulders, hips, ankles = (landmarks[pair] for pair in (SHOULDERS, HIPS, ANKLES))
    trunk = hips[:, 1].mean() - shoulders[:, 1].mean()
    if trunk <= 0:
        return 0.0
    legs = (ankles[:, 1] - hips[:, 1]).min() / trunk  # about 1.5 for straight legs
    level = abs(ankles[0, 1] - ankles[1, 1]) / trunk
    return float(np.clip((legs - 0.9) / 0.3, 0, 1) * np.clip((0.5 - level) / 0.2, 0, 1) * ankles[:, 2].min())


def inside_photo(points: Floats, camera: Camera) -> NDArray[np.bool_]:
    """Which points (N, 2 or more), pixels first, lie inside the photo."""
    inside: NDArray[np.bool_] = (
        (points[:, :2] >= 0).all(1) & (points[:, 0] < camera.width) & (points[:, 1] < camera.height)
    )
    return inside
