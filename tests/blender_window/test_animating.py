"""From photos to a walking avatar by clicks, and joints that follow the sliders, in a real window."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.blender_window.panel import choose, close_panel, photo, picture
from tests.blender_window.window import Window

CHOOSING = 3  # clicks: +, the photo in the file browser, Open; test_arrivals.py has the browser itself
TAB = 1
MOST = 8  # clicks from a closed Blender to an avatar that walks with a control rig


def test_an_avatar_walks_with_a_control_rig_after_eight_clicks(
    window: Window, serve: Callable[..., subprocess.Popen[bytes]]
) -> None:
    clicks = TAB + CHOOSING
    photo(window, "me.jpg", b"face")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    clicks += 1
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    close_panel(window)  # so that the buttons are on this small screen; an artist's is larger
    close_panel(window, 1)
    window.press("uvatar.generate_control_rig")
    clicks += 1
    window.until("bpy.context.object and 'hand_ik.L' in bpy.context.object.pose.bones", "the control rig is active")
    window.settle()
    assert window.value("'face_jaw' in bpy.context.object.pose.bones")
    picture(window, "addon-control-rig")
    window.press("uvatar.play_clip", (0.2,))
    clicks += 1
    window.until("bpy.context.screen.is_animation_playing and bpy.context.scene.frame_current > 5", "it walks")
    assert window.value("bpy.context.object.animation_data.action.name") == "Walk control"
    picture(window, "addon-walking")
    assert clicks <= MOST


def test_joints_follow_a_slider(window: Window, serve: Callable[..., subprocess.Popen[bytes]]) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    window.run(
        "shape = module('scene.shape')\ndef me(): return bpy.data.objects[rigs()[0]]\nme().uvatar_shape.stature += 1.5"
    )
    assert window.value("shape.joints_are_off(me())")
    window.until("not shape.joints_are_off(me())", "the joints have followed")
    assert window.value("bpy.context.mode") == "OBJECT"
