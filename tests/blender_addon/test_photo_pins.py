"""Joints that an artist puts where they are."""

from __future__ import annotations

from uvatar.protocol.options import read_options
from uvatar_blender.core.photo_pins import JOINTS, LIMBS, Pins
from uvatar_blender.protocol.given_people import PINNABLE


def test_they_are_joints_that_the_backend_takes() -> None:
    assert set(JOINTS) <= set(PINNABLE) and {end for limb in LIMBS for end in limb} == set(JOINTS)
    from uvatar.data.landmarks import Landmark
    from uvatar.protocol.rig import RIG_NAMES

    for landmark, joint in JOINTS.items():
        assert RIG_NAMES[joint] == Landmark(landmark).name.lower()


def test_the_nearest_is_caught_and_moved_inside_the_photo() -> None:
    pins = Pins({15: (0.5, 0.5), 16: (0.6, 0.5)})
    on_screen = {15: (100.0, 100.0), 16: (120.0, 100.0)}
    assert pins.nearest(on_screen, 112, 100, 15) == 16 and pins.nearest(on_screen, 100, 130, 15) is None
    assert Pins({}).nearest({}, 0, 0, 15) is None
    pins.move(16, (0.7, 1.4))
    pins.move(15, (0.1, 0.2))
    pins.move(16, (0.8, 0.9))
    rows = pins.rows((1, 2, 3, 4), 300, 400)
    assert rows == [[1, 2, 3, 4, 16, 240.0, 360.0], [1, 2, 3, 4, 15, 30.0, 80.0]]
    read_options({"given_people": [{"photo": "a.jpg", "pins": rows}]})


def test_drags_are_taken_back_one_by_one() -> None:
    pins = Pins({15: (0.5, 0.5), 16: (0.6, 0.5)})
    for landmark, place in ((15, (0.1, 0.1)), (16, (0.2, 0.2)), (15, (0.3, 0.3)), (15, (0.3, 0.3))):
        pins.catch(landmark)
        pins.move(landmark, place)
    pins.undo()
    assert pins.places == {15: (0.1, 0.1), 16: (0.2, 0.2)} and pins.moved == [15, 16]
    pins.undo()
    pins.undo()
    pins.undo()  # there is nothing left
    assert pins.places == {15: (0.5, 0.5), 16: (0.6, 0.5)} and pins.moved == []
