"""Material slots by the backend's map of materials: which faces get which, what they share, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.in_blender.helpers import imported
from tests.blender_addon.in_blender.test_panels import addon, drawn  # noqa: F401 (a fixture)
from tests.blender_addon.sample import encoded, sample_result
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.material import avatar_materials, shown_sources, texture_image
from uvatar_blender.scene.material_slots import join_materials, split_materials
from uvatar_blender.ui import avatar_panels

NAMES = ["skin", "upper", "shoes"]
SIZE = 256


def mapped(result: dict[str, Any] | None = None) -> dict[str, Any]:
    """The texture's left half is skin, its right half cloth, with a strip of shoes below and single stray texels."""
    result = result or sample_result()
    labels = np.ones((SIZE, SIZE), np.uint8)
    labels[:, SIZE // 2 :] = 2
    labels[-SIZE // 4 :] = 3
    stray = np.random.default_rng(0).integers(0, SIZE // 2, (60, 2))
    labels[stray[:, 0], stray[:, 1]] = 2
    person = {**result["people"][0], "materials_png": encoded(labels), "material_names": NAMES}
    return {**result, "people": [person]}


def expected(body: bpy.types.Object) -> tuple[NDArray[Any], NDArray[Any]]:
    """The material of each face by its middle, and whether the face is well inside it."""
    labels, certain = [], []
    uv = body.data.uv_layers[0].uv
    for face in body.data.polygons:
        corners = np.array([uv[loop].vector for loop in face.loop_indices])
        x, y = corners.mean(0)
        labels.append(2 if y < 0.25 else 0 if x < 0.5 else 1)
        certain.append(bool((abs(corners[:, 1] - 0.25) > 0.03).all() and (abs(corners[:, 0] - 0.5) > 0.03).all()))
    return np.array(labels), np.array(certain)


@pytest.fixture
def rig(addon: Any) -> Any:  # noqa: F811
    return import_people(parse_result(mapped()), bpy.context.scene).rigs[0]


def buttons() -> list[str]:
    return drawn(avatar_panels.UVATAR_PT_avatar).buttons


def test_faces_get_the_material_that_the_map_says(rig: bpy.types.Object) -> None:
    body = rigs.find_body(rig)
    bpy.context.view_layer.objects.active = rig
    (whole,) = avatar_materials(body)
    name, texture = whole.name, texture_image(whole)
    assert bpy.ops.uvatar.material_slots() == {"FINISHED"}
    materials = avatar_materials(body)
    assert [material.name.removeprefix(f"{name} ") for material in materials] == NAMES
    assert {texture_image(material) for material in materials} == {texture}
    rough = [
        next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Roughness"]
        for material in materials
    ]
    skin, cloth, leather = (socket.default_value for socket in rough)
    assert leather < skin < cloth
    found = np.array([face.material_index for face in body.data.polygons])
    wanted, certain = expected(body)
    assert certain.mean() > 0.7 and (found == wanted)[certain].all()  # stray texels change no face
    # The overlay of sources is shown on all of them.
    assert bpy.ops.uvatar.show_sources(share=0.5) == {"FINISHED"}
    assert all(shown_sources(material) == pytest.approx(0.5) for material in materials)
    assert "uvatar.material_slots" in buttons()
    assert bpy.ops.uvatar.material_slots(split=False) == {"FINISHED"}
    assert avatar_materials(body) == [whole] and whole.name == name and len(body.material_slots) == 1
    assert not any(face.material_index for face in body.data.polygons)


def test_as_an_option_of_the_import_and_in_exports(scene: Any, tmp_path: Path) -> None:
    rig = imported(mapped(), scene, split=True)
    assert len(avatar_materials(rigs.find_body(rig))) == 3
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "me.glb"))
    (body,) = (thing for thing in bpy.data.objects if thing.type == "MESH" and len(thing.material_slots) > 1)
    assert len(body.material_slots) == 3
    images = {
        node.image.name
        for slot in body.material_slots
        for node in slot.material.node_tree.nodes
        if node.type == "TEX_IMAGE"
    }
    assert len(images) == 1  # in the file once


def test_without_a_map_it_is_not_offered(addon: Any) -> None:  # noqa: F811
    rig = import_people(parse_result(sample_result()), bpy.context.scene).rigs[0]
    bpy.context.view_layer.objects.active = rig
    assert "uvatar.material_slots" not in buttons()
    with pytest.raises(RuntimeError, match="has no map of materials"):
        bpy.ops.uvatar.material_slots()


def test_light_scatters_below_the_skin_only(addon: Any) -> None:  # noqa: F811
    rig = import_people(parse_result(mapped()), bpy.context.scene).rigs[0]
    bpy.context.view_layer.objects.active = rig
    body = rigs.find_body(rig)
    with pytest.raises(RuntimeError, match="no material slot for skin; press Material Slots first"):
        bpy.ops.uvatar.skin_subsurface(on=True)

    def weights() -> dict[str, float]:
        return {
            material.name: next(
                node.inputs["Subsurface Weight"].default_value
                for node in material.node_tree.nodes
                if node.type == "BSDF_PRINCIPLED"
            )
            for material in avatar_materials(body)
        }

    bpy.ops.uvatar.material_slots(split=True)
    assert "uvatar.skin_subsurface" in drawn(avatar_panels.UVATAR_PT_avatar).buttons
    for on in (True, False, True):
        bpy.ops.uvatar.skin_subsurface(on=on)
        assert {name.split()[-1] for name, weight in weights().items() if weight > 0} == ({"skin"} if on else set())
    bpy.ops.uvatar.material_slots(split=False)
    assert set(weights().values()) == {0.0}


def test_eyes_shine_with_one_material_and_with_slots(scene: Any, tmp_path: Path) -> None:
    labels = np.ones((SIZE, SIZE), np.uint8)
    labels[: SIZE // 4] = 2
    result = sample_result()
    result["people"][0] |= {"materials_png": encoded(labels), "material_names": ["skin", "eyes"]}
    rig = imported(result, scene)
    body = rigs.find_body(rig)

    def roughness() -> dict[str, tuple[float, bool]]:
        found = {}
        for material in avatar_materials(body):
            (shader,) = (node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
            found[material.name.split()[-1]] = (
                shader.inputs["Roughness"].default_value,
                shader.inputs["Roughness"].is_linked,
            )
        return found

    def shown(grey: int) -> float:
        """What the nodes before the roughness say of a label."""
        (material,) = avatar_materials(body)
        (shader,) = (node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        mixed = shader.inputs["Roughness"].links[0].from_node
        is_eye = mixed.inputs[0].links[0].from_node
        assert (mixed.operation, is_eye.operation) == ("MULTIPLY_ADD", "COMPARE")
        assert is_eye.inputs[0].links[0].from_node.image == body.data["uvatar_material_map"]
        equal = abs(grey / 255 - is_eye.inputs[1].default_value) <= is_eye.inputs[2].default_value
        return float(equal) * mixed.inputs[1].default_value + mixed.inputs[2].default_value

    assert [shown(label) for label in (0, 1, 2, 3)] == pytest.approx([0.6, 0.6, 0.1, 0.6])
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    split_materials(rig)
    expected: dict[str, Any] = {"skin": (pytest.approx(0.5), False), "eyes": (pytest.approx(0.1), False)}
    assert roughness() == expected
    join_materials(rig, 0.6)
    assert [shown(label) for label in (1, 2)] == pytest.approx([0.6, 0.1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "me.glb"))
    shaders = [node for material in bpy.data.materials for node in material.node_tree.nodes]
    (rough,) = {node.inputs["Roughness"].default_value for node in shaders if node.type == "BSDF_PRINCIPLED"}
    assert rough == pytest.approx(0.6)  # no exporter reads more than a value
