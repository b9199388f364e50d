"""Make ``weights/hand_correction.npz``: what the true pose of rendered hands was, given how they were solved.

You need it after a change of the hand model, of the solver or of the body's hands.

    python tools/hand_correction.py --count 1400 --seeds 101 102 --out weights/hand_correction.npz

Hands are in the poses of `uvatar evaluate hands`, in mixtures of two of them, and mixed finger by finger; they are seen
from all sides. The hand model looks at each three times, the third time at its mirror image. The regression is drawn
towards the mean hand; a fifth of the hands, to which it is not fitted for that, tells what it brings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData, BodyModel, load_open_body
from uvatar.body.rig import pose_of
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.hands import HandLandmark
from uvatar.data.joints import ELBOW_JOINTS, HAND_JOINTS, WRIST_JOINTS
from uvatar.data.landmarks import INDICES, PINKIES, WRISTS
from uvatar.data.person import Hand
from uvatar.evaluation.hands import POSES, hand_vertices, wrist_rotation
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.rendering import photograph, random_background, random_light
from uvatar.fitting.hand_correction import FREE_ANGLES, HandCorrection, inputs
from uvatar.fitting.hand_skeleton import FINGER_LANDMARKS, HandSkeleton, hand_skeleton
from uvatar.fitting.hand_solver import HandPose, solve_hands
from uvatar.fitting.hands import DEFAULT_GATE, large_and_sure
from uvatar.geometry import rotations
from uvatar.perception.details import HandModel
from uvatar.perception.geometry import Pyramid
from uvatar.perception.models import Model
from uvatar.protocol.rig import ANGLE_LIMITS, FINGERS, LEFT_HAND, hand_pose
from uvatar.runtime.weights import weights_folder

JITTER = 8.0  # degrees, standard deviation of the angles around the poses'
ASTRAY = 0.06  # of the hand's extent, standard deviation of the body's landmarks that lead the hand model to it
LOOKS = 3  # of the hand model at each hand
RIDGE = 100.0  # what standardised shares weigh beside the hands
BATCH = 50


@dataclass(frozen=True)
class Sample:
    """One look at a rendered hand.

    Attributes:
        picture: number of the rendered picture.
        hand: its landmarks, of a left hand.
        angles: (5, 5) the truth, radians.
        palm: (3, 3) the true rotation of the hand from the body's axes at rest to those of a camera that looks at it.
    """

    picture: int
    hand: Hand
    angles: NDArray[np.float64]
    palm: NDArray[np.float64]


def main() -> None:
    """Render, find, solve, fit, write, and print what it brings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1400, help="pictures to render for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102], help="the same number gives the same hands")
    parser.add_argument("--out", type=Path, default=weights_folder() / "hand_correction.npz", help="the file to write")
    args = parser.parse_args()
    body = load_open_body()
    skeleton = hand_skeleton(body.data)
    assert skeleton is not None
    model = HandModel(Model(weights_folder() / "perception", "hand_landmarks.tflite", 1))
    arm = only_arm(body.data)
    drawn = [
        sample
        for order, seed in enumerate(args.seeds)
        for i in range(args.count)
        for sample in looked_at(order * args.count + i, body, arm, model, np.random.default_rng([seed, i]))
    ]
    samples, solved = believed(drawn, skeleton)
    held_out = np.array([sample.picture % 5 == 0 for sample in samples])
    correction = regression(samples, solved, ~held_out)
    tested = [sample for sample, out in zip(samples, held_out, strict=True) if out]
    again = solve_hands([sample.hand for sample in tested], [True] * len(tested), skeleton, correction)
    first = [pose for pose, out in zip(solved, held_out, strict=True) if out]
    hands = len({sample.picture for sample in samples})
    print(f"{len(samples)} looks at {hands} hands; errors on a fifth of them, without and with the correction:")
    for poses in (first, [pose for pose, _ in again]):
        joints, tips, palms = errors(tested, poses, skeleton)
        print(f"joints {joints:.1f} degrees, fingertips {tips:.2f} cm, palms {palms:.1f} degrees")
    whole = regression(samples, solved, np.ones(len(samples), bool))
    np.savez(args.out, shares=whole.shares.astype(np.float32), constants=whole.constants.astype(np.float32))


def only_arm(data: BodyData) -> BodyData:
    """The body with the faces of its left forearm and hand alone, which are drawn sooner."""
    near = data.weights[:, [ELBOW_JOINTS[0], WRIST_JOINTS[0], HAND_JOINTS[0]]].sum(1) > 0.5
    kept = near[data.faces].all(1)
    return replace(data, faces=data.faces[kept], face_uv=data.face_uv[kept], quads=None, quad_uv=None)


def looked_at(
    number: int, body: BodyModel, arm: BodyData, model: HandModel, rng: np.random.Generator
) -> Iterator[Sample]:
    """A random left hand from a random side, as often as it is found where it is."""
    assert body.data.rig is not None
    angles = random_angles(rng)
    pose = np.zeros((23, 3))
    pose[ELBOW_JOINTS[0] - 1] = [0, -rng.uniform(0, 2), 0]
    pose[WRIST_JOINTS[0] - 1] = rng.normal(0, 0.35, 3)
    turn = rotations.log(rotations.exp(rng.normal(0, 1.6, 3)))
    fingers = hand_pose(angles, angles, body.data.rig.finger_axes)
    parts = (rng.normal(0, 0.7, 10), turn, pose, np.zeros(3), fingers)
    still = BodyParameters(*(part.astype(np.float32) for part in parts))
    vertices, joints = posed(body, still)
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
    exact = camera.project(body.landmarks_of(replace(still, transl=place.astype(np.float32))))
    looking = rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays(camera.project(joints + place).mean(0)))
    palm = looking.T @ wrist_rotation(still, 0)
    for look in range(LOOKS):
        found = seen(picture, exact + rng.normal(0, ASTRAY * extent, exact.shape), model, mirrored=look == LOOKS - 1)
        if found is not None and np.linalg.norm(found.points[5:].mean(0) - side / 2) <= extent / 2:
            yield Sample(number, found, angles, palm)


def posed(body: BodyModel, parameters: BodyParameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The vertices, and the 21 points of the left hand that the landmarks mark."""
    rig = body.data.rig
    whole = pose_of(parameters, np.concatenate([parameters.global_orient[None], parameters.body_pose])[None])
    assert rig is not None and whole is not None
    moved = body(parameters.betas[None], whole, parameters.transl[None])
    vertices, joints = moved.vertices[0], moved.joints[0]
    points = np.zeros((len(HandLandmark), 3))
    points[HandLandmark.WRIST] = joints[WRIST_JOINTS[0]]
    tips = vertices[rig.fingertips[: len(FINGERS), None]]
    points[FINGER_LANDMARKS] = np.concatenate([joints[LEFT_HAND].reshape(len(FINGERS), 3, 3), tips], 1)
    return np.asarray(vertices), points


def seen(picture: NDArray[np.uint8], points: Floats, model: HandModel, mirrored: bool) -> Hand | None:
    """What the hand model finds where the body's landmarks (33, 2) are; if ``mirrored``, as a right hand in the
    picture's mirror image, turned back.
    """
    landmarks = np.ones((len(points), 3))
    landmarks[:, :2] = points
    if not mirrored:
        return model.find(Pyramid(picture), landmarks, True)
    left, right = [*WRISTS, *PINKIES, *INDICES], [*WRISTS[::-1], *PINKIES[::-1], *INDICES[::-1]]
    side = picture.shape[1]
    landmarks[:, 0] = side - landmarks[:, 0]
    landmarks[left] = landmarks[right]
    found = model.find(Pyramid(np.ascontiguousarray(picture[:, ::-1])), landmarks, False)
    if found is None:
        return None
    return replace(found, points=found.points * (-1, 1) + (side, 0), world=found.world * (-1, 1, 1))


def random_angles(rng: np.random.Generator) -> NDArray[np.float64]:
    """(5, 5) radians: one of the poses, a mixture of two, or another mixture for every finger."""
    one, other = (list(POSES.values())[rng.integers(len(POSES))] for _ in range(2))
    kind = rng.random()
    share = np.zeros((5, 1)) if kind < 0.4 else np.full((5, 1), rng.random()) if kind < 0.6 else rng.random((5, 1))
    jittered = one * (1 - share) + other * share + np.radians(JITTER) * rng.normal(size=one.shape)
    angles: NDArray[np.float64] = np.clip(jittered, ANGLE_LIMITS[..., 0], ANGLE_LIMITS[..., 1])
    return angles


def believed(samples: list[Sample], skeleton: HandSkeleton) -> tuple[list[Sample], list[HandPose]]:
    """The samples that the gate lets pass, and how the landmarks alone are solved."""
    kept, solved = [], []
    sure = [sample for sample in samples if large_and_sure(sample.hand)]
    for first in range(0, len(sure), BATCH):
        batch = sure[first : first + BATCH]
        poses = solve_hands([sample.hand for sample in batch], [True] * len(batch), skeleton)
        for sample, (pose, _) in zip(batch, poses, strict=True):
            if pose.picture_error <= DEFAULT_GATE.allowed_error(sample.hand.score):
                kept.append(sample)
                solved.append(pose)
    return kept, solved


def regression(samples: list[Sample], solved: list[HandPose], used: NDArray[np.bool_]) -> HandCorrection:
    """Ridge regression of the truth on what is known, from those of N samples that are ``used`` (N,)."""
    palms = np.stack([pose.palm for pose in solved])
    values = inputs(
        np.stack([pose.angles for pose in solved]),
        palms,
        np.stack([sample.hand.world for sample in samples]).astype(float),
        np.stack([_places(sample.hand) for sample in samples]),
    )[used]
    angles = np.stack([sample.angles for sample in samples]).reshape(len(samples), -1)[:, FREE_ANGLES]
    turned = rotations.log(palms.swapaxes(1, 2) @ np.stack([sample.palm for sample in samples]))
    truth = np.concatenate([angles, turned], 1)[used]
    mean, spread, middle = values.mean(0), values.std(0) + 1e-6, truth.mean(0)
    standard = (values - mean) / spread
    system = standard.T @ standard + RIDGE * np.eye(len(mean))
    shares = np.linalg.solve(system, standard.T @ (truth - middle)).T / spread
    return HandCorrection(shares, middle - shares @ mean)


def _places(hand: Hand) -> NDArray[np.float64]:
    """(21, 2) landmarks in the picture, in the solver's unit."""
    points = hand.points.astype(float)
    palm = np.linalg.norm(points[HandLandmark.MIDDLE_MCP] - points[HandLandmark.WRIST])
    places: NDArray[np.float64] = points / max(palm, np.ptp(points, axis=0).max() / 2)
    return places


def errors(samples: list[Sample], poses: list[HandPose], skeleton: HandSkeleton) -> tuple[float, float, float]:
    """Mean error of a joint, degrees, of a fingertip, cm, the wrists in one place, and of a palm, degrees."""
    true, ours = (np.stack([one.angles for one in each]) for each in (samples, poses))
    turns = [rotations.exp(np.stack([skeleton.pose(one, True) for one in each])) for each in (true, ours)]
    tips = [skeleton.posed(each)[0][:, :, -1] for each in (true, ours)]
    palms = [np.stack([one.palm for one in each]) for each in (samples, poses)]
    return (
        float(np.degrees(rotations.angle(*turns)).mean()),
        float(np.linalg.norm(tips[0] - tips[1], axis=-1).mean() * 100),
        float(np.degrees(rotations.angle(*palms)).mean()),
    )


if __name__ == "__main__":
    main()
