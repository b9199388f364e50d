"""People on the photo, and corrections by dragging their joints, in a real window."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.blender_window.panel import VIEW, choose, choose_both_samples, close_panel, photo, picture, sidebar_picture
from tests.blender_window.window import HEIGHT, Window

WRIST = 15  # BlazePose's number of the left wrist
_PLACES = (
    "camera, rig = module('scene.camera'), bpy.data.objects[rigs()[0]]\n"
    "from bpy_extras.view3d_utils import location_3d_to_region_2d\n"
    "area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')\n"
    "region = next(r for r in area.regions if r.type == 'WINDOW')\n"
    "def shown(point):\n"
    "    x, y = location_3d_to_region_2d(region, area.spaces.active.region_3d, point)\n"
    f"    return [round(region.x + x), {HEIGHT} - round(region.y + y)]\n"
)


def test_a_wrist_is_dragged_and_the_person_is_fitted_again(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    window.settle()
    close_panel(window)
    window.press("uvatar.correct_on_photo", (0.25,))
    assert window.value("[o.bl_idname for o in bpy.context.window_manager.windows[0].modal_operators]")
    window.run(_PLACES)
    start = window.value("shown(rig.matrix_world @ rig.pose.bones['left_wrist'].head)")
    assert window.value("[image.display_depth for image in bpy.context.scene.camera.data.background_images]") == [
        "FRONT"
    ]
    place = window.value_after(
        "from bpy_extras.object_utils import world_to_camera_view\n",
        "list(world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, "
        "rig.matrix_world @ rig.pose.bones['left_wrist'].head))",
    )
    corner, other = (
        window.value(
            f"shown(module('scene.photo_joints').frame_corners(bpy.context.scene, bpy.context.scene.camera)[{n}])"
        )
        for n in (0, 1)
    )
    pixel = 300 / (other[0] - corner[0])  # of the photo, in one of the screen
    window.drag((start[0], start[1]), (start[0] + 30, start[1] - 40))
    picture(window, "addon-dragged")
    window.key("Return")
    window.until("'given_people' in state.session().run.jobs[0].options", "the person is fitted again")
    assert window.value("[image.display_depth for image in camera.photo_camera(rig).data.background_images]") == [
        "BACK"
    ]
    (given,) = window.value("state.session().run.jobs[0].options['given_people']")
    (pin,) = given["pins"]
    assert given["photo"] == "me.jpg" and pin[:5] == [0, 0, 300, 400, WRIST]
    assert abs(pin[5] - (300 * place[0] + 30 * pixel)) < 3 * pixel + 1
    assert abs(pin[6] - (400 * (1 - place[1]) - 40 * pixel)) < 3 * pixel + 1
    window.until("len(rigs()) == 2 and not state.importer().building", "the corrected avatar stands beside the first")


def test_escape_leaves_everything_as_it_is(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    photo(window, "me.jpg", b"two")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatars are there")
    window.settle()
    picture(window, "addon-two-people")
    close_panel(window)
    seen = "[(lambda s: [s.camera.name, s.render.resolution_x, s.render.resolution_y])(bpy.context.scene), "
    seen += "(lambda v: [v.view_perspective, v.view_camera_zoom, list(v.view_camera_offset)])"
    seen += "(area.spaces.active.region_3d), len(rigs())]"
    window.run(_PLACES + "scene = bpy.context.scene\nscene.camera = bpy.data.objects['Camera']\n")
    window.run("scene.render.resolution_x, scene.render.resolution_y = 1920, 1080")
    before = window.value(seen)
    window.press("uvatar.correct_on_photo", (0.25,))
    assert window.value("[scene.render.resolution_x, area.spaces.active.region_3d.view_perspective]") == [300, "CAMERA"]
    place = window.run(
        "answer = shown(bpy.context.object.matrix_world @ bpy.context.object.pose.bones['left_wrist'].head)"
    )
    window.drag((place[0], place[1]), (place[0] + 30, place[1] - 40))
    for key in ("ctrl+z", "x", "Tab"):  # the drag is taken back, not the avatars' arrival; the others do nothing
        window.key(key)
    assert window.value("[len(rigs()), bpy.context.mode]") == [2, "OBJECT"]
    window.key("Return")  # nothing is moved any more
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")
    assert not window.value("state.session().running") and window.value(seen) == before
    window.press("uvatar.correct_on_photo", (0.25,))
    window.key("Escape")
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")
    assert not window.value("state.session().running") and window.value(seen) == before


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_two_people_of_one_photo_with_the_real_backend(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    choose_both_samples(window)
    window.run("bpy.data.batch_remove(list(bpy.data.objects))\nbpy.context.scene.uvatar.fast = True")
    serve(None)
    window.press("uvatar.run")
    window.until("len(rigs()) == 2 and not state.importer().building", "both are imported", 900)
    window.run("names = rigs()\nfor rig, name in zip(names, ('Ben', 'Anna')): bpy.data.objects[rig].name = name")
    close_panel(window)
    window.press("uvatar.correct_on_photo", (0.25,))
    picture(window, "addon-correcting", (0, 0, 1056, 718))  # with the help below
    window.key("Escape")
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")
    close_panel(window, 1)
    window.press("uvatar.generate_control_rig")
    window.until("'hand_ik.L' in bpy.context.object.pose.bones", "the control rig is active")
    window.run(
        "area.spaces.active.shading.color_type = 'TEXTURE'\n"
        "control = bpy.context.object\n"
        "middle = control.matrix_world @ control.pose.bones['head'].tail\n"
        "middle.x, middle.z = middle.x + 0.3, middle.z - 0.15\n"  # between the head and the board, clear of the sidebar
        "view = area.spaces.active.region_3d\n"
        "view.view_perspective, view.view_location, view.view_distance = 'ORTHO', middle, 1.0\n"
        "view.view_rotation = (0.7071, 0.7071, 0, 0)\n"  # from the front
        "module('scene.expressions').set_expression(bpy.data.objects['Ben'], 'happy')\n"
    )
    window.settle()
    picture(window, "addon-face-board", VIEW)
    close_panel(window)  # opens it again
    left, _, width, _ = window.sidebar()
    window.hand("mousemove", left + width // 2, HEIGHT // 2)
    for _ in range(7):
        window.hand("click", 5)  # the wheel, down to the results
    window.settle()
    window.press("uvatar.select_person", (0.12,))
    sidebar_picture(window, "addon-people")
    assert window.value("[bpy.context.object.name, state.importer().summaries[0].boxes is not None]") == [
        "Ben control",
        True,
    ]
