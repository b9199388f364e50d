# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh of an avatar: faces, UV map, shape keys and vertex groups."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ..core.arrays import Floats
from ..core.result import AvatarData
from ..core.skeleton import ARMATURE_FROM_BODY
from ..protocol.expressions import EXPRESSIONS

BETA_LIMIT = 5.0  # range of the shape sliders, in standard deviations
CLOTHING_KEY = "Clothing"
CORRECTIVE = "Pose "  # prefix of the shape keys that the pose drives
# How much is built in one slice, so that Blender stays responsive.
_KEYS_AT_ONCE, _GROUPS_AT_ONCE = 4, 6
_EXPRESSIONS_AT_ONCE = 8


def to_armature_axes(points: Floats) -> NDArray[np.float32]:
    """Convert (..., 3) points from the body frame to the armature's axes."""
    turned: NDArray[np.float32] = (points @ ARMATURE_FROM_BODY.T).astype(np.float32)
    return turned


def build_mesh(
    avatar: AvatarData, name: str, collection: bpy.types.Collection, ground: float
) -> Generator[None, None, bpy.types.Object]:
    """Build a mesh object with the avatar's rest body, in slices.

    The Basis is the mean body. One shape key per beta, set to the person's value, and one for clothing make the person.
    A body with expressions has a shape key for each, set to what the photo shows.

    Args:
        avatar: the person.
        name: of object and mesh.
        collection: the collection to which the object is linked.
        ground: metres by which the body is raised, so that its soles are at z = 0.

    Yields:
        None, after each slice.

    Returns:
        The object.
    """
    mesh = bpy.data.meshes.new(name)
    basis = to_armature_axes(avatar.template) + np.array((0, 0, ground), np.float32)
    fill_mesh(mesh, basis, avatar.faces)
    body = bpy.data.objects.new(name, mesh)
    collection.objects.link(body)
    yield
    if avatar.face_uv is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        layer.uv.foreach_set("vector", avatar.uv[avatar.face_uv].ravel())
        yield
    yield from _add_shape_keys(body, avatar, basis)
    yield from add_vertex_groups(body, avatar.joint_names, avatar.skin_joints, avatar.skin_weights)
    return body


def fill_mesh(mesh: bpy.types.Mesh, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
    """Give an empty mesh its vertices (V, 3) and faces (F, 3 or 4); -1 stands for the corner a triangle lacks."""
    corners = faces[faces >= 0]
    sizes = (faces >= 0).sum(1)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners)
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update(calc_edges=True)


def _add_shape_keys(body: bpy.types.Object, avatar: AvatarData, basis: NDArray[np.float32]) -> Iterator[None]:
    body.shape_key_add(name="Basis", from_mix=False)
    for index, (name, value) in enumerate(zip(avatar.beta_names, avatar.betas, strict=True)):
        set_slider(add_key(body, name, basis + to_armature_axes(avatar.shapedirs[:, :, index])), float(value))
        if index % _KEYS_AT_ONCE == _KEYS_AT_ONCE - 1:
            yield
    add_key(body, CLOTHING_KEY, basis + to_armature_axes(avatar.offsets)).value = 1.0
    yield
    face = avatar.face
    if face is None:
        return
    deltas, moved = to_armature_axes(face.deltas), basis.copy()
    for index, (name, value) in enumerate(zip(face.names, face.weights, strict=True)):
        rows = slice(face.starts[index], face.starts[index + 1])
        own = face.vertices[rows]
        moved[own] += deltas[rows]
        add_key(body, name, moved).value = float(value)
        moved[own] = basis[own]
        if index % _EXPRESSIONS_AT_ONCE == _EXPRESSIONS_AT_ONCE - 1:
            yield
    yield


def add_key(body: bpy.types.Object, name: str, vertices: NDArray[np.float32]) -> bpy.types.ShapeKey:
    """Add a shape key with these vertices (V, 3), in metres and the armature's axes."""
    key = body.shape_key_add(name=name, from_mix=False)
    key.points.foreach_set("co", vertices.ravel())
    return key


def set_slider(key: bpy.types.ShapeKey, value: float) -> None:
    """Set the value of a shape slider; its range grows if the value is beyond `BETA_LIMIT`, so nothing is clipped."""
    key.slider_min = min(-BETA_LIMIT, float(np.floor(value)))
    key.slider_max = max(BETA_LIMIT, float(np.ceil(value)))
    key.value = value


def add_vertex_groups(
    body: bpy.types.Object,
    names: Sequence[str],
    joints: NDArray[np.uint8],
    weights: NDArray[np.float32],
) -> Iterator[None]:
    """Add a vertex group per joint; the weights of 1, which are most of them, are added with one call per group.

    Args:
        body: the mesh object.
        names: of the joints, in order.
        joints, weights: (V, 4) of the vertices.

    Yields:
        None, after each slice.
    """
    for joint, name in enumerate(names):
        group = body.vertex_groups.new(name=name)
        vertices, slots = np.nonzero((joints == joint) & (weights > 0))
        values = weights[vertices, slots]
        whole = values >= 1
        group.add(vertices[whole].tolist(), 1.0, "REPLACE")
        # "ADD", because the four entries of a vertex may name a joint twice.
        for vertex, value in zip(vertices[~whole].tolist(), values[~whole].tolist(), strict=True):
            group.add((vertex,), value, "ADD")
        if joint % _GROUPS_AT_ONCE == _GROUPS_AT_ONCE - 1:
            yield


def skin(body: bpy.types.Object, joint_names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read joints and weights (V, 4) from the vertex groups.

    The strongest come first, and the rows of weights sum to 1. Vertices without weights belong to the root.
    """
    joint_of = {
        body.vertex_groups[name].index: joint for joint, name in enumerate(joint_names) if name in body.vertex_groups
    }
    joints, weights = np.zeros((len(body.data.vertices), 4), np.int64), np.zeros((len(body.data.vertices), 4))
    for index, vertex in enumerate(body.data.vertices):
        own = sorted(
            ((group.weight, joint_of[group.group]) for group in vertex.groups if group.group in joint_of), reverse=True
        )[:4]
        for slot, (weight, joint) in enumerate(own):
            weights[index, slot], joints[index, slot] = weight, joint
    sums = weights.sum(1, keepdims=True)
    weights[sums[:, 0] <= 0, 0] = 1.0
    return joints, weights / np.where(sums > 0, sums, 1.0)


def shape_values(body: bpy.types.Object, beta_names: list[str]) -> NDArray[np.float64]:
    """Return the values (K,) of the shape sliders.

    Raises:
        KeyError: a slider was deleted.
    """
    keys = body.data.shape_keys.key_blocks
    return np.array([keys[name].value for name in beta_names])


def mixed_vertices(body: bpy.types.Object, leaving_out: Collection[str] = ()) -> NDArray[np.float32]:
    """Mix the shape keys at their current values.

    Args:
        body: the mesh object.
        leaving_out: names of shape keys that are not included; pose correctives and expressions never are.

    Returns:
        (V, 3) vertices before the armature deforms them, in the armature's axes.
    """
    keys = body.data.shape_keys.key_blocks
    basis = key_vertices(keys[0])
    mixed = basis.copy()
    for key in keys[1:]:
        if key.value and not key.mute and key.name not in leaving_out and not is_transient(key):
            mixed += np.float32(key.value) * (key_vertices(key) - basis)
    return mixed


def is_corrective(key: bpy.types.ShapeKey) -> bool:
    """Whether the pose drives this shape key (scene/correctives.py)."""
    corrective: bool = key.name.startswith(CORRECTIVE)
    return corrective


def is_transient(key: bpy.types.ShapeKey) -> bool:
    """Whether this shape key is not part of the body's form: a pose corrective, or an expression."""
    return is_corrective(key) or key.name in EXPRESSIONS


def expression_keys(body: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """Return the shape keys of the face's expressions."""
    return [key for key in body.data.shape_keys.key_blocks if key.name in EXPRESSIONS]


def key_vertices(key: bpy.types.ShapeKey) -> NDArray[np.float32]:
    """Return the vertices (V, 3) of a shape key."""
    vertices = np.empty(len(key.data) * 3, np.float32)
    key.points.foreach_get("co", vertices)
    return vertices.reshape(-1, 3)


def evaluated_vertices(body: bpy.types.Object) -> NDArray[np.float32]:
    """Return the vertices (V, 3) of the mesh as shown, with shape keys and modifiers applied, in world space."""
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.data  # with the modifiers applied
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", vertices)
    world = np.array(evaluated.matrix_world, np.float64)
    placed: NDArray[np.float32] = (vertices.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]).astype(np.float32)
    return placed


def raise_by(body: bpy.types.Object, height: float) -> None:
    """Move a mesh with all its shape keys up by ``height`` metres."""
    body.data.transform(Matrix.Translation((0, 0, height)), shape_keys=True)
    body.data.update()
