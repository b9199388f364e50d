# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an avatar's joints are in its photo, for corrections by hand."""

from __future__ import annotations

import json

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from ..core.photo_pins import JOINTS
from .rig import RigError, joint_names


def joints_in_photo(
    scene: bpy.types.Scene, camera: bpy.types.Object, rig: bpy.types.Object
) -> dict[int, tuple[float, float]]:
    """Return where the joints that can be corrected are in the picture of a camera, which must be the scene's.

    Args:
        scene: whose render size is the photo's.
        camera: the photo's.
        rig: the avatar's armature object.

    Returns:
        By the landmark's number, shares of the photo's width from the left and of its height from the top. Joints
        behind the camera are left out.
    """
    names, found = joint_names(rig), {}
    for landmark, joint in JOINTS.items():
        bone = rig.pose.bones[names[joint]]
        place = world_to_camera_view(scene, camera, rig.matrix_world @ bone.head)
        if place.z > 0:
            found[landmark] = (float(place.x), 1.0 - float(place.y))
    return found


def photo_box(rig: bpy.types.Object) -> list[float]:
    """Return the person's box in the photo: x0, y0, x1, y1, pixels of the full-size photo.

    Raises:
        RigError: the avatar does not store it.
    """
    try:
        left, top, right, bottom = (float(side) for side in json.loads(rig["uvatar_box"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RigError(
            f"{rig.name} does not store the photo's pose because an older version made it. Import the avatar again."
        ) from error
    return [left, top, right, bottom]


def frame_corners(scene: bpy.types.Scene, camera: bpy.types.Object) -> tuple[Vector, Vector, Vector]:
    """Return the corners of a camera's picture in the world: top left, top right, bottom left."""
    right_top, right_bottom, left_bottom, left_top = camera.data.view_frame(scene=scene)
    del right_bottom
    top_left, top_right, bottom_left = (
        camera.matrix_world.normalized() @ c for c in (left_top, right_top, left_bottom)
    )
    return top_left, top_right, bottom_left


Backgrounds = tuple[bool, list[tuple[str, float]]]


def show_photo_in_front(camera: bpy.types.Object) -> Backgrounds:
    """Let the photo hide the avatar, and whatever else stands between, when one looks through the photo's camera.

    Returns:
        What `restore_backgrounds` needs to take it back.
    """
    data = camera.data
    before = (data.show_background_images, [(image.display_depth, image.alpha) for image in data.background_images])
    data.show_background_images = True
    for image in data.background_images:
        image.display_depth, image.alpha = "FRONT", 1.0
    return before


def restore_backgrounds(camera: bpy.types.Object, before: Backgrounds) -> None:
    """Show the photo again as it was before `show_photo_in_front`."""
    camera.data.show_background_images, settings = before
    for image, (depth, alpha) in zip(camera.data.background_images, settings, strict=False):
        image.display_depth, image.alpha = depth, alpha
