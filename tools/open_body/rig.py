"""Converts MakeHuman's skeleton and pose to SMPL's: joints, skinning weights, and the T-pose as rest pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from tools.open_body.source import Array, Shapes, Source
from uvatar.body.data import BODY, LEFT_EYE, RIGHT_EYE
from uvatar.data.joints import JOINT_NAMES, PARENTS

PELVIS = np.array([0.0, -0.22, 0.03])  # SMPL's rest position, metres: translations predicted for SMPL stay valid
COLLAR_RAISE = np.radians(12)  # the shoulder girdle rises when the arms move from MakeHuman's A-pose to a T-pose
HIP_NARROWING = (
    0.88  # MakeHuman's hip joints are 22 cm apart in an adult, real ones 17-18 cm; with less, the thighs would touch
)
# The width of Anny's heads at four years is .82 of an adult's; growth charts give .89 (head circumference 50 of 56 cm).
# Both agree at eleven years.
CHILD_HEAD = 0.085
SMOOTHING_PASSES = (
    9  # MakeHuman's merged weights have sharp borders: smoothing removes creases in sitting poses and at bent elbows
)


def mirror_map(vertices: Array) -> NDArray[np.int32]:
    """The index (V,) of each vertex's mirror image on a symmetric body with vertices (V, 3), metres.

    Raises:
        SystemExit: the body is not symmetric.
    """
    distance, index = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-3 or not np.array_equal(index[index], np.arange(len(index))):
        raise SystemExit(f"the template is not symmetric: {distance.max():.4f} m")
    partners: NDArray[np.int32] = index.astype(np.int32)
    return partners


def joint_mirror() -> NDArray[np.int64]:
    """The index (24,) of each joint's mirror image."""
    swap = {"left": "right", "right": "left"}
    return np.array(
        [JOINT_NAMES.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in JOINT_NAMES]
    )


def skin_weights(source: Source, mirror: NDArray[np.int32], eyes: NDArray[np.bool_]) -> Array:
    """Skinning weights (V, 24): symmetric, smoothed along the surface, with at most four joints per vertex."""
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
    ) > 4  # on the mid-line, a left and a right joint can tie for the fourth place, and both are dropped
    least = np.where(weights > 0, weights, 1).min(1, keepdims=True)
    weights[crowded[:, None] & (weights <= least + 1e-9)] = 0
    normalised: Array = weights / weights.sum(1, keepdims=True)
    return normalised


def eye_parts(source: Source, vertices: Array) -> NDArray[np.uint8]:
    """The part (V,) of each vertex, BODY, LEFT_EYE or RIGHT_EYE: the eyes are the two small components of the mesh."""
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


def source_joints(source: Source, bones: Array) -> Array:
    """SMPL's joints (N, 24, 3) from MakeHuman's bone heads (N, 163, 3), both in MakeHuman's pose."""
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
        # SMPL's collar is between breastbone and shoulder, further out than MakeHuman's clavicle head.
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
    """Straighten joints (N, 24, 3) from MakeHuman's pose to a T-pose.

    Returns:
        The rotation (N, 24, 3, 3) of every joint, and the joints (N, 24, 3) of the T-pose.
    """
    at = {name: joints[:, i] for i, name in enumerate(JOINT_NAMES)}
    turn = {name: np.broadcast_to(np.eye(3), (len(joints), 3, 3)) for name in JOINT_NAMES}
    down = np.array([0.0, -1, 0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        out = np.array([sign, 0.0, 0.0])
        upper, lower = at[f"{side}_elbow"] - at[f"{side}_shoulder"], at[f"{side}_wrist"] - at[f"{side}_elbow"]
        hand = at[f"{side}_hand"] - at[f"{side}_wrist"]
        hinge = sign * np.cross(upper, lower)  # the elbow's axis: in a T-pose it is vertical, and elbows bend forwards
        turn[f"{side}_collar"] = np.broadcast_to(_about_z(sign * COLLAR_RAISE), (len(joints), 3, 3))
        turn[f"{side}_shoulder"] = _align(upper, hinge, out, down)
        turn[f"{side}_elbow"] = _align(lower, hinge, out, down)
        swung = np.einsum("nij,nj->ni", turn[f"{side}_elbow"], hand)
        turn[f"{side}_wrist"] = _swing(swung, out) @ turn[f"{side}_elbow"]
        turn[f"{side}_hand"] = turn[f"{side}_wrist"]
        foot = (at[f"{side}_foot"] - at[f"{side}_ankle"]) * [1.0, 0.0, 1.0]
        ahead = _swing(foot, np.array([0.0, 0, 1]))  # about the vertical only: the soles stay flat
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
    """Matrices (..., 3, 3) with orthonormal columns: ``first``, the part of ``second`` perpendicular to it, their cross
    product.
    """
    a = first / np.linalg.norm(first, axis=-1, keepdims=True)
    b = second - a * (a * second).sum(-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return np.stack([a, b, np.cross(a, b)], -1)


def _align(bone: Array, hinge: Array, target: Array, axis: Array) -> Array:
    """Rotations (N, 3, 3) that map each bone to ``target`` and its hinge to ``axis``."""
    return _frame(target, axis) @ np.swapaxes(_frame(bone, hinge), -1, -2)


def _swing(bone: Array, target: Array) -> Array:
    """The smallest rotations (N, 3, 3) that map each bone (N, 3) to ``target`` (3,)."""
    unit = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    axis = np.cross(unit, target)
    cos = (unit @ target)[:, None, None]
    zero = np.zeros(len(unit))
    cross = np.stack(
        [zero, -axis[:, 2], axis[:, 1], axis[:, 2], zero, -axis[:, 0], -axis[:, 1], axis[:, 0], zero], -1
    ).reshape(-1, 3, 3)
    swing: Array = np.eye(3) + cross + cross @ cross / (1 + cos)
    return swing


def inverse_skin(vertices: Array, weights: Array, rotation: Array, joints: Array, straight: Array) -> Array:
    """The T-posed bodies (N, V, 3) from which linear blend skinning reproduces the modelled A-pose exactly.

    Solves v = sum_j w_j (R_j^T (t - s_j) + j_j) for t: the rest pose becomes a T-pose, but the pose that was modelled
    by hand is kept.

    Args:
        vertices: (N, V, 3) in MakeHuman's pose.
        weights: (V, 24) skinning weights.
        rotation: (N, 24, 3, 3) of `straighten`.
        joints, straight: (N, 24, 3) in MakeHuman's pose and in the T-pose.
    """
    result = np.empty_like(vertices)
    for n, (back, a, t) in enumerate(zip(np.swapaxes(rotation, -1, -2), joints, straight, strict=True)):
        shift = a - np.einsum("jab,jb->ja", back, t)
        mixed = np.einsum("vj,jab->vab", weights, back)
        result[n] = np.linalg.solve(mixed, (vertices[n] - weights @ shift)[..., None])[..., 0]
    return result


def t_posed(source: Source, shapes: Shapes, weights: Array) -> tuple[Array, Array]:
    """The sampled bodies in the T-pose, with children's heads corrected to their true size.

    Returns:
        Vertices (N, V, 3) and joints (N, 24, 3), metres.
    """
    joints = source_joints(source, shapes.bones)
    rotation, straight = straighten(joints)
    bodies = inverse_skin(shapes.vertices, weights, rotation, joints, straight)
    head = JOINT_NAMES.index("head")
    growth = CHILD_HEAD * np.clip((11 - shapes.age) / 7, 0, None)
    bodies += growth[:, None, None] * weights[:, head : head + 1] * (bodies - straight[:, head : head + 1])
    return bodies, straight


def regressor(
    vertices: Array, points: Array, mirror: NDArray[np.int32], point_mirror: NDArray[np.int64], body: NDArray[np.bool_]
) -> sparse.csr_matrix:
    """A regressor of points from vertices: sparse, non-negative, symmetric weights (P, V) whose rows sum to 1.

    Args:
        vertices: (N, V, 3).
        points: (N, P, 3).
        mirror, point_mirror: index (V,) and (P,) of each mirror image.
        body: (V,) the vertices that may be used.
    """
    mean_vertices, mean_points = vertices.mean(0), points.mean(0)
    rows = np.zeros((points.shape[1], vertices.shape[1]))
    for p in range(len(rows)):
        if mean_points[p, 0] < -1e-3:
            continue
        distance = np.where(body, np.linalg.norm(mean_vertices - mean_points[p], axis=1), np.inf)
        near = np.argsort(distance)[:700]
        near = near[np.linspace(0, len(near) - 1, 240).astype(int)]
        # Differences from the point per sample: the sum of w (v - p) over vertices must be 0 in every sample.
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
