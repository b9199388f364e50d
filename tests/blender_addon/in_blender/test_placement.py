"""Where avatars of several photos stand: never in each other, nor in what is there."""

from __future__ import annotations

import itertools
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.sample import sample_result
from uvatar_blender.core.result import parse_result
from uvatar_blender.scene.avatar import Imported, ImportOptions, import_people
from uvatar_blender.scene.placement import GAP, around, avatar_box, avatar_boxes, free_step, other_boxes


def box(*x: float, y: tuple[float, float] = (-0.2, 0.2), z: tuple[float, float] = (0.0, 1.8)) -> NDArray[Any]:
    return np.array([(x[0], y[0], z[0]), (x[1], y[1], z[1])])


def three_photos(scene: Any, **options: Any) -> list[Imported]:
    made = []
    for seed, people in ((0, 1), (1, 2), (2, 1)):
        photo = parse_result(sample_result(people=people, seed=seed, name=f"{seed}.jpg"))
        made.append(import_people(photo, scene, options=ImportOptions(**options)))
    return made


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Metres between boxes in x; negative where they overlap."""
    return max(other[0, 0] - one[1, 0], one[0, 0] - other[1, 0])


@pytest.mark.parametrize("placement", ["PHOTO", "ROW"])
@pytest.mark.parametrize("photo_pose", [True, False])
def test_photos_stand_side_by_side_as_wide_as_they_are(scene: Any, placement: str, photo_pose: bool) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2)  # as in Blender's new file
    bpy.context.active_object.name = "the cube"
    made = three_photos(scene, placement=placement, photo_pose=photo_pose)
    cube = box(-1, 1, y=(-1, 1), z=(-1, 1))
    boxes = {rig.name: avatar_box(rig) for photo in made for rig in photo.rigs}
    groups = (
        [[rig.name for rig in photo.rigs] for photo in made] if placement == "PHOTO" else [[name] for name in boxes]
    )
    shown = [around([boxes[name] for name in names]) for names in groups]
    for one, other in itertools.combinations(shown, 2):
        assert apart(one, other) > GAP - 1e-4
    for one, other in itertools.pairwise(shown):
        assert apart(one, other) < GAP + 0.02 or apart(one, cube) < GAP + 0.02, "no wider than need be"
    for one in shown:
        assert apart(one, cube) > GAP - 1e-4 or one[0, 1] > 1 or one[1, 1] < -1, "not in the cube"
        assert one[0, 2] == pytest.approx(0, abs=1e-4)
    for photo in made:
        assert photo.box is not None and np.allclose(
            photo.box, around([boxes[rig.name] for rig in photo.rigs]), atol=1e-4
        )


def test_what_is_deleted_meanwhile_is_no_obstacle(scene: Any) -> None:
    mesh = bpy.data.meshes.new("stone")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 1)], [], [(0, 1, 2)])
    for number in range(110):
        scene.collection.objects.link(bpy.data.objects.new(f"stone {number}", mesh))
    bpy.context.view_layer.update()
    boxes = other_boxes(scene)
    seen = list(itertools.takewhile(lambda box: box is not None, boxes))
    bpy.data.objects.remove(scene.objects[-1])
    assert len(seen) + len(list(boxes)) == 109


def test_people_of_a_photo_stay_as_they_stood_and_its_camera_with_them(scene: Any) -> None:
    alone = import_people(parse_result(sample_result(people=2, seed=1)), scene)
    expected = [np.array(rig.location - alone.camera.location) for rig in alone.rigs]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    first, second, _ = three_photos(bpy.context.scene)
    assert np.allclose([rig.location - second.camera.location for rig in second.rigs], expected, atol=1e-5)
    assert second.camera.location.x > first.camera.location.x + 0.5


def test_an_avatar_that_was_moved_away_leaves_its_place(scene: Any) -> None:
    first = import_people(parse_result(sample_result()), scene)
    first.rigs[0].location.x += 40
    second = import_people(parse_result(sample_result(seed=3)), scene)
    assert second.camera.location.x == 0 and len(avatar_boxes(scene)) == 2


@pytest.mark.parametrize("hidden", [True, False])
def test_what_is_hidden_is_not_in_the_way(scene: Any, hidden: bool) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2)
    bpy.context.active_object.hide_set(hidden)
    (rig,) = import_people(parse_result(sample_result()), scene, options=ImportOptions(placement="ROW")).rigs
    assert (rig.location.x == 0) == hidden


@pytest.mark.parametrize(
    ("avatars", "others", "expected"),
    [
        ([], [], 0.0),
        ([box(-0.3, 0.3)], [], 0.3 + GAP + 0.3),
        ([box(-0.3, 0.3, y=(5, 6))], [], 0.3 + GAP + 0.3),  # seen from the front they would hide each other
        ([box(-0.3, 0.3), box(3, 3.6)], [], 0.3 + GAP + 0.3),  # room between two
        ([box(-0.3, 0.3), box(0.5, 1.1)], [], 1.1 + GAP + 0.3),  # not enough room between two
        ([box(2, 3)], [], 0.0),
        ([], [box(-1, 1, y=(-1, 1), z=(-1, 1))], 1 + GAP + 0.3),  # the cube of a new file
        ([], [box(-1, 1, y=(3, 5), z=(-1, 1))], 0.0),  # a cube behind
        ([], [box(-0.25, 1.75, y=(-1, 1), z=(2.5, 3))], 0.0),  # a lamp above
        ([], [box(-9, 9, y=(-9, 9), z=(-0.1, 0.1))], 0.0),  # a floor
        ([], [box(-9, 9, y=(-0.1, 0.1), z=(0, 3))], 0.0),  # a wall
        ([], [box(-1, 1, y=(-1, 1), z=(-0.1, 0.1))], 0.0),  # a platform
        ([box(-0.3, 0.3)], [box(0.6, 0.9)], 0.9 + GAP + 0.3),
    ],
)
def test_the_next_free_place(avatars: list[Any], others: list[Any], expected: float) -> None:
    assert free_step(box(-0.3, 0.3), avatars, others) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["x" * 200, "写真" * 60, "DSC_" + "portrait of a woman " * 4 + "0042"])
def test_long_names_leave_room_for_what_tells_objects_apart(scene: Any, name: str) -> None:
    made = import_people(parse_result(sample_result(people=2, name=f"{name}.jpg")), scene)
    things = [*made.rigs, *(rig.children[0] for rig in made.rigs), made.camera]
    assert [thing.name[-3:] for thing in things] == [" p0", " p1", "ody", "ody", "era"]


def test_side_by_side_at_another_unit_scale(scene: Any) -> None:
    scene.unit_settings.scale_length = 0.01
    made = three_photos(scene)
    boxes = [around([avatar_box(rig) for rig in photo.rigs]) for photo in made]
    for one, other in itertools.pairwise(boxes):
        assert apart(one, other) == pytest.approx(100 * GAP, abs=1)
    for photo, box_ in zip(made, boxes, strict=True):
        assert photo.box is not None and np.allclose(photo.box, box_, atol=0.01)
