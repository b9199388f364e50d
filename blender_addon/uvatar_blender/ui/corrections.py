# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections on the photo: the artist drags joints to where they are, and the person is fitted again."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from collections.abc import Mapping

import blf
import bpy
import gpu
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from ..core.photo_pins import LIMBS, Pins
from ..scene.camera import look_through, photo_camera
from ..scene.photo_joints import (
    frame_corners,
    joints_in_photo,
    photo_box,
    restore_backgrounds,
    show_photo_in_front,
)
from ..scene.rig import RigError, find_rig
from . import state
from .note_fixes import photo_file
from .runs import begin, can_begin, linked
from .translation import tr

_REACH = 18.0  # pixels at a resolution scale of 1 within which a joint is caught
_LINE, _JOINT, _MOVED = (1.0, 1.0, 1.0, 0.7), (0.34, 0.71, 0.91, 1.0), (0.90, 0.62, 0.0, 1.0)
_HELP = "Drag joints to where they are in the photo. Enter: fit again. Esc: cancel"


class UVATAR_OT_correct_on_photo(bpy.types.Operator):
    """Drag joints on the photo to where they are; the person is then fitted again, and the new avatar stands beside
    this one
    """

    bl_idname = "uvatar.correct_on_photo"
    bl_label = "Correct on the Photo"
    bl_description = (
        "Drag joints on the photo to where they are; the person is then fitted again, and the new avatar stands beside "
        "this one"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = find_rig(context.object)
        if rig is None:
            cls.poll_message_set("Select an avatar")
            return False
        return can_begin(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Show the photo through its camera, with the joints on it."""
        rig = find_rig(context.object)
        try:
            self._prepare(context, rig)
        except RigError as error:
            self.report({"ERROR"}, tr(str(error)))
            return {"CANCELLED"}
        self._caught: int | None = None
        self._area, self._region = context.area, next(r for r in context.area.regions if r.type == "WINDOW")
        context.space_data.region_3d.view_perspective = "CAMERA"
        self._backgrounds = show_photo_in_front(bpy.data.objects[self._camera])
        self._handler = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.workspace.status_text_set(tr(_HELP))
        context.window_manager.modal_handler_add(self)
        self._area.tag_redraw()
        return {"RUNNING_MODAL"}

    def _prepare(self, context: bpy.types.Context, rig: bpy.types.Object | None) -> None:
        """Find photo, camera and joints. Raises RigError where one is missing."""
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            raise RigError("Corrections are made in a 3D View.")
        assert rig is not None  # see poll
        camera, name = photo_camera(rig), str(rig.get("uvatar_photo", ""))
        if camera is None:
            raise RigError(f"{rig.name} has no photo camera.")
        path = photo_file(context.scene.uvatar, name)
        if path is None:
            raise RigError(f"{name} is no longer on the list of photos: add it again.")
        self._path = path
        look_through(context.scene, camera)
        context.view_layer.update()
        self._camera = camera.name
        self._pins = Pins(joints_in_photo(context.scene, camera, rig))
        self._box = photo_box(rig)
        render = context.scene.render
        self._size = render.resolution_x, render.resolution_y

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Catch, move and release joints; anything else, such as zooming, is left to Blender."""
        if context.area is None or self._camera not in bpy.data.objects:
            return self._end(context, {"CANCELLED"})
        self._area.tag_redraw()
        if event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            return self._finish(context)
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            return self._end(context, {"CANCELLED"})
        x, y = event.mouse_x - self._region.x, event.mouse_y - self._region.y
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            reach = _REACH * context.preferences.system.ui_scale
            self._caught = self._pins.nearest(self._on_screen(context), x, y, reach)
            return {"RUNNING_MODAL"} if self._caught is not None else {"PASS_THROUGH"}
        if event.type == "LEFTMOUSE" and event.value == "RELEASE" and self._caught is not None:
            self._caught = None
            return {"RUNNING_MODAL"}
        if event.type == "MOUSEMOVE" and self._caught is not None:
            self._pins.move(self._caught, self._in_photo(context, x, y))
            return {"RUNNING_MODAL"}
        return {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Clean up when Blender ends the operator, as when another file is opened."""
        self._end(context, set())

    def _finish(self, context: bpy.types.Context) -> set[str]:
        moved = bool(self._pins.moved)
        self._end(context, set())  # first, so that nothing of it stays if the run cannot begin
        if not moved or not linked(self, context):
            return {"CANCELLED"}
        pins = {"photo": self._path.name, "pins": self._pins.rows(self._box, *self._size)}
        options = {**context.scene.uvatar.job_options(), "given_people": [pins]}
        begin([([self._path], options)], state.pictures().wait)
        return {"FINISHED"}

    def _end(self, context: bpy.types.Context, answer: set[str]) -> set[str]:
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
            if self._camera in bpy.data.objects:
                restore_backgrounds(bpy.data.objects[self._camera], self._backgrounds)
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        state.redraw()
        return answer

    def _frame(self, context: bpy.types.Context) -> tuple[float, float, float, float]:
        """Return left, top, width and height (negative: downward) of the photo in the region, pixels."""
        corners = frame_corners(context.scene, bpy.data.objects[self._camera])
        space = self._area.spaces.active.region_3d
        (left, top), (right, _), (_, bottom) = (location_3d_to_region_2d(self._region, space, c) for c in corners)
        return left, top, right - left, bottom - top

    def _on_screen(self, context: bpy.types.Context) -> dict[int, tuple[float, float]]:
        left, top, width, height = self._frame(context)
        return {number: (left + x * width, top + y * height) for number, (x, y) in self._pins.places.items()}

    def _in_photo(self, context: bpy.types.Context, x: float, y: float) -> tuple[float, float]:
        left, top, width, height = self._frame(context)
        return (x - left) / width, (y - top) / height

    def _draw(self) -> None:
        """Draw limbs and joints over the view in which the operator runs."""
        context = bpy.context
        if context.area != self._area or self._camera not in bpy.data.objects:
            return
        places, scale = self._on_screen(context), context.preferences.system.ui_scale
        lines = [places[end] for limb in LIMBS if all(end in places for end in limb) for end in limb]
        gpu.state.blend_set("ALPHA")
        _draw_shape("LINES", lines, _LINE)
        for moved, colour in ((False, _JOINT), (True, _MOVED)):
            gpu.state.point_size_set((11.0 if moved else 9.0) * scale)
            _draw_shape("POINTS", _some(places, self._pins, moved), colour)
        gpu.state.blend_set("NONE")
        blf.size(0, 14 * scale)
        blf.color(0, 1.0, 1.0, 1.0, 1.0)
        blf.position(0, 70 * scale, 24 * scale, 0)
        blf.draw(0, tr(_HELP))


def _some(places: Mapping[int, tuple[float, float]], pins: Pins, moved: bool) -> list[tuple[float, float]]:
    return [place for number, place in places.items() if (number in pins.moved) == moved]


def _draw_shape(kind: str, points: list[tuple[float, float]], colour: tuple[float, float, float, float]) -> None:
    if not points:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, kind, {"pos": [(x, y, 0.0) for x, y in points]})
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)


CLASSES = (UVATAR_OT_correct_on_photo,)
