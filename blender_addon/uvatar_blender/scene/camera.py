# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's camera: rendered through it, the avatar lies on the photo."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import ArrayLike

from ..core import skeleton
from ..core.photo_camera import PhotoCamera
from ..protocol.levelling import levelling
from . import compat
from .rig import RigError

PHOTO_SIZE = "uvatar_photo_size"  # custom property of the camera: width and height of the photo in pixels
UP = "uvatar_up"  # custom property of the camera: the direction up in its frame (x right, y down, z forward)
SENSOR_WIDTH = 36.0  # millimetres, full frame: the focal length then reads as photographers expect


def build_camera(
    solved: PhotoCamera, name: str, photo: bpy.types.Image, height: float, aspect: float
) -> bpy.types.Object:
    """Make the camera that took the photo, looking along +y, tilted as the photo's. It is not linked to a scene yet.

    The photo is its background image in the viewport. A render shows all that the photo shows, and more at two sides if
    it has another aspect ratio.

    Args:
        solved: lens and tilt.
        name: of the camera.
        photo: the background image.
        height: metres above the origin.
        aspect: width / height of the scene's renders, see `render_aspect`.
    """
    data = bpy.data.cameras.new(name)
    fits_width = solved.width / solved.height >= aspect * 0.9999
    fitted = solved.width if fits_width else solved.height
    # Lens and sensor are the same either way; Blender fits the sensor to the width of the render or to its height.
    data.sensor_fit = "HORIZONTAL" if fits_width else "VERTICAL"
    data.sensor_width, data.sensor_height = SENSOR_WIDTH, SENSOR_WIDTH * solved.height / solved.width
    data.lens = solved.focal * SENSOR_WIDTH / solved.width
    # Blender measures shift as a fraction of the fitted side, to the right and up.
    data.shift_x = (solved.width / 2 - solved.center[0]) / fitted
    data.shift_y = (solved.center[1] - solved.height / 2) / fitted
    data.clip_start = 0.01
    data.show_background_images = True
    background = data.background_images.new()
    background.image, background.alpha, background.frame_method = photo, 1.0, "FIT"
    camera = bpy.data.objects.new(name, data)
    camera[PHOTO_SIZE] = [solved.width, solved.height]
    camera[UP] = list(solved.up)
    camera.location = (0.0, 0.0, height)
    turn_camera(camera, solved.up)
    return camera


def turn_camera(camera: bpy.types.Object, up: ArrayLike) -> None:
    """Turn a photo's camera, which looks along +y, so that ``up`` (3,), in its own frame, is up in the world."""
    # Blender's cameras look along -z, with y up.
    turned = skeleton.WORLD_FROM_CAMERA @ levelling(up) @ np.diag([1.0, -1.0, -1.0])
    camera.rotation_euler = Matrix(turned.tolist()).to_euler()


def render_aspect(scene: bpy.types.Scene) -> float:
    """Return width / height of the scene's renders."""
    render = scene.render
    aspect: float = (render.resolution_x * render.pixel_aspect_x) / (render.resolution_y * render.pixel_aspect_y)
    return aspect


def photo_camera(rig: bpy.types.Object) -> bpy.types.Object | None:
    """Return the camera that was imported with the avatar; None if there was none or it was deleted."""
    beside = (thing for collection in rig.users_collection for thing in collection.objects)
    return next((thing for thing in beside if thing.type == "CAMERA" and PHOTO_SIZE in thing), None)


def the_photo_camera(rig: bpy.types.Object) -> bpy.types.Object:
    """Return the camera that was imported with the avatar. Raises RigError if there is none."""
    camera = photo_camera(rig)
    if camera is None:
        raise RigError(f"{rig.name} has no photo camera.")
    return camera


def look_through(scene: bpy.types.Scene, camera: bpy.types.Object) -> None:
    """Make a photo's camera the scene's camera and set the render size to the photo's."""
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = (int(side) for side in camera[PHOTO_SIZE])
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0


def render_over_photo(scene: bpy.types.Scene, photo: bpy.types.Image) -> None:
    """Set up a scene so that a render shows the avatar over the photo, in the colours of the texture.

    This changes the scene's world, film, view transform and compositor.
    """
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"  # the others change the photo's colours
    world = bpy.data.worlds.new("Even light")
    world.color = (1.0, 1.0, 1.0)
    scene.world = world
    tree = compat.compositor_tree(scene)
    tree.nodes.clear()
    picture = tree.nodes.new("CompositorNodeImage")
    picture.image = photo
    scaled_in, scaled_out = compat.scale_to_render(tree)
    background, foreground, over = compat.alpha_over(tree)
    links = tree.links
    links.new(picture.outputs["Image"], scaled_in)
    links.new(scaled_out, background)
    links.new(tree.nodes.new("CompositorNodeRLayers").outputs["Image"], foreground)
    links.new(over, compat.compositor_output(tree))
