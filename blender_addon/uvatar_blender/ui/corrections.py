# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections on the photo: the artist drags joints to where they are, or paints the person's mask, and the person is
fitted again.
"""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import json
from typing import Any

import bpy
import gpu

from ..core.hand_corrections import PhotoEdit
from ..core.mask_brush import MaskBrush
from ..core.note_fixes import UNCERTAIN
from ..core.person_mask import restored
from ..core.photo_pins import LIMBS, Pins
from ..protocol.options import FIND_PEOPLE
from ..scene.camera import look_through, the_photo_camera
from ..scene.photo_joints import (
    joints_in_photo,
    photo_box,
    restore_backgrounds,
    show_photo_in_front,
)
from ..scene.rig import RigError, find_rig
from . import photo_overlay as overlay
from . import state
from .note_fixes import everybody, photo_file
from .one_person import corrections_of, options_for
from .photo_view import PhotoView, frame_in, free_width, is_over, overlapping
from .runs import begin, can_begin, linked
from .translation import tr

_REACH = 18.0  # pixels at a resolution scale of 1 within which a joint is caught
# Radius of the brush, share of the longer side of the person's box: at first, least, most, and by how much it changes.
_RADIUS, _LEAST, _MOST, _STEP = 0.03, 0.004, 0.25, 1.25
_JOINTS, _ADD, _REMOVE = "JOINTS", "ADD", "REMOVE"
_HELP = {
    _JOINTS: "Drag joints to where they are in the photo. Enter: fit again. Ctrl+Z: undo. Esc: cancel",
    _ADD: "Paint what belongs to the person. Ctrl: remove. Ctrl+wheel: size. Enter: fit again. Esc: cancel",
    _REMOVE: "Paint what does not belong to the person. Ctrl: add. Ctrl+wheel: size. Enter: fit again. Esc: cancel",
}
_PRESSES = ("PRESS", "DOUBLE_CLICK")  # the latter: of a key or button that is pressed twice, quickly
_TOOL_ITEMS = [
    (_JOINTS, "Joints", "Drag joints to where they are"),
    (_ADD, "Add to Mask", "Paint what belongs to the person"),
    (_REMOVE, "Remove from Mask", "Paint what does not belong to the person"),
]
# What moves about in the view; other keys would change the scene behind the photo.
_NAVIGATION = ("MIDDLEMOUSE", "WHEEL", "TRACKPAD", "MOUSEROTATE", "MOUSESMARTZOOM", "NDOF", "NUMPAD_PLUS",
               "NUMPAD_MINUS", "HOME", "MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "TIMER", "WINDOW")  # fmt: skip


class UVATAR_OT_correct_on_photo(bpy.types.Operator):
    """Drag joints on the photo to where they are, or paint what belongs to the person; the person is then fitted again,
    and the new avatar stands beside this one
    """

    bl_idname = "uvatar.correct_on_photo"
    bl_label = "Correct on the Photo"
    bl_description = (
        "Drag joints on the photo to where they are, or paint what belongs to the person; the person is then fitted "
        "again, and the new avatar stands beside this one"
    )

    tool: bpy.props.EnumProperty(items=_TOOL_ITEMS, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = find_rig(context.object)
        if rig is None:
            cls.poll_message_set("Select an avatar")
            return False
        return can_begin(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Show the photo through its camera, with the joints or the mask on it."""
        rig = find_rig(context.object)
        try:
            self._prepare(context, rig)
        except RigError as error:
            self.report({"ERROR"}, tr(str(error)))
            return {"CANCELLED"}
        self._caught: int | None = None
        self._painting = False
        self._at = (-1.0, -1.0)
        self._texture: tuple[Any, gpu.types.GPUTexture] | None = None
        self._placed: list[overlay.PlacedButton] = []
        self._area, self._region = context.area, next(r for r in context.area.regions if r.type == "WINDOW")
        scale = context.preferences.system.ui_scale
        sides = [side / self._size[number % 2] for number, side in enumerate(self._box)]
        self._view.enter(self._area, self._region, bpy.data.objects[self._camera], sides, scale)
        self._backgrounds = show_photo_in_front(bpy.data.objects[self._camera])
        self._handler = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.window_manager.modal_handler_add(self)
        self._choose(context, self.tool if self._edit.mask is not None else _JOINTS)
        return {"RUNNING_MODAL"}

    def _prepare(self, context: bpy.types.Context, rig: bpy.types.Object | None) -> None:
        """Find photo, camera, joints and mask. Raises RigError where one of the first three is missing."""
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            raise RigError("Corrections are made in a 3D View.")
        assert rig is not None  # see poll
        camera, name = the_photo_camera(rig), str(rig.get("uvatar_photo", ""))
        path = photo_file(context.scene.uvatar, name, str(rig.get("uvatar_photo_digest", "")))
        if path is None:
            raise RigError(f"{name} is no longer on the list of photos: add it again.")
        self._box = photo_box(rig)
        self._path, self._rig = path, rig.name
        self._view = PhotoView(context.scene)
        look_through(context.scene, camera)
        context.view_layer.update()
        self._camera = camera.name
        render = context.scene.render
        self._size = render.resolution_x, render.resolution_y
        pins = Pins(joints_in_photo(context.scene, camera, rig))
        mask = restored(str(rig.get("uvatar_mask", ""))) if _takes_masks() else None
        fits = mask is not None and mask.window[2] <= self._size[0] and mask.window[3] <= self._size[1]
        brush = MaskBrush.of(mask, *self._size) if mask is not None and fits else None
        self._edit = PhotoEdit.of(pins, brush, corrections_of(rig), *self._size)
        self._radius = _RADIUS * self._side
        uncertain = UNCERTAIN in json.loads(rig.get("uvatar_notes", "[]"))
        self._wider = everybody() if uncertain else {}  # as when it was made

    @property
    def _side(self) -> float:
        """The longer side of the person's box, pixels of the photo."""
        return max(self._box[2] - self._box[0], self._box[3] - self._box[1])

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Work with the tool; what moves about in the view, such as zooming, is left to Blender."""
        if context.area is None or context.area.type != "VIEW_3D" or self._camera not in bpy.data.objects:
            return self._end(context, {"CANCELLED"})
        self._at = self._mouse(event)
        busy = self._painting or self._caught is not None
        if not busy and not is_over(self._area, event):
            return {"PASS_THROUGH"}
        self._area.tag_redraw()
        self._area.spaces.active.region_3d.view_perspective = "CAMERA"  # turning the view leaves it
        if event.type == "LEFTMOUSE":
            return self._click(context, event)
        if event.type == "MOUSEMOVE" and busy:
            self._drag(context)
            return {"RUNNING_MODAL"}
        if event.value in _PRESSES and (answer := self._key(context, event)) is not None:
            return answer
        if event.type.startswith(_NAVIGATION) or any(is_over(r, event) for r in overlapping(self._area)):
            return {"PASS_THROUGH"}
        return {"RUNNING_MODAL"}

    def _key(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str] | None:
        """Do what a key asks for; None for a key that means nothing here."""
        wheel = event.ctrl and {"WHEELUPMOUSE": "LARGER", "WHEELDOWNMOUSE": "SMALLER"}.get(event.type)
        keys = {
            "RET": "FIT", "NUMPAD_ENTER": "FIT", "ESC": "CANCEL", "RIGHTMOUSE": "CANCEL", "TAB": "SWITCH", "X": "SWAP",
            "LEFT_BRACKET": "SMALLER", "RIGHT_BRACKET": "LARGER",
        }  # fmt: skip
        undo = event.type == "Z" and (event.ctrl or event.oskey) and not event.shift
        action = wheel or ("UNDO" if undo else keys.get(event.type))
        if action == "SWITCH":
            action = _ADD if self.tool == _JOINTS else _JOINTS
        elif action == "SWAP":
            action = {_ADD: _REMOVE, _REMOVE: _ADD}.get(self.tool)
        if action in (_ADD, _REMOVE) and self._edit.mask is None:
            return None
        return self._act(context, action) if action else None

    def _act(self, context: bpy.types.Context, action: str) -> set[str]:
        """Do what a key or a button stands for."""
        self._release()  # what was begun counts
        if action == "FIT":
            return self._finish(context)
        if action == "CANCEL":
            return self._end(context, {"CANCELLED"})
        if action == "UNDO":
            self._edit.undo()
        elif action == "RESET":
            self._edit.reset()
        elif action in ("LARGER", "SMALLER"):
            radius = self._radius * _STEP if action == "LARGER" else self._radius / _STEP
            self._radius = min(max(radius, _LEAST * self._side), _MOST * self._side)
        else:
            self._choose(context, action)
        return {"RUNNING_MODAL"}

    def _choose(self, context: bpy.types.Context, tool: str) -> None:
        self.tool = tool
        context.workspace.status_text_set(tr(_HELP[tool]))
        self._area.tag_redraw()

    def _click(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Press a button, catch a joint or begin a stroke; or end what was begun."""
        if event.value not in _PRESSES:
            return self._release()
        if event.alt or any(is_over(region, event) for region in overlapping(self._area)):
            return {"PASS_THROUGH"}  # Alt: as the middle button, for mice that have none
        for one in self._placed:
            if one.holds(*self._at):
                return self._act(context, one.button.action) if one.button.active else {"RUNNING_MODAL"}
        if self.tool != _JOINTS:
            adds = (self.tool == _ADD) != event.ctrl
            if self._edit.mask is not None and not self._edit.mask.full:
                self._edit.mask.begin(adds, self._radius, self._in_pixels(context, *self._at))
                self._painting = True
            return {"RUNNING_MODAL"}
        reach = _REACH * context.preferences.system.ui_scale
        self._caught = self._edit.pins.nearest(self._on_screen(context), *self._at, reach)
        if self._caught is not None:
            self._edit.pins.catch(self._caught)
            self._from = self._edit.pins.places[self._caught]
        return {"RUNNING_MODAL"}

    def _release(self) -> set[str]:
        if self._painting:
            self._edit.painted()
        elif self._caught is not None and self._edit.pins.places[self._caught] != self._from:
            self._edit.dragged()
        busy = self._painting or self._caught is not None
        self._caught, self._painting = None, False
        return {"RUNNING_MODAL"} if busy else {"PASS_THROUGH"}

    def _drag(self, context: bpy.types.Context) -> None:
        """Move the caught joint, or draw the stroke on."""
        if self._caught is not None:
            self._edit.pins.move(self._caught, self._in_photo(context, *self._at))
        elif self._edit.mask is not None:
            self._edit.mask.extend(self._in_pixels(context, *self._at))

    def _mouse(self, event: bpy.types.Event) -> tuple[int, int]:
        return event.mouse_x - self._region.x, event.mouse_y - self._region.y

    def cancel(self, context: bpy.types.Context) -> None:
        """Clean up when Blender ends the operator, as when another file is opened."""
        self._end(context, set())

    def _finish(self, context: bpy.types.Context) -> set[str]:
        changed = self._edit.changed(self._box, *self._size)
        self._end(context, set())  # first, so that nothing of it stays if the run cannot begin
        if state.session().running:  # begun in the meantime
            self.report({"ERROR"}, tr("The last run is still in progress"))
            return {"CANCELLED"}
        rig = bpy.data.objects.get(self._rig)
        if not changed or rig is None or not linked(self, context):
            return {"CANCELLED"}
        options = {**context.scene.uvatar.job_options(), **self._wider}
        corrections = self._edit.rows(self._box, *self._size)
        begin([([self._path], options_for(rig, self._path, options, corrections))], state.pictures().wait)
        return {"FINISHED"}

    def _end(self, context: bpy.types.Context, answer: set[str]) -> set[str]:
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
            if self._camera in bpy.data.objects:
                restore_backgrounds(bpy.data.objects[self._camera], self._backgrounds)
            self._view.restore(context.area)
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        state.redraw()
        return answer

    def _frame(self, context: bpy.types.Context) -> tuple[float, float, float, float]:
        """Return left, top, width and height (negative: downward) of the photo in the region, pixels."""
        return frame_in(self._area, self._region, context.scene, bpy.data.objects[self._camera])

    def _on_screen(self, context: bpy.types.Context) -> dict[int, tuple[float, float]]:
        left, top, width, height = self._frame(context)
        return {number: (left + x * width, top + y * height) for number, (x, y) in self._edit.pins.places.items()}

    def _in_photo(self, context: bpy.types.Context, x: float, y: float) -> tuple[float, float]:
        left, top, width, height = self._frame(context)
        return (x - left) / width, (y - top) / height

    def _in_pixels(self, context: bpy.types.Context, x: float, y: float) -> tuple[float, float]:
        """Return the place in the photo, pixels, of one in the region."""
        across, down = self._in_photo(context, x, y)
        return across * self._size[0], down * self._size[1]

    def _buttons(self) -> list[overlay.Button]:
        with_mask = self._edit.mask is not None
        tools = [
            overlay.Button(tool, tr(text), self.tool == tool)
            for tool, text, _ in _TOOL_ITEMS
            if with_mask or tool == _JOINTS
        ]
        sizes = [overlay.Button("SMALLER", "−"), overlay.Button("LARGER", "+")] if self.tool != _JOINTS else []
        return [
            *tools,
            *sizes,
            overlay.Button("UNDO", tr("Undo"), active=self._edit.can_undo, gap=True),
            overlay.Button("RESET", tr("Reset")),
            overlay.Button("CANCEL", tr("Cancel"), gap=True),
            overlay.Button("FIT", tr("Fit Again")),
        ]

    def _draw(self) -> None:
        """Draw joints or mask, help and buttons over the view in which the operator runs."""
        context = bpy.context
        if context.area != self._area or self._camera not in bpy.data.objects:
            return
        scale = context.preferences.system.ui_scale
        gpu.state.blend_set("ALPHA")
        if self.tool == _JOINTS:
            self._draw_joints(context, scale)
        else:
            self._draw_mask(context, scale)
        left, right = free_width(self._area, self._region)
        left += 12 * scale
        self._placed = overlay.place_buttons(self._buttons(), left, 44 * scale, right - 12 * scale, scale)
        overlay.draw_buttons(self._placed, self._at, scale)
        gpu.state.blend_set("NONE")
        overlay.write(tr(_HELP[self.tool]), left, 22 * scale, 13 * scale)

    def _draw_joints(self, context: bpy.types.Context, scale: float) -> None:
        places, moved = self._on_screen(context), self._edit.pins.moved
        lines = [places[end] for limb in LIMBS if all(end in places for end in limb) for end in limb]
        overlay.draw_shape("LINES", lines, overlay.LINE)
        for was_moved, colour in ((False, overlay.JOINT), (True, overlay.MOVED)):
            own = [place for number, place in places.items() if (number in moved) == was_moved]
            overlay.draw_shape("TRIS", overlay.discs(own, (5.5 if was_moved else 4.5) * scale), colour)

    def _draw_mask(self, context: bpy.types.Context, scale: float) -> None:
        brush = self._edit.mask
        if brush is None:
            return
        left, top, width, height = self._frame(context)
        across, down = width / self._size[0], height / self._size[1]
        strokes = tuple((stroke.points[0], len(stroke.points)) for stroke in brush.strokes)
        if self._texture is None or self._texture[0] != strokes:
            self._texture = strokes, overlay.mask_texture(brush.shown)
        x0, y0, x1, y1 = brush.window
        overlay.draw_texture(self._texture[1], left + x0 * across, top + y1 * down, left + x1 * across, top + y0 * down)
        radius = self._radius * across
        for extra, colour in ((1.0, (0.0, 0.0, 0.0, 0.8)), (0.0, (1.0, 1.0, 1.0, 1.0))):
            overlay.draw_shape("LINE_STRIP", overlay.circle(self._at, radius + extra * scale), colour)


def _takes_masks() -> bool:
    """Whether the backend, as far as it is known, understands strokes."""
    options = state.session().options
    return not options or FIND_PEOPLE in options


CLASSES = (UVATAR_OT_correct_on_photo,)
