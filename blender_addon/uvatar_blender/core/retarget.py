# SPDX-License-Identifier: GPL-3.0-or-later
"""Retargeting the motion of another skeleton to SMPL's, by the directions of limbs and not by the roll of bones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocol.bone_names import SMPL_NAMES
from .arrays import Floats
from .bvh import Capture
from .motion import Motion, MotionError
from .naming import looked_for, match_joints
from .rest_pose import unchained
from .retarget_fingers import fine_rotations, match_fingers
from .rotations import swing
from .skeleton import JOINTS
from .standing import Standing, standing, unit
from .upright import UpAxis

# Joints whose bone must point in the direction of the capture's bone -> the joint at which that bone ends.
_LIMBS = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21}
_HANDS = {20: 22, 21: 23}  # wrists and knuckles
_FEET = {7: 10, 8: 11}  # ankles and the roots of the toes
_BEFORE = {4: 1, 5: 2, 7: 4, 8: 5, 10: 7, 11: 8, 18: 16, 19: 17, 20: 18, 21: 19}  # the part of the limb before
_NEEDED = (0, *_LIMBS)
_LOW = 0.03  # metres above the ankle of a foot on the ground; a heel that is lifted in walking is higher


def retarget(
    capture: Capture,
    joints: Floats,
    parents: Sequence[int],
    up: UpAxis = UpAxis.AUTOMATIC,
    fingers: Floats | None = None,
) -> Motion:
    """Retarget a capture to a skeleton with these rest joints.

    Trunk and head rotate as in the capture, relative to its rest pose if that stands upright, otherwise relative to the
    frame in which the skeleton is most upright. Limbs point exactly as in the capture, whatever its rest pose, and
    twist as they do there. Lengths are scaled by the length of the legs.

    Args:
        capture: the captured motion.
        joints: (24, 3) SMPL's joints in the T pose, armature's axes, metres.
        parents: (24,) parent of each joint, -1 for the root.
        up: the axis of the file's world that points up. Automatic: the one along which its rest pose stands, otherwise
            the one along which people stand in its frames.
        fingers: (55, 3) all joints of a skeleton with fingers in the T pose, so that fingers of the capture move them.

    Raises:
        MotionError: the skeleton is not recognised, or stands upright neither at rest nor in any frame.
    """
    theirs = standing(capture, _recognised(capture), joints, up)
    scale = _leg(*joints[[1, 4, 7]]) / _leg(*(theirs.then(joint) for joint in (1, 4, 7)))
    whole = np.empty((len(theirs.places), JOINTS, 3, 3))
    aligned: dict[int, NDArray[np.float64]] = {}
    for joint, parent in enumerate(parents):
        aligned[joint] = _alignment(joint, joints, theirs, aligned, _LOW / scale)
        if joint not in theirs.bone or joint in _HANDS.values():  # SMPL has no fingers
            whole[:, joint] = whole[:, parent]
            continue
        whole[:, joint] = theirs.turned[:, theirs.bone[joint]] @ aligned[joint]
        if joint in _LIMBS:  # there may be bones between the two joints that bend as well, such as twist bones
            end = _LIMBS[joint]
            points = np.einsum("fab,b->fa", whole[:, joint], joints[end] - joints[joint])
            whole[:, joint] = swing(points, theirs.now(end) - theirs.now(joint)) @ whole[:, joint]
    hips = joints[[1, 2]].mean(0) - joints[0]
    pelvis = scale * (theirs.now(1) + theirs.now(2)) / 2 - np.einsum("fab,b->fa", whole[:, 0], hips) - joints[0]
    bones = match_fingers(capture.names) if fingers is not None else {}
    fine = None
    if bones and fingers is not None:
        fine = fine_rotations(bones, theirs.rest, theirs.turned, fingers, whole, aligned)
    return Motion(unchained(whole, parents), pelvis, capture.rate, notes=capture.notes, fine=fine)


def _recognised(capture: Capture) -> dict[int, int]:
    names = capture.names
    bones = match_joints(
        names,
        {name: names[parent] if parent >= 0 else None for name, parent in zip(names, capture.parents, strict=True)},
    )
    found = {joint: names.index(bone) for joint, bone in bones.items()}
    missing = [joint for joint in _NEEDED if joint not in found]
    if missing:
        some = ", ".join(name[:40] for name in names[:8]) + ("…" if len(names) > 8 else "")
        wanted = "; ".join(f"{SMPL_NAMES[joint]} (such as {looked_for(joint)})" for joint in missing[:4])
        raise MotionError(
            f"The skeleton is not recognised: none of its bones ({some}) has a known name for {wanted}"
            f"{'; and others' if len(missing) > 4 else ''}. Rename the bones; a prefix shared by all does no harm."
        )
    return found


def _alignment(
    joint: int, joints: Floats, theirs: Standing, aligned: Mapping[int, NDArray[Any]], low: float
) -> NDArray[np.float64]:
    """Return the rotation (3, 3) from our rest bone to the direction of theirs in the standing pose.

    Along a limb, each part starts from the alignment of the part before.
    """
    before = aligned[_BEFORE[joint]] if joint in _BEFORE else np.eye(3)
    if joint in _LIMBS:
        points = theirs.then(_LIMBS[joint]) - theirs.then(joint)
        return swing(before @ (joints[_LIMBS[joint]] - joints[joint]), points) @ before
    if joint in _HANDS and joint in theirs.bone:
        bone, hand = theirs.bone[joint], theirs.bone.get(_HANDS[joint])
        points = (theirs.rest_ends[bone] if hand is None else theirs.rest[hand]) - theirs.rest[bone]
        if np.linalg.norm(points) > 1e-6:
            return swing(before @ (joints[_HANDS[joint]] - joints[joint]), points) @ before
        return before  # a hand without length rests as its forearm does
    if theirs.at_rest:
        return np.eye(3)
    if joint in _FEET and joint in theirs.bone:
        return _foot_alignment(joint, joints, theirs, before, low)
    return before


def _foot_alignment(joint: int, joints: Floats, theirs: Standing, shank: Floats, low: float) -> NDArray[np.float64]:
    """Align a foot that may not be flat in the standing pose; it is taken to be flat when it is lowest.

    Args:
        joint: the ankle.
        joints: (24, 3) our rest joints.
        theirs: the capture.
        shank: (3, 3) alignment of the shank.
        low: height above the lowest position of the ankle up to which the foot is on the ground, in the capture's unit.
    """
    toe = _FEET[joint]
    points = theirs.then(toe) - theirs.then(joint)
    if np.linalg.norm(points) < 1e-6:
        return shank
    ankle = theirs.now(joint)
    down = ankle[:, 2] <= np.percentile(ankle[:, 2], 10) + low
    slope = float(np.median(unit(theirs.now(toe) - ankle)[down, 2]))
    ours = unit(joints[toe] - joints[joint])
    pitch = np.arcsin(np.clip(ours[2], -1, 1)) - np.arcsin(np.clip(slope, -1, 1))
    own = _foot_axes(ours, joints[joint] - joints[_BEFORE[joint]])
    there = _foot_axes(points, theirs.then(joint) - theirs.then(_BEFORE[joint]))
    cosine, sine = np.cos(pitch), np.sin(pitch)
    lifted = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    alignment: NDArray[np.float64] = there @ lifted @ own.T
    return alignment


def _foot_axes(along: Floats, shank: Floats) -> NDArray[np.float64]:
    """Return (3, 3) whose columns are the direction of the foot, the normal of its sole, and the direction across."""
    along = unit(along)
    sole = unit(shank - (shank @ along) * along)
    return np.stack([along, sole, np.cross(along, sole)], -1)


def _leg(hip: Floats, knee: Floats, ankle: Floats) -> float:
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
