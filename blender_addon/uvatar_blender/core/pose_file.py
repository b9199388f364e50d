# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files of SMPL, SMPL-H and SMPL-X poses, as from AMASS, AIST++ and video pose estimators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocol.rig import BODY_JOINTS, SMPL_PARENTS
from .array_file import ArrayFileError, load_arrays
from .arrays import Floats
from .motion import LONGEST, Motion, MotionError
from .pose_tracks import one_person
from .rest_pose import chained, swung_joints
from .rotations import Notation, matrices_of
from .skeleton import ARMATURE_FROM_BODY, JOINTS, RIG_JOINTS
from .upright import WORLDS, UpAxis, seen_axis, thinned, told_axis

_WHOLE = (24, 22, 52, 55)  # joints of a complete pose, the root first: SMPL, its body alone, SMPL-H, SMPL-X
_BODIES = tuple(count - 1 for count in _WHOLE)
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate", "framerate")
_BETAS = ("betas", "smpl_betas", "pred_betas", "pred_shape", "shape")
_LARGEST = 1e9  # larger than any angle, position or frame rate
_RATE = 30.0  # frames per second if the file does not say


@dataclass(frozen=True)
class _Family:
    """A kind of file: its keys, and the axes of its world.

    Attributes:
        pose: key of the complete pose, or keys of root and body.
        places: keys of the position, the first that is found counts.
        up: the axis that points up; None if it varies.
        marks: one of these keys must be in the file as well.
        rate: frames per second if the file does not say.
        on_floor: whether the floor is at 0.
        last_axis_frames: whether arrays are (..., F).
    """

    pose: tuple[str, ...]
    places: tuple[str, ...] = ()
    up: UpAxis | None = None
    marks: tuple[str, ...] = ()
    rate: float = _RATE
    on_floor: bool = False
    last_axis_frames: bool = False


_FAMILIES = (
    _Family(("poses",), ("trans",), UpAxis.Z, ("mocap_framerate", "mocap_frame_rate"), on_floor=True),  # AMASS
    _Family(("root_orient", "pose_body"), ("trans",), UpAxis.Z, ("mocap_framerate", "mocap_frame_rate"), on_floor=True),
    _Family(("smpl_poses",), ("smpl_trans",), UpAxis.Y, ("smpl_scaling",), 60.0),  # AIST++
    _Family(("smpl_poses",), ("smpl_trans", "trans")),  # EDGE and its like
    _Family(("pose_world",), ("trans_world",)),  # WHAM
    # From here to HMR2: estimators that write the camera's axes.
    _Family(("pred_rotmat",), ("pred_trans",), UpAxis.MINUS_Y),  # TRAM, PARE, VIBE
    _Family(("pred_pose",), ("pred_trans",), UpAxis.MINUS_Y),
    _Family(("pred_thetas",), ("transl", "pred_cam_root"), UpAxis.MINUS_Y),  # HybrIK
    _Family(("smpl_thetas",), ("cam_trans",), UpAxis.MINUS_Y),  # ROMP, BEV
    _Family(
        ("global_orient", "body_pose"),
        ("cam_trans", "pred_cam_t"),
        UpAxis.MINUS_Y,
        ("cam_trans", "pred_cam_t", "pred_cam"),
    ),  # HMR2
    _Family(("thetas",), ("root_translation",), UpAxis.Y, ("root_translation",), 20.0, last_axis_frames=True),  # MDM
    _Family(("poses",), ("trans", "transl")),
    _Family(("root_orient", "pose_body"), ("trans", "transl")),
    _Family(("global_orient", "body_pose"), ("transl", "trans")),  # smplx, GVHMR, SMPLer-X
    _Family(("fullpose",), ("transl", "trans")),  # GRAB
    _Family(("pose",), ("trans", "transl", "global_t", "root_translation")),  # WHAM's camera poses, CLIFF, 3DPW
)
# Arrays of the fingers beside those of the body, left hand first.
_FINGERS = (("pose_hand",), ("left_hand_pose", "right_hand_pose"))
_FINGER_JOINTS = 30
_FINGERS_FROM = (52, 55)  # joints of a complete pose with fingers
_WANTED = {
    *(key for keys in _FINGERS for key in keys),
    *_RATES, *_BETAS, "results", "sequence_results", "track_ids", "smpl_params_global", "smpl_params_incam",
    "pred_smpl_params",
    *(key for family in _FAMILIES for key in (*family.pose, *family.places, *family.marks)),
}  # fmt: skip
_NO_POSES = (
    "none of its arrays is called poses, root_orient and pose_body, global_orient and body_pose, smpl_poses, "
    "smpl_thetas, thetas, "
    "pose_world, pred_rotmat, fullpose or pose"
)
# Approximate joints of an adult, metres from the pelvis in SMPL's axes: enough to tell on what a body rests.
_PELVIS = np.array([0.0, -0.22, 0.03])
_TYPICAL = np.array([
    (0, 0, 0), (0.1, -0.1, 0.03), (-0.1, -0.1, 0.03), (0, 0.07, 0.01), (0.1, -0.48, 0.03), (-0.1, -0.48, 0.03),
    (0, 0.15, 0.01),
    (0.1, -0.92, 0.03), (-0.1, -0.92, 0.03), (0, 0.28, 0), (0.1, -0.97, 0.18), (-0.1, -0.97, 0.18), (0, 0.46, 0.04),
    (0.09, 0.4, 0.06),
    (-0.09, 0.4, 0.06), (0, 0.56, 0.07), (0.18, 0.39, 0.05), (-0.18, 0.39, 0.05), (0.44, 0.39, 0.05),
    (-0.44, 0.39, 0.05),
    (0.67, 0.39, 0.05), (-0.67, 0.39, 0.05), (0.77, 0.39, 0.05), (-0.77, 0.39, 0.05),
])  # fmt: skip


def load_smpl_motion(path: Path, up: UpAxis = UpAxis.AUTOMATIC) -> Motion:
    """Read a file of SMPL poses as motion; docs/motion.md lists the keys and the notations of rotations.

    Args:
        path: an .npz, .npy or .pkl file.
        up: the axis of the file's world that points up. Automatic: z in AMASS's files, y in AIST++'s and MDM's, -y in
            those of estimators that write the camera's axes; in others it is found from how people stand and rest.

    Raises:
        MotionError: the file cannot be used; the message says why.
        OSError: the file cannot be opened.
    """
    try:
        content, notes = one_person(load_arrays(path, _WANTED, LONGEST))
        return _motion(content, up, notes)
    except ArrayFileError as error:
        raise MotionError(f"{path.name} cannot be imported: {error}.") from error
    except ValueError as error:
        raise MotionError(f"{path.name} cannot be imported: {error}.") from error


def _motion(content: Mapping[str, Any], up: UpAxis, notes: tuple[str, ...]) -> Motion:
    family = next((one for one in _FAMILIES if _fits(one, content)), None)
    if family is None:
        raise ValueError(f"it holds no SMPL poses: {_NO_POSES}")
    rotations, fine = _rotations(family, content)
    frames = len(rotations)
    places = _places(family, content, frames)
    rate, told = _rate(content, family.rate)
    if not told and frames > 1:
        notes += (f"The file does not state its frame rate; {rate:g} frames per second are assumed.",)
    if up is UpAxis.AUTOMATIC:
        up = _up(family, rotations, places)
    world = WORLDS[up]
    turned = ARMATURE_FROM_BODY @ rotations @ ARMATURE_FROM_BODY.T
    turned[:, 0] = world @ rotations[:, 0] @ ARMATURE_FROM_BODY.T
    if fine is not None:
        fine = ARMATURE_FROM_BODY @ fine @ ARMATURE_FROM_BODY.T
    return Motion(turned, places @ world.T, rate, _betas(content), notes, fine)


def _fits(family: _Family, content: Mapping[str, Any]) -> bool:
    return all(key in content for key in family.pose) and (
        not family.marks or any(key in content for key in family.marks)
    )


def _rotations(family: _Family, content: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Read the rotations (F, 24, 3, 3), relative to the parents, the root's to the world, in SMPL's axes.

    If the file has fingers, SMPL's hands stay at rest, and the rotations (F, 33, 3, 3) of jaw, eyes and fingers are
    returned as well; jaw and eyes are at rest in SMPL-H's files.
    """
    fingers = None
    whole = [_numbers(content[key], key) for key in family.pose]
    if family.last_axis_frames:
        whole = [np.moveaxis(array, -1, 0) for array in whole]
    if len(whole) == 1:
        numbers, notation = _by_joint(whole[0], _WHOLE, family.pose[0])
        if notation is Notation.AXIS_ANGLE:
            _refuse_positions(numbers)
        matrices = matrices_of(_without_fingers(numbers), notation)
        if numbers.shape[1] in _FINGERS_FROM:
            fingers = matrices_of(numbers[:, BODY_JOINTS:], notation, BODY_JOINTS)
    else:
        body, notation = _by_joint(whole[1], _BODIES, family.pose[1])
        if whole[0].size % len(body) or whole[0].size // len(body) not in {one.value for one in Notation}:
            raise ValueError(
                f"its {family.pose[0]} of shape {whole[0].shape} does not match its {family.pose[1]} of {len(body)} "
                "frames"
            )
        root = whole[0].reshape(len(body), 1, -1)
        body = _without_fingers(body, 1)
        if root.shape[2] == notation.value:
            matrices = matrices_of(np.concatenate([root, body], 1), notation)
        else:
            matrices = np.concatenate([matrices_of(root, Notation(root.shape[2])), matrices_of(body, notation, 1)], 1)
    rotations = np.tile(np.eye(3), (len(matrices), JOINTS, 1, 1))
    rotations[:, : matrices.shape[1]] = matrices
    if fingers is None:
        fingers = _own_fingers(content, len(rotations))
    if fingers is None:
        return rotations, None
    fine = np.tile(np.eye(3), (len(rotations), RIG_JOINTS - BODY_JOINTS, 1, 1))
    fine[:, -fingers.shape[1] :] = fingers  # SMPL-H's fingers are the last 30 of SMPL-X's joints
    return rotations, fine


def _own_fingers(content: Mapping[str, Any], frames: int) -> NDArray[np.float64] | None:
    """Read the rotations (F, 30, 3, 3) of fingers in arrays of their own; None if there are none.

    Arrays of another size are left out: coefficients of SMPL-X's own space of hand poses, which is not ours to have.
    """
    for keys in _FINGERS:
        parts = [np.asarray(content[key]) for key in keys if key in content]
        size = frames * _FINGER_JOINTS * 3 // len(keys)
        if len(parts) == len(keys) and all(part.dtype.kind == "f" and part.size == size for part in parts):
            vectors = np.concatenate([part.reshape(frames, -1, 3) for part in parts], 1).astype(np.float64)
            return matrices_of(vectors, Notation.AXIS_ANGLE, BODY_JOINTS)
    return None


def _numbers(value: Any, key: str) -> NDArray[np.float64]:
    array = np.asarray(value) if not isinstance(value, dict) else np.zeros(0, "U1")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"its {key} holds no numbers")
    if not array.size:
        raise ValueError("it holds 0 frames")
    if not (np.abs(array) < _LARGEST).all():
        raise ValueError(f"not all of its {key} are finite numbers")
    return array.astype(np.float64)


def _by_joint(array: Floats, counts: tuple[int, ...], key: str) -> tuple[NDArray[np.float64], Notation]:
    """Reshape to (F, J, k) and find the notation of the k numbers: each number of joints has its own row widths."""
    widths = {count * one.value: (count, one) for count in counts for one in Notation}
    shapes = [array.shape]
    if array.ndim == 1 or (
        array.ndim in (2, 3) and array.shape[0] in counts and array[0].size in {one.value for one in Notation}
    ):
        shapes.insert(0, (1, *array.shape))  # a single pose
    if array.ndim > 2 and array.shape[0] == 1:
        shapes.append(array.shape[1:])  # a batch of one clip
    for shape in shapes:
        width = int(np.prod(shape[1:]))
        if width in widths and len(shape) > 1:
            count, notation = widths[width]
            if not 1 <= shape[0] <= LONGEST:
                raise ValueError(f"it has {shape[0]} frames; only 1 to {LONGEST} can be imported")
            return array.reshape(shape[0], count, notation.value), notation
    width = int(np.prod(array.shape[1:]))
    usual = ", ".join(str(3 * count) for count in sorted(counts))
    raise ValueError(
        f"its {key} of shape {array.shape} are {width} numbers a frame; axis-angle has {usual} "
        "(SMPL's body, SMPL, SMPL-H, SMPL-X), quaternions 4, rotations of six numbers 6 and matrices 9 for each of "
        "these joints"
    )


def _without_fingers(numbers: Floats, first: int = 0) -> Floats:
    joints = JOINTS if first + numbers.shape[1] == JOINTS else BODY_JOINTS
    return numbers[:, : joints - first]


def _refuse_positions(numbers: Floats) -> None:
    """Refuse joint positions, which also have three numbers per joint.

    Unlike rotations they have the same distances in every frame and on both sides of the body.
    """
    if numbers.shape[1] not in (22, 24):
        return
    some = numbers[thinned(len(numbers))]
    pairs = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (17, 19), (18, 20), (19, 21))
    lengths = np.stack([np.linalg.norm(some[:, end] - some[:, start], axis=-1) for start, end in pairs], 1)
    left, right = lengths[:, [0, 1, 4, 6]], lengths[:, [2, 3, 5, 7]]
    steady = lengths.std(0) < 0.02 * lengths.mean(0)
    if lengths.min() > 0.03 and steady.all() and (np.abs(left - right) < 0.05 * right).all():
        raise ValueError("it holds joint positions instead of rotations; export rotations, or a BVH file")


def _places(family: _Family, content: Mapping[str, Any], frames: int) -> NDArray[np.float64]:
    key = next((key for key in family.places if key in content), None)
    if key is None:
        return np.zeros((frames, 3))
    places = _numbers(content[key], key)
    if family.last_axis_frames:
        places = np.moveaxis(places, -1, 0)
    if places.size != 3 * frames:
        raise ValueError(
            f"it is damaged: its poses of {frames} frames and its {key} of shape {places.shape} do not match"
        )
    places = places.reshape(frames, 3)
    if "smpl_scaling" in content and "smpl_scaling" in family.marks:
        scale = float(_numbers(content["smpl_scaling"], "smpl_scaling").ravel()[0])
        if not 1e-3 < scale < 1e4:
            raise ValueError(f"it is damaged: a scale of {scale:g}")
        places = places / scale
    if not (np.abs(places) < 1e5).all():  # a hundred kilometres; NaN fails as well
        raise ValueError("it is damaged: not all of its positions are plausible distances in metres")
    return places


def _rate(content: Mapping[str, Any], otherwise: float) -> tuple[float, bool]:
    key = next((key for key in _RATES if key in content), None)
    if key is None:
        return otherwise, False
    rate = float(_numbers(content[key], key).ravel()[0])
    if not 1 <= rate <= 1000:
        raise ValueError(f"it is damaged: {rate:g} frames per second")
    return rate, True


def _betas(content: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the betas (K,) of the first frame; None if they are missing or implausible."""
    key = next((key for key in _BETAS if key in content), None)
    if key is None:
        return None
    betas = np.asarray(content[key])
    if betas.dtype.kind not in "fiu" or not betas.size or not (np.abs(betas) < 100).all():
        return None
    first: NDArray[np.float64] | None = betas.reshape(-1, betas.shape[-1] if betas.ndim else 1)[0].astype(np.float64)[
        :10
    ]
    return first


def _up(family: _Family, rotations: Floats, places: Floats) -> UpAxis:
    some = thinned(len(rotations))
    whole = chained(rotations[some], SMPL_PARENTS)
    joints = swung_joints(_TYPICAL, whole, SMPL_PARENTS) + (places[some] + _PELVIS)[:, None]
    trunks = joints[:, 12] - joints[:, 0]
    trunks /= np.linalg.norm(trunks, axis=-1, keepdims=True)
    ups = {up: world[2] for up, world in WORLDS.items()}
    if family.up is None:
        chosen = seen_axis([ups[UpAxis.Y], ups[UpAxis.Z], ups[UpAxis.MINUS_Y]], trunks, joints)
    elif family.on_floor:
        chosen = told_axis(
            ups[family.up], [axis for up, axis in ups.items() if up is not family.up], trunks, joints, True
        )
    else:
        return family.up
    return next(up for up, axis in ups.items() if axis is chosen)
