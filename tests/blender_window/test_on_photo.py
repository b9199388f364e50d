"""People on the photo, and corrections by dragging their joints, in a real window."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.blender_window.panel import choose, close_panel, photo, picture
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
    picture(window, "addon-people")
    close_panel(window)
    window.press("uvatar.correct_on_photo", (0.25,))
    assert window.value("[o.bl_idname for o in bpy.context.window_manager.windows[0].modal_operators]")
    window.run(_PLACES)
    start = window.value("shown(rig.matrix_world @ rig.pose.bones['left_wrist'].head)")
    assert window.value("[image.display_depth for image in bpy.context.scene.camera.data.background_images]") == [
        "FRONT"
    ]
    window.drag((start[0], start[1]), (start[0] + 30, start[1] - 40))
    picture(window, "addon-correcting")
    window.key("Return")
    window.until("'given_people' in state.session().run.jobs[0].options", "the person is fitted again")
    assert window.value("[image.display_depth for image in bpy.context.scene.camera.data.background_images]") == [
        "BACK"
    ]
    (given,) = window.value("state.session().run.jobs[0].options['given_people']")
    (pin,) = given["pins"]
    assert given["photo"] == "me.jpg" and pin[:5] == [0, 0, 300, 400, WRIST]
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
    window.press("uvatar.correct_on_photo", (0.25,))
    window.key("Escape")
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")
    assert window.value("len(rigs())") == 2 and not window.value("state.session().running")
