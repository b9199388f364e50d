# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying the modifiers that the user has added to a body, for export, while keeping all shape sliders.

Blender's exporters either ignore such modifiers or drop the shape keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from mathutils.interpolate import poly_3d_calc
from numpy.typing import NDArray

# Modifiers that simulate, play back or correct poses, for which engines have means of their own.
_LIVE = {
    "CLOTH", "SOFT_BODY", "FLUID", "COLLISION", "DYNAMIC_PAINT", "PARTICLE_SYSTEM", "PARTICLE_INSTANCE", "EXPLODE",
    "OCEAN",
    "MESH_CACHE", "MESH_SEQUENCE_CACHE", "SURFACE", "CORRECTIVE_SMOOTH", "WAVE", "BUILD",
}  # fmt: skip

_MOST_WEIGHTS = 4  # per vertex, the limit of all engines


def apply_modifiers(body: bpy.types.Object, rig: bpy.types.Object) -> list[str]:
    """Apply the visible modifiers of a body at rest; the Armature modifier stays.

    If all shapes give the same faces (Subdivision Surface, Smooth, Solidify), each shape key goes through the modifiers
    itself. If not (Decimate, Remesh), the keys are transferred to the new surface from the nearest points of the old.

    Args:
        body: the mesh object, with its shape keys at 0.
        rig: the armature object that deforms it.

    Returns:
        Sentences on what was left out or transferred.
    """
    remarks = [remark for modifier in list(body.modifiers) for remark in _take_off(body, rig, modifier)]
    armature = next((modifier for modifier in body.modifiers if modifier.type == "ARMATURE"), None)
    others = [modifier for modifier in body.modifiers if modifier != armature]
    if not others:
        return remarks
    if armature is not None:
        armature.show_viewport = False
    for modifier in others:
        modifier.show_viewport = False
    names = []
    for modifier in others:  # one by one, to find those whose result cannot be exported
        modifier.show_viewport = True
        lost = _lost(body)
        if lost:
            modifier.show_viewport = False
            remarks.append(f"The modifier {modifier.name} was left out: {lost}.")
        else:
            names.append(modifier.name)
    if names:
        remarks += _bake(body, names)
        _limit_weights(body, [bone.name for bone in rig.data.bones])
    for modifier in others:
        body.modifiers.remove(modifier)
    if armature is not None:
        armature.show_viewport = True
    return remarks


def _take_off(body: bpy.types.Object, rig: bpy.types.Object, modifier: bpy.types.Modifier) -> Iterator[str]:
    """Remove a modifier that cannot be applied to a mesh at rest; yield the reason if it was visible."""
    first = next(other for other in body.modifiers if other.type == modifier.type)
    if modifier.type == "ARMATURE" and modifier.object == rig and modifier == first:
        modifier.show_viewport = True
        return
    name, shown = modifier.name, modifier.show_viewport
    reason = "it is disabled"
    if shown and modifier.type in _LIVE:
        reason = "it acts on the moving body, but exported files hold the body at rest"
    elif shown and _looks_at(modifier, body):
        reason = f"it depends on {_looks_at(modifier, body)}, which is not exported"
    elif shown:
        return
    body.modifiers.remove(modifier)
    if shown:
        yield f"The modifier {name} was left out: {reason}."


def _looks_at(modifier: bpy.types.Modifier, body: bpy.types.Object) -> str | None:
    """Return the name of another object or collection that the modifier uses, or None."""
    values = [getattr(modifier, prop.identifier) for prop in modifier.bl_rna.properties if prop.type == "POINTER"]
    if modifier.type == "NODES":
        values += list(modifier.values())  # the node group's inputs
    for value in values:
        if isinstance(value, (bpy.types.Object, bpy.types.Collection)) and value != body:
            name: str | None = value.name
            return name
    return None


def _evaluated(body: bpy.types.Object) -> tuple[bpy.types.Object, bpy.types.Depsgraph]:
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    return body.evaluated_get(depsgraph), depsgraph


def _lost(body: bpy.types.Object) -> str | None:
    """Say what the modifiers remove that engines need; None if nothing."""
    evaluated, _ = _evaluated(body)
    mesh = evaluated.to_mesh()
    try:
        if not len(mesh.polygons):
            return "it leaves no faces"
        if len(body.data.uv_layers) and not len(mesh.uv_layers):
            return "it removes the UV map"
        # Vertices without weights would not move with the body.
        loose = sum(not vertex.groups for vertex in mesh.vertices) - sum(
            not vertex.groups for vertex in body.data.vertices
        )
        return "it removes the vertex weights" if loose > 0 else None
    finally:
        evaluated.to_mesh_clear()


def _bake(body: bpy.types.Object, names: list[str]) -> list[str]:
    """Replace the mesh and its shape keys by what the modifiers make of them."""
    before = body.data
    evaluated, depsgraph = _evaluated(body)
    mesh = bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=depsgraph)
    base, corners = _vertices(mesh), _corners(mesh)
    shapes: dict[str, NDArray[np.float32]] = {}
    same = True
    for key in before.shape_keys.key_blocks[1:]:
        key.value = 1.0
        evaluated, _ = _evaluated(body)
        shaped = evaluated.to_mesh()
        # If no modifier adds or removes vertices (Triangulate), they correspond, whatever the faces.
        alike = len(base) == len(before.vertices) or np.array_equal(_corners(shaped), corners)
        same = same and len(shaped.vertices) == len(base) and alike
        if same:
            shapes[key.name] = _vertices(shaped)
        evaluated.to_mesh_clear()
        key.value = 0.0
    if not same:
        shapes = _carried_over(before, base)
    limits = {key.name: (key.slider_min, key.slider_max) for key in before.shape_keys.key_blocks[1:]}
    name = before.name
    body.data = mesh
    before.name = "uvatar before modifiers"
    mesh.name = name
    body.shape_key_add(name="Basis", from_mix=False)
    for key_name, vertices in shapes.items():
        key = body.shape_key_add(name=key_name, from_mix=False)
        key.points.foreach_set("co", vertices.ravel())
        key.slider_min, key.slider_max = limits[key_name]
        key.value = 0.0
    if same:
        return []
    return [
        f"{', '.join(names)}: the shape sliders were transferred to the changed mesh from the nearest points of the "
        "body."
    ]


def _limit_weights(body: bpy.types.Object, bones: list[str]) -> None:
    """Keep the strongest weights of each vertex; vertices that modifiers add may have weights for many bones."""
    own = {body.vertex_groups[name].index for name in bones if name in body.vertex_groups}
    for vertex in body.data.vertices:
        weights = sorted(
            ((entry.weight, entry.group) for entry in vertex.groups if entry.group in own and entry.weight > 0),
            reverse=True,
        )
        if len(weights) <= _MOST_WEIGHTS:
            continue
        whole = sum(weight for weight, _ in weights) / sum(weight for weight, _ in weights[:_MOST_WEIGHTS])
        for rank, (weight, group) in enumerate(weights):
            if rank < _MOST_WEIGHTS:
                body.vertex_groups[group].add([vertex.index], weight * whole, "REPLACE")
            else:
                body.vertex_groups[group].remove([vertex.index])


def _carried_over(before: bpy.types.Mesh, points: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Transfer each shape key to new points (V, 3), which move as the nearest point of the old surface does."""
    keys = before.shape_keys.key_blocks
    basis = np.empty(3 * len(keys[0].data), np.float32)
    keys[0].data.foreach_get("co", basis)
    basis = basis.reshape(-1, 3)
    places = [Vector(point) for point in basis.tolist()]
    faces = [tuple(face.vertices) for face in before.polygons]
    tree = BVHTree.FromPolygons(places, faces)
    most = max(len(face) for face in faces)
    corners, shares = np.zeros((len(points), most), np.int64), np.zeros((len(points), most))
    for row, point in enumerate(points.tolist()):
        near, _, face, _ = tree.find_nearest(Vector(point))
        count = len(faces[face])
        corners[row, :count] = faces[face]
        shares[row, :count] = poly_3d_calc([places[corner] for corner in faces[face]], near)
    moved = {}
    for key in keys[1:]:
        shape = np.empty(basis.size, np.float32)
        key.points.foreach_get("co", shape)
        steps = shape.reshape(-1, 3) - basis
        moved[key.name] = (points + np.einsum("vk,vkc->vc", shares, steps[corners])).astype(np.float32)
    return moved


def _vertices(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    vertices = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", vertices)
    return vertices.reshape(-1, 3)


def _corners(mesh: bpy.types.Mesh) -> NDArray[np.int32]:
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return corners
