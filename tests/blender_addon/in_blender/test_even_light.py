"""The texture's light in Blender: switching it, paint, exports, and the normal map."""

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
from uvatar_blender.scene.even_light import show_light
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.material import avatar_materials, images_of, original_texture, read_pixels, texture_image
from uvatar_blender.ui import avatar_panels

SIZE = 64
FACTOR = np.exp(0.5)  # of the light in the lit half


def lit(result: dict[str, Any] | None = None) -> dict[str, Any]:
    """A grey texture, whose left half is in the light; below, a slope to the right in the normal map."""
    result = result or sample_result()
    light = np.full((SIZE, SIZE), 128, np.uint8)
    light[:, : SIZE // 2] = 178
    normals = np.full((SIZE, SIZE, 3), (128, 128, 255), np.uint8)
    normals[SIZE // 2 :] = (180, 128, 243)
    maps = {"light_png": encoded(light), "normals_png": encoded(normals)}
    texture = encoded(np.full((SIZE, SIZE, 3), 128, np.uint8))
    return {**result, "people": [{**result["people"][0], "texture_png": texture, **maps}]}


def linear(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def shown(rig: bpy.types.Object) -> bpy.types.Image:
    return texture_image(avatar_materials(rigs.find_body(rig))[0])


def halves(image: bpy.types.Image) -> tuple[float, float]:
    """Linear light in the middle of the left and of the right half."""
    pixels = linear(read_pixels(image)[:, :, :3])
    middle, quarter = image.size[1] // 2, image.size[0] // 4
    return float(pixels[middle, quarter].mean()), float(pixels[middle, 3 * quarter].mean())


@pytest.fixture
def rig(addon: Any) -> Any:  # noqa: F811
    made = import_people(parse_result(lit()), bpy.context.scene).rigs[0]
    bpy.context.view_layer.objects.active = made
    return made


def test_light_is_taken_out_and_put_back_exactly(rig: bpy.types.Object) -> None:
    photographed = shown(rig)
    before = read_pixels(photographed)
    assert bpy.ops.uvatar.texture_light(even=True) == {"FINISHED"}
    left, right = halves(shown(rig))
    assert right / left == pytest.approx(FACTOR, rel=0.02)
    even = shown(rig)
    assert bpy.ops.uvatar.texture_light(even=False) == {"FINISHED"}
    assert shown(rig) == photographed and (read_pixels(photographed) == before).all()
    assert bpy.ops.uvatar.texture_light(even=True) == {"FINISHED"} and shown(rig) == even


def test_paint_is_kept_in_both_lights(rig: bpy.types.Object) -> None:
    assert bpy.ops.uvatar.texture_light(even=True) == {"FINISHED"}
    even = shown(rig)
    pixels = read_pixels(even)
    pixels[: SIZE // 4] = (0.2, 0.5, 0.2, 1)
    even.pixels.foreach_set(pixels.ravel())
    assert bpy.ops.uvatar.texture_light(even=False) == {"FINISHED"}
    painted = linear(read_pixels(shown(rig))[4, :, :3])
    wanted = linear(np.array([0.2, 0.5, 0.2]))
    assert painted[4] == pytest.approx(np.minimum(wanted * FACTOR, 1), abs=0.01)
    assert painted[-4] == pytest.approx(wanted, abs=0.01)
    # What was not painted is as photographed, and the texture as it came is that of the photo.
    original = original_texture(shown(rig))
    assert original is not None and np.abs(read_pixels(original) - 128 / 255).min(-1).max() < 0.01
    assert np.abs(read_pixels(shown(rig))[-4, :, :3] - 128 / 255).max() < 0.01
    assert bpy.ops.uvatar.texture_light(even=True) == {"FINISHED"}
    assert read_pixels(shown(rig))[4, 4, :3] == pytest.approx(np.array([0.2, 0.5, 0.2]), abs=0.01)


def test_paint_comes_back_as_it_was(rig: bpy.types.Object) -> None:
    """Also where the even texture would be brighter than white, which rounding and clipping cannot give back."""
    photographed = shown(rig)
    pixels = read_pixels(photographed)
    pixels[:, SIZE // 2 :, :3] = np.random.default_rng(0).uniform(0.8, 1, (SIZE, SIZE // 2, 3))
    photographed.pixels.foreach_set(pixels.ravel())
    photographed.pack()
    light = photographed["uvatar_light"]
    dark = read_pixels(light)
    dark[:, SIZE // 2 :, :3] = 78 / 255
    light.pixels.foreach_set(dark.ravel())
    before = read_pixels(photographed)
    for _ in range(2):
        assert bpy.ops.uvatar.texture_light(even=True) == {"FINISHED"}
        assert bpy.ops.uvatar.texture_light(even=False) == {"FINISHED"}
        assert shown(rig) == photographed and (read_pixels(photographed) == before).all()


def test_what_is_painted_after_an_export_is_not_lost(rig: bpy.types.Object, tmp_path: Path) -> None:
    """An export makes an even texture for itself, which says nothing of the avatar's own."""
    show_light(rig, even=True)
    show_light(rig, even=False)
    photographed = shown(rig)
    pixels = read_pixels(photographed)
    pixels[: SIZE // 4] = (0.2, 0.5, 0.2, 1)
    photographed.pixels.foreach_set(pixels.ravel())
    photographed.pack()
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    show_light(rig, even=True)
    assert read_pixels(shown(rig))[4, -4, :3] == pytest.approx(np.array([0.2, 0.5, 0.2]), abs=0.01)


def test_all_images_of_a_texture_are_known(rig: bpy.types.Object) -> None:
    """Those that go with it when it is removed."""
    before = set(images_of(shown(rig)))
    show_light(rig, even=True)
    of_even = images_of(shown(rig))
    assert len(of_even) == len(set(of_even)) == 5 and before < set(of_even)


def exported(rig: bpy.types.Object, path: Path, **options: Any) -> list[bpy.types.Node]:
    """The image nodes of the body in a file."""
    export_avatar(rig, path, Target.GLTF, **options)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    body = max((thing for thing in bpy.data.objects if thing.type == "MESH"), key=lambda one: len(one.data.vertices))
    return [node for node in body.data.materials[0].node_tree.nodes if node.type == "TEX_IMAGE"]


@pytest.mark.parametrize(("even", "ratio"), [(True, FACTOR), (False, 1.0)])
def test_files_for_engines_are_in_even_light_unless_told_otherwise(
    scene: Any, tmp_path: Path, even: bool, ratio: float
) -> None:
    rig = imported(lit(), scene)
    image = shown(rig)
    options = {} if even else {"even_light": False}
    nodes = exported(rig, tmp_path / "me.glb", **options)
    colour = next(node.image for node in nodes if node.image.colorspace_settings.name == "sRGB")
    left, right = halves(colour)
    assert right / left == pytest.approx(ratio, rel=0.02)
    assert image is not None and len(nodes) == 2  # the normal map is in the file


def test_the_avatar_in_blender_stays_as_it_is_when_it_is_exported(scene: Any, tmp_path: Path) -> None:
    rig = imported(lit(), scene)
    image, names = shown(rig), {one.name for one in bpy.data.images}
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    assert shown(rig) == image and {one.name for one in bpy.data.images} == names
    # And where both textures are there already.
    show_light(rig, even=True)
    show_light(rig, even=False)
    both = {one: one.name for one in bpy.data.images}
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    assert shown(rig) == image and {one: one.name for one in bpy.data.images} == both


def test_both_textures_keep_their_names_when_it_is_exported(rig: bpy.types.Object, tmp_path: Path) -> None:
    for even in (True, False):  # from now on there are both
        assert bpy.ops.uvatar.texture_light(even=even) == {"FINISHED"}
    names = {one.name for one in bpy.data.images}
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    assert {one.name for one in bpy.data.images} == names


def test_split_materials_share_one_texture_in_even_light(scene: Any, tmp_path: Path) -> None:
    labels = np.ones((SIZE, SIZE), np.uint8)
    labels[:, SIZE // 2 :] = 2
    result = lit()
    result["people"][0] |= {"materials_png": encoded(labels), "material_names": ["skin", "upper"]}
    rig = imported(result, scene, split=True)
    export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "me.glb"))
    coloured = {image.name for image in bpy.data.images if image.colorspace_settings.name == "sRGB" and image.size[0]}
    assert len(coloured) == 1


def test_the_panel_offers_it_where_the_light_is_known(rig: bpy.types.Object) -> None:
    assert drawn(avatar_panels.UVATAR_PT_avatar).buttons.count("uvatar.texture_light") == 2


def test_without_a_light_it_is_not_offered(addon: Any) -> None:  # noqa: F811
    old = import_people(parse_result(sample_result()), bpy.context.scene).rigs[0]
    bpy.context.view_layer.objects.active = old
    assert "uvatar.texture_light" not in drawn(avatar_panels.UVATAR_PT_avatar).buttons
    with pytest.raises(RuntimeError, match="lacks the map of the photo's light"):
        bpy.ops.uvatar.texture_light()


def test_the_panel_is_whole_when_the_texture_was_deleted(rig: bpy.types.Object) -> None:
    bpy.data.images.remove(shown(rig))
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    assert "uvatar.complete_texture" in page.buttons and "uvatar.texture_light" not in page.buttons
