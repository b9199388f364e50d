"""The texture's overlay, painted textures, and one .blend per person."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.blender_addon.in_blender.helpers import data_names, imported, shown
from tests.blender_addon.sample import encoded, gradient, posed_vertices, world_of
from uvatar_blender.core import pictures as core_pictures
from uvatar_blender.core.pictures import write_pictures
from uvatar_blender.core.result import ResultError, TextureResult, parse_result
from uvatar_blender.scene import avatar as avatars
from uvatar_blender.scene import material, painting
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import ImportOptions
from uvatar_blender.scene.batch import save_steps


def rendered(scene: bpy.types.Scene, path: Path, side: int = 96) -> NDArray[Any]:
    """(side, side, 4) a Cycles render, row 0 at the top, display values."""
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", 4, "CPU"
    scene.render.resolution_x = scene.render.resolution_y = side
    scene.render.film_transparent, scene.view_settings.view_transform = True, "Standard"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(str(path))
    pixels = np.empty(side * side * 4, np.float32)
    picture.pixels.foreach_get(pixels)
    bpy.data.images.remove(picture)
    return pixels.reshape(side, side, 4)[::-1]


def test_the_overlay_shows_each_source_in_its_colour(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    """Rendered by Cycles: the atlas' left half is of one label, its right half of another."""
    labelled = copy.deepcopy(result)
    labels = np.full((64, 64), 1, np.uint8)
    labels[:, 32:] = 3
    labelled["people"][0]["source_png"] = encoded(labels)
    rig = imported(labelled, scene, unlit=True, use_camera=True)
    shader = material.avatar_material(rigs.find_body(rig))
    assert shader is not None and material.shown_sources(shader) == 0
    plain = rendered(scene, tmp_path / "plain.png")
    material.show_sources(shader, 1.0)
    assert material.shown_sources(shader) == 1.0
    picture = rendered(scene, tmp_path / "sources.png")
    body = picture[..., 3] > 0.99
    assert body.sum() > 200
    colours = np.array([material.LABELS[label][1] for label in (1, 3)]) / 255
    distance = np.abs(picture[body][:, None, :3] - colours).max(-1)
    assert (distance < 0.02).any(0).all() and (
        distance.min(1) < 0.2
    ).mean() > 0.8  # both, and little else but their borders
    assert np.abs(plain[body][:, :3] - picture[body][:, :3]).mean() > 0.1
    material.show_sources(shader, 0.0)
    assert np.abs(rendered(scene, tmp_path / "again.png") - plain).max() < 0.02


def paint(image: bpy.types.Image, rows: slice, columns: slice, colour: tuple[float, float, float]) -> None:
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels.reshape(image.size[1], image.size[0], 4)[rows, columns, :3] = colour
    image.pixels.foreach_set(pixels)
    image.update()


@pytest.mark.parametrize("saved", [False, True])
def test_a_painted_texture_its_labels_and_what_it_was_are_sent(
    result: dict[str, Any], scene: Any, tmp_path: Path, saved: bool
) -> None:
    labels = np.full((64, 64), 3, np.uint8)
    labels[:, 40:], labels[:4] = 1, 0
    painted = copy.deepcopy(result)
    (person,) = painted["people"]
    person["source_png"] = encoded(labels)
    rig = imported(painted, scene)
    image = material.texture_image(material.avatar_material(rigs.find_body(rig)))
    paint(image, slice(10, 20), slice(5, 15), (1.0, 0.0, 0.5))
    if saved:  # the artist saves the picture: the packed file is replaced
        image.pack()
    pictures = painting.painted_pictures(rig, tmp_path, "avatar")
    write_pictures(pictures)
    now, marks, before = pictures
    assert marks.read_bytes() == person["source_png"] and before.read_bytes() == person["texture_png"]
    expected = np.array(Image.open(before))
    expected[44:54, 5:15] = (255, 0, 128)
    assert np.array_equal(np.array(Image.open(now).convert("RGB")), expected)


def test_a_painted_texture_is_sent_without_blocking_blender(
    result: dict[str, Any], scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 2048 texels decoding, comparing and encoding would be a second of the main thread's time; reading pixels is a
    hundredth.
    """
    large = copy.deepcopy(result)
    (person,) = large["people"]
    person["texture_png"], person["source_png"] = encoded(gradient(2048)), encoded(np.full((2048, 2048), 3, np.uint8))
    rig = imported(large, scene)
    shader = material.avatar_material(rigs.find_body(rig))
    image, labels = material.texture_image(shader), material.source_image(shader)
    paint(image, slice(10, 20), slice(5, 15), (1.0, 0.0, 0.5))
    monkeypatch.setattr(core_pictures, "encode_png", lambda pixels: pytest.fail("encoded in the main thread"))
    pictures = painting.painted_pictures(rig, tmp_path, "avatar")
    assert not labels.has_data and not material.original_texture(image).has_data  # not decoded
    assert len(pictures) == 3 and not list(tmp_path.iterdir())


def test_a_texture_that_is_not_the_backends_is_not_sent(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene)
    shader = material.avatar_material(rigs.find_body(rig))
    shader.node_tree.nodes[material.TEXTURE].image = bpy.data.images.new("the artist's", 64, 64)
    with pytest.raises(rigs.RigError, match="not the one that came"):
        painting.painted_pictures(rig, tmp_path, "avatar")
    shader.node_tree.nodes.remove(shader.node_tree.nodes[material.SOURCE])
    with pytest.raises(rigs.RigError, match="no longer has its material with texture and labels"):
        painting.painted_pictures(rig, tmp_path, "avatar")


def test_a_completed_texture_comes_back_to_its_avatar(result: dict[str, Any], scene: Any) -> None:
    rig, other = imported(result, scene), imported(result, scene)
    done = TextureResult(f"{rig[avatars.UUID]}.png", "open_body", encoded(np.full((64, 64, 3), 77, np.uint8)),
                         encoded(np.full((64, 64), 2, np.uint8)))  # fmt: skip
    assert painting.apply_completed(done) == rig
    shader = material.avatar_material(rigs.find_body(rig))
    assert bytes(material.texture_image(shader).packed_file.data) == done.texture_png
    source = material.source_image(shader)
    assert source is not None and bytes(source.packed_file.data) == done.source_png
    assert (
        bytes(material.texture_image(material.avatar_material(rigs.find_body(other))).packed_file.data)
        != done.texture_png
    )
    bpy.data.objects.remove(rig)
    with pytest.raises(ResultError, match="not in this file"):
        painting.apply_completed(done)


def test_each_person_is_saved_as_a_file_and_the_open_one_stays_as_it_was(
    two_people: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    bpy.data.objects.new("the artist's", None)
    before = data_names()
    for run in range(2):
        steps, count = save_steps(parse_result(two_people), tmp_path, ImportOptions()), 0
        try:
            while True:
                next(steps)
                count += 1
        except StopIteration as end:
            files = end.value
        assert count > 10 and len(files) == 2
        assert data_names() == before, run
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "me p0-2.blend",
        "me p0.blend",
        "me p1-2.blend",
        "me p1.blend",
    ]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "me p1.blend"))
    (rig,) = (thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE")
    expected = world_of(posed_vertices(two_people["people"][1]))
    made = shown(rig, linear=True)
    assert np.ptp(made - expected, axis=0).max() < 1e-3
    assert (
        json.loads(rig["uvatar_measurements"]) and len([image for image in bpy.data.images if image.packed_file]) == 4
    )


def test_a_folder_that_cannot_be_written_leaves_nothing_behind(
    result: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    before = data_names()
    with pytest.raises(ResultError, match="could not be written"):
        for _ in save_steps(parse_result(result), tmp_path / "missing", ImportOptions()):
            pass
    assert data_names() == before
