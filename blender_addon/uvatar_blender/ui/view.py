# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving the 3D Views to new avatars and showing their textures."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Vector

from ..core.arrays import Floats
from ..scene.placement import Box, around

_MARGIN = 1.15  # times the distance from which the box just fills the view
_FILM = 36.0  # millimetres: half of a view's sensor, in the units of its focal length


class Views:
    """The 3D Views that follow the avatars of a run, each until the user moves it."""

    def __init__(self) -> None:
        self._box: Box | None = None
        self._left: dict[int, Floats] = {}  # the last state of each view, by the address of its space

    def forget(self) -> None:
        """Forget the views, when a new run begins or another file was opened."""
        self._box = None
        self._left.clear()

    def show(self, box: Box, scene: bpy.types.Scene) -> None:
        """Move the views of the scene to this box together with those shown before."""
        self._box = box if self._box is None else around([self._box, box])
        for space, region in views(scene):
            key = space.as_pointer()
            if key not in self._left or np.allclose(self._left[key], _state(space.region_3d), atol=1e-4):
                frame(space, region, self._box)
                self._left[key] = _state(space.region_3d)


def views(scene: bpy.types.Scene) -> Iterator[tuple[bpy.types.SpaceView3D, bpy.types.Region]]:
    """Yield the 3D Views that show a scene and may be moved: no camera view, no Local View, no Quad View."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        if window.scene != scene:
            continue
        for area in window.screen.areas:
            space = area.spaces.active
            if area.type != "VIEW_3D" or space.local_view is not None or space.region_quadviews:
                continue
            region = next((region for region in area.regions if region.type == "WINDOW"), None)
            if region is not None and space.region_3d.view_perspective != "CAMERA":
                yield space, region


def frame(space: bpy.types.SpaceView3D, region: bpy.types.Region, box: Box) -> None:
    """Move a view so that the box fills the part that the sidebar leaves free; its direction stays."""
    view = space.region_3d
    width, height = max(region.width, 1), max(region.height, 1)
    aside = min(_sidebar(space, region), 0.6 * width)
    middle = Vector(box.mean(0).tolist())
    corners = [Vector((x, y, z)) - middle for x in box[:, 0] for y in box[:, 1] for z in box[:, 2]]
    seen = np.array([view.view_rotation.inverted() @ corner for corner in corners])  # right, up, towards the viewer
    longer, field = max(width, height), _FILM / space.lens
    across = np.maximum(np.abs(seen[:, 0]) / (width - aside), np.abs(seen[:, 1]) / height) * longer / field
    nearer = seen[:, 2] if view.view_perspective == "PERSP" else 0.0
    distance = _MARGIN * max(float((across + nearer).max()), 0.01)
    view.view_distance = distance
    right = view.view_rotation @ Vector((1.0, 0.0, 0.0))
    view.view_location = middle + right * (aside / longer * field * distance)


def show_textures(scene: bpy.types.Scene) -> None:
    """Show textures in the views of the scene that use Solid shading, for which no shader has to be compiled.

    This is done once per scene: if the user turns it off again, it stays off.
    """
    if scene.uvatar.textures_shown:
        return
    scene.uvatar.textures_shown = True
    for space, _ in views(scene):
        if space.shading.type == "SOLID" and space.shading.color_type == "MATERIAL":
            space.shading.color_type = "TEXTURE"


def textures_are_hidden(space: bpy.types.Space | None) -> bool:
    """Whether a 3D View shows avatars without their textures."""
    if space is None or space.type != "VIEW_3D":
        return False
    hidden: bool = space.shading.type == "WIREFRAME" or (
        space.shading.type == "SOLID" and space.shading.color_type != "TEXTURE"
    )
    return hidden


def _sidebar(space: bpy.types.SpaceView3D, region: bpy.types.Region) -> float:
    """Return the width in pixels that the sidebar covers."""
    if not space.show_region_ui or not bpy.context.preferences.system.use_region_overlap:
        return 0.0
    areas = (
        area
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
        if area.spaces.active == space
    )
    sidebars = (side.width for area in areas for side in area.regions if side.type == "UI")
    return float(next(sidebars, 0))


def _state(view: bpy.types.RegionView3D) -> Floats:
    return np.array((*view.view_location, *view.view_rotation, view.view_distance))
