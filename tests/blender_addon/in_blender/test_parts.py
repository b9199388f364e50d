"""Parts of an avatar in Blender: objects that follow the body's sliders and bones, and what comes back from files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

import uvatar_blender
from tests.blender_addon.in_blender.helpers import imported, read_file
from tests.blender_addon.in_blender.test_hands_and_face import difference
from tests.blender_addon.sample import sample_result, with_fingers, world_of
from tests.parts import made_part
from uvatar.files.avatar import Avatar
from uvatar.protocol.parts import MASK, Part, part_entry
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.expressions import EXPRESSIONS
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.expressions import set_expression
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.parts import find_parts
from uvatar_blender.scene.rig import find_body, find_rig


def dressed(parts: list[Part], **changes: Any) -> dict[str, Any]:
    result = with_fingers(sample_result())
    person = {**result["people"][0], "parts": [part_entry(part) for part in parts], **changes}
    return {**result, "people": [person]}


@pytest.fixture(scope="module")
def toothed() -> dict[str, Any]:
    return dressed([made_part(), replace(made_part("Strap"), texture=b"", alpha="opaque", body_texture=True)])


def shown(thing: bpy.types.Object) -> NDArray[Any]:
    thing.modifiers["Armature"].use_deform_preserve_volume = False
    bpy.context.view_layer.update()
    return evaluated_vertices(thing)


def the_part(rig: bpy.types.Object, name: str = "Teeth") -> bpy.types.Object:
    return next(part for part in find_parts(rig) if part["uvatar_part"] == name)


def test_each_part_is_an_object_on_the_same_armature(toothed: dict[str, Any], scene: Any) -> None:
    rig = imported(toothed, scene)
    teeth, strap = the_part(rig), the_part(rig, "Strap")
    assert teeth.name == "me Teeth"
    assert teeth.parent == strap.parent == rig and teeth.find_armature() == rig
    assert find_body(rig) not in (teeth, strap) and find_rig(teeth) == rig
    assert [len(face.vertices) for face in teeth.data.polygons] == [4] * 5 + [3] * 2
    assert {"jaw", "head"} <= set(teeth.vertex_groups.keys())
    assert teeth.users_collection == find_body(rig).users_collection
    assert not teeth.data.validate()


def test_materials(toothed: dict[str, Any], scene: Any) -> None:
    rig = imported(toothed, scene)
    (enamel,) = (slot.material for slot in the_part(rig).material_slots)
    assert enamel.name == "me Enamel" and not enamel.use_backface_culling
    shader = enamel.node_tree.nodes["Principled BSDF"]
    assert shader.inputs["Roughness"].default_value == pytest.approx(0.25)
    picture = shader.inputs["Alpha"].links[0].from_node
    assert picture.image.packed_file is not None and tuple(picture.image.size) == (8, 8)
    assert the_part(rig, "Strap").material_slots[0].material == find_body(rig).material_slots[0].material


@pytest.mark.parametrize("rest", ["T", "A"])
def test_parts_are_posed_as_the_python_api_poses_them(scene: Any, rest: str) -> None:
    expression = np.zeros(52, np.float32)
    expression[EXPRESSIONS.index("jawOpen")] = 0.6
    sleeve = replace(made_part("Sleeve"), keys=None, skin_joints=np.full((9, 4), 18, np.uint8))
    result = dressed([made_part(), sleeve], expression=expression)
    rig = imported(result, scene, rest_pose=rest)
    avatar = Avatar(result)
    body = shown(find_body(rig)) - world_of(avatar.vertices("photo"))
    for part in avatar.parts:
        made = shown(the_part(rig, part.name))
        wanted = world_of(avatar.part_vertices(part, "photo"))
        assert difference(made, wanted) < 1e-4
        np.testing.assert_allclose((made - wanted).mean(0), np.median(body, axis=0), atol=1e-4)


def test_one_slider_moves_the_body_and_its_parts(toothed: dict[str, Any], scene: Any) -> None:
    rig = imported(toothed, scene)
    rigs.clear_pose(rig)
    keys, teeth = find_body(rig).data.shape_keys.key_blocks, the_part(rig)
    before = shown(teeth)
    keys["jawOpen"].value = 1.0
    np.testing.assert_allclose((shown(teeth) - before)[4:8], [(0, 0, -0.02)] * 4, atol=1e-5)
    keys["jawOpen"].value = 0.0
    stature = keys["stature"].value
    keys["stature"].value = stature + 1.5
    np.testing.assert_allclose(shown(teeth) - before, [(0, 0, 0.075)] * 9, atol=5e-5)  # sent in half precision
    keys["stature"].value = stature
    set_expression(rig, "surprised")
    assert np.abs(shown(teeth) - before).max() > 0.005
    set_expression(rig, "neutral")
    np.testing.assert_allclose(shown(teeth), before, atol=1e-6)


def test_tools_that_change_the_shape_take_the_parts_along(toothed: dict[str, Any], scene: Any) -> None:
    uvatar_blender.register()
    try:
        rig = imported(toothed, bpy.context.scene)
        body, teeth = find_body(rig), the_part(rig)
        for tool in (bpy.ops.uvatar.refresh_joints, bpy.ops.uvatar.apply_shape, bpy.ops.uvatar.refit):
            body.data.shape_keys.key_blocks["stature"].value += 1.0
            apart = shown(teeth) - shown(body)[:9]
            assert tool() == {"FINISHED"}
            np.testing.assert_allclose(shown(teeth) - shown(body)[:9], apart, atol=2e-3)
    finally:
        uvatar_blender.unregister()


def test_a_part_can_be_removed(toothed: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(toothed, scene)
    bpy.data.objects.remove(the_part(rig))
    set_expression(rig, "happy")
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    assert [part["uvatar_part"] for part in find_parts(rig)] == ["Strap"]


def test_results_without_parts_have_only_a_body(scene: Any) -> None:
    rig = imported(with_fingers(sample_result()), scene)
    assert find_parts(rig) == [] and len(rig.children) == 1


def test_an_import_that_fails_leaves_nothing(toothed: dict[str, Any], scene: Any, monkeypatch: Any) -> None:
    from uvatar_blender.core.result import ResultError
    from uvatar_blender.scene import avatar as avatars

    def fail(*_: Any) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(avatars, "stand_as_in_photo", fail)
    with pytest.raises(ResultError):
        import_people(parse_result(toothed), scene)
    assert not bpy.data.objects and not bpy.data.meshes and not bpy.data.images


@pytest.mark.parametrize("target", [Target.GLTF, Target.UNITY, Target.USD])
def test_files_of_unlit_avatars_keep_what_is_transparent(scene: Any, tmp_path: Path, target: Target) -> None:
    rig = imported(dressed([replace(made_part("Lashes"), alpha=MASK, material=None)]), scene, unlit=True)
    path = tmp_path / f"me{target.suffix}"
    export_avatar(rig, path, target)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    read_file(path)
    (found,) = (material for material in bpy.data.materials if material.name.endswith("Lashes"))
    links = [(link.from_socket.name, link.to_socket.name) for link in found.node_tree.links]
    assert any(begin == "Color" for begin, _ in links) and any(begin == "Alpha" for begin, _ in links), links
    mixed = [end for begin, end in links if end in ("Alpha", "Fac")]
    assert mixed, links


@pytest.mark.parametrize("target", list(Target))
def test_files_keep_parts_with_bones_keys_and_material(scene: Any, tmp_path: Path, target: Target) -> None:
    result = dressed([made_part(), replace(made_part("Lashes"), alpha=MASK, material=None)])
    rig = imported(result, scene)
    set_expression(rig, "surprised")
    path = tmp_path / f"me{target.suffix}"
    export_avatar(rig, path, target)
    assert len(find_parts(rig)) == 2 and the_part(rig).data.shape_keys.animation_data.drivers
    if target.suffix == ".glb":
        written = path.read_bytes()
        gltf = json.loads(written[20 : 20 + int.from_bytes(written[12:16], "little")])
        modes = {material["name"]: material.get("alphaMode", "OPAQUE") for material in gltf["materials"]}
        assert modes == {"me": "OPAQUE", "me Enamel": "BLEND", "me Lashes": "MASK"}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    read_file(path)
    (back,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    plain = "me_" if target is Target.USD else "me "  # USD's names have no spaces
    meshes = {
        thing.name.replace(plain, "me "): thing
        for thing in bpy.data.objects
        if thing.type == "MESH" and thing.find_armature() == back
    }
    assert {"me body", "me Teeth", "me Lashes"} == set(meshes)
    teeth = meshes["me Teeth"]
    groups = {teeth.vertex_groups[entry.group].name for vertex in teeth.data.vertices for entry in vertex.groups}
    assert groups <= set(back.data.bones.keys()) and len(groups) >= 2
    keys = {key.name: key for key in teeth.data.shape_keys.key_blocks}
    if target is Target.USD:  # in which blend shapes of several meshes on one skeleton have numbers
        keys = {name.rstrip("0123456789"): key for name, key in keys.items()}
    assert {"jawOpen", "tongueOut", "stature"} <= set(keys)
    scale = teeth.matrix_world.to_scale()[0]
    pairs = zip(keys["jawOpen"].points, keys["Basis"].points, strict=True)
    moved = max((moved.co - before.co).length for moved, before in pairs)
    assert moved * scale == pytest.approx(0.02, rel=0.01)
    (enamel,) = (slot.material for slot in teeth.material_slots)
    assert enamel.name.startswith(f"{plain}Enamel")
    assert any(node.type == "TEX_IMAGE" and node.image for node in enamel.node_tree.nodes)
