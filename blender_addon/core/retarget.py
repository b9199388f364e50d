# SPDX-License-Identifier: GPL-3.0-or-later
"""A foreign skeleton's motion on SMPL's: by where limbs point, not by how bones are rolled. Only numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bvh import Capture
from .motion import Motion, MotionError
from .naming import match_joints
from .rest_pose import unchained
from .skeleton import JOINTS

# Joints whose bone points the way that the capture's does, and the joint at which that bone ends.
_LIMBS = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21}
_HANDS = {20: 22, 21: 23}  # wrists and knuckles
_ENDS = {7: 4, 8: 5, 20: 18, 21: 19}  # joints that may be the end of a bone without being a bone themselves
_NEEDED = (0, *_LIMBS)


@dataclass(frozen=True)
class _Theirs:
    """A capture in the armature's axes, by SMPL's joints; N bones, F frames.

    Attributes:
        bone: SMPL joint -> bone, for those that were recognised.
        rest, rest_ends: (N, 3) beginnings and ends of the bones at rest.
        turned: (F, N, 3, 3) rotations against the world; places, place_ends: (F, N, 3).
    """

    bone: dict[int, int]
    rest: NDArray[np.float64]
    rest_ends: NDArray[np.float64]
    turned: NDArray[np.float64]
    places: NDArray[np.float64]
    place_ends: NDArray[np.float64]

    def at_rest(self, joint: int) -> NDArray[np.float64]:
        """(3,) where a joint is at rest."""
        return self.rest[self.bone[joint]] if joint in self.bone else self.rest_ends[self.bone[_ENDS[joint]]]

    def now(self, joint: int) -> NDArray[np.float64]:
        """(F, 3) where a joint is in each frame."""
        return self.places[:, self.bone[joint]] if joint in self.bone else self.place_ends[:, self.bone[_ENDS[joint]]]


def retarget(capture: Capture, joints: NDArray, parents: Sequence[int]) -> Motion:
    """The capture's motion on a skeleton with these rest joints.

    Trunk, head and feet turn as the capture's do against its rest pose, which stands upright with flat feet like ours. Limbs
    point exactly as the capture's joints lie, however its rest pose holds them, and twist as it twists them. Lengths are
    scaled by the legs.

    Args:
        joints: (24, 3) rest joints in the T pose, armature's axes; parents: (24,).

    Raises MotionError where the skeleton is not recognised.
    """
    theirs = _recognised(capture)
    whole = np.empty((len(theirs.places), JOINTS, 3, 3))
    for joint, parent in enumerate(parents):
        if joint not in theirs.bone or joint in _HANDS.values():  # fingers are not SMPL's to move
            whole[:, joint] = whole[:, parent]
            continue
        whole[:, joint] = theirs.turned[:, theirs.bone[joint]] @ _alignment(joint, joints, theirs)
        if joint in _LIMBS:  # what lies between the two joints may bend, too: twist bones, two-part limbs
            end = _LIMBS[joint]
            points = np.einsum("fab,b->fa", whole[:, joint], joints[end] - joints[joint])
            whole[:, joint] = _swing(points, theirs.now(end) - theirs.now(joint)) @ whole[:, joint]
    scale = _leg(*joints[[1, 4, 7]]) / max(_leg(*(theirs.at_rest(joint) for joint in (1, 4, 7))), 1e-9)
    hips = joints[[1, 2]].mean(0) - joints[0]
    pelvis = scale * (theirs.now(1) + theirs.now(2)) / 2 - np.einsum("fab,b->fa", whole[:, 0], hips) - joints[0]
    return Motion(unchained(whole, parents), pelvis, capture.rate)


def _recognised(capture: Capture) -> _Theirs:
    names = capture.names
    bones = match_joints(names, {name: names[parent] if parent >= 0 else None for name, parent in zip(names, capture.parents, strict=True)})
    found = {joint: names.index(bone) for joint, bone in bones.items()}
    if not all(joint in found for joint in _NEEDED):
        raise MotionError(f"The skeleton is not recognised: no hips, knees, shoulders and elbows among {', '.join(names[:8])}…")
    world = _upright(capture.rest, found)
    rest, rest_ends, turned = capture.rest @ world.T, capture.ends @ world.T, world @ capture.turned @ world.T
    places = capture.places @ world.T
    return _Theirs(found, rest, rest_ends, turned, places, places + np.einsum("fnab,nb->fna", turned, rest_ends - rest))


def _alignment(joint: int, joints: NDArray, theirs: _Theirs) -> NDArray[np.float64]:
    """(3, 3) what turns our bone at rest to where theirs points at rest."""
    if joint in _LIMBS:
        return _swing(joints[_LIMBS[joint]] - joints[joint], theirs.at_rest(_LIMBS[joint]) - theirs.at_rest(joint))
    if joint in _HANDS:
        bone, hand = theirs.bone[joint], theirs.bone.get(_HANDS[joint])
        points = (theirs.rest_ends[bone] if hand is None else theirs.rest[hand]) - theirs.rest[bone]
        if np.linalg.norm(points) > 1e-6:
            return _swing(joints[_HANDS[joint]] - joints[joint], points)
        return _alignment(_ENDS[joint], joints, theirs)  # a hand without length rests as its forearm does
    return np.eye(3)


def _upright(rest: NDArray, found: dict[int, int]) -> NDArray[np.float64]:
    """(3, 3) the file's axes -> the armature's: from which of them the rest skeleton's spine and hips lie along."""
    top = next(found[joint] for joint in (15, 12, 16) if joint in found)
    up = _nearest_axis(rest[top] - rest[[found[1], found[2]]].mean(0))
    left = rest[found[1]] - rest[found[2]]
    left = _nearest_axis(np.where(up != 0, 0, left))
    return np.stack([left, np.cross(up, left), up])


def _nearest_axis(direction: NDArray) -> NDArray[np.float64]:
    axis = np.zeros(3)
    largest = int(np.abs(direction).argmax())
    axis[largest] = np.sign(direction[largest]) or 1.0
    return axis


def _leg(hip: NDArray, knee: NDArray, ankle: NDArray) -> float:
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))


def _swing(start: NDArray, end: NDArray) -> NDArray[np.float64]:
    """(..., 3, 3) the smallest rotations that turn directions (..., 3) into others."""
    start = start / np.maximum(np.linalg.norm(start, axis=-1, keepdims=True), 1e-12)
    end = end / np.maximum(np.linalg.norm(end, axis=-1, keepdims=True), 1e-12)
    cross, cosine = np.cross(start, end), (start * end).sum(-1)[..., None, None]
    x, y, z = np.moveaxis(cross, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    # Opposite directions have no smallest rotation: half a turn about any axis across will do.
    across = np.cross(start, np.where(np.abs(start[..., :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0]))
    across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    half_turn = 2 * across[..., :, None] * across[..., None, :] - np.eye(3)
    return np.where(cosine > -1 + 1e-9, np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-12), half_turn)
