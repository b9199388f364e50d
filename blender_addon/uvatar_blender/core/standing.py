# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured skeleton in Blender's axes with a standing pose: its rest pose, or a frame in which it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .bvh import Capture
from .motion import MotionError
from .upright import WORLDS, UpAxis, seen_axis, thinned, told_axis

# Joints that may be the end of a bone without being a bone themselves -> the joint of that bone.
_ENDS = {7: 4, 8: 5, 10: 7, 11: 8, 20: 18, 21: 19}
_ARMS = ((16, 18, 20), (17, 19, 21))
_LEGS = ((1, 4, 7), (2, 5, 8))
# When a skeleton stands: cosine between trunk and legs, cosine between hips and shoulders, and the distance from hip to
# ankle as a fraction of the length of the leg.
_IN_LINE, _NOT_TWISTED, _STRAIGHT = 0.85, 0.7, 0.9
_UP = 0.9  # cosine of the trunk's lean in a frame that can replace the rest pose: 26 degrees
# Cosine of the lean of a trunk that counts as upright: 5 degrees, because skeletons differ in the position of hips and
# shoulders.
_VERTICAL = 0.996

_At = Callable[[int], NDArray[np.float64]]  # joint -> (..., 3) where it is


@dataclass(frozen=True)
class Standing:
    """A capture in the armature's axes and the file's units; N bones, F frames.

    Attributes:
        bone: SMPL joint -> bone, for the joints that were recognised.
        rest, rest_ends: (N, 3) heads and tails of the bones in the standing pose.
        turned: (F, N, 3, 3) rotations relative to the world and to the standing pose.
        places, place_ends: (F, N, 3) heads and tails of the bones in each frame.
        at_rest: whether the standing pose is the file's rest pose, in which feet are flat and the head looks ahead.
    """

    bone: Mapping[int, int]
    rest: NDArray[np.float64]
    rest_ends: NDArray[np.float64]
    turned: NDArray[np.float64]
    places: NDArray[np.float64]
    place_ends: NDArray[np.float64]
    at_rest: bool

    def then(self, joint: int) -> NDArray[np.float64]:
        """Return the position (3,) of a joint in the standing pose."""
        return _joint(self.rest, self.rest_ends, self.bone, joint)

    def now(self, joint: int) -> NDArray[np.float64]:
        """Return the positions (F, 3) of a joint in the frames."""
        return _joint(self.places, self.place_ends, self.bone, joint)


def standing(capture: Capture, bone: Mapping[int, int], joints: Floats, up: UpAxis) -> Standing:
    """Convert a capture to the armature's axes and find its standing pose.

    Args:
        capture: the captured motion.
        bone: SMPL joint -> bone of the capture; both legs and arms must be there.
        joints: (24, 3) our joints in the T pose, armature's axes, metres.
        up: the axis of the file's world that points up.

    Raises:
        MotionError: the skeleton stands neither at rest nor in any frame.
    """
    rest, ends, turned = capture.rest, capture.ends, capture.turned
    place_ends = capture.places + np.einsum("fnab,nb->fna", turned, ends - rest)
    ours = _Posture(joints.__getitem__)
    at_rest = _Posture(lambda joint: _joint(rest, ends, bone, joint))
    frames = _Posture(lambda joint: _joint(capture.places, place_ends, bone, joint))
    if at_rest.leg < 1e-4 * max(float(np.abs(rest).max()), 1e-9):
        raise MotionError("The skeleton's legs have no length; the file gives no offsets for its bones.")
    some = thinned(len(turned))
    metres = ours.leg / at_rest.leg * capture.places[some][:, sorted(set(bone.values()))]
    stands = bool(at_rest.stands())
    if stands:
        axes = _nearest_axes(at_rest)
        if up is UpAxis.AUTOMATIC:
            others = [world[2] for world in WORLDS.values() if world[2] @ axes[2] < 0.5]
            vertical = told_axis(axes[2], others, frames.trunk[some], metres, on_floor=False)
        else:
            vertical = WORLDS[up][2]
        world = axes if vertical @ axes[2] > 0.5 else _world(vertical)
    else:
        vertical = _vertical(up, frames, some, metres)
        frame = _most_upright(frames, vertical)
        rest, ends = capture.places[frame], place_ends[frame]
        turned = turned @ np.swapaxes(turned[frame], -1, -2)
        axes = _trunk_axes(ours, frames, frame, vertical)
        world = _world(vertical)
    return Standing(
        bone,
        rest @ axes.T,
        ends @ axes.T,
        world @ turned @ axes.T,
        capture.places @ world.T,
        place_ends @ world.T,
        stands,
    )


class _Posture:
    """The posture of a skeleton, in one pose or in each of F frames."""

    def __init__(self, at: _At) -> None:
        hips, shoulders = (at(1) + at(2)) / 2, (at(16) + at(17)) / 2
        self.trunk = unit(shoulders - hips)
        self.left = unit(unit(at(1) - at(2)) + unit(at(16) - at(17)))
        self.legs = [unit(at(ankle) - at(hip)) for hip, _, ankle in _LEGS]
        self.straight = [_straightness(at, limb) for limb in _LEGS]
        self.straight_arms = [_straightness(at, limb) for limb in _ARMS]
        self.twist = (unit(at(1) - at(2)) * unit(at(16) - at(17))).sum(-1)
        self.leg = float(np.mean(_length(at(4) - at(1)) + _length(at(7) - at(4))))

    def stands(self) -> NDArray[np.bool_]:
        """Whether trunk and legs are in one line, in any direction."""
        in_line = [-(self.trunk * leg).sum(-1) > _IN_LINE for leg in self.legs]
        straight = [value > _STRAIGHT for value in self.straight]
        across = np.abs((self.trunk * self.left).sum(-1)) < 1 - _IN_LINE
        standing: NDArray[np.bool_] = np.all([*in_line, *straight, across, self.twist > _NOT_TWISTED], 0)
        return standing

    def axes(self, frame: int | None = None) -> NDArray[np.float64]:
        """Return (3, 3) whose columns are the directions left, front and up of the trunk."""
        up, left = (self.trunk, self.left) if frame is None else (self.trunk[frame], self.left[frame])
        left = unit(left - (left @ up) * up)
        return np.stack([left, np.cross(up, left), up], -1)


def _vertical(up: UpAxis, frames: _Posture, some: slice, joints: Floats) -> NDArray[np.float64]:
    if up is not UpAxis.AUTOMATIC:
        up_axis: NDArray[np.float64] = WORLDS[up][2]
        return up_axis
    usual = [WORLDS[axis][2] for axis in (UpAxis.Y, UpAxis.Z, UpAxis.MINUS_Y)]
    return seen_axis(usual, frames.trunk[some], joints)


def _most_upright(frames: _Posture, vertical: Floats) -> int:
    """Find the frame that can best replace the rest pose: trunk and legs upright and straight, hips below shoulders.

    Raises MotionError if there is none.
    """
    lean = frames.trunk @ vertical
    fit = frames.stands() & (lean > _UP)
    if not fit.any():
        raise MotionError(
            "The skeleton does not stand upright in its rest pose or in any frame, so the orientation of its bones "
            "cannot be determined; export it with a T-pose as the rest pose or the first frame, or choose another "
            "up axis."
        )
    straight = np.sum([*frames.straight, *frames.straight_arms], 0)
    score = lean + frames.twist - (frames.legs[0] + frames.legs[1]) @ vertical + straight
    return int(np.where(fit, score, -np.inf).argmax())


def _trunk_axes(ours: _Posture, frames: _Posture, frame: int, vertical: Floats) -> NDArray[np.float64]:
    """Return the rotation (3, 3) from the file's axes to the armature's.

    An upright trunk becomes vertical; a trunk that leans is aligned with ours.
    """
    if frames.trunk[frame] @ vertical < _VERTICAL:
        return ours.axes() @ frames.axes(frame).T
    left = unit(frames.left[frame] - (frames.left[frame] @ vertical) * vertical)
    return np.stack([left, np.cross(vertical, left), vertical])


def _nearest_axes(rest: _Posture) -> NDArray[np.float64]:
    """Return the rotation (3, 3) from the file's axes to the armature's, from the axes nearest to trunk and hips."""
    up = _nearest_axis(rest.trunk)
    left = _nearest_axis(np.where(up != 0, 0, rest.left))
    return np.stack([left, np.cross(up, left), up])


def _nearest_axis(direction: Floats) -> NDArray[np.float64]:
    axis = np.zeros(3)
    largest = int(np.abs(direction).argmax())
    axis[largest] = np.sign(direction[largest]) or 1.0
    return axis


def _world(vertical: Floats) -> NDArray[np.float64]:
    """Return the rotation (3, 3) to Blender's world that is usual for formats with this axis up."""
    return next(world for world in WORLDS.values() if world[2] @ vertical > 0.5)


def _joint(places: Floats, ends: Floats, bone: Mapping[int, int], joint: int) -> NDArray[np.float64]:
    return places[..., bone[joint], :] if joint in bone else ends[..., bone[_ENDS[joint]], :]


def _straightness(at: _At, limb: tuple[int, int, int]) -> NDArray[np.float64]:
    upper, middle, lower = (at(joint) for joint in limb)
    straightness: NDArray[np.float64] = _length(lower - upper) / np.maximum(
        _length(middle - upper) + _length(lower - middle), 1e-12
    )
    return straightness


def _length(vectors: Floats) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=-1)
    return lengths


def unit(vectors: Floats) -> NDArray[np.float64]:
    """Scale vectors (..., 3) to length 1; zero vectors stay."""
    units: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return units
