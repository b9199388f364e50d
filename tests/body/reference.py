"""SMPL's equations written out plainly in double precision, to compare the body model with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyData


def pose_body(
    data: BodyData, betas: NDArray[Any], pose: NDArray[Any], transl: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """One body: vertices (V, 3) and joints (24, 3) for betas (10,), pose (24, 3) axis-angle, transl (3,)."""
    rotations = Rotation.from_rotvec(pose).as_matrix()
    shaped = data.v_template.astype(float) + data.shapedirs.astype(float) @ betas
    joints = data.J_regressor.toarray().astype(float) @ shaped
    if data.posedirs is not None:
        shaped = shaped + data.posedirs.astype(float) @ (rotations[1:] - np.eye(3)).ravel()
    world = np.zeros((24, 4, 4))
    for j, parent in enumerate(data.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        world[j] = world[parent] @ local if parent >= 0 else local
    posed_joints = world[:, :3, 3] + transl
    for j in range(24):
        world[j, :3, 3] -= world[j, :3, :3] @ joints[j]
    homogeneous = np.concatenate([shaped, np.ones((len(shaped), 1))], 1)
    vertices = sum(data.weights[:, j : j + 1].astype(float) * (homogeneous @ world[j].T)[:, :3] for j in range(24))
    return vertices + transl, posed_joints
