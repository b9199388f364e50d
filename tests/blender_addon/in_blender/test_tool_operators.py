"""The tools' buttons: each does its work through the operator, and says in a sentence why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import uvatar_blender
from tests.blender_addon.in_blender.helpers import imported
from tests.blender_addon.sample import encoded, sample_result, with_fingers
from uvatar_blender.core.jobs import Job
from uvatar_blender.core.result import TextureResult, parse_result
from uvatar_blender.scene import correctives, material
from uvatar_blender.scene import metarig as metarigs
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import UUID, import_people
from uvatar_blender.ui import state


@pytest.fixture
def addon(scene: Any) -> Iterator[Any]:
    """The add-on registered from the source tree, in an empty file."""
    uvatar_blender.register()
    yield state
    uvatar_blender.unregister()


@pytest.fixture
def rig(addon: Any) -> bpy.types.Object:
    """An avatar with correctives, selected."""
    result = sample_result(texture=64)
    posedirs = np.zeros((len(result["people"][0]["template"]), 3, 207), np.float32)
    result["people"][0]["posedirs"] = posedirs
    return import_people(parse_result(result), bpy.context.scene).rigs[0]


@pytest.fixture
def jobs(addon: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Path], dict[str, Any]]]:
    """What is sent to the backend, instead of a backend."""
    sent: list[Any] = []
    original = addon.session().reconstruct

    def note(jobs: list[Any], write: Any = None) -> Any:
        sent.extend(jobs)
        if write is not None:
            write()
        return original(jobs)

    monkeypatch.setattr(addon.session(), "reconstruct", note)
    monkeypatch.setattr("uvatar_blender.ui.runs.link_up", lambda context, start: None)
    return sent


def test_poses_shape_and_ground(rig: bpy.types.Object) -> None:
    hand = rig.pose.bones["left_hand"]
    heights = {}
    for pose in ("PHOTO", "T", "A", "REST"):
        assert bpy.ops.uvatar.pose(pose=pose) == {"FINISHED"}
        bpy.context.view_layer.update()
        heights[pose] = hand.head.z
    assert heights["A"] < heights["T"] - 0.3 and heights["REST"] == pytest.approx(heights["T"], abs=1e-5)
    keys = rigs.find_body(rig).data.shape_keys.key_blocks
    keys["stature"].value += 2
    before = rig.data.bones["head"].head_local.z
    assert bpy.ops.uvatar.refresh_joints() == {"FINISHED"}
    assert rig.data.bones["head"].head_local.z > before + 0.05
    assert bpy.ops.uvatar.apply_shape() == {"FINISHED"} and keys["stature"].value == 0
    assert bpy.ops.uvatar.refit() == {"FINISHED"}
    rig.location.z = 0.5
    assert bpy.ops.uvatar.snap_to_ground() == {"FINISHED"}
    assert bpy.ops.uvatar.name_bones(naming="UNREAL") == {"FINISHED"} and "thigh_l" in rig.data.bones


def test_overlay_and_correctives(rig: bpy.types.Object) -> None:
    body = rigs.find_body(rig)
    assert bpy.ops.uvatar.show_sources(share=0.5) == {"FINISHED"}
    assert material.shown_sources(material.avatar_material(body)) == pytest.approx(0.5)
    assert bpy.ops.uvatar.live_correctives(live=False) == {"FINISHED"}
    assert all(key.mute for key in correctives.correctives(body))
    body.data.materials.clear()
    with pytest.raises(RuntimeError, match="no longer has its original material"):
        bpy.ops.uvatar.show_sources(share=1.0)


def test_motion_and_what_is_no_motion(rig: bpy.types.Object, tmp_path: Path) -> None:
    np.savez(tmp_path / "walk.npz", poses=np.zeros((121, 72)), trans=np.zeros((121, 3)), mocap_framerate=120.0)
    bpy.context.scene.render.fps = 24
    assert bpy.ops.uvatar.import_motion(filepath=str(tmp_path / "walk.npz"), start=5) == {"FINISHED"}
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (5, 29)
    assert rig.animation_data.action.name == "walk"
    (tmp_path / "x.bvh").write_text("nothing")
    with pytest.raises(RuntimeError, match="cannot be read as a BVH file"):
        bpy.ops.uvatar.import_motion(filepath=str(tmp_path / "x.bvh"))
    with pytest.raises(RuntimeError, match="No such file"):
        bpy.ops.uvatar.import_motion(filepath=str(tmp_path / "missing.npz"))


def test_the_up_axis_of_a_motion(rig: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    np.savez(
        tmp_path / "clip.npz", poses=np.zeros((5, 72)), trans=np.zeros((5, 3)), fps=float(scene.render.fps)
    )  # stands along y
    heads = {}
    for up in ("AUTOMATIC", "Y", "Z"):
        assert bpy.ops.uvatar.import_motion(filepath=str(tmp_path / "clip.npz"), up=up) == {"FINISHED"}
        assert (scene.frame_start, scene.frame_end) == (0, 4)
        scene.frame_set(0)
        heads[up] = (rig.pose.bones["head"].head - rig.pose.bones["pelvis"].head).z
    assert heads["AUTOMATIC"] == pytest.approx(heads["Y"], abs=1e-5) and heads["Y"] > 0.5 and abs(heads["Z"]) < 0.2
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(RuntimeError, match=r"clip\.mp4 is not a motion file; Uvatar reads \.bvh, \.fbx, \.npz"):
        bpy.ops.uvatar.import_motion(filepath=str(tmp_path / "clip.mp4"))


@pytest.mark.parametrize(("target", "suffix"), [("GLTF", ".glb"), ("UNITY", ".fbx"), ("UNREAL", ".fbx")])
def test_export_from_pose_mode_too(rig: bpy.types.Object, tmp_path: Path, target: str, suffix: str) -> None:
    bpy.ops.object.mode_set(mode="POSE")
    assert bpy.ops.uvatar.export(filepath=str(tmp_path / "me"), target=target, naming="UNREAL") == {"FINISHED"}
    assert (tmp_path / f"me{suffix}").stat().st_size > 100_000 and bpy.context.mode == "POSE"
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(RuntimeError, match="could not be written"):
        bpy.ops.uvatar.export(filepath=str(tmp_path / "folder"), target=target)


def test_an_exported_file_keeps_the_name_that_it_was_given(rig: bpy.types.Object, tmp_path: Path) -> None:
    (tmp_path / "me.glb").write_bytes(b"another avatar")
    assert bpy.ops.uvatar.export(filepath=str(tmp_path / "me.2"), target="GLTF") == {"FINISHED"}
    assert bpy.ops.uvatar.export(filepath=str(tmp_path / "she.GLB"), target="UNITY") == {"FINISHED"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me.2.glb", "me.glb", "she.fbx"]
    assert (tmp_path / "me.glb").read_bytes() == b"another avatar"
    with pytest.raises(RuntimeError, match="has no name"):
        bpy.ops.uvatar.export(filepath=f"{tmp_path}/", target="GLTF")


def test_nothing_is_offered_without_an_avatar_or_in_another_mode(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = rigs.find_body(rig)
    bpy.ops.object.mode_set(mode="SCULPT")
    assert not bpy.ops.uvatar.refit.poll() and not bpy.ops.uvatar.pose.poll() and bpy.ops.uvatar.show_sources.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.uvatar.refit.poll()
    bpy.context.view_layer.objects.active = None
    assert (
        not bpy.ops.uvatar.refit.poll()
        and not bpy.ops.uvatar.export.poll()
        and not bpy.ops.uvatar.complete_texture.poll()
    )


def test_a_painted_texture_goes_to_the_backend_and_comes_back(
    rig: bpy.types.Object, jobs: list[tuple[list[Path], dict[str, Any]]]
) -> None:
    assert bpy.ops.uvatar.complete_texture() == {"FINISHED"}
    ((paths, options),) = jobs
    from uvatar.protocol.options import checked_options

    checked = checked_options(options)  # the backend's own check
    assert checked["complete_texture"] and checked["same_person"] and all(path.stat().st_size for path in paths)
    assert not bpy.ops.uvatar.complete_texture.poll()  # while it is under way
    (job,) = state.session().run.jobs
    job.results[0] = TextureResult(paths[0].name, "open_body", encoded(np.full((64, 64, 3), 9, np.uint8)),
                                   encoded(np.full((64, 64), 1, np.uint8)))  # fmt: skip
    bpy.ops.ed.undo_push(message="before")
    for _ in range(5):
        state.pump()
    assert not job.results
    rig = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    image = material.texture_image(material.avatar_material(rigs.find_body(rig)))
    assert image.pixels[0] == pytest.approx(9 / 255, abs=1e-3)
    bpy.ops.ed.undo()
    rig = next(thing for thing in bpy.data.objects if UUID in thing and thing.type == "ARMATURE")
    image = material.texture_image(material.avatar_material(rigs.find_body(rig)))
    assert image.pixels[0] != pytest.approx(9 / 255, abs=1e-3)


@pytest.mark.parametrize("keep", ["IMPORT", "SAVE"])
def test_all_photos_of_a_folder(
    addon: Any, jobs: list[tuple[list[Path], dict[str, Any]]], tmp_path: Path, keep: str
) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert bpy.ops.uvatar.batch(directory=str(tmp_path), keep=keep) == {"FINISHED"}
    ((paths, options),) = jobs
    assert [path.name for path in paths] == ["a.PNG", "b.jpg"] and not options["same_person"]
    (job,) = state.session().run.jobs
    assert isinstance(job, Job)
    job.results = {0: parse_result(sample_result(name="a.PNG")), 1: parse_result(sample_result(name="b.jpg"))}
    for _ in range(200):
        state.pump()
        if not job.results:
            break
    armatures = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    saved = sorted(path.name for path in tmp_path.glob("avatars/*.blend"))
    if keep == "SAVE":
        assert (
            saved == ["a p0.blend", "b p0.blend"]
            and not armatures
            and len(bpy.data.scenes) == 1
            and not bpy.data.images
        )
    else:
        assert not saved and len(armatures) == 2
    assert job.people == 2 and not job.problems


def test_a_folder_without_photos_says_so(
    addon: Any, jobs: list[tuple[list[Path], dict[str, Any]]], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="no photos"):
        bpy.ops.uvatar.batch(directory=str(tmp_path), keep="SAVE")
    with pytest.raises(RuntimeError, match="cannot be used"):
        bpy.ops.uvatar.batch(directory=str(tmp_path / "missing"))
    assert not jobs and not list(tmp_path.iterdir())


def test_rigify_by_its_buttons(rig: bpy.types.Object) -> None:
    assert bpy.ops.uvatar.make_metarig() == {"FINISHED"}
    (metarig,) = (thing for thing in bpy.data.objects if metarigs.METARIG in thing)
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.uvatar.generate_control_rig() == {"FINISHED"}  # from the metarig that is there
    assert [thing for thing in bpy.data.objects if metarigs.METARIG in thing] == [metarig] and rigs.LED_BY in rig
    control = bpy.data.objects[rig[rigs.LED_BY]]
    assert "hand_ik.L" in control.pose.bones
    bpy.context.view_layer.objects.active = rigs.find_body(rig)
    with pytest.raises(RuntimeError, match="remove the control rig"):
        bpy.ops.uvatar.refresh_joints()
    assert bpy.ops.uvatar.remove_control_rig() == {"FINISHED"} and rigs.LED_BY not in rig
    assert bpy.ops.uvatar.refresh_joints() == {"FINISHED"}


def test_a_relative_path_in_an_unsaved_file(rig: bpy.types.Object) -> None:
    with pytest.raises(RuntimeError, match=r"save the .blend first"):
        bpy.ops.uvatar.export(filepath="//me.glb")
    with pytest.raises(RuntimeError, match=r"save the .blend first"):
        bpy.ops.uvatar.import_motion(filepath="//walk.bvh")


def test_subdividing_for_close_ups_smooths_body_and_parts(addon: Any) -> None:
    rig = imported(with_fingers(sample_result()), bpy.context.scene)
    bpy.context.view_layer.objects.active = rig
    body = rigs.find_body(rig)
    faces, keys = len(body.data.polygons), len(body.data.shape_keys.key_blocks)
    for on, factor in ((True, 4), (True, 4), (False, 1)):
        assert bpy.ops.uvatar.subdivide(on=on) == {"FINISHED"}
        bpy.context.view_layer.update()
        shown = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        assert len(shown.polygons) == factor * faces and len(body.data.polygons) == faces
        assert len(body.data.shape_keys.key_blocks) == keys
    assert [modifier.type for modifier in body.modifiers] == ["ARMATURE"]
