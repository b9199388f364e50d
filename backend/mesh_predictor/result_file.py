"""Reading people out of the result files of ROMP and other estimators, where the artist's files are: in the client.

The file is an .npz whose member ``results`` is a dictionary of arrays, a row per person (`backend.mesh_predictor.romp_format`
writes it).  Nothing is unpickled (a pickle can run programs), so that files of strangers are safe.  What is read crosses the
wire as rows of numbers; the server sees neither the file nor its path.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.body.safe_pickle import PickleRefused, as_array, load_pickle, unwrap
from backend.mesh_predictor.network import INPUT_SIDE
from backend.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction
from backend.mesh_predictor.romp_format import FOCAL_PER_SIDE, RESULTS, TORSO_JOINTS
from backend.mesh_predictor.weak_perspective import PaddedSquare
from backend.wire import GIVEN, LARGEST_GIVEN, MOST_GIVEN

PHOTO, SQUARE = "photo", "square"
MOST_BYTES = 500_000_000


class ResultFileError(ValueError):
    """The file is not a usable result of ROMP's kind; the message says why and what to do."""


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
        """As it crosses the wire (``given_people`` in docs/protocol.md, less the photo's name): exact, in as few digits as that takes."""
        return {
            name: [[float(str(number)) for number in row] for row in value] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any]) -> GivenPeople:
        """What `as_numbers` gave and `wire.checked_options` accepted."""
        rows = {name: np.array(numbers[name], np.float32).reshape(-1, size) for name, size in GIVEN.items()}
        return cls(**rows, betas_of=numbers["betas_of"], center_in=numbers["center_in"])

    def prediction(self, width: int, height: int) -> Prediction:
        """The people as a prediction for a photo of this size."""
        square = PaddedSquare.around(width, height)
        center = self.center
        if self.center_in == SQUARE:
            center = square.to_pixels(torch.from_numpy(center) / INPUT_SIDE * 2 - 1).numpy()
        matrices = Rotation.from_rotvec(self.thetas.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3).astype(np.float32)
        return Prediction(self.confidence[:, 0], center, self.camera, matrices, self.betas, self.betas_of, square)


class ResultFiles:
    """A result file, or a folder of files named like the photos."""

    def __init__(self, path: Path) -> None:
        """``path``: ROMP's .npz of a picture or of a video, another estimator's with the same keys, or a folder of such files."""
        self._path = path
        self._opened: tuple[Path, dict[str, Any]] | None = None  # one video's file serves many photos

    def people(self, photo: str) -> GivenPeople:
        """The people of the photo with this file name: in a video's file the frame, in a folder the file, that is named like it.

        Needed are the pose (``smpl_thetas``, or ``global_orient`` and ``body_pose``) and the place (``cam``, or ``cam_trans`` for ROMP's
        camera of 60 degrees).

        Raises ResultFileError: there is no such file, it is damaged, lacks what is needed, or holds more than plain arrays.
        """
        path = self._path / f"{PurePath(photo).stem}.npz" if self._path.is_dir() else self._path
        if self._opened is None or self._opened[0] != path:
            self._opened = path, _members(path)
        members = self._opened[1]
        if RESULTS not in members:
            found = ", ".join(members) or "none at all"
            raise ResultFileError(f"{path.name} is not a result of ROMP: it has no member '{RESULTS}' but {found}.")
        try:
            results = unwrap(members[RESULTS])
            if isinstance(results, dict) and results and all(isinstance(value, dict) for value in results.values()):
                results = _frame(results, photo, path)
            if not isinstance(results, dict):
                raise ValueError(f"its results are a {type(results).__name__}, not a dictionary")
            betas_of = SMPL if str(np.asarray(members.get("body", SMPL))) != OPEN_BODY else OPEN_BODY
            return _people(results, betas_of)
        except ResultFileError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise ResultFileError(f"{path.name} cannot be used: {error}. Make it again with its estimator.") from error


def _frame(frames: dict[str, Any], photo: str, path: Path) -> dict[str, Any]:
    """A video's results hold a dictionary per frame, by file name."""
    for name, content in frames.items():
        if PurePath(str(name)).stem == PurePath(photo).stem:
            return content
    raise ResultFileError(f"{path.name} holds {len(frames)} frames, none named like {photo}. Rename the photo or choose another file.")


def _members(path: Path) -> dict[str, Any]:
    """The archive's members by name: arrays of numbers and text as they are, arrays of objects as `load_pickle` gives them."""
    content: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                raise ResultFileError(f"{path.name} is larger than {MOST_BYTES / 1e6:.0f} MB: too large for results of photos.")
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
    except ResultFileError:
        raise
    except PickleRefused as error:
        raise ResultFileError(f"{path.name} was not loaded: {error}, which no result needs. Get the file from its author again.") from error
    except FileNotFoundError as error:
        raise ResultFileError(f"There is no file {path}. Check the path, or let Uvatar look at the photo itself.") from error
    except Exception as error:  # a damaged archive or pickle can raise almost anything
        raise ResultFileError(f"{path.name} is damaged or no .npz file ({error}). Make it again with its estimator.") from error
    return content


def _people(results: dict[str, Any], betas_of: str) -> GivenPeople:
    def rows(key: str, size: int) -> NDArray[np.float32] | None:
        if key not in results:
            return None
        values = np.asarray(as_array(results[key]), np.float32)
        values = values.reshape(len(values), -1) if values.size else np.zeros((0, size), np.float32)
        if values.shape[1:] != (size,) or not _usable(values):
            raise ValueError(f"its {key} of shape {values.shape} are not rows of {size} finite numbers")
        return values

    thetas = rows("smpl_thetas", 72)
    if thetas is None:
        orient, pose = rows("global_orient", 3), rows("body_pose", 69)
        if orient is None or pose is None:
            raise ValueError("it has no pose: smpl_thetas, or global_orient and body_pose")
        thetas = np.concatenate([orient, pose], 1)
    count = len(thetas)
    if count > MOST_GIVEN:
        raise ValueError(f"it has {count} people; at most {MOST_GIVEN} of a photo are taken")
    camera, shift = rows("cam", 3), rows("cam_trans", 3)
    if camera is None and shift is not None:
        depth = np.maximum(shift[:, 2:], 1e-3)
        camera = np.concatenate([2 * FOCAL_PER_SIDE / depth, 2 * FOCAL_PER_SIDE * shift[:, :2] / depth], 1)
    if camera is None:
        raise ValueError("it has no camera: cam or cam_trans")
    betas, scores = rows("smpl_betas", 10), rows("center_confs", 1)
    center, center_in = _centers(results, camera)
    parts = {
        "thetas": thetas,
        "camera": camera,
        "betas": np.zeros((count, 10), np.float32) if betas is None else betas,
        "confidence": np.ones((count, 1), np.float32) if scores is None else scores,
        "center": center,
    }
    uneven = {name: len(part) for name, part in parts.items() if len(part) != count}
    if uneven:
        raise ValueError(f"its arrays do not agree on the number of people: {uneven}, poses of {count}")
    return GivenPeople(**parts, betas_of=betas_of, center_in=center_in)


def _centers(results: dict[str, Any], camera: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """(N, 2) and where: the torso's joints as the file projects them, else its centres in the frame of 512, else the body's origin."""
    if "pj2d_org" in results:
        torso = np.asarray(as_array(results["pj2d_org"]), np.float32)[:, list(TORSO_JOINTS), :2].mean(1)
        if _usable(torso):
            return torso, PHOTO
    if "center_preds" in results:
        centers = np.asarray(as_array(results["center_preds"]), np.float32).reshape(len(camera), 2)
        if _usable(centers):
            return centers, SQUARE
    return (camera[:, 1:] + 1) / 2 * INPUT_SIDE, SQUARE


def _usable(values: NDArray[np.float32]) -> bool:
    return bool((np.abs(values) < LARGEST_GIVEN).all())
