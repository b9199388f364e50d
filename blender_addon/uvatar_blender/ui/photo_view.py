# SPDX-License-Identifier: GPL-3.0-or-later
"""A 3D View that shows somebody in a photo through its camera for a while, and then is as before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d

from ..scene.photo_joints import frame_corners

_RENDER_SETTINGS = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
_OVER_VIEW = {"UI", "TOOLS", "HEADER", "TOOL_HEADER", "ASSET_SHELF", "ASSET_SHELF_HEADER", "HUD"}  # overlap the view
_LEAST_ZOOM, _MOST_ZOOM = -30.0, 600.0  # Blender's limits
_ABOVE, _BELOW = 64.0, 88.0  # what headers and buttons need of the view, pixels at a resolution scale of 1
_AROUND = 1.4  # how much of the photo is shown around the person, times the sides of the box
_STEP = 0.1  # of the view's offset, to find how far that moves the photo


class PhotoView:
    """The settings of a scene and a view that looking through a photo's camera changes."""

    def __init__(self, scene: bpy.types.Scene) -> None:
        """Remember the scene's settings; to be called before `scene.camera.look_through`."""
        self._scene = scene.name
        self._camera = scene.camera.name if scene.camera is not None else ""
        self._render = [getattr(scene.render, name) for name in _RENDER_SETTINGS]
        self._view: tuple[str, float, tuple[float, float]] | None = None

    def enter(
        self,
        area: bpy.types.Area,
        region: bpy.types.Region,
        camera: bpy.types.Object,
        box: Sequence[float],
        scale: float,
    ) -> None:
        """Look through a camera, so that a part of its picture fills what is free of the view.

        Args:
            area, region: of the view.
            camera: the photo's, which the scene's render size is for.
            box: left, top, right, bottom of the part, shares of the picture's width and height from its top left.
            scale: pixels of the screen for each of a resolution scale of 1.
        """
        view = area.spaces.active.region_3d
        self._view = view.view_perspective, view.view_camera_zoom, tuple(view.view_camera_offset)
        view.view_perspective = "CAMERA"
        view.view_camera_offset = (0.0, 0.0)
        view.update()
        scene = bpy.data.scenes[self._scene]
        _, _, width, height = frame_in(area, region, scene, camera)
        left, right = free_width(area, region)
        bottom, top = _BELOW * scale, region.height - _ABOVE * scale
        across, down = _AROUND * (box[2] - box[0]) * width, _AROUND * (box[3] - box[1]) * -height
        if min(right - left, top - bottom) < 50 or min(across, down) < 1:
            return  # no room, or nothing to see: as Blender shows it
        factor = min((right - left) / across, (top - bottom) / down)
        view.view_camera_zoom = _zoomed(view.view_camera_zoom, factor)
        view.update()
        before = frame_in(area, region, scene, camera)
        view.view_camera_offset = (_STEP, _STEP)
        view.update()
        after = frame_in(area, region, scene, camera)
        middle = [(box[0] + box[2]) / 2 * before[2] + before[0], (box[1] + box[3]) / 2 * before[3] + before[1]]
        wanted = (left + right) / 2, (bottom + top) / 2
        view.view_camera_offset = [
            _STEP * (wanted[k] - middle[k]) / moved if (moved := after[k] - before[k]) else 0.0 for k in (0, 1)
        ]
        view.update()

    def restore(self, area: bpy.types.Area | None) -> None:
        """Give the scene its camera and render size again, and the view its own, unless they are gone."""
        if self._scene in bpy.data.scenes:
            scene = bpy.data.scenes[self._scene]
            for name, value in zip(_RENDER_SETTINGS, self._render, strict=True):
                setattr(scene.render, name, value)
            scene.camera = bpy.data.objects.get(self._camera)  # None if it was deleted
        if self._view is not None and area is not None and area.type == "VIEW_3D":
            view = area.spaces.active.region_3d
            view.view_perspective, view.view_camera_zoom, view.view_camera_offset = self._view


def frame_in(
    area: bpy.types.Area, region: bpy.types.Region, scene: bpy.types.Scene, camera: bpy.types.Object
) -> tuple[float, float, float, float]:
    """Return left, top, width and height (negative: downward) of a camera's picture in the region, pixels."""
    view = area.spaces.active.region_3d
    (left, top), (right, _), (_, bottom) = (
        location_3d_to_region_2d(region, view, corner) for corner in frame_corners(scene, camera)
    )
    return left, top, right - left, bottom - top


def free_width(area: bpy.types.Area, region: bpy.types.Region) -> tuple[float, float]:
    """Return from where to where the view is not hidden by the regions at its sides, pixels of the view."""
    left, right = 0.0, float(region.width)
    for other in overlapping(area):
        if other.width > 1 and other.height > region.height / 3:
            if other.x <= region.x + region.width / 3:
                left = max(left, float(other.x + other.width - region.x))
            else:
                right = min(right, float(other.x - region.x))
    return left, right


def overlapping(area: bpy.types.Area) -> list[bpy.types.Region]:
    """Return the regions of an area that lie over its view."""
    return [region for region in area.regions if region.type in _OVER_VIEW]


def is_over(region: bpy.types.Area | bpy.types.Region, event: bpy.types.Event) -> bool:
    """Whether the mouse is over an area or a region."""
    x, y = event.mouse_x - region.x, event.mouse_y - region.y
    return bool(0 <= x < region.width and 0 <= y < region.height)


def _zoomed(zoom: float, factor: float) -> float:
    """Return the zoom of a camera view that makes its frame so much larger.

    Blender's frame is as large as the square of the root of two plus a fiftieth of the zoom.
    """
    side = (math.sqrt(2) + zoom / 50) * math.sqrt(factor)
    return min(max(50 * (side - math.sqrt(2)), _LEAST_ZOOM), _MOST_ZOOM)
