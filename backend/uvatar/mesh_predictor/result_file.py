"""Reading people out of the result files of ROMP and other estimators, where the artist's files are: in the client.

The file is an .npz whose member ``results`` is a dictionary of arrays, a row per person
(`uvatar.mesh_predictor.romp_format` writes it).  Nothing is unpickled (a pickle can run programs), so that files of
strangers are safe.  What is read crosses the wire as rows of numbers; the server sees neither the file nor its path.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body.safe_pickle import PickleRefused, as_array, load_pickle, unwrap
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction
from uvatar.mesh_predictor.romp_format import FOCAL_PER_SIDE, RESULTS, TORSO_JOINTS
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.protocol.given_people import GIVEN, LARGEST_GIVEN, MOST_GIVEN

PHOTO, SQUARE = "photo", "square"
MOST_BYTES = 500_000_000
HMR_FOCAL_PER_SIDE = (
    5000 / 256
)  # of the camera that HMR 2 and its like mean ``pred_cam_t_full`` for, per the photo's longer side
BETAS = 10
BEV_BETAS = 11  # the last is how much of a child somebody is
_SMPL_PARAMS = "pred_smpl_params"  # HMR 2's dictionary of pose and shape
# Members besides ROMP's one that are read: of HMR 2 and others whose arrays lie in the file itself.
_FLAT = (
    "global_orient", "body_pose", "betas", "pred_cam_t_full", "scaled_focal_length", "img_size", "smpl_thetas",
    "smpl_betas", "cam_trans", "rotvec", "transl", "focal_length",
    _SMPL_PARAMS,
)  # fmt: skip
# Joints of SMPL-X: the pelvis and 21 more as SMPL has them, then jaw, eyes and fingers, or fingers and jaw (Multi-HMR).
_SMPLX_BODY, _SMPLX_ROTATIONS = 22, (53, 55)


class ResultFileError(ValueError):
    """The file is not a usable ROMP-style result; the message says why and what to do."""


@dataclass(frozen=True)
class GivenPeople:
    """N people of one photo as a file describes them, whatever the photo's size.

    Attributes:
        thetas: (N, 72) axis-angle, radians, camera axes; joint 0 is global_orient.
        camera: (N, 3) s, tx, ty across the padded square, as in `Prediction`.
        betas: (N, 10) of the body ``betas_of``, "smpl" or "open_body".
        confidence: (N, 1).
        center: (N, 2) body centre, in pixels of the "photo" or of the padded "square" of 512, as ``center_in`` says.
    """

    thetas: NDArray[np.float32]
    camera: NDArray[np.float32]
    betas: NDArray[np.float32]
    confidence: NDArray[np.float32]
    center: NDArray[np.float32]
    betas_of: str = SMPL
    center_in: str = SQUARE

    def as_numbers(self) -> dict[str, Any]:
        """As it crosses the wire (``given_people`` in docs/protocol.md, less the photo's name): exact, in as few digits
        as that takes.
        """
        return {
            name: [[float(str(number)) for number in row] for row in value] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any]) -> GivenPeople:
        """Rebuild what `as_numbers` returned and `checked_options` accepted."""
        rows = {name: np.array(numbers[name], np.float32).reshape(-1, size) for name, size in GIVEN.items()}
        return cls(**rows, betas_of=numbers["betas_of"], center_in=numbers["center_in"])

    def prediction(self, width: int, height: int) -> Prediction:
        """The people as a prediction for a photo of this size."""
        square = PaddedSquare.around(width, height)
        center = self.center
        if self.center_in == SQUARE:
            center = square.to_pixels(center / INPUT_SIDE * 2 - 1).astype(np.float32)
        matrices = Rotation.from_rotvec(self.thetas.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3).astype(np.float32)
        return Prediction(self.confidence[:, 0], center, self.camera, matrices, self.betas, self.betas_of, square)


class ResultFiles:
    """A result file, or a folder of files named like the photos."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet.

        Args:
            path: ROMP's, BEV's or HMR 2's .npz of a picture or video, another estimator's with such keys, or a folder
                of such files.
        """
        self._path = path
        self._opened: tuple[Path, dict[str, Any]] | None = None  # one video's file serves many photos

    def people(self, photo: str) -> GivenPeople:
        """The people of the photo with this file name: in a video's file the frame, in a folder the file, that is named
        like it.

        Needed are the pose (``smpl_thetas``, or ``global_orient`` and ``body_pose`` of SMPL or SMPL-X, axis-angle or
        matrices, or ``rotvec``) and the place: ``cam``, or ``cam_trans`` for ROMP's camera of 60 degrees, or
        ``pred_cam_t_full`` for HMR 2's, or ``transl`` with ``focal_length`` and ``img_size``.

        Raises ResultFileError: there is no such file, it is damaged, lacks what is needed, or holds more than plain
        arrays.
        """
        path = self._path / f"{PurePath(photo).stem}.npz" if self._path.is_dir() else self._path
        if self._opened is None or self._opened[0] != path:
            self._opened = path, _members(path)
        members = self._opened[1]
        flat = {key: members[key] for key in _FLAT if key in members}
        if RESULTS not in members and not {"global_orient", "smpl_thetas", "rotvec", _SMPL_PARAMS} & flat.keys():
            found = ", ".join(members) or "none at all"
            raise ResultFileError(
                f"{path.name} is not a result of ROMP, BEV or HMR 2, or of SMPL-X: it has no member '{RESULTS}', "
                f"only {found}."
            )
        try:
            results = unwrap(members[RESULTS]) if RESULTS in members else flat
            if isinstance(results, dict) and results and all(isinstance(value, dict) for value in results.values()):
                results = _frame(results, photo, path)
            if not isinstance(results, dict):
                raise ValueError(f"its results are a {type(results).__name__}, not a dictionary")
            betas_of = SMPL if str(np.asarray(members.get("body", SMPL))) != OPEN_BODY else OPEN_BODY
            return _people(results, betas_of)
        except ResultFileError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise ResultFileError(
                f"{path.name} cannot be used: {error}. Create it again with its estimator."
            ) from error


def _frame(frames: dict[str, Any], photo: str, path: Path) -> dict[str, Any]:
    """A video's results hold a dictionary per frame, by file name."""
    for name, content in frames.items():
        if PurePath(str(name)).stem == PurePath(photo).stem:
            found: dict[str, Any] = content
            return found
    raise ResultFileError(
        f"{path.name} holds {len(frames)} frames, none named like {photo}. Rename the photo or choose another file."
    )


def _members(path: Path) -> dict[str, Any]:
    """The archive's members by name: arrays of numbers and text as they are, arrays of objects as `load_pickle` gives
    them.
    """
    content: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                raise ResultFileError(
                    f"{path.name} is larger than {MOST_BYTES / 1e6:.0f} MB, too large for the results of photos."
                )
            for item in archive.infolist():
                if item.filename.removesuffix(".npy") not in (RESULTS, "body", *_FLAT):
                    content[item.filename.removesuffix(".npy")] = None
                    continue
                with archive.open(item) as file:
                    version = np.lib.format.read_magic(file)
                    header: Callable[[IO[bytes]], tuple[Any, bool, np.dtype[Any]]] = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    objects = header(file)[2].hasobject
                    value = load_pickle(file) if objects else None
                if not objects:
                    with archive.open(item) as file:
                        value = np.lib.format.read_array(file, allow_pickle=False)
                content[item.filename.removesuffix(".npy")] = value
    except ResultFileError:
        raise
    except PickleRefused as error:
        raise ResultFileError(
            f"{path.name} was not loaded: {error}, which no result needs. Get the file from its author again."
        ) from error
    except FileNotFoundError as error:
        raise ResultFileError(
            f"The file {path} does not exist. Check the path, or let Uvatar predict the people."
        ) from error
    except Exception as error:  # a damaged archive or pickle can raise almost anything
        raise ResultFileError(
            f"{path.name} is damaged or not an .npz file ({error}). Create it again with its estimator."
        ) from error
    return content


def _people(results: dict[str, Any], betas_of: str) -> GivenPeople:
    if _SMPL_PARAMS in results:
        inside = unwrap(results[_SMPL_PARAMS])
        results = {**results, **(inside if isinstance(inside, dict) else {})}
    thetas, of_smplx = _thetas(results)
    count = len(thetas)
    if count > MOST_GIVEN:
        raise ValueError(f"it has {count} people; at most {MOST_GIVEN} per photo are used")
    # SMPL-X's betas belong to another body: shape is found anew.
    betas = None if of_smplx else _rows(results, "smpl_betas" if "smpl_betas" in results else "betas", BETAS, BEV_BETAS)
    camera = _camera(results, betas is not None and betas.shape[1] == BEV_BETAS)
    scores = _rows(results, "center_confs", 1)
    center, center_in = _centers(results, camera)
    parts = {
        "thetas": thetas,
        "camera": camera,
        "betas": np.zeros((count, BETAS), np.float32) if betas is None else betas[:, :BETAS],
        "confidence": np.ones((count, 1), np.float32) if scores is None else scores,
        "center": center,
    }
    uneven = {name: len(part) for name, part in parts.items() if len(part) != count}
    if uneven:
        raise ValueError(f"its arrays do not agree on the number of people: {uneven}, poses of {count}")
    return GivenPeople(**parts, betas_of=betas_of, center_in=center_in)


def _thetas(results: dict[str, Any]) -> tuple[NDArray[np.float32], bool]:
    """(N, 72) the pose, and whether it is SMPL-X's; fingers, jaw and eyes, which it has besides, are left out."""
    thetas = _rows(results, "smpl_thetas", 72)
    if thetas is not None:
        return thetas, False
    rotations = _turns(results, "rotvec", *_SMPLX_ROTATIONS)
    if rotations is not None:
        return _with_hands(rotations[:, : 3 * _SMPLX_BODY]), True
    orient, pose = _turns(results, "global_orient", 1), _turns(results, "body_pose", 23, _SMPLX_BODY - 1)
    if orient is None or pose is None:
        raise ValueError("it has no pose: smpl_thetas, rotvec, or global_orient and body_pose")
    thetas = np.concatenate([orient, pose], 1)
    return (thetas, False) if thetas.shape[1] == 72 else (_with_hands(thetas), True)


def _with_hands(body: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 72) a pose (N, 66) of SMPL-X's body as SMPL has it, whose hands are not bent."""
    return np.concatenate([body, np.zeros((len(body), 72 - 3 * _SMPLX_BODY), np.float32)], 1)


def _rows(results: dict[str, Any], key: str, *sizes: int) -> NDArray[np.float32] | None:
    """(N, size) numbers of a key, None if it is not there. Raises ValueError if they are none of these sizes."""
    if key not in results:
        return None
    values = np.asarray(as_array(results[key]), np.float32)
    values = values.reshape(len(values), -1) if values.size else np.zeros((0, sizes[0]), np.float32)
    if values.shape[1] not in sizes or not _usable(values):
        raise ValueError(
            f"its {key} of shape {values.shape} are not rows of {' or '.join(map(str, sizes))} finite numbers"
        )
    return values


def _turns(results: dict[str, Any], key: str, *joints: int) -> NDArray[np.float32] | None:
    """(N, 3 joints) axis-angle of a key that holds axis-angle or rotation matrices of so many joints."""
    values = _rows(results, key, *(3 * count for count in joints), *(9 * count for count in joints))
    if values is None or values.shape[1] in [3 * count for count in joints]:
        return values
    matrices = values.reshape(-1, 3, 3).astype(np.float64)
    if len(matrices) and (
        np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max() > 0.05 or (np.linalg.det(matrices) < 0).any()
    ):
        raise ValueError(f"its {key} of matrices are not rotations")
    vectors: NDArray[np.float32] = (
        Rotation.from_matrix(matrices).as_rotvec().reshape(len(values), -1).astype(np.float32)
    )
    return vectors


def _camera(results: dict[str, Any], of_bev: bool) -> NDArray[np.float32]:
    """(N, 3) s, tx, ty across the padded square.

    BEV writes s, ty, tx, and people of ten betas for grown-ups, too: in which order they are, its ``cam_trans`` tells.
    """
    camera, shift = _rows(results, "cam", 3), _rows(results, "cam_trans", 3)
    seen = None if shift is None else _weak(shift, FOCAL_PER_SIDE)
    if camera is None and seen is None and "pred_cam_t_full" in results:
        shift = _rows(results, "pred_cam_t_full", 3)
        assert shift is not None  # it is there
        return _weak(shift, _focal_per_side(results))
    if camera is None and seen is None and {"transl", "focal_length", "img_size"} <= results.keys():
        shift = _rows(results, "transl", 3)
        assert shift is not None  # it is there
        return _weak(shift, _focal_per_side({**results, "scaled_focal_length": results["focal_length"]}))
    if camera is None and seen is None:
        raise ValueError("it has no camera: cam, cam_trans, pred_cam_t_full, or transl with focal_length and img_size")
    if camera is None or (of_bev and seen is not None):
        assert seen is not None  # one of them is there
        return seen
    exchanged = camera[:, [0, 2, 1]]
    if of_bev or (seen is not None and seen.shape == camera.shape and _off(exchanged, seen) < _off(camera, seen) / 2):
        return exchanged
    return camera


def _weak(shift: NDArray[np.float32], focal_per_side: float) -> NDArray[np.float32]:
    """(N, 3) metres from a pinhole camera -> s, tx, ty across the padded square."""
    scale = 2 * focal_per_side / np.maximum(shift[:, 2:], 1e-3)
    weak: NDArray[np.float32] = np.concatenate([scale, scale * shift[:, :2]], 1).astype(np.float32)
    return weak


def _focal_per_side(results: dict[str, Any]) -> float:
    if not {"scaled_focal_length", "img_size"} <= results.keys():
        return HMR_FOCAL_PER_SIDE
    focal = float(np.ravel(np.asarray(as_array(results["scaled_focal_length"]), np.float64))[0])
    side = float(np.asarray(as_array(results["img_size"]), np.float64).max())
    if not 0.1 < focal / max(side, 1.0) < 1000:
        raise ValueError(f"its focal length of {focal:g} pixels does not match its pictures of {side:g}")
    return focal / side


def _off(camera: NDArray[np.float32], seen: NDArray[np.float32]) -> float:
    """By how much a camera's places differ from those that were seen; a hundredth of a picture counts as nothing."""
    return max(float(np.abs(camera[:, 1:] - seen[:, 1:]).max(initial=0)) - 0.01, 0.0)


def _centers(results: dict[str, Any], camera: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """(N, 2) and where: the torso's joints as the file projects them, else its centres in the frame of 512, else the
    body's origin.
    """
    if "pj2d_org" in results:
        torso = np.asarray(as_array(results["pj2d_org"]), np.float32)[:, TORSO_JOINTS, :2].mean(1)
        if _usable(torso):
            return torso, PHOTO
    if "center_preds" in results:
        centers = np.asarray(as_array(results["center_preds"]), np.float32).reshape(len(camera), 2)
        if _usable(centers):
            return centers, SQUARE
    return (camera[:, 1:] + 1) / 2 * INPUT_SIDE, SQUARE


def _usable(values: NDArray[np.float32]) -> bool:
    return bool((np.abs(values) < LARGEST_GIVEN).all())
