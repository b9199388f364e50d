"""People in the keys and shapes of ROMP's result files: an .npz whose one member ``results`` is a dictionary of arrays,
a row per person.

Scripts made for ROMP read it with ``numpy.load(path, allow_pickle=True)["results"][()]``.  `uvatar.files.export` writes
the file; `uvatar.mesh_predictor.result_file` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HIP_JOINTS, SHOULDER_JOINTS, Joint
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.mesh_predictor.prediction import Prediction
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, fit_weak_camera, project_weakly, translation

RESULTS = "results"
FOCAL_PER_SIDE = (
    3**0.5 / 2
)  # of ROMP's pinhole camera, 60 degrees across the padded square: what cam_trans is meant for
JOINTS = 71
ROMP_HIPS = [45, 46]  # of the 71 joints, from the "extra" regressor: ROMP's own middle of the hips
TORSO_JOINTS = [Joint.PELVIS, *HIP_JOINTS, Joint.NECK, *SHOULDER_JOINTS]

# SMPL's mesh vertices that are joints 24 to 44: nose, eyes and ears, toes and heels, finger tips.
VERTEX_JOINTS = (
    332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787,
    2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133,
)  # fmt: skip
# Rows of the Human3.6M regressor that are joints 54 to 70.
H36M_ROWS = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)


@dataclass(frozen=True)
class Regressors:
    """Further joints of SMPL's mesh.

    (9, 6890) "extra" and (17, 6890) Human3.6M, from the user's packed SMPL_NEUTRAL.pth.
    """

    extra: NDArray[np.float32]
    h36m: NDArray[np.float32]


def predicted_results(
    prediction: Prediction, body: BodyModel, regressors: Regressors | None = None
) -> dict[str, NDArray[Any]]:
    """ROMP's results of a prediction: with ROMP's weights and the neutral SMPL body, ROMP's own.

    ``cam_trans`` is the least-squares translation for ROMP's camera of 60 degrees (ROMP: EPnP with RANSAC and its
    rotation thrown away), and is not the pelvis: add it to ``verts`` or ``joints`` as they are.
    """
    posed = body(prediction.betas, prediction.pose)
    camera, square = prediction.camera, prediction.square
    joints = _joints(posed.vertices, posed.joints, body, regressors)
    vertices = posed.vertices
    if prediction.root_aligned:
        hips = joints[:, ROMP_HIPS] if np.isfinite(joints[:, ROMP_HIPS]).all() else joints[:, HIP_JOINTS]
        origin = hips.mean(1, keepdims=True)
        vertices, joints = vertices - origin, joints - origin
    shift = np.zeros((0, 3), np.float32)
    if len(prediction):
        shift = translation(joints[:, :24], camera, square, _romp_camera(square)).astype(np.float32)
    centers = (square.to_normalised(prediction.center) + 1) / 2 * INPUT_SIDE
    return {
        **_pose_keys(prediction.axis_angles(), prediction.betas),
        "cam": prediction.camera,
        "center_preds": centers.round().astype(np.int64),
        "center_confs": prediction.score[:, None],
        "cam_trans": shift,
        "verts": vertices,
        "joints": joints,
        "pj2d_org": square.to_pixels(project_weakly(joints, camera)),
    }


def fitted_results(
    people: list[tuple[BodyParameters, float]], body: BodyModel, camera: Camera
) -> dict[str, NDArray[Any]]:
    """The same keys for fitted bodies, each with its confidence.

    ``cam`` and ``cam_trans`` are those that show each body where it is.

    ``verts``, ``smpl_betas`` are those of ``body``; only with an SMPL body are they SMPL's. ``pj2d_org`` is seen by the
    photo's camera.
    """
    square = PaddedSquare.around(camera.width, camera.height)
    pose = np.array([np.concatenate([p.global_orient[None], p.body_pose]) for p, _ in people], np.float32).reshape(
        -1, 24, 3
    )
    betas = np.array([p.betas for p, _ in people], np.float32).reshape(-1, 10)
    transl = np.array([p.transl for p, _ in people], np.float32).reshape(-1, 3)
    posed = body(betas, pose)
    joints = _joints(posed.vertices, posed.joints, body, None)
    pixels = camera.project(joints + transl[:, None])
    seen = square.to_normalised(pixels[:, :24].astype(np.float32))
    cam = fit_weak_camera(posed.joints, seen, np.ones((len(people), 24), bool)).astype(np.float32)
    shift = np.zeros((0, 3), np.float32)
    if people:
        shift = translation(posed.joints, cam, square, _romp_camera(square)).astype(np.float32)
    centers = (seen[:, TORSO_JOINTS].mean(1) + 1) / 2 * INPUT_SIDE
    return {
        **_pose_keys(pose, betas),
        "cam": cam,
        "center_preds": centers.round().astype(np.int64),
        "center_confs": np.array([confidence for _, confidence in people], np.float32).reshape(-1, 1),
        "cam_trans": shift,
        "verts": posed.vertices,
        "joints": joints,
        "pj2d_org": pixels,
    }


def _romp_camera(square: PaddedSquare) -> Camera:
    side = square.side
    return Camera(FOCAL_PER_SIDE * side, (side / 2 - square.left, side / 2 - square.top), side, side)


def _pose_keys(pose: Floats, betas: Floats) -> dict[str, NDArray[Any]]:
    return {
        "global_orient": pose[:, 0],
        "body_pose": pose[:, 1:].reshape(-1, 69),
        "smpl_betas": betas,
        "smpl_thetas": pose.reshape(-1, 72),
    }


def _joints(vertices: Floats, joints: Floats, body: BodyModel, regressors: Regressors | None) -> NDArray[np.float32]:
    """(N, 71, 3) ROMP's joints; NaN where the body (not SMPL's mesh) or the user's files (no regressors) cannot say."""
    every = np.full((len(joints), JOINTS, 3), np.nan, np.float32)
    every[:, :24] = joints
    if body.data.name.startswith("smpl"):
        every[:, 24:45] = vertices[:, list(VERTEX_JOINTS)]
        if regressors is not None:
            every[:, 45:54] = np.einsum("jv,nvc->njc", regressors.extra, vertices)
            every[:, 54:] = np.einsum("jv,nvc->njc", regressors.h36m[list(H36M_ROWS)], vertices)
    return every
