"""Poses in an animated scene, what Rigify's control rig takes over, and panels that follow the avatar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.in_blender.test_panels import addon, drawn  # noqa: F401 (a fixture)
from tests.blender_addon.sample import sample_result
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene import compat, rigify
from uvatar_blender.scene import metarig as metarigs
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.motion import apply_motion, load_motion
from uvatar_blender.scene.shape import refresh_joints
from uvatar_blender.ui import avatar_panels, guide, live_joints, sliders

FRAMES = 12


@pytest.fixture
def rig(addon: Any) -> Any:  # noqa: F811
    return import_people(parse_result(sample_result()), bpy.context.scene).rigs[0]


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A motion in which everything turns."""
    random = np.random.default_rng(3)
    turns = np.sin(2 * np.pi * (np.linspace(0, 1, FRAMES)[:, None] + random.random((1, 72)))) * random.normal(
        0, 0.3, (1, 72)
    )
    turns[:, 66:] = 0
    np.savez(
        tmp_path / "walk.npz", poses=turns, trans=np.linspace(0, 1, 3 * FRAMES).reshape(FRAMES, 3), mocap_framerate=24.0
    )
    return tmp_path / "walk.npz"


def joints_over_time(rig: Any, frames: Any) -> NDArray[Any]:
    places = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        places.append([rig.matrix_world @ rig.pose.bones[name].head for name in rigs.joint_names(rig)])
    return np.array(places)


def lead(rig: Any) -> Any:
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.uvatar.generate_control_rig() == {"FINISHED"}
    return rigify.control_rig(rig)


@pytest.mark.parametrize("named", ["SMPL", "MIXAMO"])
def test_the_control_rig_takes_the_motion_over(rig: Any, walk: Path, named: str) -> None:
    bpy.ops.uvatar.name_bones(naming=named)
    rig.location = (1, 2, 0)
    apply_motion(rig, load_motion(rig, walk), "walk", start=5)
    frames = range(5, 5 + FRAMES)
    before, bones = joints_over_time(rig, frames), set(rig.data.bones.keys())
    control = lead(rig)
    assert np.abs(joints_over_time(rig, frames) - before).max() < 0.01  # metres; Rigify bends limbs by 4 mm
    assert (
        set(rig.data.bones.keys()) == bones and rig.animation_data.action.name == "walk"
    )  # nothing is left, nothing lost
    assert control.animation_data.action.name == "walk control"
    assert {curve.data_path.split('"')[1] for curve in compat.action_curves(control)} >= {
        "torso",
        "hand_ik.L",
        "upper_arm_fk.R",
        "head",
    }
    bpy.ops.uvatar.remove_control_rig()
    assert np.abs(joints_over_time(rig, frames) - before).max() < 1e-4


def test_the_control_rig_takes_the_photos_pose_over_and_later_motions(rig: Any, walk: Path) -> None:
    before = joints_over_time(rig, [1])
    control = lead(rig)
    assert np.abs(joints_over_time(rig, [1]) - before).max() < 0.01 and not compat.action_curves(control)
    assert bpy.ops.uvatar.import_motion(filepath=str(walk)) == {"FINISHED"}
    led = joints_over_time(rig, range(1, 1 + FRAMES))
    assert np.abs(led[3] - led[0]).max() > 0.1 and rigs.LED_BY in rig
    rigify.unfollow(rig)
    assert np.abs(joints_over_time(rig, range(1, 1 + FRAMES)) - led).max() < 0.01


@pytest.mark.parametrize("renamed", [False, True])
def test_panels_follow_the_avatar_from_any_of_its_objects(rig: Any, renamed: bool) -> None:
    metarig = metarigs.make_metarig(rig)
    control = lead(rig)
    assert bpy.context.object == control  # which Rigify leaves active
    hat = bpy.data.objects.new("hat", None)
    bpy.context.scene.collection.objects.link(hat)
    hat.parent = rigs.find_body(rig)
    if renamed:
        for number, thing in enumerate((rig, control, metarig, hat.parent)):
            thing.name = f"something {number}"
    for thing in (rig, control, metarig, hat.parent, hat):
        assert rigs.find_rig(thing) == rig
        bpy.context.view_layer.objects.active = thing
        assert "uvatar.remove_control_rig" in drawn(avatar_panels.UVATAR_PT_animate).buttons
        assert drawn(avatar_panels.UVATAR_PT_export).buttons and drawn(avatar_panels.UVATAR_PT_avatar).properties
    assert metarigs.find_metarig(rig) == metarig and rigify.control_rig(rig) == control
    bpy.context.view_layer.objects.active = control
    assert bpy.ops.uvatar.remove_control_rig() == {"FINISHED"} and rigs.LED_BY not in rig
    assert bpy.context.object == rig and not rigify.control_rig(rig) and not metarigs.find_metarig(rig)


def test_what_stands_beside_an_avatar_is_not_one(rig: Any) -> None:
    for thing in (bpy.data.objects["me camera"], bpy.data.objects.new("x", None), None):
        assert rigs.find_rig(thing) is None


def test_snap_to_ground_moves_what_leads(rig: Any) -> None:
    control = lead(rig)
    control.location.z += 0.5
    bpy.context.view_layer.update()
    bpy.ops.uvatar.snap_to_ground()
    from uvatar_blender.scene.avatar import lowest_point

    assert lowest_point(rig) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("pose", ["T", "A", "PHOTO", "REST"])
def test_a_pose_is_keyed_or_refused_where_it_would_be_undone(rig: Any, walk: Path, pose: str) -> None:
    tools, scene = bpy.context.scene.tool_settings, bpy.context.scene
    assert (
        bpy.ops.uvatar.pose(pose=pose) == {"FINISHED"} and rig.animation_data is None
    )  # no keys where none are asked for
    wanted = joints_over_time(rig, [1])[0]
    apply_motion(rig, load_motion(rig, walk), "walk")
    scene.frame_set(4)
    before = rig.pose.bones["left_elbow"].matrix_basis.copy()
    with pytest.raises(RuntimeError, match=r"“walk”.*Auto Keying"):
        bpy.ops.uvatar.pose(pose=pose)
    assert rig.pose.bones["left_elbow"].matrix_basis == before
    tools.use_keyframe_insert_auto = True
    try:
        assert bpy.ops.uvatar.pose(pose=pose) == {"FINISHED"}
    finally:
        tools.use_keyframe_insert_auto = False
    scene.frame_set(7)
    assert np.abs(joints_over_time(rig, [4])[0] - wanted).max() < 1e-4, "the pose is on its frame"
    lead(rig)
    with pytest.raises(RuntimeError, match="follows its control rig"):
        bpy.ops.uvatar.pose(pose=pose)


def test_a_pose_is_keyed_without_any_motion_too(rig: Any) -> None:
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    try:
        bpy.ops.uvatar.pose(pose="T")
    finally:
        bpy.context.scene.tool_settings.use_keyframe_insert_auto = False
    assert len(compat.action_curves(rig)) == 24 * 4 + 3


@pytest.mark.parametrize("what", ["bone", "deleted"])
def test_panels_of_a_changed_rig_say_it_or_go_on(rig: Any, what: str) -> None:
    if what == "bone":
        rig.data.bones["pelvis"].name = "my hips"
    else:
        with rigs.edit_mode(rig):
            rig.data.edit_bones.remove(rig.data.edit_bones["left_hand"])
    for panel in (avatar_panels.UVATAR_PT_avatar, avatar_panels.UVATAR_PT_tools, avatar_panels.UVATAR_PT_export):
        page = drawn(panel)
        told = any("left hand" in label for label in page.labels)
        assert told == (what == "deleted" and panel is not avatar_panels.UVATAR_PT_export)
    for operator in (
        bpy.ops.uvatar.pose,
        bpy.ops.uvatar.refresh_joints,
        bpy.ops.uvatar.name_bones,
        bpy.ops.uvatar.make_metarig,
    ):
        bpy.context.view_layer.objects.active = rig
        if what == "bone":
            assert operator() == {"FINISHED"}
        else:
            with pytest.raises(RuntimeError, match="has a bone for the left hand"):
                operator()


def test_sliders_say_what_they_do_and_write_the_shape_keys(rig: Any) -> None:
    body = rigs.find_body(rig)
    for name in rigs.beta_names(rig):
        described = rig.uvatar_shape.bl_rna.properties[sliders.identifier(name)]
        assert len(described.description) > 20 and described.name
        setattr(rig.uvatar_shape, sliders.identifier(name), 1.25)
        assert body.data.shape_keys.key_blocks[name].value == pytest.approx(1.25)
        assert getattr(rig.uvatar_shape, sliders.identifier(name)) == pytest.approx(1.25)
    rig.uvatar_shape.gender = 7.5  # beyond the slider's range, as a typed number may be
    assert body.data.shape_keys.key_blocks["gender"].value == pytest.approx(7.5)
    bpy.data.objects.remove(body)
    rig.uvatar_shape.gender = 1.0  # nothing to write to, and no traceback
    assert rig.uvatar_shape.gender == 0.0


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("gender", "Masculine", "Feminine"), ("maturity", "Child", "Adult"), ("stature", "Shorter", "taller")],
)
def test_both_ends_of_a_slider_are_named(rig: Any, name: str, low: str, high: str) -> None:
    slider = sliders.SLIDERS[name]
    said = f"{slider.label} {slider.tip}"
    assert said.index(low) < said.index(high)


def test_the_panel_says_when_joints_are_behind_the_sliders(rig: Any) -> None:
    def told() -> bool:
        return any("joints do not match" in label for label in drawn(avatar_panels.UVATAR_PT_avatar).labels)

    assert not told()
    rig.uvatar_shape.stature += 1
    assert told()
    bpy.ops.uvatar.refresh_joints()
    assert not told()
    rig.uvatar_shape.stature += 1
    lead(rig)
    assert not told()  # it cannot be done there


def test_a_control_rig_of_a_deleted_avatar_offers_nothing(rig: Any) -> None:
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.uvatar.make_metarig() == {"FINISHED"}
    metarig = bpy.context.object
    assert rigs.find_rig(metarig) == rig
    with bpy.context.temp_override(selected_objects=[rig]):
        bpy.ops.object.delete()
    assert rigs.find_rig(metarig) is None and not avatar_panels.UVATAR_PT_avatar.poll(bpy.context)


def test_a_motion_that_cannot_be_applied_leaves_the_control_rig_leading(rig: Any, walk: Path) -> None:
    control = lead(rig)
    with pytest.raises(RuntimeError, match="remove the control rig first"):
        bpy.ops.uvatar.import_motion(filepath=str(walk), shape=True)
    assert rigify.control_rig(rig) == control and rigs.LED_BY in rig
    with pytest.raises(RuntimeError, match="already follows a control rig"):
        bpy.ops.uvatar.generate_control_rig()
    assert rigify.control_rig(rig) == control


def test_joints_follow_the_sliders_when_the_user_pauses(rig: Any, walk: Path) -> None:
    bpy.context.view_layer.objects.active = rig
    before = rig.data.bones["head"].head_local.copy()

    def moved(value: float) -> bool:
        before = rig.data.bones["head"].head_local.copy()
        rig.uvatar_shape.stature = value
        assert live_joints.fit_waiting() is None
        return (rig.data.bones["head"].head_local - before).length > 1e-3

    assert moved(1.5)
    bpy.context.scene.uvatar.live_joints = False
    assert not moved(0.5)
    bpy.context.scene.uvatar.live_joints = True
    bpy.ops.object.mode_set(mode="POSE")
    rig.uvatar_shape.stature = -1.5
    assert live_joints.fit_waiting()  # later
    bpy.ops.object.mode_set(mode="OBJECT")
    assert live_joints.fit_waiting() is None and (rig.data.bones["head"].head_local - before).length > 1e-3
    apply_motion(rig, load_motion(rig, walk), "walk")
    assert not moved(-1.0)


def test_edit_mode_is_explained(rig: Any) -> None:
    body = rigs.find_body(rig)
    bpy.context.view_layer.objects.active = body
    assert not any("Edit Mode" in label for label in drawn(avatar_panels.UVATAR_PT_avatar).labels)
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        assert any("Edit Mode shows the mean body" in label for label in drawn(avatar_panels.UVATAR_PT_avatar).labels)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")


def test_help_opens_a_file_of_this_computer(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    file = guide.guide()
    assert file is not None and file.is_file() and file.as_uri().startswith("file:///")
    monkeypatch.setattr(guide, "_PLACES", ((Path("/nowhere"), ".html"),))
    with pytest.raises(RuntimeError, match="guide is missing"):
        bpy.ops.uvatar.guide()


@pytest.mark.parametrize("how", ["excluded", "disabled", "hidden"])
def test_joints_are_fitted_in_an_avatar_that_is_not_shown(result: dict[str, Any], scene: Any, how: str) -> None:
    rig = import_people(parse_result(result), scene).rigs[0]
    (collection,) = scene.collection.children
    layer = bpy.context.view_layer.layer_collection.children[collection.name]
    body = rigs.find_body(rig)
    body.data.shape_keys.key_blocks["stature"].value = 1.0
    before = rig.data.bones["head"].head_local.copy()
    if how == "excluded":
        layer.exclude = True
    elif how == "disabled":
        rig.hide_viewport = True
    else:
        layer.hide_viewport = True
    active = bpy.context.view_layer.objects.active
    refresh_joints(rig)
    assert (rig.data.bones["head"].head_local - before).length > 1e-4
    assert bpy.context.view_layer.objects.active == active and rig.name not in scene.collection.objects
    assert layer.exclude == (how == "excluded") and rig.hide_viewport == (how == "disabled")


def test_a_linked_avatar_gets_no_control_rig_and_nothing_is_left_behind(
    result: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    import_people(parse_result(result), scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (there, here):
        here.collections = there.collections
    (collection,) = here.collections
    bpy.context.scene.collection.children.link(collection)
    rig = next(thing for thing in collection.objects if rigs.is_rig(thing))
    before = set(bpy.data.objects)
    with pytest.raises(rigs.RigError, match=r"linked from library.blend"):
        rigify.generate_control_rig(rig)
    assert set(bpy.data.objects) == before
