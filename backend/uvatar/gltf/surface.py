"""An avatar's surface as game engines have it: triangles whose corners share position and texture coordinate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import vertex_normals
from uvatar.protocol.linear_skinning import narrowed
from uvatar.protocol.parts import Part, triangles_of
from uvatar.protocol.people import with_rig

INFLUENCES = 4  # joints that move a vertex, at most: what engines take


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
        uv: (N, 2) texture coordinates, origin top-left, as glTF has them; None without a texture.
        triangles: (F, 3) counter-clockwise as seen from outside.
        joints: (N, 4) uint8, 0 where the weight is 0.
        weights: (N, 4) sums are 1.
        movements: morph targets by name.
        sources: (N,) the vertex of the body or part that each is made of: at seams of the texture several are of one.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32] | None
    triangles: NDArray[np.uint32]
    joints: NDArray[np.uint8]
    weights: NDArray[np.float32]
    movements: Mapping[str, Movement]
    sources: NDArray[np.int64]


@dataclass(frozen=True)
class Skeleton:
    """The joints at rest, in the frame of `Surface`.

    Attributes:
        heads: (J, 3) metres.
        parents: the parent of each joint, -1 for the root; parents come first.
        ground: height of the body's lowest vertex in the body's own frame, metres: what was taken away from all y.
    """

    heads: NDArray[np.float64]
    parents: tuple[int, ...]
    ground: float


@dataclass(frozen=True)
class Bone:
    """A bone beside the joints.

    Attributes:
        name: of the bone.
        parent: its parent's number.
        head: (3,) metres, its place at rest.
    """

    name: str
    parent: int
    head: NDArray[np.float64]


def with_bones(skeleton: Skeleton, bones: Sequence[Bone]) -> Skeleton:
    """The skeleton with further bones after its joints."""
    heads = np.concatenate([skeleton.heads, np.reshape([bone.head for bone in bones], (-1, 3))])
    return Skeleton(heads, (*skeleton.parents, *(bone.parent for bone in bones)), skeleton.ground)


def strongest(shares: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Joints and weights (N, 4) of shares (N, J) of all bones."""
    chosen = np.argsort(-shares, axis=1, kind="stable")[:, :INFLUENCES]
    return _influences(chosen, np.take_along_axis(shares, chosen, 1))


def shares_of(surface: Surface, count: int) -> NDArray[np.float64]:
    """(N, count) the weights of a surface, a column for each bone."""
    shares = np.zeros((len(surface.positions), count))
    np.add.at(shares, (np.arange(len(shares))[:, None], surface.joints), surface.weights)
    return shares


def body_at_rest(person: Mapping[str, Any], shape_sliders: bool) -> tuple[Surface, Skeleton]:
    """The body of a person of a result, clothing and hair included, at rest.

    Args:
        person: with the arrays of its body (`uvatar.protocol.people.people_of`).
        shape_sliders: whether the ten shape coefficients become morph targets, each one standard deviation.

    Returns:
        The surface, whose morph targets are these and the expression keys, and the joints: 55 with fingers, jaw and
        eyes, or SMPL's 24 on a body without them. Weights are those for linear skinning, for which those of a body with
        pose blend shapes are made.
    """
    whole = with_rig(person)
    betas = np.asarray(whole["betas"], np.float64)
    rest = np.asarray(whole["template"], np.float64) + np.asarray(whole["shapedirs"]) @ betas + whole["offsets"]
    heads = np.asarray(whole["joint_template"], np.float64) + np.asarray(whole["joint_shapedirs"]) @ betas
    ground = float(rest[:, 1].min())
    triangles, textured = np.asarray(whole["triangles"]), bool(whole["texture_png"])
    joints, parents = np.asarray(whole["skin_joints"]), tuple(whole["parents"])
    weights: Floats = np.asarray(whole["skin_weights"], np.float32)
    if whole.get("posedirs") is None:
        weights = narrowed(joints, weights, parents)
    surface = _surface(
        rest - (0, ground, 0),
        triangles,
        joints,
        weights,
        np.asarray(whole["uv"], np.float32) if textured else None,
        np.asarray(whole["triangle_uv"]) if textured else triangles,
        _movements(whole, whole.get("face"), whole["beta_names"] if shape_sliders else ()),
    )
    return surface, Skeleton(heads - (0, ground, 0), parents, ground)


def part_at_rest(part: Part, ground: float, sliders: Sequence[str]) -> Surface:
    """A part as a surface.

    Args:
        part: of a result.
        ground: the `Skeleton`'s.
        sliders: names of the shape coefficients that become morph targets.
    """
    triangles, textured = triangles_of(part.faces), part.uv is not None and part.face_uv is not None
    keys = part.keys
    face = None if keys is None else {name: getattr(keys, name) for name in ("names", "starts", "vertices", "deltas")}
    return _surface(
        part.vertices - (0, ground, 0),
        triangles,
        part.skin_joints,
        part.skin_weights,
        part.uv if textured else None,
        triangles_of(part.face_uv) if textured and part.face_uv is not None else triangles,
        _movements({"shapedirs": part.shapedirs}, face, () if part.shapedirs is None else sliders),
    )


def _surface(
    rest: Floats,
    triangles: NDArray[np.integer[Any]],
    skin_joints: NDArray[np.integer[Any]],
    skin_weights: Floats,
    uv: NDArray[np.float32] | None,
    uv_corners: NDArray[np.integer[Any]],
    movements: Mapping[str, Movement],
) -> Surface:
    vertices, texture, corners = split_at_seams(triangles, uv_corners)
    joints, weights = _influences(skin_joints, skin_weights)
    return Surface(
        positions=rest[vertices].astype(np.float32),
        normals=vertex_normals(rest, triangles)[vertices],
        uv=None if uv is None else np.stack([uv[texture, 0], 1 - uv[texture, 1]], 1),
        triangles=corners.astype(np.uint32),
        joints=joints[vertices],
        weights=weights[vertices],
        movements={name: split_movement(movement, vertices, len(rest)) for name, movement in movements.items()},
        sources=vertices,
    )


def with_triangles(surface: Surface, triangles: NDArray[np.integer[Any]]) -> Surface:
    """The surface with other triangles (F, 3) of its vertices, without those that none has."""
    used, corners = np.unique(triangles, return_inverse=True)
    return Surface(
        positions=surface.positions[used],
        normals=surface.normals[used],
        uv=None if surface.uv is None else surface.uv[used],
        triangles=corners.reshape(-1, 3).astype(np.uint32),
        joints=surface.joints[used],
        weights=surface.weights[used],
        movements={
            name: split_movement(movement, used, len(surface.positions)) for name, movement in surface.movements.items()
        },
        sources=surface.sources[used],
    )


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


def _movements(shape: Mapping[str, Any], face: Mapping[str, Any] | None, sliders: Sequence[str]) -> dict[str, Movement]:
    """Morph targets of shape coefficients and expression keys, by name."""
    movements: dict[str, Movement] = {}
    if sliders:
        directions = np.moveaxis(np.asarray(shape["shapedirs"], np.float32), -1, 0)
        movements |= {
            name: Movement(np.arange(len(deltas)), deltas) for name, deltas in zip(sliders, directions, strict=True)
        }
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
