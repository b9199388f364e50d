"""An avatar's surface as game engines have it: triangles whose corners share position and texture coordinate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import vertex_normals
from uvatar.protocol.people import with_rig


@dataclass(frozen=True)
class Movement:
    """A morph target: what it adds to the vertices at weight 1.

    Attributes:
        vertices: (K,) the ones that it moves, in rising order.
        deltas: (K, 3) metres.
    """

    vertices: NDArray[np.int64]
    deltas: NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """A skinned mesh at rest; metres, x to the person's left, y up, z forward, the feet at y = 0.

    Attributes:
        positions: (N, 3).
        normals: (N, 3) unit length.
        uv: (N, 2) texture coordinates, origin top-left, as glTF has them.
        triangles: (F, 3) counter-clockwise as seen from outside.
        joints: (N, 4) uint8, 0 where the weight is 0.
        weights: (N, 4) sums are 1.
        movements: morph targets by name.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    triangles: NDArray[np.uint32]
    joints: NDArray[np.uint8]
    weights: NDArray[np.float32]
    movements: Mapping[str, Movement]


@dataclass(frozen=True)
class Skeleton:
    """The joints at rest, in the frame of `Surface`.

    Attributes:
        heads: (J, 3) metres.
        parents: the parent of each joint, -1 for the root; parents come first.
    """

    heads: NDArray[np.float64]
    parents: tuple[int, ...]


def body_at_rest(person: Mapping[str, Any], shape_sliders: bool) -> tuple[Surface, Skeleton]:
    """The body of a person of a result, clothing and hair included, at rest.

    Args:
        person: with the arrays of its body (`uvatar.protocol.people.people_of`).
        shape_sliders: whether the ten shape coefficients become morph targets, each one standard deviation.

    Returns:
        The surface, whose morph targets are these and the expression keys, and the joints: 55 with fingers, jaw and
        eyes, or SMPL's 24 on a body without them.
    """
    whole = with_rig(person)
    betas = np.asarray(whole["betas"], np.float64)
    rest = np.asarray(whole["template"], np.float64) + np.asarray(whole["shapedirs"]) @ betas + whole["offsets"]
    heads = np.asarray(whole["joint_template"], np.float64) + np.asarray(whole["joint_shapedirs"]) @ betas
    ground = np.array([0.0, rest[:, 1].min(), 0.0])
    triangles, uv_corners = np.asarray(whole["triangles"]), np.asarray(whole["triangle_uv"])
    vertices, texture, corners = split_at_seams(triangles, uv_corners)
    joints, weights = _influences(np.asarray(whole["skin_joints"]), np.asarray(whole["skin_weights"], np.float32))
    uv = np.asarray(whole["uv"], np.float32)[texture]
    movements = {
        name: split_movement(movement, vertices, len(rest))
        for name, movement in _movements(whole, shape_sliders).items()
    }
    surface = Surface(
        positions=(rest - ground)[vertices].astype(np.float32),
        normals=vertex_normals(rest, triangles)[vertices],
        uv=np.stack([uv[:, 0], 1 - uv[:, 1]], 1),
        triangles=corners.astype(np.uint32),
        joints=joints[vertices],
        weights=weights[vertices],
        movements=movements,
    )
    return surface, Skeleton(heads - ground, tuple(whole["parents"]))


def split_at_seams(
    triangles: NDArray[np.integer[Any]], uv_corners: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give each pair of vertex and texture coordinate a vertex of its own.

    Args:
        triangles: (F, 3) corners as vertices.
        uv_corners: (F, 3) the same corners as texture coordinates.

    Returns:
        (N,) the vertex and (N,) the texture coordinate of each new vertex, and (F, 3) the corners as new vertices.
    """
    pairs = triangles.astype(np.int64) * (int(uv_corners.max()) + 1) + uv_corners
    unique, corners = np.unique(pairs, return_inverse=True)
    vertices, texture = np.divmod(unique, int(uv_corners.max()) + 1)
    return vertices, texture, corners.reshape(triangles.shape)


def split_movement(movement: Movement, vertices: NDArray[np.int64], count: int) -> Movement:
    """A movement of ``count`` vertices, for those of `split_at_seams`."""
    row = np.full(count, -1)
    row[movement.vertices] = np.arange(len(movement.vertices))
    (moved,) = np.nonzero(row[vertices] >= 0)
    return Movement(moved, movement.deltas[row[vertices[moved]]])


def _movements(whole: Mapping[str, Any], shape_sliders: bool) -> dict[str, Movement]:
    movements: dict[str, Movement] = {}
    if shape_sliders:
        directions = np.moveaxis(np.asarray(whole["shapedirs"], np.float32), -1, 0)
        movements |= {
            name: Movement(np.arange(len(deltas)), deltas)
            for name, deltas in zip(whole["beta_names"], directions, strict=True)
        }
    face = whole.get("face")
    if face is not None:
        for key, name in enumerate(face["names"]):
            rows = slice(face["starts"][key], face["starts"][key + 1])
            vertices, order = np.unique(np.asarray(face["vertices"][rows], np.int64), return_index=True)
            movements[name] = Movement(vertices, np.asarray(face["deltas"][rows], np.float32)[order])
    return movements


def _influences(joints: NDArray[np.integer[Any]], weights: Floats) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Joints and weights whose sums are 1; a joint without weight is 0, as glTF wants it."""
    shares = np.maximum(weights, 0).astype(np.float32)
    shares /= shares.sum(1, keepdims=True)
    return np.where(shares > 0, joints, 0).astype(np.uint8), shares


def mixed(movements: Mapping[str, Movement], shares: Mapping[str, float]) -> Movement:
    """The sum of movements, each times its share; those that the surface lacks are left out."""
    parts = [(movements[name], share) for name, share in shares.items() if name in movements]
    if not parts:
        return Movement(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    vertices = np.unique(np.concatenate([part.vertices for part, _ in parts]))
    deltas = np.zeros((len(vertices), 3), np.float32)
    for part, share in parts:
        deltas[np.searchsorted(vertices, part.vertices)] += np.float32(share) * part.deltas
    return Movement(vertices, deltas)
