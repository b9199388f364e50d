"""All that a .blend and its window hold, as plain values that can be compared: what a tool has touched is found
whatever it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import bpy
import numpy as np

# Collections of numbers that are long: their bytes are compared. By the attribute that holds them.
_ARRAYS: dict[str, list[tuple[str, int, Any]]] = {
    "vertices": [("co", 3, np.float32)], "loops": [("vertex_index", 1, np.int32)], "edges": [("vertices", 2, np.int32)],
    "polygons": [("loop_start", 1, np.int32)], "data": [("co", 3, np.float32), ("uv", 2, np.float32)],
    "keyframe_points": [("co", 2, np.float32)],
}  # fmt: skip
_MOST = 1000  # of other collections' items
# What Blender itself changes whenever it evaluates, and what is the same data once more.
_IGNORED = {
    "rna_type",
    "is_library_indirect",
    "info",  # what a point cache holds, told when it is evaluated first
    "original", "is_evaluated", "session_uid", "users", "tag", "depsgraph", "preview", "id_data", "vertex_normals",
    "corner_normals",
    "polygon_normals", "loop_triangles", "loop_triangle_polygons", "attributes", "pixels", "packed_file",
    "packed_files",
    "bindcode", "is_updated", "is_updated_data", "has_data", "type_info", "shape_keys", "bones_all", "children",
    "children_recursive",
    "point", "points", "bound_box", "execution_time", "is_loaded", "users_collection", "users_scene", "ui_units_x",
}  # fmt: skip
_KINDS = (
    "actions", "armatures", "cameras", "collections", "images", "materials", "meshes", "node_groups", "objects",
    "scenes", "shape_keys",
    "worlds", "libraries",
)  # fmt: skip
_NAMED = (
    bpy.types.Bone,
    bpy.types.PoseBone,
    bpy.types.ShapeKey,
    bpy.types.Node,
    bpy.types.NodeSocket,
    bpy.types.ViewLayer,
    bpy.types.ActionGroup,
)
_DEEPEST = 7


def snapshot() -> dict[str, Any]:
    """Every value of every data-block, by where it stands; of the window: scene, layer, mode, selection, and the views'
    cameras.
    """
    bpy.context.view_layer.update()
    found: dict[str, Any] = {}
    for kind in _KINDS:
        for block in getattr(bpy.data, kind):
            place = f"{kind}[{block.name_full}]"
            found[place] = block.as_pointer()
            found |= _walk(block, place, 0)
    window, layer = bpy.context.window, bpy.context.view_layer
    found["window"] = (window.scene.name, window.view_layer.name, bpy.context.mode)
    found["selection"] = (
        sorted(thing.name_full for thing in layer.objects.selected),
        layer.objects.active and layer.objects.active.name_full,
    )
    spaces = [
        space
        for screen in bpy.data.screens
        for area in screen.areas
        for space in area.spaces
        if space.type == "VIEW_3D"
    ]
    found["views"] = [space.camera and space.camera.name for space in spaces]
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Where two snapshots differ."""
    places = sorted(before.keys() | after.keys())
    return [
        f"{place}: {before.get(place, 'nothing')} -> {after.get(place, 'nothing')}"
        for place in places
        if before.get(place) != after.get(place)
    ]


def _walk(thing: Any, place: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if depth > _DEEPEST:
        return found
    with suppress(TypeError, AttributeError):  # most kinds have no custom properties
        found |= {f"{place}['{key}']": _plain(thing[key]) for key in thing.keys() if not key.startswith("cycles")}  # noqa: SIM118 (no dict)
    for prop in thing.bl_rna.properties:
        name = prop.identifier
        if name in _IGNORED or name.startswith("cycles"):  # Cycles' properties are made when they are read first
            continue
        try:
            value = getattr(thing, name)
        except (AttributeError, RuntimeError):
            continue
        here = f"{place}.{name}"
        if prop.type == "COLLECTION":
            found |= _collection(value, here, name, depth)
        elif prop.type == "POINTER":
            if isinstance(value, bpy.types.ID) and not value.is_embedded_data:
                found[here] = value.name_full
            elif isinstance(value, _NAMED):  # stands elsewhere in the snapshot
                found[here] = getattr(value, "name", repr(value))
            elif value is not None and (name == "node_tree" or not isinstance(value, bpy.types.ID)):
                found |= _walk(value, here, depth + 1)
        else:
            found[here] = _plain(value)
    return found


def _collection(value: Any, here: str, name: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {here: len(value)}
    for attribute, width, kind in _ARRAYS.get(name, ()):
        if len(value) and hasattr(value[0], attribute):
            numbers = np.empty(len(value) * width, kind)
            value.foreach_get(attribute, numbers)
            found[here] = hashlib.sha256(numbers.tobytes()).hexdigest()
            return found
    if len(value) > _MOST:
        return found
    for number, item in enumerate(value):
        if isinstance(item, bpy.types.ID):
            found[f"{here}[{number}]"] = item.name_full
        else:
            found |= _walk(item, f"{here}[{number}]", depth + 1)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if hasattr(value, "to_dict"):
        return repr(value.to_dict())
    if hasattr(value, "to_list"):
        return repr(value.to_list())
    if isinstance(value, str | int | float | bool | bytes) or value is None:
        return value
    return repr(list(_flat(value)))


def _flat(value: Any) -> Iterator[Any]:
    for item in value:
        if hasattr(item, "__iter__") and not isinstance(item, str):
            yield from _flat(item)
        else:
            yield item
