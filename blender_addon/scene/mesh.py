# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar's mesh: faces, UV map, shape keys, vertex groups."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.result import Avatar
from ..core.skeleton import ARMATURE_FROM_BODY

BETA_LIMIT = 5.0  # how far the shape sliders go, in standard deviations
CLOTHING_KEY = "Clothing"


def to_armature_axes(points: NDArray) -> NDArray[np.float32]:
    """(..., 3) points of the body frame in the armature's axes."""
    return (points @ ARMATURE_FROM_BODY.T).astype(np.float32)


def build_mesh(avatar: Avatar, name: str, ground: float) -> bpy.types.Object:
    """An object with the avatar's rest body, not yet linked to a scene.

    Its basis is the mean body; one shape key per beta, set to the person's value, and one for clothing make the person.

    Args:
        ground: metres to raise the body so that its soles are at z = 0.
    """
    mesh = bpy.data.meshes.new(name)
    basis = to_armature_axes(avatar.template) + np.array((0, 0, ground), np.float32)
    _fill(mesh, basis, avatar.faces)
    if avatar.face_uv is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        layer.uv.foreach_set("vector", avatar.uv[avatar.face_uv].ravel())
    body = bpy.data.objects.new(name, mesh)
    _add_shape_keys(body, avatar, basis)
    _add_vertex_groups(body, avatar)
    return body


def _fill(mesh: bpy.types.Mesh, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
    corners = faces.shape[1]
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, corners, dtype=np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update(calc_edges=True)


def _add_shape_keys(body: bpy.types.Object, avatar: Avatar, basis: NDArray[np.float32]) -> None:
    body.shape_key_add(name="Basis", from_mix=False)
    for index, (name, value) in enumerate(zip(avatar.beta_names, avatar.betas, strict=True)):
        key = body.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", (basis + to_armature_axes(avatar.shapedirs[:, :, index])).ravel())
        set_slider(key, float(value))
    clothing = body.shape_key_add(name=CLOTHING_KEY, from_mix=False)
    clothing.data.foreach_set("co", (basis + to_armature_axes(avatar.offsets)).ravel())
    clothing.value = 1.0


def set_slider(key: bpy.types.ShapeKey, value: float) -> None:
    """Give a shape slider its value; the range grows where the fitted body lies beyond it, so that nothing is clipped."""
    key.slider_min = min(-BETA_LIMIT, float(np.floor(value)))
    key.slider_max = max(BETA_LIMIT, float(np.ceil(value)))
    key.value = value


def _add_vertex_groups(body: bpy.types.Object, avatar: Avatar) -> None:
    """Weights as they are, not quantised. Whole weights of 1, most of a body's, go in with one call per group."""
    joints, weights = avatar.skin_joints, avatar.skin_weights
    for joint, name in enumerate(avatar.joint_names):
        group = body.vertex_groups.new(name=name)
        vertices, slots = np.nonzero((joints == joint) & (weights > 0))
        values = weights[vertices, slots]
        whole = values >= 1
        group.add(vertices[whole].tolist(), 1.0, "REPLACE")
        # Adding, since a table of four may name a joint twice.
        for vertex, value in zip(vertices[~whole].tolist(), values[~whole].tolist(), strict=True):
            group.add((vertex,), value, "ADD")


def shape_values(body: bpy.types.Object, beta_names: list[str]) -> NDArray[np.float64]:
    """(K,) the shape sliders' values. Raises KeyError where a slider is gone."""
    keys = body.data.shape_keys.key_blocks
    return np.array([keys[name].value for name in beta_names])


def mixed_vertices(body: bpy.types.Object) -> NDArray[np.float32]:
    """(V, 3) vertices with all shape keys at their values, before the armature."""
    keys = body.data.shape_keys.key_blocks
    basis = key_vertices(keys[0])
    mixed = basis.copy()
    for key in keys[1:]:
        if key.value and not key.mute:
            mixed += np.float32(key.value) * (key_vertices(key) - basis)
    return mixed


def key_vertices(key: bpy.types.ShapeKey) -> NDArray[np.float32]:
    """(V, 3) a shape key's own vertices."""
    vertices = np.empty(len(key.data) * 3, np.float32)
    key.data.foreach_get("co", vertices)
    return vertices.reshape(-1, 3)


def raise_by(body: bpy.types.Object, height: float) -> None:
    """Move all shape keys up by ``height`` metres."""
    shift = np.array((0, 0, height), np.float32)
    for key in body.data.shape_keys.key_blocks:
        key.data.foreach_set("co", (key_vertices(key) + shift).ravel())
    body.data.vertices.foreach_set("co", key_vertices(body.data.shape_keys.key_blocks[0]).ravel())
    body.data.update()
