"""Fit the tables of `uvatar.fitting.hand_correction`: render hands of known angles, solve them, print the tables.

You need it after a change of the hand model, of the solver or of the body's hands.

    python tools/hand_correction.py --count 1500

Hands are in the poses of `uvatar evaluate hands`, in mixtures of two of them, and mixed finger by finger; they are seen
from all sides. The tables are ridge regressions towards no correction; a fifth of the hands, to which they are not
fitted, tells what they bring.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData, BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import ELBOW_JOINTS, HAND_JOINTS, WRIST_JOINTS
from uvatar.data.person import Hand
from uvatar.evaluation.hands import POSES, hand_vertices
from uvatar.evaluation.rendering import photograph, random_background, random_light, random_outfit
from uvatar.fitting.hand_correction import FINGER_JOINTS, FLEXIONS, corrected
from uvatar.fitting.hand_skeleton import HandSkeleton, hand_skeleton
from uvatar.fitting.hand_solver import HandSettings, solve_hands
from uvatar.geometry import rotations
from uvatar.perception.details import HandModel
from uvatar.perception.geometry import Pyramid
from uvatar.perception.models import Model
from uvatar.protocol.rig import ANGLE_LIMITS, THUMB, hand_pose
from uvatar.runtime.weights import weights_folder

JITTER = 8.0  # degrees, standard deviation of the angles around the poses'
RIDGE = 10.0  # square radians: what a share's deviation from no correction weighs beside the hands
PICTURE_ERROR = 0.12  # of hands that are used, in units of the palm's length
BATCH = 50


@dataclass(frozen=True)
class Sample:
    """A rendered hand that was found.

    Attributes:
        hand: its landmarks.
        angles: (5, 5) the truth, radians.
    """

    hand: Hand
    angles: NDArray[np.float64]


def main() -> None:
    """Render, find, solve, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1500, help="hands to render (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed: the same number gives the same hands")
    args = parser.parse_args()
    body = load_open_body()
    skeleton = hand_skeleton(body.data)
    assert skeleton is not None
    model = HandModel(Model(weights_folder() / "perception", "hand_landmarks.tflite", 1))
    arm = only_arm(body.data)
    drawn = (rendered(body, arm, model, np.random.default_rng([args.seed, i])) for i in range(args.count))
    solved, true = solutions([sample for sample in drawn if sample is not None], skeleton)
    held_out = np.arange(len(true)) % 5 == 0
    finger, thumb = tables(solved[~held_out], true[~held_out])
    print(f"{len(true)} hands used; mean error of a joint on a fifth, without and with the tables, degrees:")
    for angles in (solved[held_out], corrected(solved[held_out], skeleton, finger, thumb)):
        ours, truth = (np.stack([skeleton.pose(one, True) for one in each]) for each in (angles, true[held_out]))
        between = rotations.exp(ours).swapaxes(-1, -2) @ rotations.exp(truth)
        print(f"{np.degrees(np.linalg.norm(rotations.log(between), axis=-1)).mean():.1f}")
    np.set_printoptions(precision=2, suppress=True)
    for table in tables(solved, true):
        print(table)


def only_arm(data: BodyData) -> BodyData:
    """The body with the faces of its left forearm and hand alone, which are drawn sooner."""
    near = data.weights[:, [ELBOW_JOINTS[0], WRIST_JOINTS[0], HAND_JOINTS[0]]].sum(1) > 0.5
    kept = near[data.faces].all(1)
    return replace(data, faces=data.faces[kept], face_uv=data.face_uv[kept], quads=None, quad_uv=None)


def rendered(body: BodyModel, arm: BodyData, model: HandModel, rng: np.random.Generator) -> Sample | None:
    """A random left hand from a random side; None if it is not found where it is."""
    assert body.data.rig is not None
    angles = random_angles(rng)
    pose = np.zeros((23, 3))
    pose[ELBOW_JOINTS[0] - 1] = [0, -rng.uniform(0, 2), 0]
    pose[WRIST_JOINTS[0] - 1] = rng.normal(0, 0.35, 3)
    turn = rotations.log(rotations.exp(rng.normal(0, 1.6, 3)))
    fingers = hand_pose(angles, angles, body.data.rig.finger_axes)
    parts = (rng.normal(0, 0.7, 10), turn, pose, np.zeros(3), fingers)
    still = BodyParameters(*(part.astype(np.float32) for part in parts))
    vertices, _ = body.posed(still)
    hand = vertices[hand_vertices(body, 0)]
    distance = rng.uniform(2, 5)
    place = np.array([*rng.normal(0, 0.2, 2) * distance, distance]) - (hand.min(0) + hand.max(0)) / 2
    extent = rng.uniform(55, 170)
    camera = Camera(float(extent / np.ptp(hand, axis=0)[:2].max() * distance), (0.0, 0.0), 1, 1)
    side = int(2.6 * extent)
    middle = camera.project(hand + place).mean(0)
    camera = Camera(camera.focal, tuple(side / 2 - middle), side, side)
    picture, _ = photograph(
        (vertices + place).astype(np.float32), arm, random_outfit(body.data, rng), camera, random_light(rng),
        random_background(side, side, rng), rng,
    )  # fmt: skip
    landmarks = np.ones((33, 3))
    landmarks[:, :2] = camera.project(body.landmarks_of(replace(still, transl=place.astype(np.float32)))) + rng.normal(
        0, 0.06 * extent, (33, 2)
    )
    found = model.find(Pyramid(picture), landmarks, True)
    if found is None or np.linalg.norm(found.points[5:].mean(0) - side / 2) > extent / 2:
        return None
    return Sample(found, angles)


def random_angles(rng: np.random.Generator) -> NDArray[np.float64]:
    """(5, 5) radians: one of the poses, a mixture of two, or another mixture for every finger."""
    one, other = (list(POSES.values())[rng.integers(len(POSES))] for _ in range(2))
    kind = rng.random()
    share = np.zeros((5, 1)) if kind < 0.4 else np.full((5, 1), rng.random()) if kind < 0.6 else rng.random((5, 1))
    jittered = one * (1 - share) + other * share + np.radians(JITTER) * rng.normal(size=one.shape)
    angles: NDArray[np.float64] = np.clip(jittered, ANGLE_LIMITS[..., 0], ANGLE_LIMITS[..., 1])
    return angles


def solutions(samples: list[Sample], skeleton: HandSkeleton) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 5, 5) solved and true angles of the hands that the gate would let pass."""
    settings, solved, true = HandSettings(corrected=False), [], []
    for first in range(0, len(samples), BATCH):
        batch = samples[first : first + BATCH]
        poses = solve_hands([sample.hand for sample in batch], [True] * len(batch), skeleton, settings)
        for sample, (pose, _) in zip(batch, poses, strict=True):
            if pose.picture_error < PICTURE_ERROR:
                solved.append(pose.angles)
                true.append(sample.angles)
    return np.stack(solved), np.stack(true)


def tables(solved: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The tables (4, 5) of a finger and (5, 7) of the thumb, their last columns in degrees."""
    fingers, truth = (angles[:, :THUMB, FINGER_JOINTS].reshape(-1, len(FINGER_JOINTS)) for angles in (solved, true))
    curl = solved[:, :THUMB, FLEXIONS].mean((1, 2))
    thumb = np.concatenate([solved[:, THUMB], curl[:, None]], 1)
    return ridge(fingers, truth, RIDGE * THUMB), ridge(thumb, true[:, THUMB], RIDGE)


def ridge(inputs: NDArray[np.float64], outputs: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """(O, I + 1) shares of the inputs (N, I) and degrees that make the outputs (N, O), drawn towards the identity."""
    size, number = inputs.shape[1], outputs.shape[1]
    rows = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)
    drawn = rows.T @ rows + weight * np.diag([*[1.0] * size, 0.0])
    change = np.linalg.solve(drawn, rows.T @ (outputs - inputs[:, :number]))
    change[:number] += np.eye(number)
    change[-1] = np.degrees(change[-1])
    return change.T


if __name__ == "__main__":
    main()
