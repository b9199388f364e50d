"""Corrections on the photo: where joints are shown. The dragging itself is tested in a window."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view

from tests.blender_addon.in_blender.helpers import imported
from tests.blender_addon.in_blender.test_panels import add_photos, addon, drawn  # noqa: F401 (a fixture)
from tests.blender_addon.sample import pixels_of
from uvatar_blender.core.photo_pins import JOINTS
from uvatar_blender.scene.camera import look_through, photo_camera
from uvatar_blender.scene.photo_joints import (
    frame_corners,
    joints_in_photo,
    photo_box,
    restore_backgrounds,
    show_photo_in_front,
)
from uvatar_blender.scene.rig import RigError
from uvatar_blender.ui import avatar_panels

from scipy.spatial.transform import Rotation  # isort: skip


def posed_joints(person: dict[str, Any]) -> Any:
    """(24, 3) joints in the camera frame, by the definition of the model."""
    rest = person["joint_template"] + person["joint_shapedirs"] @ person["betas"]
    turns: list[Any] = []
    places: list[Any] = []
    for joint, parent in enumerate(person["parents"]):
        own = Rotation.from_rotvec(person["pose"][joint]).as_matrix()
        turns.append(own if parent < 0 else turns[parent] @ own)
        places.append(rest[0] if parent < 0 else places[parent] + turns[parent] @ (rest[joint] - rest[parent]))
    return np.array(places) + person["transl"]


@pytest.mark.parametrize("level", [True, False])
def test_joints_are_where_the_photo_has_them(result: dict[str, Any], scene: Any, level: bool) -> None:
    rig = imported(result, scene, level=level)
    camera = photo_camera(rig)
    assert photo_box(rig) == [0, 0, 300, 400]
    look_through(scene, camera)
    bpy.context.view_layer.update()
    found = joints_in_photo(scene, camera, rig)
    assert set(found) == set(JOINTS)
    there = pixels_of(result["camera"], posed_joints(result["people"][0]))
    for landmark, joint in JOINTS.items():
        assert np.abs(np.array(found[landmark]) * (300, 400) - there[joint]).max() < 0.5
    corners = [world_to_camera_view(scene, camera, corner) for corner in frame_corners(scene, camera)]
    assert np.allclose([(c.x, c.y) for c in corners], [(0, 1), (1, 1), (0, 0)], atol=1e-4)


def test_the_photo_is_in_front_meanwhile(result: dict[str, Any], scene: Any) -> None:
    camera = photo_camera(imported(result, scene))
    (image,) = camera.data.background_images
    image.alpha, camera.data.show_background_images = 0.5, False
    before = show_photo_in_front(camera)
    assert (image.display_depth, image.alpha, camera.data.show_background_images) == ("FRONT", 1.0, True)
    restore_backgrounds(camera, before)
    assert (image.display_depth, image.alpha, camera.data.show_background_images) == ("BACK", 0.5, False)


@pytest.mark.parametrize("box", [None, "[1, 2]", "nothing", 5, "null"])
def test_an_avatar_without_a_box_cannot_be_corrected(result: dict[str, Any], scene: Any, box: Any) -> None:
    rig = imported(result, scene)
    if box is None:
        del rig["uvatar_box"]
    else:
        rig["uvatar_box"] = box
    with pytest.raises(RigError, match="Import the avatar again"):
        photo_box(rig)


def test_it_is_offered_while_the_photo_is_there(
    addon: Any, result: dict[str, Any], tmp_path: Any  # noqa: F811
) -> None:  # fmt: skip
    bpy.context.view_layer.objects.active = imported(result, bpy.context.scene)
    assert "uvatar.correct_on_photo" not in drawn(avatar_panels.UVATAR_PT_avatar).buttons
    (tmp_path / "me.jpg").touch()
    add_photos(tmp_path, "me.jpg")
    assert "uvatar.correct_on_photo" in drawn(avatar_panels.UVATAR_PT_avatar).buttons
