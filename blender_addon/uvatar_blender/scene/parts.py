# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of an avatar: meshes such as teeth or a skirt, each an object that follows the body's sliders and bones."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.result import AvatarData
from ..protocol.parts import OPAQUE, Part
from .material import SKIN_SPECULAR, Look, build_material, packed_image
from .mesh import add_key, add_vertex_groups, fill_mesh, key_vertices, mixed_vertices, to_armature_axes
from .rig import PART

_RANGE = 10.0  # of the part's own keys, which drivers set: no value of a slider of the body is clipped


def build_part(
    part: Part, avatar: AvatarData, body: bpy.types.Object, name: str, ground: float, unlit: bool
) -> Generator[None, None, bpy.types.Object]:
    """Build the mesh object of a part, in slices; the body must have its shape keys and material.

    Args:
        part: in the rest pose of ``avatar``.
        avatar: the person.
        body: the body's mesh object, in whose collections the part will be.
        name: of the avatar.
        ground: metres by which the body is raised.
        unlit: use a material without lighting.

    Yields:
        None, after each slice.

    Returns:
        The object.
    """
    full = f"{name} {part.name}"
    mesh = bpy.data.meshes.new(full)
    vertices = to_armature_axes(part.vertices) + np.array((0, 0, ground), np.float32)
    shapes = None if part.shapedirs is None else to_armature_axes(np.moveaxis(part.shapedirs, 2, 0))
    if shapes is not None:  # the Basis is the part on the mean body, as the body's is
        vertices = vertices - np.tensordot(avatar.betas, shapes, 1).astype(np.float32)
    fill_mesh(mesh, vertices, part.faces)
    thing = bpy.data.objects.new(full, mesh)
    thing[PART] = part.name
    for collection in body.users_collection:
        collection.objects.link(thing)
    if part.uv is not None and part.face_uv is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        layer.uv.foreach_set("vector", part.uv[part.face_uv[part.face_uv >= 0]].ravel())
    mesh.materials.append(body.material_slots[0].material if part.body_texture else _material(part, name, unlit))
    yield
    yield from add_vertex_groups(thing, avatar.joint_names, part.skin_joints, part.skin_weights)
    movements = [] if shapes is None else list(zip(avatar.beta_names, shapes, strict=True))
    movements += [] if part.keys is None else _expressions(part)
    if movements:
        thing.shape_key_add(name="Basis", from_mix=False)
    for key_name, movement in movements:
        add_key(thing, key_name, vertices + movement)
    follow(thing, body)
    yield
    return thing


def _expressions(part: Part) -> Iterable[tuple[str, NDArray[np.float32]]]:
    assert part.keys is not None
    for name in part.keys.names:
        yield name, to_armature_axes(part.moved({name: 1.0}))


def _material(part: Part, name: str, unlit: bool) -> bpy.types.Material:
    texture = packed_image(f"{name} {part.name}.png", part.texture) if part.texture else None
    if texture is not None and part.alpha != OPAQUE:
        texture.alpha_mode = "CHANNEL_PACKED"  # colours under transparent texels are meant, for filtering
    look = Look(part.roughness, SKIN_SPECULAR, part.colour, part.alpha, part.two_sided)
    return build_material(f"{name} {part.material or part.name}", texture, unlit=unlit, look=look)


def find_parts(rig: bpy.types.Object) -> list[bpy.types.Object]:
    """Return the mesh objects of the avatar's parts that the user has kept."""
    return [child for child in rig.children if child.type == "MESH" and PART in child]


def follow(thing: bpy.types.Object, body: bpy.types.Object) -> None:
    """Drive each shape key of a part by the body's key of the same name."""
    if thing.data.shape_keys is None:
        return
    leaders = body.data.shape_keys
    for key in thing.data.shape_keys.key_blocks[1:]:
        leader = leaders.key_blocks.get(key.name)
        if leader is None:
            continue
        key.slider_min, key.slider_max = -_RANGE, _RANGE
        key.value = leader.value
        driver = key.driver_add("value").driver
        driver.type = "SUM"  # of one value: needs no Python
        variable = driver.variables.new()
        target = variable.targets[0]
        target.id_type, target.id = "KEY", leaders
        target.data_path = f'key_blocks["{bpy.utils.escape_identifier(key.name)}"].value'


def take_values(thing: bpy.types.Object, body: bpy.types.Object) -> None:
    """Give a part's shape keys the values of the body's, without waiting for Blender to evaluate the drivers."""
    if thing.data.shape_keys is not None:
        leaders = body.data.shape_keys.key_blocks
        for key in thing.data.shape_keys.key_blocks[1:]:
            if key.name in leaders:
                key.value = leaders[key.name].value


def apply_shape_to_part(thing: bpy.types.Object, betas: Iterable[str], others: Iterable[str]) -> None:
    """Make a part's current shape its Basis, as `shape.apply_shape` does with the body's.

    Args:
        thing: the part's object, whose keys have the values of the body's.
        betas: names of the shape sliders.
        others: names of all other keys.
    """
    if thing.data.shape_keys is None:
        return
    keys = thing.data.shape_keys.key_blocks
    shift = mixed_vertices(thing, list(others)) - key_vertices(keys[0])
    for key in keys:
        key.points.foreach_set("co", (key_vertices(key) + shift).ravel())
    for name in betas:
        if name in keys:
            keys[name].value = 0.0
    thing.data.vertices.foreach_set("co", key_vertices(keys[0]).ravel())
    thing.data.update()
