"""What an artist sees when avatars arrive in Blender's new file, and what she can do with them from there."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable

from tests.blender_window.conftest import WORK
from tests.blender_window.panel import LIST_BUTTONS, choose, close_panel, photo, picture, sidebar_picture
from tests.blender_window.window import Window


def three_photos(window: Window) -> None:
    """Three photos, four people, beside the cube of a new file."""
    for name, data in (("anna.jpg", b"photo"), ("pair.jpg", b"two"), ("ben.jpg", b"photo")):
        photo(window, name, data)
    choose(window, "anna.jpg", "pair.jpg", "ben.jpg")
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 3 and not state.importer().building", "all are there")
    window.settle()


def test_three_photos_stand_apart_in_the_view_and_in_colour(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    serve()
    assert window.value("'Cube' in bpy.data.objects")
    three_photos(window)
    window.run(
        "placement, view = module('scene.placement'), module('ui.view')\n"
        "from bpy_extras.view3d_utils import location_3d_to_region_2d as on_screen\n"
        "boxes = {name: placement.avatar_box(bpy.data.objects[name]) for name in rigs()}\n"
        "groups = [placement.around([box for name, box in boxes.items() if name.startswith(photo)]) for photo in "
        "('anna', 'pair', 'ben')]\n"
        "space, region = next(iter(view.views(bpy.context.scene)))\n"
        "corners = [(x, y, z) for box in boxes.values() for x in box[:, 0] for y in box[:, 1] for z in box[:, 2]]\n"
        "places = [on_screen(region, space.region_3d, corner) for corner in corners]\n"
    )
    picture(window, "addon-arrived")
    spans = window.value("[[float(box[0, 0]), float(box[1, 0])] for box in groups]")
    for (_, right), (left, _) in itertools.pairwise(spans):
        assert left > right, spans
    sidebar = window.sidebar()[0]
    assert window.value(f"all(0 <= p.x <= {sidebar} - region.x and 0 <= p.y <= region.height for p in places)"), (
        "nobody is out of the view"
    )
    wide, high, height = window.value(
        "[*(max(p[axis] for p in places) - min(p[axis] for p in places) for axis in (0, 1)), region.height]"
    )
    assert max(wide / sidebar, high / height) > 0.6, "the view is filled"
    assert window.value("space.shading.color_type") == "TEXTURE"


def test_the_file_browser_shows_thumbnails(window: Window) -> None:
    photo(window, "me.jpg")
    window.press("uvatar.add_photos", LIST_BUTTONS)
    browsers = "[a for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == 'FILE_BROWSER']"
    window.until(f"bool({browsers} and {browsers}[0].spaces.active.params)", "the file browser is open")
    assert window.value(f"{browsers}[0].spaces.active.params.display_type") == "THUMBNAIL"
    window.run(f"{browsers}[0].spaces.active.params.directory = b'{WORK}/photos/'")
    picture(window, "addon-browser")


def test_the_panels_stay_when_rigify_leads(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    close_panel(window)  # Avatars from Photos
    sidebar_picture(window, "addon-shape")
    window.run("rig = module('scene.rig')\nbpy.data.objects[rigs()[0]].uvatar_shape.gender += 1.5")
    window.settle()
    sidebar_picture(window, "addon-shape-changed")
    window.press("uvatar.refresh_joints", (0.3,))
    close_panel(window, 1)  # Avatar
    window.press("uvatar.generate_control_rig")
    window.until("bpy.context.object and 'hand_ik.L' in bpy.context.object.pose.bones", "the control rig is active")
    window.settle()
    picture(window, "addon-led")
    window.press("uvatar.remove_control_rig")
    assert not window.value("[thing.name for thing in bpy.data.objects if rig.LED_BY in thing]")


def test_a_new_file_begins_without_the_last_ones_results(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    window.key("ctrl+n")
    window.hand("key", "Return")  # General
    window.until("not bpy.context.scene.uvatar.photos", "the file is new")
    assert window.value("state.importer().summaries == [] and state.session().run is None")
    window.show_sidebar()
    sidebar_picture(window, "addon-new-file")
