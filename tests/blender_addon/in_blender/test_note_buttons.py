"""The buttons beside notes: what they offer, and that they do it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import bpy
import pytest

from tests.blender_addon.in_blender.helpers import imported
from tests.blender_addon.in_blender.test_control_rig import standing
from tests.blender_addon.in_blender.test_panels import add_photos, addon, drawn  # noqa: F401 (a fixture)
from uvatar_blender.scene import rigify
from uvatar_blender.ui import avatar_panels, importing, note_fixes, panels

LEGS = "Outside the photo: left leg, right leg. Unseen parts have a typical pose."
CHILD = "Given a child's proportions."
LEFT_OUT = (
    "One more may be a person and was left out, because it is not certain: turn on the option uncertain to make "
    "avatars of all."
)
JOINTS = "Some joints do not match the photo: check the overlay."


@pytest.fixture
def rig(addon: Any, tmp_path: Path) -> Any:  # noqa: F811
    result = standing()
    result["people"][0]["notes"] = [LEGS, CHILD, JOINTS, "Something new."]
    result["notes"] = [LEFT_OUT]
    rig = imported(result, bpy.context.scene)
    bpy.context.view_layer.objects.active = rig
    return rig


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that were begun; nothing is sent."""
    jobs: list[Any] = []
    monkeypatch.setattr(note_fixes, "linked", lambda operator, context: True)
    monkeypatch.setattr(note_fixes, "begin", lambda some, write: jobs.extend(some))
    return jobs


def test_each_note_has_its_button(rig: Any, tmp_path: Path) -> None:
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    buttons = [name for name in page.buttons if name in ("uvatar.pose_limbs", "uvatar.make_again")]
    assert buttons == ["uvatar.pose_limbs", "uvatar.make_again"] and "uvatar.compare_with_photo" in page.buttons
    asked = next(one for one in page.set if hasattr(one, "change"))
    assert (asked.photo, asked.person, asked.change) == ("me.jpg", "p0", "HEIGHT")
    assert "Something new." in page.labels
    (tmp_path / "me.jpg").touch()
    add_photos(tmp_path, "me.jpg")
    assert drawn(avatar_panels.UVATAR_PT_avatar).buttons.count("uvatar.make_again") == 2  # Make Again… as well


def test_what_does_not_match_is_corrected_on_the_photo(rig: Any) -> None:
    outline = "The body's outline does not match the person in the photo: check the overlay."
    rig["uvatar_notes"] = json.dumps([JOINTS, outline])
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    assert page.buttons.count("uvatar.correct_on_photo") == 2 and page.buttons.count("uvatar.compare_with_photo") == 2
    assert [one.tool for one in page.set if hasattr(one, "tool")] == ["JOINTS", "ADD"]
    del rig["uvatar_mask"]  # an avatar of an older version
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    assert [one.tool for one in page.set if hasattr(one, "tool")] == ["JOINTS"]
    assert page.buttons.count("uvatar.compare_with_photo") == 2


def test_notes_on_a_photo_have_their_buttons_among_the_results(addon: Any) -> None:  # noqa: F811
    addon.importer().summaries.append(importing.ImportedPhoto("job", 0, "me.jpg", (), (LEFT_OUT,)))
    page = drawn(panels.UVATAR_PT_results)
    asked = next(one for one in page.set if hasattr(one, "change"))
    assert (asked.photo, asked.change) == ("me.jpg", "UNCERTAIN")


@pytest.mark.parametrize(
    ("change", "person", "options"),
    [
        ("UNCERTAIN", "", {"uncertain": True}),
        ("EVERYBODY", "", {"max_people": 64}),
        ("HEIGHT", "p0", {"height": "181"}),
        ("HEIGHT", "p2", {"height": "-, -, 181"}),
        ("SEPARATE", "", {"same_person": False, "uncertain": False}),
    ],
)
def test_people_are_made_again(
    addon: Any, begun: list[Any], tmp_path: Path, change: str, person: str, options: dict[str, Any]  # noqa: F811
) -> None:  # fmt: skip
    (tmp_path / "me.jpg").touch()
    settings = add_photos(tmp_path, "other.jpg", "me.jpg")
    settings.photos[1].person = "A"
    assert bpy.ops.uvatar.make_again(photo="me.jpg", person=person, change=change, height=181) == {"FINISHED"}
    ((paths, given),) = begun
    assert paths == [tmp_path / "me.jpg"] and {name: given[name] for name in options} == options
    from uvatar.protocol.options import read_options

    read_options(given)  # the backend takes them


def test_heights_on_the_panel_are_kept(addon: Any, begun: list[Any], tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "me.jpg").touch()
    settings = add_photos(tmp_path, "me.jpg")
    settings.height = "172, -, 165"
    assert bpy.ops.uvatar.make_again(photo="me.jpg", person="p1", change="HEIGHT", height=181) == {"FINISHED"}
    assert begun[0][1]["height"] == "172, 181, 165"


def test_photos_of_one_name_are_told_apart(addon: Any, begun: list[Any], tmp_path: Path) -> None:  # noqa: F811
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "me.jpg").write_bytes(folder.encode())
        add_photos(tmp_path / folder, "me.jpg")
    for folder in ("b", "a"):
        digest = hashlib.sha256(folder.encode()).hexdigest()
        bpy.ops.uvatar.make_again(photo="me.jpg", digest=digest, change="UNCERTAIN")
        assert begun[-1][0] == [tmp_path / folder / "me.jpg"]


def test_the_height_begins_at_the_avatars(rig: Any) -> None:
    rig["uvatar_measurements"] = '{"stature": 154.4}'
    asked = next(one for one in drawn(avatar_panels.UVATAR_PT_avatar).set if hasattr(one, "change"))
    assert asked.height == 154.4 and asked.digest == rig["uvatar_photo_digest"]


def test_a_photo_that_is_gone_is_told(addon: Any, begun: list[Any], tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(RuntimeError, match=r"me\.jpg is no longer on the list of photos: add it again"):
        bpy.ops.uvatar.make_again(photo="me.jpg", change="UNCERTAIN")
    add_photos(tmp_path, "me.jpg")  # the file does not exist
    with pytest.raises(RuntimeError, match="no longer on the list"):
        bpy.ops.uvatar.make_again(photo="me.jpg", change="UNCERTAIN")
    assert not begun


def test_limbs_are_posed_by_hand(rig: Any) -> None:
    assert bpy.ops.uvatar.pose_limbs(note=LEGS) == {"FINISHED"}
    assert bpy.context.mode == "POSE" and bpy.context.object == rig
    selected = {bone.name for bone in bpy.context.selected_pose_bones}
    assert selected == {f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")}
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_control_rig_is_posed_instead(rig: Any) -> None:
    rigify.generate_control_rig(rig)
    with pytest.raises(RuntimeError, match="follows its control rig"):
        bpy.ops.uvatar.pose_limbs(note=LEGS)
    page = drawn(avatar_panels.UVATAR_PT_animate)
    assert {"Eyes follow the target", "Lids follow the eyes", "Target moves with the head"} <= set(page.properties)


def test_it_is_compared_with_the_photo(rig: Any) -> None:
    assert bpy.ops.uvatar.compare_with_photo() == {"FINISHED"}
    scene = bpy.context.scene
    assert scene.camera is not None and (scene.render.resolution_x, scene.render.resolution_y) == (300, 400)
    assert json.loads(rig["uvatar_notes"])[1] == CHILD
