"""What the tests of tools share: avatars, how they look, and all that is in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from uvatar_blender.core.result import parse_result
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import ImportOptions, import_people
from uvatar_blender.scene.mesh import evaluated_vertices

ARMATURE_FROM_BODY = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def imported(result: dict[str, Any], scene: bpy.types.Scene, **options: Any) -> bpy.types.Object:
    return import_people(parse_result(result), scene, options=ImportOptions(**options)).rigs[0]


def shown(rig: bpy.types.Object, linear: bool = False) -> NDArray[Any]:
    body = rigs.find_body(rig)
    body.modifiers["Armature"].use_deform_preserve_volume = not linear
    bpy.context.view_layer.update()
    return evaluated_vertices(body)


def data_names() -> set[tuple[str, str]]:
    data = bpy.data
    kinds = (
        data.objects,
        data.meshes,
        data.shape_keys,
        data.armatures,
        data.cameras,
        data.materials,
        data.images,
        data.collections,
        data.scenes,
        data.actions,
    )
    return {(type(item).__name__, item.name) for kind in kinds for item in kind}


def queued() -> float:
    """Seconds for which this thread could have worked but other programs had the processor.

    0 where that is not told.
    """
    told = Path("/proc/thread-self/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


def read_file(path: Path) -> None:
    """Import an exported file by Blender's importer for its kind."""
    if path.suffix == ".glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
    elif path.suffix == ".usdz":
        bpy.ops.wm.usd_import(filepath=str(path), import_textures_mode="IMPORT_PACK")
    else:
        bpy.ops.import_scene.fbx(filepath=str(path))
