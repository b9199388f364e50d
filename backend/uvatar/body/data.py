"""The numbers that define one body: shape, skeleton, skinning, topology and the points that fitting compares with
photos.

The format is SMPL's (Loper et al. 2015: template, shape blend shapes, joint regressor, skinning weights, 24 joints),
with quads, a UV atlas and landmarks added.  Rest frame: metres, x to the person's left, y up, z forward, arms along x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.face import Face
from uvatar.body.mouth import Mouth
from uvatar.body.rig import Rig, broken, rig_of, stored_rig
from uvatar.data.joints import JOINT_NAMES
from uvatar.data.landmarks import LANDMARK_NAMES

BODY, LEFT_EYE, RIGHT_EYE = range(3)  # values of BodyData.part
_NUM_BETAS, _NUM_JOINTS, _NUM_LANDMARKS = 10, len(JOINT_NAMES), len(LANDMARK_NAMES)
_REGRESSOR_KEYS = ("J_regressor_data", "J_regressor_indices", "J_regressor_indptr")


class BodyError(Exception):
    """The body file cannot be used. The message tells the user why and what to do."""


@dataclass(frozen=True)
class ShapePrior:
    """How one group of people is shaped: betas ~ Normal(mean, covariance).

    Attributes:
        mean: (10,) betas.
        covariance: (10, 10), positive definite.
    """

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


@dataclass(frozen=True)
class BodyData:
    """One body model; V vertices, F triangles, Q quads, T texture coordinates, 24 joints, 10 betas.

    Attributes:
        name: "open_body", "smpl-neutral", ...
        v_template: (V, 3) metres, the mean body in the rest T pose.
        shapedirs: (V, 3, 10) metres per unit of each beta.
        J_regressor: (24, V) csr; rows sum to 1; joints of a rest shape = J_regressor @ vertices.
        parents: (24,) int, -1 at the pelvis.
        weights: (V, 24) skinning weights, rows sum to 1.
        posedirs: (V, 3, 207) pose blend shapes over the entries of (R - I) of joints 1..23, or None if there are
            none.
        faces: (F, 3) int32 triangles, counter-clockwise from outside; triangles 2q and 2q+1 are quad q where there are
            quads.
        quads: (Q, 4) int32, or None.
        uv: (T, 2) float32, origin bottom-left, v up; (0, 2) where the model has none.
        face_uv: (F, 3) int32 into uv; (0, 3) where there is none.
        quad_uv: (Q, 4) int32, or None.
        mirror: (V,) int32, the vertex on the other side of x = 0.
        part: (V,) uint8, BODY, LEFT_EYE or RIGHT_EYE.
        joint_template, joint_shapedirs: (24, 3), (24, 3, 10): joints = joint_template + joint_shapedirs @ betas.
        landmark_template, landmark_shapedirs, landmark_weights: (33, 3), (33, 3, 10), (33, 24): BlazePose's 33 points
            as points skinned like vertices.
        beta_names: what each beta changes, for people.
        shape_prior: "male", "female", "child" -> ShapePrior; empty where unknown.
        joint_names: (24,) SMPL's names.
        rig: the joints of fingers, jaw and eyes, or None for a body without them.
        face: the expression keys, which are in a file of their own, or None.
        mouth: teeth, tongue and lashes, in a file of their own as well, or None.
        network_uv: (T, 2) float32, the layout in place of ``uv`` of the textures that networks take and make, and of
            pictures made for MakeHuman's body; None where it is ``uv``.
        licence, provenance: one-line texts for the result's licence record.
    """

    name: str
    v_template: NDArray[np.float32]
    shapedirs: NDArray[np.float32]
    J_regressor: sparse.csr_matrix
    parents: NDArray[np.int32]
    weights: NDArray[np.float32]
    posedirs: NDArray[np.float32] | None
    faces: NDArray[np.int32]
    quads: NDArray[np.int32] | None
    uv: NDArray[np.float32]
    face_uv: NDArray[np.int32]
    quad_uv: NDArray[np.int32] | None
    mirror: NDArray[np.int32]
    part: NDArray[np.uint8]
    joint_template: NDArray[np.float32]
    joint_shapedirs: NDArray[np.float32]
    landmark_template: NDArray[np.float32]
    landmark_shapedirs: NDArray[np.float32]
    landmark_weights: NDArray[np.float32]
    beta_names: tuple[str, ...]
    shape_prior: Mapping[str, ShapePrior] = field(default_factory=dict)
    joint_names: tuple[str, ...] = JOINT_NAMES
    rig: Rig | None = None
    face: Face | None = None
    mouth: Mouth | None = None
    network_uv: NDArray[np.float32] | None = None
    licence: str = ""
    provenance: str = ""

    @property
    def has_uv(self) -> bool:
        """Whether the model can be textured."""
        return len(self.face_uv) > 0

    def in_network_layout(self) -> BodyData:
        """The body with ``network_uv`` as its texture layout."""
        return self if self.network_uv is None else replace(self, uv=self.network_uv, network_uv=None)

    def __post_init__(self) -> None:
        """Raises BodyError if an array has a wrong shape, is not finite, or breaks what it stands for."""
        count = len(self.v_template)
        shapes: dict[str, tuple[int, ...]] = {
            "v_template": (count, 3),
            "shapedirs": (count, 3, _NUM_BETAS),
            "J_regressor": (_NUM_JOINTS, count),
            "parents": (_NUM_JOINTS,),
            "weights": (count, _NUM_JOINTS),
            "faces": (len(self.faces), 3),
            "mirror": (count,),
            "part": (count,),
            "joint_template": (_NUM_JOINTS, 3),
            "joint_shapedirs": (_NUM_JOINTS, 3, _NUM_BETAS),
            "landmark_template": (_NUM_LANDMARKS, 3),
            "landmark_shapedirs": (_NUM_LANDMARKS, 3, _NUM_BETAS),
            "landmark_weights": (_NUM_LANDMARKS, _NUM_JOINTS),
        }
        if self.posedirs is not None:
            shapes["posedirs"] = (count, 3, 9 * (_NUM_JOINTS - 1))
        if self.network_uv is not None:
            shapes["network_uv"] = self.uv.shape
        if self.quads is not None:
            shapes["quads"] = (len(self.faces) // 2, 4)
        for key, shape in shapes.items():
            array = getattr(self, key)
            if array.shape != shape:
                raise BodyError(f"The body '{self.name}' is broken: {key} has shape {array.shape}, expected {shape}.")
            values = array.data if sparse.issparse(array) else array
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise BodyError(f"The body '{self.name}' is broken: {key} holds values that are not finite.")
        for key in ("weights", "landmark_weights", "J_regressor"):
            if np.abs(np.asarray(getattr(self, key).sum(1)) - 1).max() > 1e-3:
                raise BodyError(f"The body '{self.name}' is broken: the rows of {key} do not sum to 1.")
        if self.faces.min() < 0 or self.faces.max() >= count:
            raise BodyError(f"The body '{self.name}' is broken: faces refer to vertices that do not exist.")
        if (
            self.parents[0] >= 0
            or (self.parents[1:] >= np.arange(1, _NUM_JOINTS)).any()
            or (self.parents[1:] < 0).any()
        ):
            raise BodyError(f"The body '{self.name}' is broken: every joint's parent must come before it.")
        problem = broken(self.rig, count, _NUM_BETAS) if self.rig else None
        if problem:
            raise BodyError(f"The body '{self.name}' is broken: {problem}.")


def triangulate(quads: NDArray[np.int32]) -> NDArray[np.int32]:
    """(Q, 4) quads -> (2Q, 3) triangles; triangles 2q and 2q+1 are the halves of quad q."""
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def save_body(data: BodyData, path: Path) -> None:
    """Write an npz. Lengths are stored as float16 (at most .3 mm off for the template, far less for the rest)."""
    arrays: dict[str, Any] = {}
    for item in fields(data):
        value = getattr(data, item.name)
        if (
            (item.name in ("faces", "face_uv") and data.quads is not None)
            or item.name in ("face", "mouth")
            or value is None
        ):
            continue
        if item.name == "shape_prior":
            for group, prior in value.items():
                arrays[f"shape_prior_{group}_mean"], arrays[f"shape_prior_{group}_covariance"] = (
                    prior.mean,
                    prior.covariance,
                )
        elif item.name == "rig":
            arrays.update(stored_rig(value, data.weights))
        elif item.name == "J_regressor":
            arrays.update(
                zip(_REGRESSOR_KEYS, (value.data.astype(np.float32), value.indices, value.indptr), strict=True)
            )
        elif item.name in ("shapedirs", "weights"):
            arrays[item.name] = value.astype(np.float16)
        elif item.name not in ("joint_template", "joint_shapedirs"):  # follow from the regressor
            arrays[item.name] = np.asarray(value)
    np.savez_compressed(path, **arrays)


def load_body(path: Path) -> BodyData:
    """Read what `save_body` wrote. Raises BodyError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {key: file[key] for key in file.files}
    except Exception as error:  # a damaged archive can raise almost anything
        raise BodyError(f"The body file {path} cannot be read ({error}). Install the program again.") from error
    try:
        return _from_stored(stored)
    except BodyError:
        raise
    except KeyError as error:
        raise BodyError(
            f"The body file {path} lacks {error}; it comes from another version. Install the program again."
        ) from error
    except Exception as error:
        raise BodyError(f"The body file {path} is damaged ({error}). Install the program again.") from error


def _from_stored(stored: dict[str, NDArray[Any]]) -> BodyData:
    v_template = stored["v_template"].astype(np.float32)
    shapedirs = stored["shapedirs"].astype(np.float32)
    weights = stored["weights"].astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    regressor = sparse.csr_matrix(tuple(stored[key] for key in _REGRESSOR_KEYS), shape=(_NUM_JOINTS, len(v_template)))
    groups = [key.split("_")[2] for key in stored if key.startswith("shape_prior_") and key.endswith("_mean")]
    quads, quad_uv = stored["quads"], stored["quad_uv"]
    joint_template, joint_shapedirs = regress_joints(regressor, v_template, shapedirs)
    rig = None
    if "rig_vertices" in stored:
        rig_weights, rig_joints = rig_of(stored, weights, regressor)
        places = regress_joints(rig_joints, v_template, shapedirs)
        rig = Rig(rig_weights, rig_joints, *places, stored["finger_axes"], stored["fingertips"])
    return BodyData(
        name=str(stored["name"]),
        v_template=v_template,
        shapedirs=shapedirs,
        J_regressor=regressor,
        parents=stored["parents"],
        weights=weights,
        posedirs=None,
        faces=triangulate(quads),
        quads=quads,
        uv=stored["uv"].astype(np.float32),
        face_uv=triangulate(quad_uv),
        quad_uv=quad_uv,
        mirror=stored["mirror"],
        part=stored["part"],
        joint_template=joint_template,
        joint_shapedirs=joint_shapedirs,
        landmark_template=stored["landmark_template"],
        landmark_shapedirs=stored["landmark_shapedirs"],
        landmark_weights=stored["landmark_weights"],
        beta_names=tuple(str(name) for name in stored["beta_names"]),
        shape_prior={
            g: ShapePrior(stored[f"shape_prior_{g}_mean"], stored[f"shape_prior_{g}_covariance"]) for g in groups
        },
        joint_names=tuple(str(name) for name in stored["joint_names"]),
        rig=rig,
        network_uv=stored.get("network_uv"),
        licence=str(stored["licence"]),
        provenance=str(stored["provenance"]),
    )


def regress_joints(
    regressor: sparse.csr_matrix, v_template: NDArray[np.float32], shapedirs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The rest joints as a linear function of betas: (24, 3) at betas 0 and (24, 3, 10) per unit of each beta."""
    template = regressor @ v_template.astype(np.float64)
    directions = (regressor @ shapedirs.reshape(len(v_template), -1).astype(np.float64)).reshape(len(template), 3, -1)
    return template.astype(np.float32), directions.astype(np.float32)


def as_smpl_dict(data: BodyData) -> dict[str, Any]:
    """The body with the keys of an SMPL file, for tools that read that format.

    ``smplx.SMPL("", data_struct=smplx.utils.Struct(**as_smpl_dict(data)))`` loads it. smplx's own licence forbids
    commercial use; nothing in this program needs it.
    """
    posedirs = (
        data.posedirs
        if data.posedirs is not None
        else np.zeros((len(data.v_template), 3, 9 * (_NUM_JOINTS - 1)), np.float32)
    )
    parents = data.parents.astype(np.int64)
    return {
        "v_template": data.v_template,
        "shapedirs": data.shapedirs,
        "posedirs": posedirs,
        "J_regressor": data.J_regressor,
        "kintree_table": np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(_NUM_JOINTS)]).astype(
            np.uint32
        ),
        "weights": data.weights,
        "f": data.faces.astype(np.uint32),
    }
