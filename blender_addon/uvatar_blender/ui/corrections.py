# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections on the photo: the artist drags joints to where they are, and the person is fitted again."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import itertools
import json
import math
from typing import Any

import blf
import bpy
import gpu
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from ..core.note_fixes import UNCERTAIN
from ..core.photo_pins import LIMBS, Pins
from ..scene.camera import look_through, the_photo_camera
from ..scene.photo_joints import (
    frame_corners,
    joints_in_photo,
    photo_box,
    restore_backgrounds,
    show_photo_in_front,
)
from ..scene.rig import RigError, find_rig
from . import state
from .note_fixes import everybody, photo_file
from .runs import begin, can_begin, linked
from .translation import tr

_REACH = 18.0  # pixels at a resolution scale of 1 within which a joint is caught
_CORNERS = 16  # of the discs that joints are drawn as
_LINE, _JOINT, _MOVED = (1.0, 1.0, 1.0, 0.7), (0.34, 0.71, 0.91, 1.0), (0.90, 0.62, 0.0, 1.0)
_HELP = "Drag joints to where they are in the photo. Enter: fit again. Ctrl+Z: undo. Esc: cancel"
# What moves about in the view; other keys would change the scene behind the photo.
_NAVIGATION = ("MIDDLEMOUSE", "WHEEL", "TRACKPAD", "MOUSEROTATE", "MOUSESMARTZOOM", "NDOF", "NUMPAD_PLUS",
               "NUMPAD_MINUS", "HOME", "MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "TIMER", "WINDOW")  # fmt: skip
_RENDER_SETTINGS = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
_OVER_VIEW = {"UI", "HEADER", "TOOL_HEADER", "ASSET_SHELF", "ASSET_SHELF_HEADER", "HUD"}  # regions that overlap it


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
        self._perspective = context.space_data.region_3d.view_perspective
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
        camera, name = the_photo_camera(rig), str(rig.get("uvatar_photo", ""))
        path = photo_file(context.scene.uvatar, name, str(rig.get("uvatar_photo_digest", "")))
        if path is None:
            raise RigError(f"{name} is no longer on the list of photos: add it again.")
        self._path = path
        self._view_settings = _view_settings(context.scene)
        look_through(context.scene, camera)
        context.view_layer.update()
        self._camera = camera.name
        self._pins = Pins(joints_in_photo(context.scene, camera, rig))
        self._box = photo_box(rig)
        self._wider = (
            everybody() if UNCERTAIN in json.loads(rig.get("uvatar_notes", "[]")) else {}
        )  # as when it was made
        render = context.scene.render
        self._size = render.resolution_x, render.resolution_y

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Catch, move and release joints; what moves about in the view, such as zooming, is left to Blender."""
        if context.area is None or context.area.type != "VIEW_3D" or self._camera not in bpy.data.objects:
            return self._end(context, {"CANCELLED"})
        if self._caught is None and not _is_over(self._area, event):
            return {"PASS_THROUGH"}
        self._area.tag_redraw()
        self._area.spaces.active.region_3d.view_perspective = "CAMERA"  # turning the view leaves it
        pressed = event.value == "PRESS"
        if event.type in {"RET", "NUMPAD_ENTER"} and pressed:
            return self._finish(context)
        if event.type in {"ESC", "RIGHTMOUSE"} and pressed:
            return self._end(context, {"CANCELLED"})
        if event.type == "Z" and pressed and (event.ctrl or event.oskey):
            self._caught = None
            self._pins.undo()
            return {"RUNNING_MODAL"}
        if event.type == "LEFTMOUSE":
            return self._click(context, event)
        if event.type == "MOUSEMOVE" and self._caught is not None:
            self._pins.move(self._caught, self._in_photo(context, *self._mouse(event)))
            return {"RUNNING_MODAL"}
        if event.type.startswith(_NAVIGATION) or any(_is_over(r, event) for r in _overlapping(self._area)):
            return {"PASS_THROUGH"}
        return {"RUNNING_MODAL"}

    def _click(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Catch the joint under the mouse, or let go of it."""
        if event.value != "PRESS":
            caught, self._caught = self._caught, None
            return {"PASS_THROUGH"} if caught is None else {"RUNNING_MODAL"}
        if event.alt or any(_is_over(region, event) for region in _overlapping(self._area)):
            return {"PASS_THROUGH"}  # Alt: as the middle button, for mice that have none
        reach = _REACH * context.preferences.system.ui_scale
        self._caught = self._pins.nearest(self._on_screen(context), *self._mouse(event), reach)
        if self._caught is not None:
            self._pins.catch(self._caught)
        return {"RUNNING_MODAL"}

    def _mouse(self, event: bpy.types.Event) -> tuple[int, int]:
        return event.mouse_x - self._region.x, event.mouse_y - self._region.y

    def cancel(self, context: bpy.types.Context) -> None:
        """Clean up when Blender ends the operator, as when another file is opened."""
        self._end(context, set())

    def _finish(self, context: bpy.types.Context) -> set[str]:
        moved = bool(self._pins.moved)
        self._end(context, set())  # first, so that nothing of it stays if the run cannot begin
        if state.session().running:  # begun in the meantime
            self.report({"ERROR"}, tr("The last run is still in progress"))
            return {"CANCELLED"}
        if not moved or not linked(self, context):
            return {"CANCELLED"}
        pins = {"photo": self._path.name, "pins": self._pins.rows(self._box, *self._size)}
        options = {**context.scene.uvatar.job_options(), **self._wider, "given_people": [pins]}
        begin([([self._path], options)], state.pictures().wait)
        return {"FINISHED"}

    def _end(self, context: bpy.types.Context, answer: set[str]) -> set[str]:
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
            if self._camera in bpy.data.objects:
                restore_backgrounds(bpy.data.objects[self._camera], self._backgrounds)
            self._restore_view(context)
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        state.redraw()
        return answer

    def _restore_view(self, context: bpy.types.Context) -> None:
        """Give the scene its camera and render size again, and the view its perspective, unless they are gone."""
        scene, camera, *settings = self._view_settings
        if scene in bpy.data.scenes:
            for name, value in zip(_RENDER_SETTINGS, settings, strict=True):
                setattr(bpy.data.scenes[scene].render, name, value)
            bpy.data.scenes[scene].camera = bpy.data.objects.get(camera)  # None if it was deleted
        if context.area is not None and context.area.type == "VIEW_3D":
            context.area.spaces.active.region_3d.view_perspective = self._perspective

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
            own = [place for number, place in places.items() if (number in self._pins.moved) == moved]
            _draw_shape("TRIS", _discs(own, (5.5 if moved else 4.5) * scale), colour)
        gpu.state.blend_set("NONE")
        blf.size(0, 14 * scale)
        blf.color(0, 1.0, 1.0, 1.0, 1.0)
        blf.position(0, 70 * scale, 24 * scale, 0)
        blf.draw(0, tr(_HELP))


def _view_settings(scene: bpy.types.Scene) -> tuple[Any, ...]:
    """Return the names of the scene and its camera, and what `look_through` changes of the render settings."""
    camera = scene.camera.name if scene.camera is not None else ""
    return scene.name, camera, *(getattr(scene.render, name) for name in _RENDER_SETTINGS)


def _is_over(region: bpy.types.Area | bpy.types.Region, event: bpy.types.Event) -> bool:
    x, y = event.mouse_x - region.x, event.mouse_y - region.y
    return bool(0 <= x < region.width and 0 <= y < region.height)


def _overlapping(area: bpy.types.Area) -> list[bpy.types.Region]:
    return [region for region in area.regions if region.type in _OVER_VIEW]


def _discs(places: list[tuple[float, float]], radius: float) -> list[tuple[float, float]]:
    """Return the corners of triangles; drawing points depends on the graphics card."""
    turns = [2 * math.pi * step / _CORNERS for step in range(_CORNERS + 1)]
    edge = [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]
    return [
        (x + dx, y + dy)
        for x, y in places
        for first, second in itertools.pairwise(edge)
        for dx, dy in ((0.0, 0.0), first, second)
    ]


def _draw_shape(kind: str, points: list[tuple[float, float]], colour: tuple[float, float, float, float]) -> None:
    if not points:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, kind, {"pos": [(x, y, 0.0) for x, y in points]})
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)


CLASSES = (UVATAR_OT_correct_on_photo,)
