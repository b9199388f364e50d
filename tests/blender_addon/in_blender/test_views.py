"""What an artist sees when avatars arrive: the view on them, in colour, a bar meanwhile; the photo's camera; a new
file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from numpy.typing import NDArray

from tests.blender_addon.in_blender.test_panels import addon, drawn, started  # noqa: F401 (a fixture)
from tests.blender_addon.sample import pixels_of, posed_vertices, sample_result, world_of
from uvatar_blender.core.events import JobEnded, PhotoDone
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene.avatar import ImportOptions, import_people
from uvatar_blender.scene.camera import look_through
from uvatar_blender.scene.placement import around, avatar_box
from uvatar_blender.ui import importing, panels, photos, view


def space_of(scene: Any) -> tuple[Any, Any]:
    """A new file's 3D view and the region that draws it."""
    return next(iter(view.views(scene)))


def bring(addon: Any, *results: dict[str, Any]) -> list[Any]:  # noqa: F811
    """Have these results come in and be built; their rigs."""
    before = set(bpy.data.objects)
    job = started(addon, *(f"{number}.jpg" for number in range(len(results))))
    for number, result in enumerate(results):
        job.apply(PhotoDone("id", number, parse_result(result)))
    job.apply(JobEnded("id"))
    while job.results:
        addon.pump()
    return [thing for thing in set(bpy.data.objects) - before if thing.type == "ARMATURE"]


def on_screen(box: NDArray[Any]) -> NDArray[Any]:
    """(8, 2) a box' corners in a 3D view, -1 to 1 in it, as its lens has them."""
    space, drawn_in = space_of(bpy.context.scene)
    region = space.region_3d
    sides = np.array((drawn_in.width, drawn_in.height))
    corners = [Vector((x, y, z)) for x in box[:, 0] for y in box[:, 1] for z in box[:, 2]]
    seen = np.array([region.view_rotation.inverted() @ (corner - region.view_location) for corner in corners])
    depth = region.view_distance - (seen[:, 2] if region.view_perspective == "PERSP" else 0.0)
    assert (np.broadcast_to(depth, 8) > 0).all(), "behind the viewer"
    return seen[:, :2] / np.reshape(depth, (-1, 1)) * space.lens / 36.0 * sides.max() / sides


@pytest.mark.parametrize("perspective", ["PERSP", "ORTHO"])
def test_the_view_shows_all_new_avatars(addon: Any, perspective: str) -> None:  # noqa: F811
    bpy.ops.mesh.primitive_cube_add(size=2)
    space, _ = space_of(bpy.context.scene)
    space.region_3d.view_perspective = perspective
    rotation = space.region_3d.view_rotation.copy()
    rigs = bring(addon, sample_result(), sample_result(people=2, seed=1), sample_result(seed=2))
    places = on_screen(around([avatar_box(rig) for rig in rigs]))
    assert np.abs(places).max() <= 1.0 and np.abs(places).max() > 0.6, "in the view, and filling it"
    assert space.region_3d.view_rotation == rotation  # the artist chose from where she looks


def test_a_view_that_was_turned_is_left_alone(addon: Any) -> None:  # noqa: F811
    space, _ = space_of(bpy.context.scene)
    bring(addon, sample_result())
    space.region_3d.view_distance, space.region_3d.view_location = 3.0, (9, 9, 9)
    job = addon.session().run.jobs[0]
    job.photos += (Path("b.jpg"),)
    job.apply(PhotoDone("id", 1, parse_result(sample_result(seed=1))))  # another photo of the same run
    while job.results:
        addon.pump()
    assert space.region_3d.view_distance == 3.0 and tuple(space.region_3d.view_location) == (9, 9, 9)


def test_views_through_cameras_and_switched_off_stay(addon: Any) -> None:  # noqa: F811
    space, _ = space_of(bpy.context.scene)
    bpy.context.scene.uvatar.show = False
    before = space.region_3d.view_location.copy(), space.shading.color_type
    bring(addon, sample_result())
    assert (space.region_3d.view_location, space.shading.color_type) == before
    bpy.context.scene.uvatar.show = True
    space.region_3d.view_perspective = "CAMERA"
    assert list(view.views(bpy.context.scene)) == []


def test_grey_becomes_the_texture_once(addon: Any) -> None:  # noqa: F811
    space, _ = space_of(bpy.context.scene)
    assert space.shading.type == "SOLID" and space.shading.color_type == "MATERIAL" and view.textures_are_hidden(space)
    bring(addon, sample_result())
    assert space.shading.color_type == "TEXTURE" and not view.textures_are_hidden(space)
    space.shading.color_type = "MATERIAL"  # the artist wants it grey
    bring(addon, sample_result(seed=1))
    assert space.shading.color_type == "MATERIAL"


def test_a_bar_grows_while_people_are_built(addon: Any) -> None:  # noqa: F811
    job = started(addon, "a.jpg")
    job.apply(PhotoDone("id", 0, parse_result(sample_result(people=3, name="a.jpg"))))
    job.apply(JobEnded("id"))
    seen = []
    while job.results:
        addon.pump()
        if job.results:
            page = drawn(panels.UVATAR_PT_photos)
            assert len(page.progress) == 1 and page.progress[0][1] == "Building a.jpg"
            seen.append(page.progress[0][0])
    assert len(seen) > 3 and seen == sorted(seen) and seen[0] < 0.3 and 0.7 < seen[-1] < 1
    assert not drawn(panels.UVATAR_PT_photos).progress


def test_what_the_last_file_got_is_not_shown_in_a_new_one(addon: Any, tmp_path: Path) -> None:  # noqa: F811
    bring(addon, sample_result())
    assert panels.UVATAR_PT_results.poll(bpy.context) and "1 avatar imported" in drawn(panels.UVATAR_PT_photos).labels
    bpy.ops.wm.read_homefile(use_empty=True)
    assert (
        not panels.UVATAR_PT_results.poll(bpy.context)
        and "1 avatar imported" not in drawn(panels.UVATAR_PT_photos).labels
    )
    job = started(addon, "a.jpg")  # but a run that is under way goes on
    bpy.ops.wm.read_homefile(use_empty=True)
    assert addon.session().run is not None and addon.session().run.jobs == [job]


@pytest.mark.parametrize("render", [(1920, 1080), (1080, 1920), (1000, 1000), (300, 400)])
@pytest.mark.parametrize("size", [(300, 400), (400, 300), (1200, 400)])
def test_the_photos_camera_crops_nobody(scene: Any, render: tuple[int, int], size: tuple[int, int]) -> None:
    scene.render.resolution_x, scene.render.resolution_y = render
    result = sample_result()
    result["camera"] |= {"width": size[0], "height": size[1], "center": [0.52 * size[0], 0.47 * size[1]]}
    result["photo"] |= {"width": size[0], "height": size[1]}
    made = import_people(parse_result(result), scene, options=ImportOptions(use_camera=False))
    assert (scene.render.resolution_x, scene.render.resolution_y) == render  # the artist's
    assert made.camera.data.background_images[0].frame_method == "FIT"  # in the frame's middle, not stretched
    bpy.context.view_layer.update()
    points = posed_vertices(result["people"][0])[::500]
    pixels = pixels_of(result["camera"], points)
    scale = min(render[0] / size[0], render[1] / size[1])  # the whole photo in the frame, in its middle
    for camera_point, pixel in zip(points, pixels, strict=True):
        world = Vector((world_of(camera_point[None])[0] + np.array(made.camera.location)).tolist())
        place = world_to_camera_view(scene, made.camera, world)
        expected = (np.array(pixel) - np.array(size) / 2) * scale
        assert np.allclose(((place.x - 0.5) * render[0], (0.5 - place.y) * render[1]), expected, atol=0.5)
    look_through(scene, made.camera)
    assert (scene.render.resolution_x, scene.render.resolution_y) == size and scene.camera == made.camera
    place = world_to_camera_view(
        scene, made.camera, Vector((world_of(points[:1])[0] + np.array(made.camera.location)).tolist())
    )
    assert np.allclose((place.x * size[0], (1 - place.y) * size[1]), pixels[0], atol=0.5)


def test_the_photos_camera_is_a_click_away(addon: Any) -> None:  # noqa: F811
    (rig,) = bring(addon, sample_result())
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.uvatar.look_through() == {"FINISHED"}
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (300, 400) and scene.camera.name == "me camera"
    bpy.data.objects.remove(scene.camera)
    with pytest.raises(RuntimeError, match="no photo camera"):
        bpy.ops.uvatar.look_through()


def test_the_file_browser_shows_pictures(addon: Any) -> None:  # noqa: F811
    chosen = bpy.ops.uvatar.add_photos.get_rna_type().properties["display_type"]
    # Blender reads the number: FILE_IMGDISPLAY of its DNA_space_enums.h.
    assert chosen.default == "THUMBNAIL" and chosen.enum_items["THUMBNAIL"].value == 3


@pytest.mark.parametrize("name", ["._me.jpg", ".hidden.png"])
def test_hidden_companions_are_no_photos(addon: Any, tmp_path: Path, name: str) -> None:  # noqa: F811
    files = [{"name": name}, {"name": "me.jpg"}]
    assert bpy.ops.uvatar.add_photos(directory=str(tmp_path), files=files) == {"FINISHED"}
    assert [photo.file().name for photo in bpy.context.scene.uvatar.photos] == ["me.jpg"]
    assert not photos.is_photo(tmp_path / name)


def test_while_something_is_moved_the_view_stays(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    space, _ = space_of(bpy.context.scene)
    before = space.region_3d.view_location.copy()
    calls = iter([True])  # it may begin, and then the artist begins to move something
    monkeypatch.setattr(importing, "can_import", lambda: next(calls, False))
    bring(addon, sample_result())
    assert space.region_3d.view_location == before
