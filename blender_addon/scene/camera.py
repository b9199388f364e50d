# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's camera: a render through it lays the avatar on the photo."""

from __future__ import annotations

import math

import bpy

from ..core.result import PhotoCamera
from . import compat

SENSOR_WIDTH = 36.0  # millimetres, full frame: the lens then reads as photographers expect


def build_camera(solved: PhotoCamera, name: str, photo: bpy.types.Image, height: float) -> bpy.types.Object:
    """The camera that took the photo, looking along +y from ``height`` metres above the origin; not yet linked to a scene.

    The photo is its background picture in the viewport.
    """
    data = bpy.data.cameras.new(name)
    data.sensor_fit, data.sensor_width = "HORIZONTAL", SENSOR_WIDTH
    data.lens = solved.focal * SENSOR_WIDTH / solved.width
    # Blender counts shift in picture widths, to the right and up.
    data.shift_x = (solved.width / 2 - solved.center[0]) / solved.width
    data.shift_y = (solved.center[1] - solved.height / 2) / solved.width
    data.clip_start = 0.01
    data.show_background_images = True
    background = data.background_images.new()
    background.image, background.alpha, background.frame_method = photo, 1.0, "STRETCH"
    camera = bpy.data.objects.new(name, data)
    camera.location, camera.rotation_euler = (0.0, 0.0, height), (math.pi / 2, 0.0, 0.0)
    return camera


def look_through(scene: bpy.types.Scene, camera: bpy.types.Object, solved: PhotoCamera) -> None:
    """Make this the scene's camera and give renders the photo's size."""
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = solved.width, solved.height
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0


def render_over_photo(scene: bpy.types.Scene, photo: bpy.types.Image) -> None:
    """Set the scene up so that a render shows the avatar over the photo, in the texture's own colours.

    For a scene of our own: it sets the world's light, the film and the compositor.
    """
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"  # others, made for film, change the photo's colours
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
