"""Poses and motions that the page shows: a walk, a wave and a talking face.

Rotations are axis-angle relative to the parent, about the body's rest axes (x to the person's left, y up, z forward),
of the 55 joints of `uvatar.protocol.rig`. Walk and speech are the sample clips (`uvatar.protocol.clips`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.gltf.clips import Figure, played
from uvatar.protocol.clips import Clip as Sample
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.gait import RATE
from uvatar.protocol.rig import LEFT_HAND, RIG_NAMES, RIGHT_HAND, Floats, finger_angles, hand_pose

FRAMES_PER_SECOND = round(RATE)
WAVE_SECONDS = 1.6  # of one cycle
_NODDING = ("neck", "head")  # joints that move with speech
# Upper arms hang this far below the horizontal, degrees: clear of wide hips and skirts.
_HANGING = 68.0


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
        pose[_joint(f"{side}_shoulder")] = _about("z", sign * _HANGING)
        pose[_joint(f"{side}_elbow")] = _about("y", sign * 14)
        pose[_joint(f"{side}_hip")] = _about("z", -sign * 3)
        pose[_joint(f"{side}_ankle")] = _about("z", sign * 3)
    return pose


def walk(figure: Figure) -> Clip:
    """A walk on the spot."""
    return Clip(played(Sample.WALK, figure).poses[:-1])


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


def talk(figure: Figure) -> Clip:
    """Speech, with blinks and a moving head; its poses are to be added to another pose."""
    said = played(Sample.TALK, figure)
    poses = np.zeros_like(said.poses[:-1])
    for name in _NODDING:
        poses[:, _joint(name)] = said.poses[:-1, _joint(name)]
    weights = np.zeros((len(poses), len(EXPRESSIONS)))
    for key, values in said.weights.items():
        weights[:, EXPRESSIONS.index(key)] = values[:-1]
    return Clip(poses, weights)


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
