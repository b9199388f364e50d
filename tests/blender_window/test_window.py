"""A hand on the mouse: the panel in a real Blender, against a real backend."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.blender_window.conftest import SAMPLES, WORK, begin
from tests.blender_window.panel import (
    LIST_BUTTONS,
    VIEW,
    check_ticks,
    choose,
    close_panel,
    photo,
    picture,
    scroll_down,
    sidebar_picture,
    wait_photo,
    watch_ticks,
    working,
)
from tests.blender_window.window import HEIGHT, WIDTH, Window


def test_photos_are_dropped_sorted_and_switched_by_hand(window: Window) -> None:
    for name in ("me.jpg", "you.jpg"):
        photo(window, name)
    window.run("side = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'PROPERTIES')")
    window.run("side.type = 'FILE_BROWSER'")
    window.settle()
    window.run("side.spaces.active.show_region_toolbar = False")
    window.run(
        f"side.spaces.active.params.directory = b'{WORK}/photos/'\nside.spaces.active.params.display_type = "
        "'LIST_VERTICAL'"
    )
    window.until("len(side.spaces.active.params.directory) > 5 and side.tag_redraw() is None", "the files are shown")
    window.settle()
    x, y = window.run(
        f"r = next(r for r in side.regions if r.type == 'WINDOW')\nanswer = [r.x + 18, {HEIGHT} - r.y - r.height + 40]"
    )
    for place in ((WIDTH // 3, HEIGHT // 2), (window.sidebar()[0] + 120, HEIGHT // 2)):  # the viewport, the sidebar
        window.drag((x, y), place)
        window.hand("key", "Return")  # Blender asks whose the picture is to be: ours is under the mouse
        window.settle()
        y += 20
    assert window.until(
        "len(bpy.context.scene.uvatar.photos) == 2 and [p.file().name for p in bpy.context.scene.uvatar.photos]",
        "both are on the list",
    ) == ["me.jpg", "you.jpg"]
    window.press("uvatar.move_photo(step=-1)", LIST_BUTTONS)
    assert window.value("[p.file().name for p in bpy.context.scene.uvatar.photos]") == ["you.jpg", "me.jpg"]
    window.press("include", (0.11,))
    assert window.value("[p.file().name for p in bpy.context.scene.uvatar.chosen()]") == ["me.jpg"]


def test_run_progress_cancel_run_again_undo_redo(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    serve()
    watch_ticks(window)
    window.press("uvatar.run")
    working(window)
    sidebar_picture(window, "addon-progress")
    window.press("uvatar.cancel", LIST_BUTTONS)
    window.until("not state.session().running", "the run is cancelled")
    assert window.value("state.session().run.state.value") == "cancelled" and not window.value("rigs()")
    go.touch()
    window.press("uvatar.run")
    window.until("rigs()", "the avatar is there")
    window.until("len(state.importer().summaries) == 1", "it is whole")
    window.settle()
    sidebar_picture(window, "addon-results")
    window.key("ctrl+z")
    assert window.value("rigs()") == [] and window.value("len(bpy.data.meshes)") == 1  # the cube's
    window.key("ctrl+shift+z")
    assert len(window.value("rigs()")) == 1
    window.press("uvatar.import_again", (0.7,))
    window.hand("key", "Return")  # the options as they are
    window.until("len(rigs()) == 2 and not state.importer().building", "it is imported once more")
    check_ticks(window)


def test_no_tick_blocks_blender(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    photo(window, "heavy.jpg", b"heavy")
    choose(window, "heavy.jpg")
    serve()
    watch_ticks(window)
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1", "the avatar is there")
    check_ticks(window)


def test_a_painted_texture_is_completed_by_a_click(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1", "the avatar is there")
    window.run(
        "material, rig = module('scene.material'), module('scene.rig')\n"
        "def body(): return rig.find_body(bpy.data.objects[rigs()[0]])\n"
        "def texture(): return material.texture_image(material.avatar_material(body()))\n"
        "face = body().data.polygons[0]\n"
        "corners = [body().data.uv_layers.active.data[loop].uv for loop in face.loop_indices]\n"
        "u, v = (sum(corner[axis] for corner in corners) / len(corners) for axis in (0, 1))\n"
        "texel = 4 * (int(v * texture().size[1]) * texture().size[0] + int(u * texture().size[0]))\n"
        "texture().pixels[texel : texel + 4] = (0, 1, 0, 1)\n"
    )
    assert window.value("texture().is_dirty")
    close_panel(window)  # Avatars from Photos
    scroll_down(window)
    watch_ticks(window)
    window.press("uvatar.complete_texture")
    window.until("not state.session().running and not any(state.session().run.waiting())", "the texture has come back")
    assert not window.value("[problem.message for _, problem in state.session().run.problems()]")
    assert not window.value("texture().is_dirty")
    assert window.value("[round(channel, 2) for channel in texture().pixels[texel : texel + 4]]") == [0, 1, 0, 1]
    check_ticks(window)


def test_a_run_survives_a_new_file(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    working(window)
    window.key("ctrl+n")
    window.hand("key", "Return")  # General
    window.until("not bpy.context.scene.uvatar.photos", "the file is new")
    go.touch()
    window.until("rigs()", "the avatar is imported into the new file")


def test_avatars_wait_until_what_is_being_moved_is_let_go(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    working(window)
    window.key("g")  # the cube hangs on the mouse
    assert window.value("[operator.bl_idname for operator in bpy.context.window_manager.windows[0].modal_operators]")
    go.touch()
    window.until("any(state.session().run.waiting())", "the result has come")
    window.settle()
    assert not window.value("rigs()") and not window.value("state.importer().building")
    window.key("Escape")
    window.until("rigs()", "the avatar is imported")


def test_a_run_is_picked_up_after_blender_has_crashed(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    working(window)
    window.kill()
    go.touch()
    window.open()
    begin(window)
    sidebar_picture(window, "addon-unfinished", 365)
    window.press("uvatar.resume")
    window.until("rigs()", "the avatar is imported")
    window.until(
        "not list(__import__('pathlib').Path(state.session()._unfinished_jobs.folder).glob('*.json'))",
        "nothing is left to pick up",
    )


@pytest.mark.parametrize("when", ["working", "building"])
def test_blender_is_closed_in_the_middle_and_the_run_picked_up(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]], when: str
) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    backend = serve()
    window.press("uvatar.run")
    working(window)
    if when == "building":
        window.run("module('ui.importing').BUDGET, state.BUSY_INTERVAL = 0, 1")  # slow enough to be met at it
        go.touch()
        window.until("state.importer().building and len(bpy.data.armatures)", "half an avatar is there")
    code, took = window.quit()
    print(f"Blender closed while {when}: exit code {code} after {took:.1f} s")
    assert code == 0 and took < 20
    assert backend.poll() is None  # it is not Blender's, and works on
    go.touch()
    window.open()
    begin(window)
    window.press("uvatar.resume")
    window.until("rigs() and not state.importer().building", "the avatar is imported")
    window.until("not state.session().unfinished and not state.session().running", "the run is over")


def test_a_backend_that_blender_has_started_ends_with_it(window: Window) -> None:
    program, ended = window.inside(f"{WORK}/photos/uvatar"), window.inside(f"{WORK}/photos/ended")
    program.write_text(f"#!/bin/sh\necho $$ > {WORK}/photos/started\ncat > /dev/null\ntouch {WORK}/photos/ended\n")
    program.chmod(0o755)
    window.run(
        "bpy.context.preferences.addons['bl_ext.user_default.uvatar'].preferences.backend = "
        f"'{WORK}/photos/uvatar'\nstate.redraw()"
    )
    window.settle()
    window.press("uvatar.start_backend", (0.66,))
    window.until(f"__import__('os').path.exists('{WORK}/photos/started')", "the backend is started")
    assert window.quit()[0] == 0
    deadline = time.monotonic() + 20
    while not ended.exists():
        assert time.monotonic() < deadline, "the backend outlives Blender"
        time.sleep(0.05)


def test_the_addon_is_disabled_in_the_middle_and_enabled_again(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    working(window)
    window.run("bpy.ops.preferences.addon_disable(module='bl_ext.user_default.uvatar')")
    window.settle()
    window.run("bpy.ops.preferences.addon_enable(module='bl_ext.user_default.uvatar')")
    go.touch()
    begin(window)
    window.press("uvatar.resume")
    window.until("rigs()", "the avatar is imported")


def test_a_backend_that_dies_is_missed_and_the_run_goes_on_with_the_next(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    go = wait_photo(window)
    choose(window, "me.jpg")
    first = serve()
    window.press("uvatar.run")
    working(window)
    first.kill()
    window.until("state.session().problem is not None", "the loss is noticed")
    window.settle()
    sidebar_picture(window, "addon-lost", 430)
    window.find("uvatar.start_backend")
    go.touch()
    serve()
    window.until("rigs()", "the avatar is imported")
    assert window.value("state.session().problem is None")


def test_setting_up_asks_for_the_internet_first_and_then_says_what_is_missing(window: Window) -> None:
    sidebar_picture(window, "addon-first", 290)
    window.run(
        "chosen = bpy.context.preferences.addons['bl_ext.user_default.uvatar'].preferences\n"
        "chosen.index = 'http://127.0.0.1:9'"  # no package index is there, on any computer
    )
    window.press("uvatar.setup_backend", (0.66,))
    assert not window.value("bpy.app.online_access") and window.value("state.setup() is None")
    sidebar_picture(window, "addon-offline")
    window.press("extensions.userpref_allow_online")  # Blender's own button
    assert window.value("bpy.app.online_access") and window.value("state.setup() is None")
    sidebar_picture(window, "addon-online")
    window.press("uvatar.setup_backend")
    picture(window, "addon-setup", (490, 80, 560, 420))
    assert window.value("state.setup() is None")  # until it is told to
    window.hand("key", "Return")
    window.until("state.setup() is not None and not state.setup().running", "the set-up ends")
    assert window.value("chosen.packages") == "LIGHT"
    problem = window.value("state.setup().problem.message")
    newer = "No Python 3.11 to 3.13" in problem  # sid's Python may be newer, and trixie's is 3.13
    assert newer or "The package index cannot be reached." in problem
    window.settle()
    sidebar_picture(window, "addon-setup-failed")
    window.find("uvatar.setup_backend")  # try again, when there is one
    window.press("uvatar.open_preferences", (0.83,))
    window.settle()
    picture(window, "addon-preferences")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_real_backend_makes_the_sample_photos_avatars(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    for name in ("man.jpg", "woman.jpg"):
        shutil.copy(SAMPLES / name, window.inside(f"{WORK}/photos"))
    choose(window, "man.jpg", "woman.jpg")
    window.run("bpy.data.batch_remove(list(bpy.data.objects))\nbpy.context.scene.uvatar.placement = 'ROW'")
    sidebar_picture(window, "addon-photos", 430)
    serve(None)
    watch_ticks(window)
    window.press("uvatar.run")
    window.until("state.session().run.current.stage == 'fitting'", "a body is being fitted", 600)
    sidebar_picture(window, "addon-fitting", 430)
    window.until("len(state.importer().summaries) == 2", "both are imported", 900)
    assert len(window.value("rigs()")) == 2 and not window.value("list(state.session().run.problems())")
    window.run(
        "area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')\n"
        "area.spaces.active.shading.color_type = 'TEXTURE'\n"
        "region = next(r for r in area.regions if r.type == 'WINDOW')\n"
        "with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area, region=region):\n"
        "    bpy.ops.view3d.view_axis(type='FRONT')\n"
        "    bpy.ops.view3d.view_all()\n"
    )
    window.settle()
    picture(window, "addon-avatars", VIEW)
    close_panel(window)  # Avatars from Photos
    window.press("uvatar.show_sources(share=1)", (0.7, 0.83))
    picture(window, "addon-sources", VIEW)
    window.press("uvatar.show_sources(share=0)", (0.3, 0.4))
    close_panel(window, 1)  # Avatar
    sidebar_picture(window, "addon-tools", 450)
    window.press("uvatar.export(target='GLTF'")
    window.until(
        "any(a.type == 'FILE_BROWSER' for w in bpy.context.window_manager.windows for a in w.screen.areas)",
        "it asks where to",
    )
    window.run(
        "browser = next(a for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == "
        "'FILE_BROWSER')\n"
        f"browser.spaces.active.params.directory = b'{WORK}/photos/'\n"
    )
    window.settle()
    window.hand("mousemove", WIDTH // 2, HEIGHT // 2)
    window.hand("key", "Return")
    window.until(f"__import__('pathlib').Path('{WORK}/photos/woman.glb').exists()", "the avatar is exported")
    check_ticks(window)
