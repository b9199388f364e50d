"""From what perception saw to what the solver compares with: corrected, weighted, in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.person import Hand, Person
from uvatar.fitting.residuals import BONES, Evidence, bone_directions
from uvatar.geometry import rotations

# How far each landmark is trusted beside the others (its visibility comes on top): the face is small, fingers and hips
# are vague.
LANDMARK_TRUST = np.array(
    [1.2] + [0.7] * 10  # nose, eyes, ears, mouth: small, but seen sharply
    + [0.8] * 2 + [1.0] * 4 + [0.6] * 6  # shoulders, elbows and wrists, fingers
    + [0.8] * 2 + [1.0] * 4 + [0.7] * 2 + [1.0] * 2  # hips, knees and ankles, heels, toes
)  # fmt: skip
# How far each bone's direction in space is trusted (BlazePose's error: thigh 12, shin 11, trunk 9, upper arm 22,
# forearm 26, feet 30, hands 40 degrees; shins are biased on top).
BONE_TRUST = np.array(
    [0.8] * 2 + [0.7] * 2 + [1.0] * 2 + [0.5] * 2 + [0.4] * 2 + [1.0] * 2 + [1.0, 1.0, 0.5] + [0.2] * 4
)
# BlazePose bends nearly straight knees: seen at (first row), they are really at (second row), medians over rendered
# people, radians.
KNEE_SEEN, KNEE_TRUE = np.radians([[0, 20, 30, 40, 50, 60, 180], [0, 3, 12, 26, 38, 52, 180]])
TRUNK_SIDES, TRUNK_BACK = slice(10, 12), 0.1  # radians that it leans trunks back
HAND_TRUST = 0.8  # of the hand bones where the hand model saw the hand
# Landmarks that the face mesh gives more sharply: BlazePose's index -> index of the 478-point mesh.
FACE_POINTS = {0: 1, 1: 362, 2: 473, 3: 263, 4: 133, 5: 468, 6: 33, 9: 291, 10: 61}
FACE_SCORE, HAND_SCORE = 0.5, 0.5
HIDDEN_TRUST = 0.3  # of a landmark that lies on another person
INDEX_KNUCKLE, PINKY_KNUCKLE = 5, 17  # of the hand model
HAND_BONES = 4  # the last of the `BONES`: index and little finger's, left and right
SEEN = 0.5  # visibility from which a landmark counts as seen


def image_landmarks(person: Person) -> NDArray[np.float64]:
    """(33, 3) pixels and visibility, the face's points from the face mesh where there is one."""
    landmarks = person.landmarks.astype(float)
    if person.face is not None and person.face_score > FACE_SCORE:
        for ours, theirs in FACE_POINTS.items():
            landmarks[ours, :2] = person.face[theirs]
    return landmarks


def world_landmarks(person: Person, camera: Camera) -> NDArray[np.float64]:
    """(33, 3) metres in the axes of the photo's camera: perception's are those of a camera that looks at the person."""
    middle = (person.box[:2] + person.box[2:]).astype(float) / 2
    return (
        _knees_straightened(person.world_landmarks.astype(float))
        @ rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays(middle)).T
    )


def _knees_straightened(world: NDArray) -> NDArray:
    """World landmarks (33, 3) whose shins and feet are swung forward about the knees by what BlazePose swings them
    back.
    """
    world = world.copy()
    for hip, knee, ankle, heel, toe in ((23, 25, 27, 29, 31), (24, 26, 28, 30, 32)):
        thigh, shin = world[knee] - world[hip], world[ankle] - world[knee]
        axis = np.cross(thigh, shin)
        sine = np.linalg.norm(axis)
        bend = np.arctan2(sine, thigh @ shin)
        swing = np.interp(bend, KNEE_SEEN, KNEE_TRUE) - bend
        below = [ankle, heel, toe]
        world[below] = world[knee] + (world[below] - world[knee]) @ rotations.exp(axis / max(sine, 1e-9) * swing).T
    return world


def landmark_weights(person: Person, landmarks: NDArray, camera: Camera) -> NDArray[np.float64]:
    """(33,) trust in each image landmark: nothing outside the photo, little on top of another person."""
    weights = LANDMARK_TRUST * landmarks[:, 2] * inside_photo(landmarks, camera)
    return np.where(_on(person.others, person.window, landmarks[:, :2]), HIDDEN_TRUST, 1.0) * weights


def bones_in_space(person: Person, landmarks: NDArray, camera: Camera) -> tuple[NDArray, NDArray]:
    """Unit directions (N, 3) of the `BONES` in camera axes, and the trust in each (N,)."""
    start, end = BONES.T
    world = world_landmarks(person, camera)
    directions = bone_directions(world)
    forward = np.cross(world[11] - world[12], directions[TRUNK_SIDES].mean(0))
    directions[TRUNK_SIDES] += TRUNK_BACK * forward / max(np.linalg.norm(forward), 1e-9)
    seen = landmarks[:, 2] * inside_photo(landmarks, camera)
    weights = BONE_TRUST * np.minimum(seen[start], seen[end])
    turn = rotations.between(
        np.array([0.0, 0.0, 1.0]), camera.rays((person.box[:2] + person.box[2:]).astype(float) / 2)
    )
    for side, hand in enumerate((person.left_hand, person.right_hand)):
        if hand is not None and hand.score > HAND_SCORE:
            first = len(BONES) - HAND_BONES + side
            for bone, knuckle in ((first, INDEX_KNUCKLE), (first + 2, PINKY_KNUCKLE)):
                directions[bone] = turn @ _knuckle(hand, knuckle)
                weights[bone] = HAND_TRUST * hand.score
    return directions, weights


LEGS = ([25, 27], [26, 28])  # knee and ankle, left and right


def unseen_legs(landmarks: NDArray, camera: Camera) -> NDArray[np.float64]:
    """(2,) 1 where neither knee nor ankle of the left or the right leg is seen in the photo."""
    seen = landmarks[:, 2] * inside_photo(landmarks, camera)
    return np.array([float(seen[leg].max() <= SEEN) for leg in LEGS])


def standing(landmarks: NDArray) -> float:
    """0..1, whether someone with these image landmarks (33, 3) stands on both feet: legs seen, long and side by
    side.
    """
    shoulders, hips, ankles = (landmarks[list(pair)] for pair in ((11, 12), (23, 24), (27, 28)))
    trunk = hips[:, 1].mean() - shoulders[:, 1].mean()
    if trunk <= 0:
        return 0.0
    legs = (ankles[:, 1] - hips[:, 1]).min() / trunk  # about 1.5 for straight legs
    level = abs(ankles[0, 1] - ankles[1, 1]) / trunk
    return float(np.clip((legs - 0.9) / 0.3, 0, 1) * np.clip((0.5 - level) / 0.2, 0, 1) * ankles[:, 2].min())


def straight_legs(landmarks: NDArray) -> NDArray[np.float64]:
    """(2,) 0..1, whether the left and the right leg of someone standing look straight in the photo: then they are."""
    look = []
    for hip, knee, ankle in ((23, 25, 27), (24, 26, 28)):
        thigh, shin = landmarks[knee, :2] - landmarks[hip, :2], landmarks[ankle, :2] - landmarks[knee, :2]
        cosine = thigh @ shin / max(np.linalg.norm(thigh) * np.linalg.norm(shin), 1e-9)
        look.append(np.clip((cosine - 0.94) / 0.03, 0, 1) * landmarks[[knee, ankle], 2].min())
    return np.array(look) * standing(landmarks)


def gather(people: Sequence[Person], camera: Camera) -> Evidence:
    """The evidence of people, a row each, with a standard normal shape prior until a group's is put in."""
    landmarks = [image_landmarks(person) for person in people]
    bones = [bones_in_space(person, points, camera) for person, points in zip(people, landmarks, strict=True)]
    count = len(people)
    unseen = np.stack([unseen_legs(points, camera) for points in landmarks])
    return Evidence(
        side=np.array([box_side(person) for person in people]),
        landmarks=np.stack([points[:, :2] for points in landmarks]),
        landmark_weights=np.stack(
            [landmark_weights(person, points, camera) for person, points in zip(people, landmarks, strict=True)]
        ),
        bones=np.stack([directions for directions, _ in bones]),
        bone_weights=np.stack([weights for _, weights in bones]),
        balance_weights=np.maximum([standing(points) for points in landmarks], unseen.min(1)),
        straight_weights=np.stack([straight_legs(points) for points in landmarks]),
        unseen_legs=unseen,
        betas_mean=np.zeros((count, 10)),
        betas_whitener=np.tile(np.eye(10), (count, 1, 1)),
        betas_fixed=np.zeros(count, bool),
    )


def with_lifted(evidence: Evidence, directions: NDArray) -> Evidence:
    """The evidence with every bone's direction between the landmarks' and that of the pose lifter's body (B, N, 3).

    Half way: alone the lifter's say more of depth, but its bodies have grown-up proportions, and children would be
        taken for adults.
    Hands stay what the hand model saw.
    """
    between = evidence.bones + directions
    between /= np.maximum(np.linalg.norm(between, axis=-1, keepdims=True), 1e-9)
    return replace(evidence, bones=np.concatenate([between[:, :-HAND_BONES], evidence.bones[:, -HAND_BONES:]], 1))


def box_side(person: Person) -> float:
    """The longer side of the person's box, pixels: the unit of landmark errors."""
    return float(max(person.box[2] - person.box[0], person.box[3] - person.box[1]))


def inside_photo(points: NDArray, camera: Camera) -> NDArray[np.bool_]:
    """Which points (N, 2 or more), pixels first, lie inside the photo."""
    return (points[:, :2] >= 0).all(1) & (points[:, 0] < camera.width) & (points[:, 1] < camera.height)


def _knuckle(hand: Hand, knuckle: int) -> NDArray:
    """Unit direction from the wrist, axes of a camera that looks at the person."""
    vector = (hand.world[knuckle] - hand.world[0]).astype(float)
    return vector / max(np.linalg.norm(vector), 1e-9)


def _on(mask: NDArray[np.uint8], window: tuple[int, int, int, int], points: NDArray) -> NDArray[np.bool_]:
    """Whether the mask of the photo's ``window`` is set at (N, 2) pixels."""
    cell = np.floor(points - window[:2]).astype(int)
    inside = (cell >= 0).all(1) & (cell[:, 0] < mask.shape[1]) & (cell[:, 1] < mask.shape[0])
    cell = np.where(inside[:, None], cell, 0)
    return inside & (mask[cell[:, 1], cell[:, 0]] > 127)
