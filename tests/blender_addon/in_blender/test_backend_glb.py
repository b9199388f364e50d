"""The .glb files that the backend writes without Blender are those that the extension exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.sample import encoded, gradient, sample_result
from tests.parts import made_part
from uvatar.body import load_open_body
from uvatar.gltf.presets import PRESETS
from uvatar.protocol.parts import part_entry
from uvatar.protocol.people import people_of
from uvatar.results.present import body_entry
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.export import export_glb

pytest.importorskip("pygltflib", reason="a Blender of its own, without the backend's packages")
from uvatar.gltf.avatar import glb


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """A person of the open body with all its joints and keys, and teeth."""
    made, body = sample_result(), body_entry(load_open_body())
    (person,) = made["people"]
    own = {key: value for key, value in person.items() if key not in body}
    extra = {
        "hand_pose": np.zeros((30, 3), np.float32),
        "jaw_pose": np.zeros(3, np.float32),
        "eye_pose": np.zeros((2, 3), np.float32),
        "expression": np.zeros(52, np.float32),
        "parts": [part_entry(made_part())],
        "texture_png": encoded(gradient(64)),
    }
    return {**made, "schema": 2, "body": body, "people": [own | extra]}


def read(path: Path) -> tuple[bpy.types.Object, dict[str, bpy.types.Object]]:
    """The armature and the meshes by name, without what Blender adds to equal names."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    (rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    meshes = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() is not None]
    return rig, {thing.name.split(".")[0]: thing for thing in meshes}


def facts(path: Path) -> dict[str, Any]:
    rig, meshes = read(path)
    bones = {bone.name: np.array(rig.matrix_world @ bone.head_local) for bone in rig.data.bones}
    body = max(meshes.values(), key=lambda mesh: len(mesh.data.vertices))
    (teeth,) = (mesh for mesh in meshes.values() if mesh != body)
    keys = {
        name: {key.name for key in mesh.data.shape_keys.key_blocks[1:]}
        for name, mesh in (("body", body), ("teeth", teeth))
    }
    return {
        "bones": bones,
        "keys": keys,
        "body": world(body),
        "teeth": world(teeth),
        "smile": world(body, "mouthSmileLeft"),
        "weights": weights(body),
    }


def weights(mesh: bpy.types.Object) -> NDArray[np.float64]:
    """(N, J) weights of the bones, by their names, in the order of the vertices' places."""
    names = sorted(group.name for group in mesh.vertex_groups)
    column = {group.index: names.index(group.name) for group in mesh.vertex_groups}
    table = np.zeros((len(mesh.data.vertices), len(names)))
    for vertex in mesh.data.vertices:
        for entry in vertex.groups:
            table[vertex.index, column[entry.group]] = entry.weight
    places = np.array([mesh.matrix_world @ vertex.co for vertex in mesh.data.vertices])
    return table[np.lexsort(np.round(places, 4).T)]


def world(mesh: bpy.types.Object, key: str | None = None) -> NDArray[np.float64]:
    """(N, 3) vertices in the order of their places."""
    points = mesh.data.shape_keys.key_blocks[key].data if key else mesh.data.vertices
    places = np.array([mesh.matrix_world @ point.co for point in points])
    return places[np.lexsort(np.round(places, 4).T)]


def test_the_backends_file_is_the_extensions(result: dict[str, Any], tmp_path: Path) -> None:
    (person,) = people_of(result)
    ours, theirs = tmp_path / "ours.glb", tmp_path / "theirs.glb"
    ours.write_bytes(glb(person, PRESETS["gltf"], "me"))
    bpy.ops.wm.read_homefile(use_empty=True)
    (rig,) = import_people(parse_result(result), bpy.context.scene).rigs
    export_glb(rig, theirs)
    one, other = facts(ours), facts(theirs)
    assert one["bones"].keys() == other["bones"].keys() and one["keys"] == other["keys"]
    assert max(np.abs(one["bones"][name] - other["bones"][name]).max() for name in one["bones"]) < 1e-4
    for mesh in ("body", "teeth", "smile"):
        assert one[mesh].shape == other[mesh].shape
        for points, others in ((one[mesh], other[mesh]), (other[mesh], one[mesh])):
            near = np.array([np.abs(others - point).max(1).min() for point in points[:: max(len(points) // 200, 1)]])
            assert near.max() < 1e-4
    sums = [part["weights"].sum(0) / len(part["weights"]) for part in (one, other)]
    assert np.allclose(sums[0], sums[1], atol=1e-4) and np.allclose(one["weights"].sum(1), 1, atol=1e-4)
