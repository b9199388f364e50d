"""Fingers, jaw and eyes of a body: SMPL-X's 55 joints, of which SMPL's 24 are a view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import JOINT_NAMES
from uvatar.protocol.rig import (
    BODY_JOINTS,
    FINE_POSES,
    FINGERS,
    RIG_NAMES,
    RIG_PARENTS,
    SMPL_JOINT_OF,
    SMPLH_JOINTS,
    posed_hands,
    whole_pose,
)  # fmt: skip

JOINTS = len(RIG_NAMES)
INFLUENCES = 4  # joints that move a vertex at most
_REGRESSOR_KEYS = ("rig_regressor_data", "rig_regressor_indices", "rig_regressor_indptr")


@dataclass(frozen=True)
class Rig:
    """The 55 joints of a body with V vertices. The first 22 are the body's own.

    Attributes:
        weights: (V, 55) skinning weights, at most four in a row; summed by `smpl_weights`, they are the body's 24.
        J_regressor: (55, V) csr, rows sum to 1.
        joint_template, joint_shapedirs: (55, 3), (55, 3, 10): joints = joint_template + joint_shapedirs @ betas.
        finger_axes: (5, 2, 3) flexion and abduction axis of each finger of the left hand at rest, unit length, in the
            order of `FINGERS`; see `uvatar.protocol.rig.hand_pose`.
        fingertips: (10,) the vertices at the fingers' ends, left hand first.
    """

    weights: NDArray[np.float32]
    J_regressor: sparse.csr_matrix
    joint_template: NDArray[np.float32]
    joint_shapedirs: NDArray[np.float32]
    finger_axes: NDArray[np.float32]
    fingertips: NDArray[np.int32]

    joint_names = RIG_NAMES
    parents = RIG_PARENTS

    def smpl_weights(self) -> NDArray[np.float32]:
        """(V, 24) the weights of SMPL's joints: fingers with the hands, jaw and eyes with the head.

        Whatever is not finger belongs to the wrist; the 24 joints of a body file may divide wrist and hand otherwise,
        which shows in no pose, because the hands do not turn against the wrists.
        """
        merged = np.zeros((len(self.weights), len(JOINT_NAMES)), np.float32)
        np.add.at(merged.T, SMPL_JOINT_OF, self.weights.T)
        return merged

    def smplh_weights(self) -> NDArray[np.float32]:
        """(V, 52) the weights of SMPL-H's joints: jaw and eyes with the head."""
        merged = self.weights.copy()
        merged[:, SMPL_JOINT_OF[BODY_JOINTS]] += self.weights[:, BODY_JOINTS : SMPLH_JOINTS[BODY_JOINTS]].sum(1)
        return merged[:, SMPLH_JOINTS]


def stored_rig(rig: Rig, body_weights: Floats) -> dict[str, NDArray[Any]]:
    """A rig as arrays for the body's file. Rows of weights that are the body's own are left out.

    Args:
        rig: the rig.
        body_weights: (V, 24) as they are read from the file.
    """
    own = np.zeros_like(rig.weights)
    own[:, :BODY_JOINTS] = body_weights[:, :BODY_JOINTS]
    vertices = np.flatnonzero((rig.weights != own).any(1))
    joints = np.argsort(-rig.weights[vertices], axis=1, kind="stable")[:, :INFLUENCES]
    new = rig.J_regressor[BODY_JOINTS:].tocsr()
    parts = (new.data.astype(np.float32), new.indices, new.indptr)
    return {
        "rig_vertices": vertices.astype(np.int32),
        "rig_joints": joints.astype(np.uint8),
        "rig_weights": np.take_along_axis(rig.weights[vertices], joints, 1),
        "finger_axes": rig.finger_axes,
        "fingertips": rig.fingertips,
        **dict(zip(_REGRESSOR_KEYS, parts, strict=True)),
    }


def rig_of(
    stored: dict[str, NDArray[Any]], weights: NDArray[np.float32], body_joints: sparse.csr_matrix
) -> tuple[NDArray[np.float32], sparse.csr_matrix]:
    """Skinning weights (V, 55) and joint regressor (55, V) from what `stored_rig` made.

    Args:
        stored: the file's arrays.
        weights: (V, 24) of the body.
        body_joints: (24, V) its joint regressor.
    """
    count = len(weights)
    own = np.zeros((count, JOINTS), np.float32)
    own[:, :BODY_JOINTS] = weights[:, :BODY_JOINTS]
    vertices = stored["rig_vertices"]
    own[vertices] = 0
    np.put_along_axis(rows := own[vertices], stored["rig_joints"].astype(np.int64), stored["rig_weights"], 1)
    own[vertices] = rows
    new = sparse.csr_matrix(tuple(stored[key] for key in _REGRESSOR_KEYS), shape=(JOINTS - BODY_JOINTS, count))
    return own, sparse.vstack([body_joints[:BODY_JOINTS], new]).tocsr()


def broken(rig: Rig, count: int, betas: int) -> str | None:
    """What is wrong with a rig for a body of ``count`` vertices, or None."""
    shapes: dict[str, tuple[int, ...]] = {
        "weights": (count, JOINTS),
        "J_regressor": (JOINTS, count),
        "joint_template": (JOINTS, 3),
        "joint_shapedirs": (JOINTS, 3, betas),
        "finger_axes": (len(FINGERS), 2, 3),
        "fingertips": (2 * len(FINGERS),),
    }
    for key, shape in shapes.items():
        if getattr(rig, key).shape != shape:
            return f"its rig's {key} has shape {getattr(rig, key).shape}, expected {shape}"
    for key in ("weights", "J_regressor"):
        if not np.abs(np.asarray(getattr(rig, key).sum(1)) - 1).max() < 1e-3:
            return f"the rows of its rig's {key} do not sum to 1"
    return None


def pose_of(parameters: BodyParameters, body_pose: Floats) -> NDArray[np.float64] | None:
    """The pose of all 55 joints (1, 55, 3), axis-angle; None if nothing but the 24 joints is posed.

    Args:
        parameters: of one person.
        body_pose: (1, 24, 3) of SMPL's joints.
    """
    parts = {key: getattr(parameters, key) for key in FINE_POSES}
    if all(part is None for part in parts.values()):
        return None
    return whole_pose(body_pose[0].astype(np.float64), parts)[None]


def with_relaxed_hands(parameters: BodyParameters, rig: Rig | None) -> BodyParameters:
    """A person whose fingers are relaxed where nothing is known of them; unchanged on a body without fingers."""
    if rig is None or parameters.hand_pose is not None:
        return parameters
    return replace(parameters, hand_pose=posed_hands("relaxed", rig.finger_axes).astype(np.float32))
