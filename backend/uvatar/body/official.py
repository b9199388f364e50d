"""Reads the user's official SMPL files: .pkl or .npz, male, female or neutral, versions 1.0 and 1.1.

The files of smpl.is.tue.mpg.de are Python pickles of numpy arrays, scipy sparse matrices and chumpy variables; they are
read without chumpy and without running anything (see `safe_pickle`).  Posing is this program's own, with the file's
pose blend shapes; the optional `smplx` package (its licence forbids commercial use) is only compared with in tests.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from uvatar.body.data import BodyData, BodyError, regress_joints
from uvatar.body.model import BodyModel
from uvatar.body.safe_pickle import PickleRefused, as_array, load_pickle
from uvatar.data.joints import JOINT_NAMES, PARENTS
from uvatar.data.landmarks import LANDMARK_NAMES

_VERTICES, _FACES, _BETAS = 6890, 13776, 10
_MOST_BYTES = 2_000_000_000  # the largest official file is 400 MB
_HELP = "Download the SMPL model file again from smpl.is.tue.mpg.de and choose it unchanged."
_REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table")

# Vertices of SMPL's mesh that mark points of the body.
_VERTEX = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071, "left_heel": 3387,
    "right_heel": 6787,
    "left_foot_index": 3216, "right_foot_index": 6617, "left_thumb": 2746, "left_index": 2319, "left_pinky": 2673,
    "right_thumb": 6191,
    "right_index": 5782, "right_pinky": 6133,
}  # fmt: skip
# BlazePose marks knuckles, at this share of the way from the wrist to the finger's tip.
_KNUCKLE = {"thumb": 0.75, "index": 0.6, "pinky": 0.6}
# BlazePose's point minus SMPL's, left side, millimetres, rest pose. BlazePose's hips lie wider and higher than SMPL's
# joints.
_OFFSET = {
    "hip": (23, 19, 8), "shoulder": (-3, -12, -2), "elbow": (3, -10, 1), "wrist": (9, -22, -9), "knee": (-3, -4, 7),
    "ankle": (5, 13, 24),
    "heel": (-5, 4, 14), "foot_index": (-15, 12, 4), "eye_inner": (-14, 0, 0), "eye_outer": (16, 0, -4),
    "mouth": (26, -42, -20),
}  # fmt: skip


def load_smpl(path: Path | str, uv_obj: Path | str | None = None) -> BodyModel:
    """An official SMPL body (male, female or neutral; .pkl or .npz, versions 1.0 and 1.1).

    Args:
        path: the user's file.
        uv_obj: an OBJ file of the SMPL mesh with texture coordinates (the SMPL site offers one). Without it the body
            has no UV map and cannot be textured.

    Raises:
        BodyError: the file is missing, is not an SMPL body, or holds anything but plain arrays.
    """
    path = Path(path)
    content = _read(path)
    missing = [key for key in _REQUIRED if key not in content]
    if missing:
        raise BodyError(f"{path.name} is not an SMPL body: it lacks {', '.join(missing)}. {_HELP}")
    try:
        data = body_from_arrays(_name(path), {key: as_array(content[key]) for key in _REQUIRED})
    except (TypeError, ValueError, IndexError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise BodyError(f"{path.name} is not an SMPL body ({error}). {_HELP}") from error
    return BodyModel(data if uv_obj is None else textured(data, Path(uv_obj)))


def textured(data: BodyData, uv_obj: Path) -> BodyData:
    """The body with the texture coordinates of an OBJ file of the same mesh.

    Raises BodyError if it is another mesh's, or none.
    """
    uv, face_uv = _read_uv(uv_obj, data.faces)
    return replace(data, uv=uv, face_uv=face_uv)


def _name(path: Path) -> str:
    """The body's name: smpl-female for basicModel_f_lbs_10_207_0_v1.0.0.pkl, SMPL_FEMALE.npz and the like."""
    words = path.stem.lower().replace("-", "_").split("_")
    for gender, spellings in (("female", ("f", "female")), ("male", ("m", "male"))):
        if any(word in spellings for word in words):
            return f"smpl-{gender}"
    return "smpl-neutral"


def _read(path: Path) -> dict[str, Any]:
    """The file's top-level names, arrays still in their containers."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BodyError(f"{path.name} is too large for an SMPL body. {_HELP}")
        if zipfile.is_zipfile(path):
            content: Any = _read_npz(path)
        else:
            with path.open("rb") as file:
                content = load_pickle(file)
    except PickleRefused as error:
        raise BodyError(f"{path.name} was not loaded: {error}, which no SMPL file needs. {_HELP}") from error
    except OSError as error:
        raise BodyError(f"The SMPL file {path} cannot be read: {error.strerror or error}.") from error
    except BodyError:
        raise
    except Exception as error:  # a damaged pickle can raise almost anything
        raise BodyError(f"{path.name} is damaged or not an SMPL file ({error}). {_HELP}") from error
    if not isinstance(content, dict):
        raise BodyError(f"{path.name} is not an SMPL body: it holds a {type(content).__name__}. {_HELP}")
    return content


def _read_npz(path: Path) -> dict[str, Any]:
    """An npz, whose arrays of objects (sparse matrices) are pickles again."""
    content: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
            raise BodyError(f"{path.name} is too large for an SMPL body. {_HELP}")
        for item in archive.infolist():
            name = item.filename.removesuffix(".npy")
            if name not in _REQUIRED:
                continue
            with archive.open(item) as file:
                version = np.lib.format.read_magic(file)
                header: Callable[[IO[bytes]], tuple[Any, bool, np.dtype[Any]]] = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                holds_objects = header(file)[2].hasobject
                if holds_objects:
                    content[name] = load_pickle(file)
            if not holds_objects:
                with archive.open(item) as file:
                    content[name] = np.lib.format.read_array(file, allow_pickle=False)
    return content


def body_from_arrays(name: str, arrays: Mapping[str, Any]) -> BodyData:
    """A body from the arrays of an SMPL file by their official names. Raises ValueError if a shape is not SMPL's."""
    v_template = np.asarray(arrays["v_template"], np.float32)
    if v_template.shape != (_VERTICES, 3):
        raise ValueError(
            f"its mesh has shape {v_template.shape}, SMPL's has ({_VERTICES}, 3); SMPL-H, SMPL-X and STAR are other "
            "models"
        )
    shapedirs = np.asarray(arrays["shapedirs"], np.float32)[:, :, :_BETAS]
    if shapedirs.shape[-1] < _BETAS:
        shapedirs = np.pad(shapedirs, ((0, 0), (0, 0), (0, _BETAS - shapedirs.shape[-1])))
    regressor = sparse.csr_matrix(arrays["J_regressor"]).astype(np.float32)
    faces = np.asarray(arrays["f"]).astype(np.int32)
    if faces.shape != (_FACES, 3):
        raise ValueError(f"it has faces of shape {faces.shape}, SMPL has ({_FACES}, 3)")
    weights = np.asarray(arrays["weights"], np.float32)
    parents = np.array(PARENTS, np.int32)
    if not np.array_equal(np.asarray(arrays["kintree_table"])[0, 1:].astype(np.int64), parents[1:]):
        raise ValueError("its skeleton is not SMPL's")
    joint_template, joint_shapedirs = regress_joints(regressor, v_template, shapedirs)
    points, directions, landmark_weights = _landmarks(v_template, shapedirs, joint_template, joint_shapedirs, weights)
    return BodyData(
        name=name,
        v_template=v_template,
        shapedirs=shapedirs,
        J_regressor=regressor,
        parents=parents,
        weights=weights,
        posedirs=np.asarray(arrays["posedirs"], np.float32),
        faces=faces,
        quads=None,
        uv=np.zeros((0, 2), np.float32),
        face_uv=np.zeros((0, 3), np.int32),
        quad_uv=None,
        mirror=_mirror(v_template),
        part=np.zeros(_VERTICES, np.uint8),
        joint_template=joint_template,
        joint_shapedirs=joint_shapedirs,
        landmark_template=points,
        landmark_shapedirs=directions,
        landmark_weights=landmark_weights,
        beta_names=tuple(f"SMPL beta {k}" for k in range(_BETAS)),
        licence="SMPL model licence (Max Planck); see smpl.is.tue.mpg.de. Not for commercial use without an agreement.",
        provenance=f"{name}, a file provided by the user.",
    )


def _mirror(v_template: NDArray[np.float32]) -> NDArray[np.int32]:
    """(V,) nearest vertex on the other side; SMPL's mesh is symmetric to a few millimetres."""
    mirror: NDArray[np.int32] = (
        cKDTree(v_template).query(v_template * np.array([-1, 1, 1], np.float32))[1].astype(np.int32)
    )
    return mirror


def _landmarks(
    v_template: NDArray[np.float32],
    shapedirs: NDArray[np.float32],
    joint_template: NDArray[np.float32],
    joint_shapedirs: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """BlazePose's points from SMPL's joints and known vertices: template (33, 3), shapedirs (33, 3, 10), weights (33,
    24).
    """
    # Each point as (position, shape directions, skin weights): these mix linearly.
    skins = np.eye(len(JOINT_NAMES), dtype=np.float32)

    def joint(name: str) -> list[NDArray[np.float32]]:
        index = JOINT_NAMES.index(name)
        return [joint_template[index], joint_shapedirs[index], skins[index]]

    def vertex(name: str) -> list[NDArray[np.float32]]:
        index = _VERTEX[name]
        return [v_template[index], shapedirs[index], weights[index]]

    rows = []
    for name in LANDMARK_NAMES:
        side = "right" if "right" in name else "left"
        kind = name.removeprefix(f"{side}_").removesuffix(f"_{side}")
        if kind in _KNUCKLE:
            share = _KNUCKLE[kind]
            wrist, tip = joint(f"{side}_wrist"), vertex(name)
            point = [(1 - share) * wrist[0] + share * tip[0], (1 - share) * wrist[1] + share * tip[1], wrist[2]]
        elif kind.startswith("eye"):
            point = vertex(f"{side}_eye")
        elif kind == "mouth":
            point = vertex("nose")
        else:
            point = vertex(name) if name in _VERTEX else joint(name)
        offset = np.array(_OFFSET.get(kind, (0, 0, 0)), np.float32) / 1000
        point[0] = point[0] + offset * np.array([-1 if side == "right" else 1, 1, 1], np.float32)
        rows.append(point)
    positions, directions, skin = (np.stack([row[i] for row in rows]).astype(np.float32) for i in range(3))
    return positions, directions, skin


def _read_uv(path: Path, faces: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Texture coordinates (T, 2) and their indices per corner of ``faces`` (F, 3), from an OBJ of the same mesh."""
    coordinates: list[list[float]] = []
    corners: dict[frozenset[int], dict[int, int]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if words[:1] == ["vt"]:
                    coordinates.append([float(word) for word in words[1:3]])
                elif words[:1] == ["f"]:
                    corner = {int(v) - 1: int(t) - 1 for v, t in (word.split("/")[:2] for word in words[1:])}
                    corners[frozenset(corner)] = corner
        face_uv = np.array([[corners[frozenset(face)][v] for v in face] for face in faces.tolist()], np.int32)
    except OSError as error:
        raise BodyError(f"The UV file {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError) as error:
        raise BodyError(
            f"{path.name} is not a UV map of the SMPL mesh: its faces differ or have no texture coordinates."
        ) from error
    uv = np.array(coordinates, np.float32)
    if uv.ndim != 2 or face_uv.max() >= len(uv) or face_uv.min() < 0:
        raise BodyError(f"{path.name} is not a UV map of the SMPL mesh: texture coordinates are missing.")
    return uv, face_uv
