"""The people of a photo in the panel: numbers on the photo, names, heights, and avatars that are removed whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from PIL import Image

from tests.blender_addon.in_blender.helpers import data_names, imported
from tests.blender_addon.in_blender.test_control_rig import standing
from tests.blender_addon.in_blender.test_panels import addon, drawn  # noqa: F401 (a fixture)
from tests.blender_addon.sample import encoded
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene import rigify
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.removal import remove_avatar
from uvatar_blender.ui import avatar_panels, importing, panels
from uvatar_blender.ui.people import boxed_photo


@pytest.fixture
def photo(two_people: dict[str, Any]) -> dict[str, Any]:
    grey = encoded(np.full((400, 300, 3), 128, np.uint8), "JPEG")
    people = [
        {**person, "box": box}
        for person, box in zip(two_people["people"], ([20, 50, 120, 390], [160, 80, 290, 380]), strict=True)
    ]
    return {**two_people, "people": people, "photo": {**two_people["photo"], "jpeg": grey}}


def test_the_photo_has_numbered_boxes(scene: Any, photo: dict[str, Any], tmp_path: Path) -> None:
    before = data_names()
    file = boxed_photo(parse_result(photo), tmp_path / "boxes.png")
    assert file is not None and data_names() == before
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    assert picture.shape == (400, 300, 3)
    changed = np.abs(picture - 128).max(-1) > 30
    rows, columns = np.where(changed)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 290, 50, 390)
    assert changed[200, 20] and changed[200, 120] and changed[200, 160] and not changed[200, 60:100].any()
    first, second = changed[50:70, 20:35], changed[80:100, 160:175]
    assert not np.array_equal(picture[50:70, 20:35] < 40, picture[80:100, 160:175] < 40)  # 1 and 2
    assert first.mean() > 0.4 and second.mean() > 0.4


def test_one_person_needs_no_box_and_damaged_boxes_are_left_out(
    scene: Any, result: dict[str, Any], photo: dict[str, Any], tmp_path: Path
) -> None:
    assert boxed_photo(parse_result(result), tmp_path / "a.png") is None
    broken = parse_result(photo)
    broken.people[0].facts["box"] = None
    assert boxed_photo(broken, tmp_path / "a.png") is None


def test_the_panel_names_selects_and_removes(addon: Any, photo: dict[str, Any]) -> None:  # noqa: F811
    parsed = parse_result(photo)
    rigs = import_people(parsed, bpy.context.scene).rigs
    summary = importing.summarize(parsed, "job", 0)
    assert summary.boxes is not None and summary.boxes.is_file()
    addon.importer().summaries.append(summary)
    page = drawn(panels.UVATAR_PT_results)
    assert page.buttons.count("uvatar.select_person") == page.buttons.count("uvatar.remove_person") == 2
    assert page.properties.count("name") == 2
    assert bpy.ops.uvatar.select_person(rig=rigs[1].name) == {"FINISHED"}
    assert bpy.context.object == rigs[1] and list(bpy.context.selected_objects) == [rigs[1]]
    rigs[1].name = "Anna"
    assert bpy.ops.uvatar.remove_person(rig=rigs[0].name) == {"FINISHED"}
    page = drawn(panels.UVATAR_PT_results)
    assert page.buttons.count("uvatar.select_person") == 1
    assert bpy.ops.uvatar.remove_person(rig="nobody") == {"CANCELLED"}


def test_the_avatars_panel_removes_it_too(addon: Any, photo: dict[str, Any]) -> None:  # noqa: F811
    rig = import_people(parse_result(photo), bpy.context.scene).rigs[0]
    bpy.context.view_layer.objects.active = rig
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    assert "uvatar.remove_person" in page.buttons and rig.name in [getattr(one, "rig", "") for one in page.set]


@pytest.mark.parametrize("control", [False, True])
def test_an_avatar_is_removed_whole_and_nothing_else(scene: Any, control: bool) -> None:
    other = imported(standing(), scene)
    mine = bpy.data.objects.new("hat", None)
    scene.collection.objects.link(mine)
    before = {name for kind, name in data_names() if kind in ("Object", "Mesh", "Armature", "Collection", "Key")}
    rig = imported(standing(), scene)
    mine.parent, mine.location = rig, (1, 2, 3)
    bpy.context.view_layer.update()
    place = mine.matrix_world.translation.copy()
    if control:
        rigify.generate_control_rig(rig)
    remove_avatar(rig)
    bpy.context.view_layer.update()
    after = {name for kind, name in data_names() if kind in ("Object", "Mesh", "Armature", "Collection", "Key")}
    assert {name for name in after - before if "camera" not in name.lower()} <= {"me.001", "WGTS_me rig"}
    assert (mine.matrix_world.translation - place).length < 1e-5 and other.name in bpy.data.objects
