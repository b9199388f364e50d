"""Files in SMPL's format that hold another body than the open one: other vertices, triangles, rest pose, joints, shape
space and UV.

The official files may not be passed on, so these tests make their own: the open body's skin with half of its vertices
collapsed into others until 6890 are left, bent into another rest pose, its shape space mixed anew, with pose blend
shapes.
"""

from __future__ import annotations

import heapq
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body import BODY, BodyModel
from uvatar.data.joints import JOINT_NAMES
from uvatar.geometry.mesh import face_normals, vertex_normals

VERTICES, FACES = 6890, 13776
# The other body's rest pose, degrees against the open body's: sloping arms, straddled legs, elbows and knees not quite
# straight.
REST_TURNS = {
    "left_shoulder": (0, 4, -9), "right_shoulder": (0, -4, 9), "left_elbow": (0, -6, 0), "right_elbow": (0, 6, 0),
    "left_hip": (3, 0, 5),
    "right_hip": (3, 0, -5), "left_knee": (5, 0, 0), "right_knee": (5, 0, 0), "neck": (6, 0, 0), "spine2": (-3, 0, 0),
}  # fmt: skip


@dataclass(frozen=True)
class Other:
    """The other body as made.

    Attributes:
        content: the arrays of an SMPL file.
        kept: (6890,) the open body's vertex that each of its vertices is.
        mixing, shift: the open body's betas are ``mixing @ (betas - shift)`` of this body's.
    """

    content: dict[str, NDArray[Any] | sparse.csc_matrix]
    kept: NDArray[np.int64]
    mixing: NDArray[np.float64]
    shift: NDArray[np.float64]


def other_body(body: BodyModel, seed: int = 0, pose_blend: float = 0.004) -> Other:
    """Another body of nearly the same people, for the open body ``body``.

    ``pose_blend``: metres that a turned joint bulges by.
    """
    data, rng = body.data, np.random.default_rng(seed)
    kept, faces = collapsed(data.v_template, data.faces[(data.part[data.faces] == BODY).all(1)], VERTICES)
    mixing = np.linalg.qr(rng.normal(size=(10, 10)))[0] * rng.uniform(0.5, 1.0, 10)
    shift = rng.normal(0, 0.3, 10)
    pose = np.zeros((1, 24, 3), np.float32)
    for name, degrees in REST_TURNS.items():
        pose[0, JOINT_NAMES.index(name)] = np.deg2rad(degrees)
    # Bodies at the ends of every axis of the new shape space, all in the new rest pose: it is linear in shape.
    betas = np.concatenate([-(mixing @ shift)[None], (mixing @ (np.eye(10) - shift[:, None])).T]).astype(np.float32)
    posed = body(betas, np.broadcast_to(pose, (11, 24, 3)))
    rest, joints = posed.vertices.astype(float)[:, kept], posed.joints.astype(float)
    joints[:, JOINT_NAMES.index("left_hip")] += (-0.012, 0.015, 0.0)
    joints[:, JOINT_NAMES.index("right_hip")] += (0.012, 0.015, 0.0)
    weights = data.weights[kept]
    return Other(
        {
            "v_template": rest[0],
            "shapedirs": np.moveaxis(rest[1:] - rest[0], 0, -1),
            "posedirs": _bulges(rest[0], faces, weights, pose_blend, rng),
            "J_regressor": sparse.csc_matrix(_regressor(joints[0], rest[0])),
            "weights": weights.astype(float),
            "f": faces.astype(np.uint32),
            "kintree_table": np.stack([data.parents.astype(np.int64) % 2**32, np.arange(24)]).astype(np.uint32),
        },
        kept, mixing, shift,
    )  # fmt: skip


def write_files(other: Other, folder: Path, uv: bool = True) -> Path:
    """SMPL_NEUTRAL.pkl and smpl_uv.obj in ``folder``; the first one's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(other.content, protocol=2))
    if uv:
        faces = np.asarray(other.content["f"], np.int64)
        coordinates, corners = layout(np.asarray(other.content["v_template"]), faces)
        lines = [f"vt {u:.6f} {v:.6f}" for u, v in coordinates]
        lines += [
            "f " + " ".join(f"{v}/{t + 1}" for v, t in zip(*row, strict=True))
            for row in zip(faces + 1, corners, strict=True)
        ]
        (folder / "smpl_uv.obj").write_text("\n".join(lines) + "\n")
    return path


def collapsed(vertices: NDArray[Any], faces: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A closed mesh with ``count`` of its vertices: the shortest edges shrink to one of their ends, while that turns no
    triangle over.

    Returns the vertices that are left (count,), and the triangles (F, 3) as indices of these.
    """
    points = np.asarray(vertices, float)
    triangles: dict[int, list[int]] = dict(enumerate(faces.tolist()))
    around: dict[int, set[int]] = {}
    for face, corners in triangles.items():
        for vertex in corners:
            around.setdefault(vertex, set()).add(face)
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    heap = [(length, a, b) for length, (a, b) in zip(lengths.tolist(), edges.tolist(), strict=True)]
    heapq.heapify(heap)
    while len(around) > count:
        _, gone, kept = heapq.heappop(heap)
        if gone not in around or kept not in around:
            continue
        rings = [{v for face in around[end] for v in triangles[face]} - {gone, kept} for end in (gone, kept)]
        shared = around[gone] & around[kept]
        if len(shared) != 2 or len(rings[0] & rings[1]) != 2 or len(rings[1]) > 10:
            continue
        moving = [triangles[face] for face in around[gone] - shared]
        after = [[kept if v == gone else v for v in corners] for corners in moving]
        before_normals, after_normals = (face_normals(points, np.array(corners)) for corners in (moving, after))
        lengths = np.linalg.norm(before_normals, axis=1) * np.linalg.norm(after_normals, axis=1)
        if ((before_normals * after_normals).sum(1) < 0.5 * lengths).any():
            continue
        for face in shared:
            for vertex in triangles.pop(face):
                around[vertex].discard(face)
        for face in around.pop(gone):
            triangles[face] = [kept if v == gone else v for v in triangles[face]]
            around[kept].add(face)
        for vertex in rings[0] | rings[1]:
            length = float(np.linalg.norm(points[vertex] - points[kept]))
            heapq.heappush(heap, (length, min(vertex, kept), max(vertex, kept)))
    left = np.array(sorted(around))
    number = np.zeros(len(points), np.int64)
    number[left] = np.arange(count)
    return left, number[np.array([triangles[face] for face in sorted(triangles)])]


def _regressor(joints: NDArray[Any], vertices: NDArray[Any]) -> NDArray[Any]:
    """(24, V) rows that sum to 1 and give these joints: the smallest changes to the mean of the 40 nearest vertices."""
    regressor = np.zeros((24, len(vertices)))
    for row, joint in zip(regressor, joints, strict=True):
        near = np.argsort(np.linalg.norm(vertices - joint, axis=1))[:40]
        constraints = np.concatenate([vertices[near].T, np.ones((1, 40))])
        mean = np.full(40, 1 / 40)
        row[near] = mean + np.linalg.pinv(constraints) @ (np.append(joint, 1) - constraints @ mean)
    return regressor


def _bulges(
    vertices: NDArray[Any], faces: NDArray[Any], weights: NDArray[Any], size: float, rng: np.random.Generator
) -> NDArray[Any]:
    """(V, 3, 207): whoever turns a joint pushes the skin near it out or in."""
    normals = vertex_normals(vertices, faces)
    near = weights[:, 1:] * (1 - weights[:, 1:]) * 4  # skin that hangs on the joint and on another one
    amounts = rng.normal(0, size / 3, (23, 9))
    return (normals[:, :, None, None] * (near[:, None, :, None] * amounts)).reshape(len(vertices), 3, 207)


def layout(vertices: NDArray[Any], faces: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """UV coordinates (T, 2) and their indices by triangle (F, 3): islands that face along one of six axes, on
    shelves.
    """
    normals = face_normals(vertices, faces)
    axis = np.abs(normals).argmax(1)
    way = 2 * axis + (normals[np.arange(len(faces)), axis] > 0)
    island = _connected(faces, way)
    uv, corners = np.zeros((0, 2)), np.zeros_like(faces)
    flat = {number: np.delete(vertices, axis[island == number][0], axis=1) for number in range(island.max() + 1)}
    size = {
        number: np.ptp(places[np.unique(faces[island == number])], axis=0) + 0.015 for number, places in flat.items()
    }
    shelf, reach, place = 0.0, 0.0, np.zeros(2)
    for number in sorted(flat, key=lambda number: -size[number][1]):
        if place[0] + size[number][0] > 3.0:
            place = np.array([0.0, place[1] + shelf])
            shelf = 0.0
        shelf = max(shelf, float(size[number][1]))
        own, index = np.unique(faces[island == number], return_inverse=True)
        corners[island == number] = index.reshape(-1, 3) + len(uv)
        uv = np.concatenate([uv, flat[number][own] - flat[number][own].min(0) + place + 0.005])
        place[0] += size[number][0]
        reach = place[1] + shelf
    return uv / max(3.0, reach), corners


def _connected(faces: NDArray[Any], kind: NDArray[Any]) -> NDArray[np.int64]:
    """(F,) number of the island of neighbouring triangles of one kind."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    order = np.lexsort(edges.T[::-1])
    pairs = (order % len(faces)).reshape(-1, 2)  # every edge has two triangles
    pairs = pairs[kind[pairs[:, 0]] == kind[pairs[:, 1]]]
    graph = sparse.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(faces), len(faces)))
    return sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
