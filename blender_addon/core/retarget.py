# SPDX-License-Identifier: GPL-3.0-or-later
"""A foreign skeleton's motion on SMPL's: by where limbs point, not by how bones are rolled. Only numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bvh import Capture
from .motion import Motion, MotionError
from .naming import match_joints
from .rest_pose import unchained
from .skeleton import JOINTS

_HIPS, _KNEES, _ANKLES, _WRISTS, _HANDS = (1, 2), (4, 5), (7, 8), (20, 21), (22, 23)
# Joints whose bone points the way that the capture's does, and the joint at which that bone ends.
_LIMBS = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21}
_NEEDED = (0, *_HIPS, *_KNEES, 16, 17, 18, 19)


def retarget(capture: Capture, joints: NDArray, parents: Sequence[int]) -> Motion:
    """The capture's motion on a skeleton with these rest joints.

    Trunk, head and feet turn as the capture's do against its rest pose, which stands upright with flat feet like ours. Limbs
    point exactly as the capture's joints lie, however its rest pose holds them, and twist as it twists them. Lengths are
    scaled by the legs.

    Args:
        joints: (24, 3) rest joints in the T pose, armature's axes; parents: (24,).

    Raises MotionError where the skeleton is not recognised.
    """
    names = capture.names
    bones = match_joints(names, {name: names[parent] if parent >= 0 else None for name, parent in zip(names, capture.parents, strict=True)})
    found = {joint: names.index(bone) for joint, bone in bones.items()}
    missing = [joint for joint in _NEEDED if joint not in found]
    if missing:
        raise MotionError(f"The skeleton is not recognised: no hips, knees, shoulders and elbows among {', '.join(names[:8])}…")
    for end, before in ((7, 4), (8, 5), (20, 18), (21, 19)):  # a chain may end without a foot or a hand
        found.setdefault(end, -1 - found[before])
    world = _upright(capture.rest, found)

    def place(joint: int, of: NDArray, ends: NDArray) -> NDArray:
        bone = found[joint]
        return of[..., bone, :] if bone >= 0 else ends[..., -1 - bone, :]

    rest, rest_ends = capture.rest @ world.T, capture.ends @ world.T
    turned = world @ capture.turned @ world.T
    places = capture.places @ world.T
    reach = np.einsum("fnab,nb->fna", turned, rest_ends - rest)
    place_ends = places + reach

    whole = np.empty((len(places), JOINTS, 3, 3))
    for joint, parent in enumerate(parents):
        bone = found.get(joint, -1)
        if bone < 0:
            whole[:, joint] = whole[:, parent]
            continue
        aligned = np.eye(3)
        if joint in _LIMBS:
            own = joints[_LIMBS[joint]] - joints[joint]
            theirs = place(_LIMBS[joint], rest, rest_ends) - place(joint, rest, rest_ends)
            aligned = _swing(own, theirs)
        elif joint in _WRISTS:
            hand = _HANDS[_WRISTS.index(joint)]
            end = rest[found[hand]] if found.get(hand, -1) >= 0 else rest_ends[bone]
            if np.linalg.norm(end - rest[bone]) > 1e-6:
                aligned = _swing(joints[hand] - joints[joint], end - rest[bone])
            else:
                aligned = _swing(joints[joint] - joints[joint - 2], rest[bone] - rest[found[joint - 2]])
        elif joint in _HANDS:
            whole[:, joint] = whole[:, parent]  # fingers are not SMPL's to move
            continue
        whole[:, joint] = turned[:, bone] @ aligned
        if joint in _LIMBS:  # what lies between the two joints may bend, too: twist bones, two-part limbs
            now = np.einsum("fab,b->fa", whole[:, joint], joints[_LIMBS[joint]] - joints[joint])
            aim = place(_LIMBS[joint], places, place_ends) - place(joint, places, place_ends)
            whole[:, joint] = _swing(now, aim) @ whole[:, joint]
    scale = _leg(joints, dict(enumerate(range(JOINTS)))) / max(_leg_of(rest, rest_ends, found), 1e-9)
    middle = 0.5 * (places[:, found[1]] + places[:, found[2]])
    own_middle = joints[list(_HIPS)].mean(0) - joints[0]
    pelvis = scale * middle - np.einsum("fab,b->fa", whole[:, 0], own_middle) - joints[0]
    return Motion(unchained(whole, parents), pelvis, capture.rate)


def _upright(rest: NDArray, found: dict[int, int]) -> NDArray[np.float64]:
    """(3, 3) the file's axes -> the armature's: from which of them the rest skeleton's spine and hips lie along."""
    top = next(found[joint] for joint in (15, 12, 16) if joint in found)
    up = _nearest_axis(rest[top] - rest[[found[hip] for hip in _HIPS]].mean(0))
    left = rest[found[1]] - rest[found[2]]
    left = _nearest_axis(np.where(up != 0, 0, left))
    return np.stack([left, np.cross(up, left), up])


def _nearest_axis(direction: NDArray) -> NDArray[np.float64]:
    axis = np.zeros(3)
    largest = int(np.abs(direction).argmax())
    axis[largest] = np.sign(direction[largest]) or 1.0
    return axis


def _leg(joints: NDArray, found: dict[int, int]) -> float:
    return float(np.linalg.norm(joints[found[4]] - joints[found[1]]) + np.linalg.norm(joints[found[7]] - joints[found[4]]))


def _leg_of(rest: NDArray, ends: NDArray, found: dict[int, int]) -> float:
    ankle = rest[found[7]] if found[7] >= 0 else ends[-1 - found[7]]
    return float(np.linalg.norm(rest[found[4]] - rest[found[1]]) + np.linalg.norm(ankle - rest[found[4]]))


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
