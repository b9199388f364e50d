# SPDX-License-Identifier: GPL-3.0-or-later
"""Material slots for skin, hair and clothes, which share the avatar's texture, by the backend's map of materials."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..protocol.surface_kinds import roughness_of
from .cornea import dull_eyes, shine_eyes
from .material import avatar_material, avatar_materials, packed_image, read_pixels
from .parts import find_parts
from .rig import RigError, find_body

# Custom properties of the body's mesh: the map (an image), and the names of its values, a line each.
_MAP, _NAMES = "uvatar_material_map", "uvatar_material_names"
WHOLE = "uvatar_material_whole"  # of the first material: its name while it was the only one
_ROUNDS = 2  # of giving single faces the material of those around them


def store_material_map(body: bpy.types.Object, name: str, encoded: bytes, names: tuple[str, ...]) -> None:
    """Keep the map of materials with the body, for `split_materials`; its eyes shine."""
    body.data[_MAP] = packed_image(f"{name} materials.png", encoded, "Non-Color")
    body.data[_NAMES] = "\n".join(names)
    material = avatar_material(body)
    if material is not None:
        shine_eyes(material, body.data[_MAP], names)


def can_split(body: bpy.types.Object) -> bool:
    """Whether the body has a map of materials, its material, and no slots by the map yet."""
    return _MAP in body.data and avatar_material(body) is not None and not is_split(body)


def is_split(body: bpy.types.Object) -> bool:
    """Whether the body has slots by the map."""
    material = avatar_material(body)
    return material is not None and WHOLE in material


def split_materials(rig: bpy.types.Object) -> list[str]:
    """Give body and skirt a material slot for each named material; all share the texture, roughness differs.

    Returns:
        The names of the materials that faces have, such as "skin".

    Raises:
        RigError: there is no map, or the material was replaced.
    """
    body = find_body(rig)
    if not can_split(body):
        raise RigError(f"{rig.name} has no map of materials; make the avatar again, without Fast.")
    whole = avatar_material(body)
    assert whole is not None  # see can_split
    labels, names = _label_picture(body.data[_MAP]), body.data[_NAMES].split("\n")
    dull_eyes(whole)  # they get a slot of their own
    things = [body, *(part for part in find_parts(rig) if whole in _materials(part))]
    chosen = {thing: _face_labels(thing.data, labels, len(names)) for thing in things}
    used = sorted({int(label) for faces in chosen.values() for label in np.unique(faces)})
    made = {}
    for label in used:
        material = whole if label == used[0] else whole.copy()
        made[label] = material
    whole[WHOLE] = base = whole.name
    for label, material in made.items():
        material.name = f"{base} {names[label]}"
        _set_roughness(material, roughness_of(names[label]))
    for thing, faces in chosen.items():
        own = sorted({int(label) for label in np.unique(faces)})
        thing.data.materials.clear()
        for label in own:
            thing.data.materials.append(made[label])
        thing.data.polygons.foreach_set("material_index", np.searchsorted(own, faces).astype(np.int32))
        thing.data.update()
    return [names[label] for label in used]


def join_materials(rig: bpy.types.Object, roughness: float) -> None:
    """Take `split_materials` back: one material with this roughness for body and skirt.

    Raises:
        RigError: there are no slots by the map.
    """
    body = find_body(rig)
    if not is_split(body):
        raise RigError(f"{rig.name} has one material already.")
    whole = avatar_material(body)
    assert whole is not None  # see is_split
    ours = set(avatar_materials(body))
    for thing in (body, *find_parts(rig)):
        if ours & set(_materials(thing)):
            thing.data.materials.clear()
            thing.data.materials.append(whole)
            thing.data.polygons.foreach_set("material_index", np.zeros(len(thing.data.polygons), np.int32))
            thing.data.update()
    for material in ours - {whole}:
        if material.users == 0:
            bpy.data.materials.remove(material)
    whole.name = whole[WHOLE]
    del whole[WHOLE]
    _set_roughness(whole, roughness)
    shine_eyes(whole, body.data[_MAP], body.data[_NAMES].split("\n"))
    for node in whole.node_tree.nodes:
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Subsurface Weight"].default_value = 0.0  # of `skin.set_subsurface`; clothes have none


def _materials(thing: bpy.types.Object) -> list[bpy.types.Material | None]:
    return [slot.material for slot in thing.material_slots]


def _set_roughness(material: bpy.types.Material, roughness: float) -> None:
    for node in material.node_tree.nodes:
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Roughness"].default_value = roughness


def _label_picture(image: bpy.types.Image) -> NDArray[np.int32]:
    """Return the labels (H, W) of a map, the bottom row first."""
    labels: NDArray[np.int32] = np.rint(255 * read_pixels(image)[:, :, 0]).astype(np.int32)
    return labels


def _face_labels(mesh: bpy.types.Mesh, labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return the index of the name (F,) that most texels of each face have, without single stray faces."""
    faces = len(mesh.polygons)
    starts, totals = np.empty(faces, np.int32), np.empty(faces, np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    mesh.polygons.foreach_get("loop_total", totals)
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uv)
    owner = np.repeat(np.arange(faces), totals)
    corners = uv.reshape(-1, 2)
    middles = np.stack([np.bincount(owner, corners[:, axis], faces) for axis in range(2)], -1) / totals[:, None]
    points = np.concatenate([middles, (corners + middles[owner]) / 2])
    height, width = labels.shape
    found = labels[
        np.clip((points[:, 1] * height).astype(int), 0, height - 1),
        np.clip((points[:, 0] * width).astype(int), 0, width - 1),
    ]
    votes = np.zeros((faces, count + 1))
    np.add.at(votes, (np.concatenate([np.arange(faces), owner]), np.minimum(found, count)), 1.0)
    votes[:, 0] = 0.5  # texels without a material count only where there are no others
    chosen: NDArray[np.int32] = np.maximum(votes.argmax(1) - 1, 0).astype(np.int32)
    pairs = _neighbours(mesh, owner)
    for _ in range(_ROUNDS):
        around = np.zeros((faces, count))
        np.add.at(around, (pairs[:, 0], chosen[pairs[:, 1]]), 1.0)
        most = around.argmax(1)
        stray = (around[np.arange(faces), most] >= 3) & (around[np.arange(faces), chosen] <= 1)
        chosen = np.where(stray, most, chosen).astype(np.int32)
    return chosen


def _neighbours(mesh: bpy.types.Mesh, owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs (N, 2) of faces that share an edge, in both orders."""
    edges = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("edge_index", edges)
    order = np.argsort(edges, kind="stable")
    same = np.flatnonzero(edges[order][1:] == edges[order][:-1])
    pairs = np.stack([owner[order[same]], owner[order[same + 1]]], -1)
    return np.concatenate([pairs, pairs[:, ::-1]])
