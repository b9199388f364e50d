"""The built zip in a clean Blender: installed, enabled, run against the real server with a fake pipeline, disabled,
enabled.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from tools.build_addon import build

MODULE = "bl_ext.user_default.uvatar"
PIPELINE = "tests.blender_addon.fake_pipeline:SamplePipeline"
PATIENCE = 60.0
EDITOR = "IMAGE_EDITOR"


@pytest.fixture(scope="session")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(zipped: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(filepath=str(zipped), repo="user_default", enable_on_install=True)
    assert MODULE in bpy.context.preferences.addons


@pytest.fixture
def addon(installed: None) -> Iterator[Any]:
    """The add-on's state module, enabled afresh in an empty file."""
    bpy.ops.wm.read_homefile(use_empty=True)
    if MODULE in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_disable(module=MODULE)
    bpy.ops.preferences.addon_enable(module=MODULE)
    yield importlib.import_module(f"{MODULE}.ui.state")
    if MODULE in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_disable(module=MODULE)


@pytest.fixture
def server() -> Iterator[subprocess.Popen[bytes]]:
    """This user's backend: the add-on finds it by its data folder."""
    command = [sys.executable, "-m", "uvatar", "serve", "--exit-with-parent", "--pipeline", PIPELINE]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    process.stdout.readline()
    yield process
    process.stdin.close()
    process.wait(PATIENCE)
    process.stdout.close()


def pump_until(addon: Any, condition: Callable[[], Any], what: str) -> None:
    """Do what Blender's timer does."""
    deadline, longest = time.monotonic() + PATIENCE, 0.0
    while not condition():
        assert time.monotonic() < deadline, (
            f"waited in vain until {what}: {addon.session().problem} {addon.session().run}"
        )
        start = time.perf_counter()
        addon.pump()
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.01)
    print(f"longest call of the timer until {what}: {longest * 1000:.0f} ms")


def choose(tmp_path: Path, **photos: bytes) -> None:
    for name, data in photos.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    bpy.ops.uvatar.add_photos(directory=str(tmp_path), files=[{"name": f"{name}.jpg"} for name in photos])


def rigs() -> list[bpy.types.Object]:
    return [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]


def run_to_the_end(addon: Any) -> None:
    assert bpy.ops.uvatar.run() == {"FINISHED"}
    run = addon.session().run
    pump_until(addon, lambda: run.state.value != "running" and not any(run.waiting()), "the run ends")


def test_zip_is_small_and_holds_what_a_clean_blender_needs(zipped: Path) -> None:
    names = set(zipfile.ZipFile(zipped).namelist())
    assert {"blender_manifest.toml", "__init__.py", "LICENSE", "protocol/framing.py", "headless.py"} <= names
    assert not [name for name in names if "__pycache__" in name or "test" in name]
    assert zipped.stat().st_size < 1_400_000  # two thirds of it are the guide's pictures


def test_photos_become_avatars_in_one_undo_step_each(
    addon: Any, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    choose(tmp_path, me=b"photo of two", nobody=b"bad")
    bpy.ops.ed.undo_push(message="before")
    run_to_the_end(addon)
    (job,) = addon.session().run.jobs
    assert job.state.value == "done" and job.people == 2 and len(rigs()) == 2
    assert {index: problem.message for index, problem in job.problems.items()} == {
        1: "No person was found in nobody.jpg."
    }
    assert [collection.name for collection in bpy.data.collections] == ["me"]
    bpy.ops.ed.undo()
    assert not bpy.data.objects and not bpy.data.collections and not bpy.data.meshes and not bpy.data.images
    bpy.ops.ed.redo()
    assert len(rigs()) == 2


def test_a_run_survives_opening_a_new_file(addon: Any, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    choose(tmp_path, me=b"wait:" + str(tmp_path / "go").encode())
    bpy.ops.uvatar.run()
    pump_until(addon, lambda: "Waiting with" in addon.session().run.current.message, "work has begun")
    bpy.ops.wm.read_homefile(use_empty=True)
    (tmp_path / "go").touch()
    pump_until(addon, rigs, "the avatar is imported")
    assert addon.pump() is not None  # still connected: the timer goes on


def test_cancel_stops_the_run_and_the_next_one_works(
    addon: Any, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    choose(tmp_path, me=b"wait:" + str(tmp_path / "never").encode())
    bpy.ops.uvatar.run()
    pump_until(addon, lambda: "Waiting with" in addon.session().run.current.message, "work has begun")
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.uvatar.run()  # one at a time
    bpy.ops.uvatar.cancel()
    pump_until(addon, lambda: not addon.session().running, "the run is cancelled")
    assert addon.session().run.state.value == "cancelled" and not rigs()
    (tmp_path / "me.jpg").write_bytes(b"photo")
    run_to_the_end(addon)
    assert len(rigs()) == 1


def test_people_come_again_with_other_options(addon: Any, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    choose(tmp_path, me=b"photo")
    run_to_the_end(addon)
    (first,) = rigs()
    (tmp_path / "me.jpg").unlink()  # nothing is computed anew
    settings, (summary,) = bpy.context.scene.uvatar, addon.importer().summaries
    settings.rest_pose, settings.naming, settings.placement, settings.photo_pose = "A", "MIXAMO", "ROW", "REST"
    assert bpy.ops.uvatar.import_again(job=summary.job, number=summary.number) == {"FINISHED"}
    pump_until(addon, lambda: len(rigs()) == 2 and not addon.importer().building, "it is imported once more")
    (second,) = (rig for rig in rigs() if rig != first)
    assert "mixamorig:LeftHand" in second.data.bones and "left_hand" in first.data.bones
    assert second.data.bones["mixamorig:LeftHand"].head_local.z < first.data.bones["left_hand"].head_local.z - 0.3
    assert (
        second.location.x > first.location.x
        and len([thing for thing in bpy.data.objects if thing.type == "CAMERA"]) == 1
    )
    bpy.ops.ed.undo()
    assert len(rigs()) == 1


def test_a_backend_at_an_address_and_with_a_wrong_token(addon: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    command = [sys.executable, "-m", "uvatar", "serve", "--exit-with-parent", "--pipeline", PIPELINE]
    environment = {**os.environ, "UVATAR_DATA": str(elsewhere)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdin and server.stdout
        server.stdout.readline()
        runtime = importlib.import_module(f"{MODULE}.protocol.discovery").read_runtime(elsewhere)
        chosen = bpy.context.preferences.addons[MODULE].preferences
        chosen.address, chosen.token = f"127.0.0.1:{runtime.port}", "wrong"
        choose(tmp_path, me=b"photo")
        bpy.ops.uvatar.connect()
        pump_until(addon, lambda: addon.session().problem, "it is turned away")
        problem = addon.session().problem
        assert "token" in problem.message and problem.remedy.value == "preferences"
        chosen.token = runtime.token
        run_to_the_end(addon)
        assert len(rigs()) == 1
        server.stdin.close()


def test_update_ends_the_backend_that_runs_and_sets_up_the_add_ons(
    addon: Any, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []

    class Setup:
        running, done, problem = True, False, None

        def __init__(self, recipe: Any) -> None:
            begun.append(recipe)

        def cancel(self) -> None:
            pass

    buttons = importlib.import_module(f"{MODULE}.ui.backend")
    monkeypatch.setattr(buttons.setting_up, "Setup", Setup)
    monkeypatch.setattr(bpy.context.preferences.system, "use_online_access", True)
    bpy.ops.uvatar.connect()
    pump_until(addon, lambda: addon.session().link.value == "on", "it is connected")
    assert bpy.ops.uvatar.update_backend() == {"FINISHED"}
    assert server.wait(PATIENCE) is not None  # whoever started it
    version = importlib.import_module(f"{MODULE}.protocol.version").__version__
    assert len(begun) == 1 and version in begun[0].backend
    assert not bpy.ops.uvatar.setup_backend.poll()  # one is under way


def test_a_backend_that_crashes_shows_its_log(addon: Any, tmp_path: Path) -> None:
    program = tmp_path / "uvatar"
    program.write_text("#!/bin/sh\necho first words\necho the model file is torn >&2\nexit 1\n")
    program.chmod(0o755)
    if sys.platform == "win32":
        pytest.skip("the program is a shell script")
    bpy.context.preferences.addons[MODULE].preferences.backend = str(program)
    bpy.ops.uvatar.start_backend()
    pump_until(addon, lambda: addon.session().problem, "its end is noticed")
    problem = addon.session().problem
    assert "the model file is torn" in problem.message and problem.remedy.value == "log"
    assert bpy.ops.uvatar.show_log() == {"FINISHED"}
    buttons = importlib.import_module(f"{MODULE}.ui.backend")
    assert "first words" in bpy.data.texts[buttons.LOG_TEXT].as_string()


def test_the_backend_is_taken_off_this_computer_but_nobody_elses_folder(addon: Any, tmp_path: Path) -> None:
    stamps = importlib.import_module(f"{MODULE}.core.environment_stamp")
    chosen = bpy.context.preferences.addons[MODULE].preferences
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        (folder / "bin").mkdir(parents=True)
    stamps.write_stamp(ours, {"complete": True})
    chosen.folder = str(theirs)
    with pytest.raises(RuntimeError, match="could not be removed"):
        bpy.ops.uvatar.remove_backend()
    chosen.folder = str(ours)
    assert bpy.ops.uvatar.remove_backend() == {"FINISHED"}
    assert theirs.exists() and not ours.exists()


def test_the_picture_in_the_image_editor_is_added_by_its_button(addon: Any, tmp_path: Path) -> None:
    picture = bpy.data.images.new("painted", 8, 8)
    # An editor that exists already: changing an area's type where nothing is drawn has crashed Blender's module.
    screen, area = next((screen, area) for screen in bpy.data.screens for area in screen.areas if area.type == EDITOR)
    shown = area.spaces.active.image
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], screen=screen, area=area):
            area.spaces.active.image = None
            assert not bpy.ops.uvatar.add_image.poll()
            area.spaces.active.image = picture
            assert bpy.ops.uvatar.add_image() == {"FINISHED"}
    finally:
        area.spaces.active.image = shown
    (photo,) = bpy.context.scene.uvatar.photos
    pump_until(addon, photo.file().is_file, "its thread has written it")
    assert photo.file().name == "painted.png" and photo.file().stat().st_size


def test_avatars_wait_while_the_artist_is_in_another_mode(
    addon: Any, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    choose(tmp_path, me=b"photo")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.uvatar.run()
    (job,) = addon.session().run.jobs
    pump_until(addon, lambda: job.state.value == "done" and job.results, "the result is there")
    addon.pump()
    assert bpy.context.mode == "EDIT_MESH" and not rigs()
    bpy.ops.uvatar.import_now()
    pump_until(addon, rigs, "the avatar is imported")


def test_sliders_then_joints_then_export(addon: Any, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    choose(tmp_path, me=b"photo")
    run_to_the_end(addon)
    (rig,) = rigs()
    before = rig.data.bones["left_knee"].head_local.z
    rig.children[0].data.shape_keys.key_blocks["stature"].value = 4
    assert bpy.ops.uvatar.refresh_joints() == {"FINISHED"}
    assert rig.data.bones["left_knee"].head_local.z > before + 0.02
    bpy.ops.uvatar.export(filepath=str(tmp_path / "me"))
    assert (tmp_path / "me.glb").stat().st_size > 100_000
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(RuntimeError, match="could not be written: IsADirectoryError"):
        bpy.ops.uvatar.export(filepath=str(tmp_path / "folder.glb"))
    assert len(rigs()) == 1  # the copy that was to be exported is gone


def test_without_a_backend_the_panel_says_so_with_the_button_that_helps(
    addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    choose(tmp_path, me=b"photo")
    bpy.ops.uvatar.run()
    pump_until(addon, lambda: addon.session().problem, "the start fails")
    problem = addon.session().problem
    assert problem.remedy.value == "setup" and "not installed on this computer" in problem.message
    assert addon.session().running  # it goes on as soon as there is a backend
    bpy.ops.uvatar.cancel()
    assert addon.session().run.state.value == "cancelled"
    bpy.ops.uvatar.connect()
    pump_until(addon, lambda: addon.session().problem, "the connection fails")
    assert addon.session().problem.remedy.value == "start" and addon.session().link.value == "off"
    assert addon.pump() is None  # and the timer ends


def test_starts_the_backend_that_the_preferences_name(addon: Any, tmp_path: Path) -> None:
    program = tmp_path / "uvatar"
    paths = f"{Path.cwd()}:{Path.cwd()}/backend"
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH='{paths}' exec '{sys.executable}' -m uvatar \"$@\" --pipeline {PIPELINE}\n"
    )
    program.chmod(0o755)
    if sys.platform == "win32":
        pytest.skip("the program is a shell script")
    bpy.context.preferences.addons[MODULE].preferences.backend = str(program)
    choose(tmp_path, me=b"photo")
    run_to_the_end(addon)
    assert len(rigs()) == 1
    process = addon.session()._backend._process
    bpy.ops.preferences.addon_disable(module=MODULE)
    assert process.wait(PATIENCE) == 0  # it ended with the add-on


def test_disabled_in_the_middle_of_a_run_and_enabled_again(
    addon: Any, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    choose(tmp_path, me=b"wait:" + str(tmp_path / "go").encode())
    bpy.ops.uvatar.run()
    pump_until(addon, lambda: "Waiting with" in addon.session().run.current.message, "work has begun")
    bpy.ops.preferences.addon_disable(module=MODULE)
    assert not hasattr(bpy.types.Scene, "uvatar") and addon.pump() is None
    (tmp_path / "go").touch()
    bpy.ops.preferences.addon_enable(module=MODULE)
    again = importlib.import_module(f"{MODULE}.ui.state")
    (tmp_path / "me.jpg").write_bytes(b"photo")
    if not bpy.context.scene.uvatar.photos:
        choose(tmp_path, me=b"photo")
    run_to_the_end(again)
    assert len(rigs()) == 1


def test_a_dead_backend_is_found_again_and_the_run_goes_on(addon: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvatar", "serve", "--exit-with-parent", "--pipeline", PIPELINE]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout
    first.stdout.readline()
    choose(tmp_path, me=b"wait:" + str(tmp_path / "go").encode())
    bpy.ops.uvatar.run()
    pump_until(addon, lambda: "Waiting with" in addon.session().run.current.message, "work has begun")
    first.kill()
    first.wait()
    pump_until(addon, lambda: addon.session().problem, "the loss is noticed")
    assert addon.session().running and addon.session().problem.remedy.value == "start"
    (tmp_path / "go").touch()
    second = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert second.stdin and second.stdout
    pump_until(addon, rigs, "the avatar is imported")
    second.stdin.close()
    second.wait(PATIENCE)
