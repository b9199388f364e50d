"""ROMP's result files: an .npz whose one member ``results`` is a dictionary of arrays, a row per person.

Scripts made for ROMP read it with ``numpy.load(path, allow_pickle=True)["results"][()]``.  Written here with the same keys
and shapes; read here without unpickling anything (a pickle can run programs), so that files of strangers are safe.  `backend.export` writes
the file.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.body import BodyModel
from backend.body.safe_pickle import PickleRefused, as_array, load_pickle, unwrap
from backend.camera import Camera
from backend.fitting.fit import BodyParameters
from backend.mesh_predictor.network import INPUT_SIDE
from backend.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction
from backend.mesh_predictor.weak_perspective import PaddedSquare, fit_weak_camera, project_weakly, translation

RESULTS = "results"
FOCAL_PER_SIDE = 3**0.5 / 2  # of ROMP's pinhole camera, 60 degrees across the padded square: what cam_trans is meant for
JOINTS = 71
MOST_BYTES = 500_000_000
TORSO_JOINTS = (0, 1, 2, 12, 16, 17)

# SMPL's mesh vertices that are joints 24 to 44: nose, eyes and ears, toes and heels, finger tips.
VERTEX_JOINTS = (
    332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787,
    2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133,
)  # fmt: skip
# Rows of the Human3.6M regressor that are joints 54 to 70.
H36M_ROWS = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)


class RompFileError(ValueError):
    """The file is not a usable result of ROMP's kind; the message says why and what to do."""


@dataclass(frozen=True)
class Regressors:
    """Further joints of SMPL's mesh: (9, 6890) "extra" and (17, 6890) Human3.6M, from the user's packed SMPL_NEUTRAL.pth."""

    extra: NDArray[np.float32]
    h36m: NDArray[np.float32]


# -- writing ----------------------------------------------------------------------------------------------------------


def predicted_results(prediction: Prediction, body: BodyModel, regressors: Regressors | None = None) -> dict[str, NDArray]:
    """ROMP's results of a prediction: with ROMP's weights and the neutral SMPL body, ROMP's own.

    ``cam_trans`` is the least-squares translation for ROMP's camera of 60 degrees (ROMP: EPnP with RANSAC and its rotation thrown
    away), and is not the pelvis: add it to ``verts`` or ``joints`` as they are.
    """
    betas = torch.from_numpy(prediction.betas)
    with torch.no_grad():
        posed = body(betas, torch.from_numpy(prediction.pose))
    camera = torch.from_numpy(prediction.camera)
    square = prediction.square
    joints = _joints(posed.vertices.numpy(), posed.joints.numpy(), body, regressors)
    shift = translation(posed.joints, camera, square, _romp_camera(square)) if len(prediction) else torch.zeros(0, 3)
    centers = (square.to_normalised(torch.from_numpy(prediction.center)) + 1) / 2 * INPUT_SIDE
    return {
        **_pose_keys(prediction.axis_angles(), prediction.betas),
        "cam": prediction.camera,
        "center_preds": centers.round().long().numpy(),
        "center_confs": prediction.score[:, None],
        "cam_trans": shift.numpy(),
        "verts": posed.vertices.numpy(),
        "joints": joints,
        "pj2d_org": square.to_pixels(project_weakly(torch.from_numpy(joints), camera)).numpy(),
    }


def fitted_results(people: list[tuple[BodyParameters, float]], body: BodyModel, camera: Camera) -> dict[str, NDArray]:
    """The same keys for fitted bodies, each with its confidence: ``cam`` and ``cam_trans`` are those that show each body where it is.

    ``verts``, ``smpl_betas`` are those of ``body``; only with an SMPL body are they SMPL's. ``pj2d_org`` is seen by the photo's camera.
    """
    square = PaddedSquare.around(camera.width, camera.height)
    pose = np.array([np.concatenate([p.global_orient[None], p.body_pose]) for p, _ in people], np.float32).reshape(-1, 24, 3)
    betas = np.array([p.betas for p, _ in people], np.float32).reshape(-1, 10)
    transl = np.array([p.transl for p, _ in people], np.float32).reshape(-1, 3)
    with torch.no_grad():
        posed = body(torch.from_numpy(betas), torch.from_numpy(pose))
    joints = _joints(posed.vertices.numpy(), posed.joints.numpy(), body, None)
    pixels = camera.project(joints + transl[:, None])
    seen = square.to_normalised(torch.from_numpy(pixels[:, :24]).float())
    cam = fit_weak_camera(posed.joints, seen, torch.ones(len(people), 24, dtype=torch.bool))
    shift = translation(posed.joints, cam, square, _romp_camera(square)) if people else torch.zeros(0, 3)
    centers = (seen[:, list(TORSO_JOINTS)].mean(1) + 1) / 2 * INPUT_SIDE
    return {
        **_pose_keys(pose, betas),
        "cam": cam.numpy(),
        "center_preds": centers.round().long().numpy(),
        "center_confs": np.array([confidence for _, confidence in people], np.float32).reshape(-1, 1),
        "cam_trans": shift.numpy(),
        "verts": posed.vertices.numpy(),
        "joints": joints,
        "pj2d_org": pixels,
    }


def _romp_camera(square: PaddedSquare) -> Camera:
    side = square.side
    return Camera(FOCAL_PER_SIDE * side, (side / 2 - square.left, side / 2 - square.top), side, side)


def _pose_keys(pose: NDArray, betas: NDArray) -> dict[str, NDArray]:
    return {
        "global_orient": pose[:, 0],
        "body_pose": pose[:, 1:].reshape(-1, 69),
        "smpl_betas": betas,
        "smpl_thetas": pose.reshape(-1, 72),
    }


def _joints(vertices: NDArray, joints: NDArray, body: BodyModel, regressors: Regressors | None) -> NDArray[np.float32]:
    """(N, 71, 3) ROMP's joints; NaN where the body (not SMPL's mesh) or the user's files (no regressors) cannot say."""
    every = np.full((len(joints), JOINTS, 3), np.nan, np.float32)
    every[:, :24] = joints
    if body.data.name.startswith("smpl"):
        every[:, 24:45] = vertices[:, list(VERTEX_JOINTS)]
        if regressors is not None:
            every[:, 45:54] = np.einsum("jv,nvc->njc", regressors.extra, vertices)
            every[:, 54:] = np.einsum("jv,nvc->njc", regressors.h36m[list(H36M_ROWS)], vertices)
    return every


# -- reading ----------------------------------------------------------------------------------------------------------


def load_results(path: Path, width: int, height: int, photo: str = "") -> Prediction:
    """The people in a result file as a prediction for a photo of this size.

    Args:
        path: ROMP's .npz of a picture or of a video (then the frame named like the photo), another estimator's with the same keys, or a
            folder of files named like the photos. Needed are the pose (``smpl_thetas``, or ``global_orient`` and ``body_pose``) and the
            place (``cam``, or ``cam_trans`` for ROMP's camera of 60 degrees).
        photo: the photo's file name.

    Raises:
        RompFileError: there is no such file, it is damaged, lacks what is needed, or holds more than plain arrays.
    """
    if path.is_dir():
        path = path / f"{PurePath(photo).stem}.npz"
    members = _members(path)
    if RESULTS not in members:
        raise RompFileError(f"{path.name} is not a result of ROMP: it has no member '{RESULTS}' but {', '.join(members) or 'none at all'}.")
    try:
        results = unwrap(members[RESULTS])
        if isinstance(results, dict) and results and all(isinstance(value, dict) for value in results.values()):
            results = _frame(results, photo, path)
        if not isinstance(results, dict):
            raise ValueError(f"its results are a {type(results).__name__}, not a dictionary")
        betas_of = SMPL if str(np.asarray(members.get("body", SMPL))) != OPEN_BODY else OPEN_BODY
        return _prediction(results, PaddedSquare.around(width, height), betas_of)
    except RompFileError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise RompFileError(f"{path.name} cannot be used: {error}. Make it again with its estimator.") from error


def _frame(frames: dict[str, Any], photo: str, path: Path) -> dict[str, Any]:
    """A video's results hold a dictionary per frame, by file name."""
    for name, content in frames.items():
        if PurePath(str(name)).stem == PurePath(photo).stem:
            return content
    raise RompFileError(f"{path.name} holds {len(frames)} frames, none named like {photo}. Rename the photo or choose another file.")


def _members(path: Path) -> dict[str, Any]:
    """The archive's members by name: arrays of numbers and text as they are, arrays of objects as `load_pickle` gives them."""
    content: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                raise RompFileError(f"{path.name} is larger than {MOST_BYTES / 1e6:.0f} MB: too large for results of photos.")
            for item in archive.infolist():
                if item.filename.removesuffix(".npy") not in (RESULTS, "body"):
                    content[item.filename.removesuffix(".npy")] = None
                    continue
                with archive.open(item) as file:
                    version = np.lib.format.read_magic(file)
                    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                    objects = header(file)[2].hasobject
                    value = load_pickle(file) if objects else None
                if not objects:
                    with archive.open(item) as file:
                        value = np.lib.format.read_array(file, allow_pickle=False)
                content[item.filename.removesuffix(".npy")] = value
    except RompFileError:
        raise
    except PickleRefused as error:
        raise RompFileError(f"{path.name} was not loaded: {error}, which no result needs. Get the file from its author again.") from error
    except FileNotFoundError as error:
        raise RompFileError(f"There is no file {path}. Check the path, or let Uvatar look at the photo itself.") from error
    except Exception as error:  # a damaged archive or pickle can raise almost anything
        raise RompFileError(f"{path.name} is damaged or no .npz file ({error}). Make it again with its estimator.") from error
    return content


def _prediction(results: dict[str, Any], square: PaddedSquare, betas_of: str) -> Prediction:
    def rows(key: str, *shape: int) -> NDArray[np.float32] | None:
        if key not in results:
            return None
        values = np.asarray(as_array(results[key]), np.float32)
        values = values.reshape(len(values), *shape) if values.ndim else values
        if values.shape[1:] != shape or not np.isfinite(values).all():
            raise ValueError(f"its {key} of shape {values.shape} are not rows of {shape} finite numbers")
        return values

    thetas = rows("smpl_thetas", 24, 3)
    if thetas is None:
        orient, pose = rows("global_orient", 1, 3), rows("body_pose", 23, 3)
        if orient is None or pose is None:
            raise ValueError("it has no pose: smpl_thetas, or global_orient and body_pose")
        thetas = np.concatenate([orient, pose], 1)
    count = len(thetas)
    camera, shift = rows("cam", 3), rows("cam_trans", 3)
    if camera is None and shift is not None:
        depth = np.maximum(shift[:, 2:], 1e-3)
        camera = np.concatenate([2 * FOCAL_PER_SIDE / depth, 2 * FOCAL_PER_SIDE * shift[:, :2] / depth], 1)
    if camera is None:
        raise ValueError("it has no camera: cam or cam_trans")
    betas = rows("smpl_betas", 10)
    scores = rows("center_confs", 1)
    parts = {
        "pose": thetas,
        "cam": camera,
        "smpl_betas": np.zeros((count, 10), np.float32) if betas is None else betas,
        "center_confs": np.ones((count, 1), np.float32) if scores is None else scores,
        "centers": _centers(results, camera, square),
    }
    uneven = {name: len(part) for name, part in parts.items() if len(part) != count}
    if uneven:
        raise ValueError(f"its arrays do not agree on the number of people: {uneven}, poses of {count}")
    matrices = Rotation.from_rotvec(thetas.reshape(-1, 3)).as_matrix().reshape(count, 24, 3, 3).astype(np.float32)
    return Prediction(parts["center_confs"][:, 0], parts["centers"], camera, matrices, parts["smpl_betas"], betas_of, square)


def _centers(results: dict[str, Any], camera: NDArray, square: PaddedSquare) -> NDArray[np.float32]:
    """(N, 2) pixels: the torso's joints as the file projects them, else its centres in the frame of 512, else the body's origin."""
    if "pj2d_org" in results:
        points = np.asarray(as_array(results["pj2d_org"]), np.float32)
        torso = points[:, list(TORSO_JOINTS), :2].mean(1)
        if np.isfinite(torso).all():
            return torso
    if "center_preds" in results:
        centers = torch.from_numpy(np.asarray(as_array(results["center_preds"]), np.float32).reshape(len(camera), 2))
        return square.to_pixels(centers / INPUT_SIDE * 2 - 1).numpy()
    return square.to_pixels(torch.from_numpy(camera[:, 1:])).numpy()
