"""A walk for a skeleton of any size: feet that stay where they are put down, and legs that reach them.

Backend and extension share this module. All arrays are in the axes of Blender: x to
the person's left, y backward, z up; metres, radians. Rotations are relative to the T pose. Joints are SMPL's 24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rig import SMPL_PARENTS, Floats

RATE = 30.0  # frames per second of the clips
JOINTS = len(SMPL_PARENTS)
_REACH = 0.998  # longest hip to ankle as a share of thigh and shin: a knee in a walk is never quite straight


@dataclass(frozen=True)
class Movement:
    """A motion of the skeleton.

    Attributes:
        rotations: (F, 24, 3, 3) of each joint, relative to its parent and to the T pose.
        pelvis: (F, 3) translation of the pelvis from its rest position.
    """

    rotations: NDArray[np.float64]
    pelvis: NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """A relaxed walk of grown-ups, by the averages that gait analysis reports, rounded; then by eye.

    Lengths are shares of the leg (hip to ankle), angles degrees, times shares of the stride unless they say seconds.
    """

    stride: float = 1.4
    seconds: float = 1.08  # of a stride, for a leg of 0.85 m; a pendulum's time grows with the root of its length
    stance: float = 0.62
    flat: float = 0.10  # when the sole is flat after the heel has touched the ground
    heel_off: float = 0.36
    strike_pitch: float = 18.0  # toes up
    push_pitch: float = -36.0  # heel up, at the end of the stance
    trail_pitch: float = -54.0  # soon after it
    lift: float = 0.06
    ahead: float = 0.055  # of the pelvis, before the ankle of the standing foot in the middle of its stance
    bounce: float = 0.014
    sway: float = 0.022
    yaw: float = 5.0  # of the pelvis, and against it of the chest
    chest_yaw: float = 7.0
    list: float = 3.0  # the pelvis sinks on the side of the leg in the air
    toes_out: float = 5.0
    width: float = 0.055  # from the middle to each ankle
    lean: float = 2.0
    arm_swing: float = 20.0
    arm_down: float = 77.0
    elbow: float = 17.0
    elbow_swing: float = 9.0


def turned(x: Floats | float = 0.0, y: Floats | float = 0.0, z: Floats | float = 0.0) -> NDArray[np.float64]:
    """Return rotations (..., 3, 3) about x, then y, then z, by angles (...) in degrees."""
    axes = np.eye(3)
    first, second, third = (_turn(axis, np.radians(angle)) for axis, angle in zip(axes, (x, y, z), strict=True))
    result: NDArray[np.float64] = third @ second @ first
    return result


def _turn(axis: Floats, angle: Floats) -> NDArray[np.float64]:
    """Rotations (..., 3, 3) about a unit axis by angles (...), by Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, cosine = (part[..., None, None] for part in (np.sin(np.asarray(angle)), np.cos(np.asarray(angle))))
    turn: NDArray[np.float64] = np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
    return turn


def hanging_arms(whole: NDArray[np.float64], down: float, swing: Floats, elbow: Floats) -> None:
    """Lower the arms from the T pose, relative to the chest, whose rotation must be in ``whole`` (F, 24, 3, 3) already.

    Args:
        down: degrees below the horizontal.
        swing: (2, F) degrees by which the left and the right arm are before the body.
        elbow: (2, F) degrees by which the elbows are bent.
    """
    for side, sign in enumerate((1.0, -1.0)):
        collar, shoulder, forearm, hand = 13 + side, 16 + side, 18 + side, 20 + side
        whole[:, collar] = whole[:, 9] @ turned(y=sign * 4.0)
        whole[:, shoulder] = whole[:, 9] @ turned(x=-np.asarray(swing[side])) @ turned(y=sign * down, z=-sign * 6.0)
        whole[:, forearm] = whole[:, shoulder] @ turned(z=-sign * np.asarray(elbow[side]))
        whole[:, hand] = whole[:, hand + 2] = whole[:, forearm] @ turned(x=-8.0)


def reach(whole: NDArray[np.float64], joints: Floats, pelvis: Floats, ankles: Floats, feet: Floats) -> None:
    """Rotate hips and knees so that the ankles are where they should be, with the knees before them.

    Args:
        whole: (F, 24, 3, 3) rotations relative to the world, in which the pelvis is set already; legs are written.
        joints: (24, 3) joints in the T pose.
        pelvis: (F, 3) translation of the pelvis from its rest position.
        ankles: (2, F, 3) left and right.
        feet: (2, F, 3, 3) rotations of the feet relative to the world.
    """
    root = joints[0] + pelvis
    for side in range(2):
        hip, knee, ankle, toe = 1 + side, 4 + side, 7 + side, 10 + side
        start = root + whole[:, 0] @ (joints[hip] - joints[0])
        thigh, shin = joints[knee] - joints[hip], joints[ankle] - joints[knee]
        upper, lower = np.linalg.norm(thigh), np.linalg.norm(shin)
        line = ankles[side] - start
        length = np.clip(np.linalg.norm(line, axis=-1), 1e-6, (upper + lower) * (1 - 1e-6))
        along = line / np.linalg.norm(line, axis=-1, keepdims=True)
        hinge = _unit(np.cross(feet[side] @ np.array([0.0, -1, 0]), along))  # to the person's left: knees bend forward
        cosine = (upper**2 + length**2 - lower**2) / (2 * upper * length)
        bend = np.arccos(np.clip(cosine, -1, 1))
        middle = _about(hinge, along, bend) * upper
        across = np.array([1.0, 0, 0])
        whole[:, hip] = _frames(middle, hinge) @ _frames(thigh, across).T
        whole[:, knee] = _frames(ankles[side] - start - middle, hinge) @ _frames(shin, across).T
        whole[:, ankle] = whole[:, toe] = feet[side]


def leg_length(joints: Floats) -> float:
    """Return the length of the leg of joints (24, 3), hip to knee to ankle."""
    return float(np.linalg.norm(joints[4] - joints[1]) + np.linalg.norm(joints[7] - joints[4]))


def finished(whole: NDArray[np.float64], pelvis: NDArray[np.float64]) -> Movement:
    """The movement of rotations (F, 24, 3, 3) relative to the world."""
    local = whole.copy()
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            local[:, joint] = np.swapaxes(whole[:, parent], -1, -2) @ whole[:, joint]
    return Movement(local, pelvis)


def walk(
    joints: Floats, toes: Floats, strides: int = 4, in_place: bool = False, settings: Settings | None = None
) -> Movement:
    """Make a walk.

    Args:
        joints: (24, 3) SMPL's joints of the body in the T pose.
        toes: (2, 3) the tips of its feet.
        strides: how many; each is two steps.
        in_place: stay where it begins, as on a treadmill, so that the clip can be repeated.
        settings: of the walk.
    """
    settings, leg = settings or Settings(), leg_length(joints)
    stride = settings.stride * leg
    count = max(8, round(settings.seconds * np.sqrt(leg / 0.85) * RATE))
    time = np.arange(strides * count + 1) / count  # in strides
    phase = 2 * np.pi * time
    whole = np.broadcast_to(np.eye(3), (len(time), JOINTS, 3, 3)).copy()
    yaw = settings.yaw * np.cos(phase)
    whole[:, 0] = turned(x=settings.lean, y=-settings.list * np.sin(phase), z=-yaw)
    for joint, share in ((3, 0.33), (6, 0.66), (9, 1.0)):
        against = share * settings.chest_yaw * np.cos(phase) - (1 - share) * yaw
        whole[:, joint] = turned(x=settings.lean, z=against)
    whole[:, 12] = turned(x=0.5 * settings.lean, z=0.3 * settings.chest_yaw * np.cos(phase))
    whole[:, 15] = turned(x=1.5 * np.cos(2 * phase))
    swing = settings.arm_swing * np.cos(phase)
    hanging_arms(
        whole,
        settings.arm_down,
        np.stack([-swing, swing]),
        settings.elbow + settings.elbow_swing * np.stack([-np.cos(phase), np.cos(phase)]),
    )
    steps = [_foot(time + 0.5 * side, joints, toes, side, stride, leg, settings) for side in range(2)]
    ankles = np.stack([place for place, _ in steps])
    ankles[1] += np.array([0.0, 0.5 * stride, 0])  # its strides are counted from half a stride before
    pelvis = np.zeros((len(time), 3))
    pelvis[:, 0] = settings.sway * leg * np.sin(phase) - joints[0, 0]
    pelvis[:, 1] = -stride * time - joints[0, 1] - settings.ahead * leg
    pelvis[:, 2] = _height(whole, joints, pelvis, ankles, phase, settings.bounce * leg)
    reach(whole, joints, pelvis, ankles, np.stack([turn for _, turn in steps]))
    pelvis[:, 1] += stride * time if in_place else 0.0
    return finished(whole, pelvis - pelvis[0] * (0, 1, 0))


def _height(
    whole: Floats, joints: Floats, pelvis: Floats, ankles: Floats, phase: Floats, bounce: float
) -> NDArray[np.float64]:
    """Return the heights (F,) of the pelvis, lowest when both feet are down, as high as the legs allow."""
    longest = _REACH * leg_length(joints)
    limits = []
    for side in range(2):
        start = joints[0] + pelvis + whole[:, 0] @ (joints[1 + side] - joints[0])
        flat = ((ankles[side] - start)[:, :2] ** 2).sum(1)
        limits.append(ankles[side][:, 2] + np.sqrt(np.maximum(longest**2 - flat, 0.0)) - start[:, 2])
    wave = -bounce * np.cos(2 * phase)
    height: NDArray[np.float64] = wave + (np.minimum(*limits) - wave).min()
    return height


def _foot(
    time: Floats, joints: Floats, toes: Floats, side: int, stride: float, leg: float, settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places (F, 3) of an ankle and rotations (F, 3, 3) of its foot; strides begin when the heel touches down.

    The sole rolls over heel and ball without sliding.
    """
    ankle, ball, tip = joints[7 + side], joints[10 + side], toes[side]
    sign = -1.0 if side else 1.0
    heading = turned(z=sign * settings.toes_out)
    number, share = np.floor(time), time % 1.0
    frame = time[1] - time[0]
    pitch = _pitch(share, settings)
    rounded = sum(part * _pitch(share + shift * frame, settings) for part, shift in ((0.25, -1), (0.5, 0), (0.25, 1)))
    pitch = np.where(pitch == 0, 0.0, rounded)  # where the sole is flat it stays so
    turn = heading @ turned(x=-pitch)
    foot = abs(tip[1] - ankle[1])
    heel = np.array([0.0, 0.28 * foot, -ankle[2]])
    front = np.array([0.0, ball[1] - ankle[1], -ankle[2]])
    places = (sign * settings.width * leg, -stride * (number + 0.5 * settings.stance), ankle[2])
    down = np.stack(np.broadcast_arrays(*places), -1)

    def rolled(turns: Floats, pivot: Floats) -> NDArray[np.float64]:
        shift: NDArray[np.float64] = heading @ pivot - np.einsum("...ab,b->...a", turns, pivot)
        return shift

    on_heel = (pitch > 0)[:, None]
    planted = down + np.where(on_heel, rolled(turn, heel), rolled(turn, front))
    air = np.clip((share - settings.stance) / (1 - settings.stance), 0, 1)
    leaving = down + rolled(heading @ turned(x=-settings.push_pitch), front)
    landing = down + (0, -stride, 0) + rolled(heading @ turned(x=-settings.strike_pitch), heel)
    ease = air * air * air * (air * (6 * air - 15) + 10)
    ease = 0.55 * ease + 0.45 * air  # the foot leaves the ground moving
    flight = leaving + ease[:, None] * (landing - leaving)
    flight[:, 2] += settings.lift * leg * np.sin(np.pi * air) ** 2 * (1 - 0.5 * air)
    return np.where((share < settings.stance)[:, None], planted, flight), turn


def _pitch(share: Floats, settings: Settings) -> NDArray[np.float64]:
    """Degrees (F,) by which the toes are up, at shares of the stride."""
    moments = (0, settings.flat, settings.heel_off, settings.stance, settings.stance + 0.06, 0.86, 1)
    angles = (settings.strike_pitch, 0, 0, settings.push_pitch, settings.trail_pitch, 4.0, settings.strike_pitch)
    pitch: NDArray[np.float64] = np.interp(share % 1.0, moments, angles)
    return pitch


def _about(axis: Floats, vector: Floats, angle: Floats) -> NDArray[np.float64]:
    """Rotate unit vectors (F, 3), which are perpendicular to the axes (F, 3), by angles (F,) forward."""
    rotated: NDArray[np.float64] = np.cos(angle)[:, None] * vector + np.sin(angle)[:, None] * np.cross(vector, axis)
    return rotated


def _frames(along: Floats, across: Floats) -> NDArray[np.float64]:
    """Return rotations (..., 3, 3) whose columns are a direction, the part of another across it, and their normal."""
    first = _unit(along)
    second = _unit(across - (across * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], -1)


def _unit(vectors: Floats) -> NDArray[np.float64]:
    """Vectors (..., 3) scaled to length 1; zero vectors stay."""
    units: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return units
