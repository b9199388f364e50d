"""Poses and motions that the page shows, for every body: a walk, a wave and a talking face.

Rotations are axis-angle relative to the parent, about the body's rest axes (x to the person's left, y up, z forward),
of the 55 joints of `uvatar.protocol.rig`. Angles of a walk are those of healthy adults at their own speed: Winter,
Biomechanics and Motor Control of Human Movement, 2009, appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from uvatar.protocol.expressions import EXPRESSIONS, VISEMES
from uvatar.protocol.rig import LEFT_HAND, RIG_NAMES, RIGHT_HAND, Floats, finger_angles, hand_pose

FRAMES_PER_SECOND = 30
WALK_SECONDS, WAVE_SECONDS = 1.1, 1.6  # of one cycle

# Degrees at every tenth of a gait cycle that begins as the heel strikes: flexion of hip and knee, dorsiflexion. Those
# of the hip are relative to a pelvis that leans forward, which ours does not.
_HIP = (30, 25, 17, 8, -1, -9, -6, 10, 25, 33)
_KNEE = (5, 16, 17, 11, 6, 10, 37, 62, 50, 16)
_PELVIC_TILT = 10.0
_ANKLE = (0, -5, 3, 7, 10, 4, -16, -6, 1, 2)
# Upper arms hang this far below the horizontal, degrees: clear of wide hips and skirts.
_HANGING = 68.0

# What the talking face says, "Hi, this is me. I can walk and talk": mouth shapes and their seconds.
_SPEECH = (
    ("sil", 0.25), ("kk", 0.08), ("aa", 0.16), ("I", 0.12), ("sil", 0.2), ("TH", 0.1), ("I", 0.09), ("SS", 0.11),
    ("I", 0.1), ("SS", 0.11), ("PP", 0.11), ("I", 0.24), ("sil", 0.35), ("aa", 0.12), ("I", 0.07), ("kk", 0.09),
    ("aa", 0.12), ("nn", 0.09), ("U", 0.12), ("O", 0.16), ("kk", 0.1), ("sil", 0.08), ("E", 0.1), ("nn", 0.08),
    ("DD", 0.07), ("O", 0.2), ("kk", 0.1), ("sil", 0.6),
)  # fmt: skip
_OVERLAP = 0.9  # of a mouth shape with its neighbours: half the width of its bump, in its own seconds
_BLINKS, _BLINK = (0.5, 2.4), 0.12  # seconds: when, and half the time that one takes
_BROWS = ((0.35, 0.5), (1.75, 0.4))  # (second, weight) of raised brows
_BROW = 0.3  # seconds, half the time that they are up


@dataclass(frozen=True)
class Clip:
    """A motion that repeats.

    Attributes:
        poses: (F, 55, 3) axis-angle, radians, `FRAMES_PER_SECOND`.
        weights: (F, 52) of the expression keys; None for a motion that leaves the face alone.
    """

    poses: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None


def rest_pose() -> NDArray[np.float64]:
    """(55, 3): the T pose, with flat hands."""
    return np.zeros((len(RIG_NAMES), 3))


def a_pose(axes: Floats | None) -> NDArray[np.float64]:
    """(55, 3): arms 45 degrees below the horizontal; ``axes`` (5, 2, 3) of the fingers or None, as in all of these."""
    pose = _with_hands(rest_pose(), axes)
    for side, sign in (("left", -1), ("right", 1)):
        pose[_joint(f"{side}_collar")] = _about("z", sign * 5)
        pose[_joint(f"{side}_shoulder")] = _about("z", sign * 40)
    return pose


def relaxed_pose(axes: Floats | None) -> NDArray[np.float64]:
    """(55, 3): standing at ease, the arms down."""
    pose = _with_hands(rest_pose(), axes)
    for side, sign in (("left", -1), ("right", 1)):
        pose[_joint(f"{side}_shoulder")] = _arm(sign, _HANGING, 0)
        pose[_joint(f"{side}_elbow")] = _about("y", sign * 14)
        pose[_joint(f"{side}_hip")] = _about("z", -sign * 3)
        pose[_joint(f"{side}_ankle")] = _about("z", sign * 3)
    return pose


def walk(axes: Floats | None) -> Clip:
    """A walk on the spot."""
    frames = round(WALK_SECONDS * FRAMES_PER_SECOND)
    phases = np.arange(frames) / frames
    poses = np.repeat(relaxed_pose(axes)[None], frames, 0)
    for side, sign, offset in (("left", -1, 0.0), ("right", 1, 0.5)):
        phase = (phases + offset) % 1
        poses[:, _joint(f"{side}_hip")] = _about("x", _PELVIC_TILT - _cycle(_HIP, phase))
        poses[:, _joint(f"{side}_knee")] = _about("x", _cycle(_KNEE, phase))
        poses[:, _joint(f"{side}_ankle")] = _about("x", -_cycle(_ANKLE, phase))
        poses[:, _joint(f"{side}_foot")] = _about("x", -np.maximum(0, 25 * np.cos(2 * np.pi * (phase - 0.57))))
        swing = -20 * np.cos(2 * np.pi * phase)  # the arm is behind while the leg of its side is in front
        poses[:, _joint(f"{side}_shoulder")] = _arm(sign, _HANGING, swing + 2)
        poses[:, _joint(f"{side}_elbow")] = _about("y", sign * (22 - 12 * np.cos(2 * np.pi * phase)))
    turn, list_ = np.cos(2 * np.pi * phases), np.sin(2 * np.pi * phases)
    poses[:, _joint("pelvis")] = _vector("yz", np.stack([-4 * turn, 2.5 * list_], 1))
    poses[:, _joint("spine1")] = _about("z", -1.5 * list_)
    poses[:, _joint("spine2")] = _vector("xy", np.stack([np.full(frames, 2.0), 5 * turn], 1))
    poses[:, _joint("spine3")] = _vector("yz", np.stack([4 * turn, -1.0 * list_], 1))
    poses[:, _joint("neck")] = _about("y", -5 * turn)
    return Clip(poses)


def wave(axes: Floats | None) -> Clip:
    """A greeting with the right hand."""
    frames = round(WAVE_SECONDS * FRAMES_PER_SECOND)
    swing = np.sin(4 * np.pi * np.arange(frames) / frames)  # twice in a cycle
    poses = np.repeat(relaxed_pose(axes)[None], frames, 0)
    if axes is not None:
        poses[:, RIGHT_HAND] = hand_pose(finger_angles("relaxed"), finger_angles("relaxed") * 0.25, axes)[15:]
    poses[:, _joint("right_collar")] = _about("z", -8)
    poses[:, _joint("right_shoulder")] = _vector("xz", np.stack([np.full(frames, -84.0), 22 - 3 * swing], 1))
    poses[:, _joint("right_elbow")] = _about("y", 98 + 20 * swing)
    poses[:, _joint("right_wrist")] = _about("y", 8 * np.roll(swing, 2))
    poses[:, _joint("spine3")] = _about("z", 2 + 0.6 * swing)
    poses[:, _joint("head")] = _about("z", -4 - 0.8 * swing)
    return Clip(poses)


def talk() -> Clip:
    """A sentence, with blinks and a moving head; its poses are to be added to another pose."""
    length = sum(seconds for _, seconds in _SPEECH)
    times = np.arange(round(length * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND
    shares = np.zeros((len(times), len(VISEMES)))
    names, begin = list(VISEMES), 0.0
    for name, seconds in _SPEECH:
        shares[:, names.index(f"viseme_{name}")] += _bump(times, begin + seconds / 2, seconds * _OVERLAP)
        begin += seconds
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    weights = shares @ np.array([[VISEMES[name].get(key, 0.0) for key in EXPRESSIONS] for name in names])
    blinking = np.sum([_bump(times, middle, _BLINK) for middle in _BLINKS], 0)
    raised = np.sum([weight * _bump(times, middle, _BROW) for middle, weight in _BROWS], 0)
    for keys, track in (
        (("eyeBlinkLeft", "eyeBlinkRight"), blinking),
        (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), raised),
    ):
        for key in keys:
            weights[:, EXPRESSIONS.index(key)] += track
    poses = np.zeros((len(times), len(RIG_NAMES), 3))
    phase = 2 * np.pi * times / length
    nod = np.stack([3 * np.sin(2 * phase) + 2.5 * raised, 4 * np.sin(phase), 1.5 * np.sin(3 * phase)], 1)
    poses[:, _joint("head")] = _vector("xyz", nod)
    return Clip(poses, np.clip(weights, 0, 1))


def _joint(name: str) -> int:
    return RIG_NAMES.index(name)


def _with_hands(pose: NDArray[np.float64], axes: Floats | None) -> NDArray[np.float64]:
    if axes is not None:
        relaxed = finger_angles("relaxed")
        pose[LEFT_HAND.start : RIGHT_HAND.stop] = hand_pose(relaxed, relaxed, axes)
    return pose


def _about(axis: str, degrees: float | NDArray[Any]) -> NDArray[np.float64]:
    """(..., 3) rotations about one axis."""
    vector: NDArray[np.float64] = np.radians(degrees)[..., None] * np.eye(3)["xyz".index(axis)]
    return vector


def _vector(axes: str, degrees: Floats) -> NDArray[np.float64]:
    """(N, 3) rotations about several fixed axes, in their order; ``degrees`` (N, A)."""
    vectors: NDArray[np.float64] = Rotation.from_euler(axes, degrees, degrees=True).as_rotvec()
    return vectors


def _arm(sign: int, lowered: float, forward: float | Floats) -> NDArray[np.float64]:
    """An upper arm: lowered by so many degrees, then swung forward; ``sign`` is -1 on the left."""
    swing = np.atleast_1d(forward)
    vectors = _vector("zx", np.stack([np.full(len(swing), sign * lowered), swing * -1.0], 1))
    return vectors if np.ndim(forward) else vectors[0]


def _cycle(values: tuple[int, ...], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a periodic curve through ``values``, which are evenly spaced."""
    knots = np.linspace(0, 1, len(values) + 1)
    curve: NDArray[np.float64] = CubicSpline(knots, [*values, values[0]], bc_type="periodic")(phase)
    return curve


def _bump(times: NDArray[np.float64], middle: float, half: float) -> NDArray[np.float64]:
    """A raised cosine: 1 in the middle, 0 from ``half`` on."""
    bump: NDArray[np.float64] = np.where(
        np.abs(times - middle) < half, (1 + np.cos(np.pi * (times - middle) / half)) / 2, 0.0
    )
    return bump
