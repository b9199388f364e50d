"""Pitch, roll and the rotation that levels a camera."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.protocol.levelling import levelling, pitch_and_roll, up_of


@pytest.mark.parametrize("pitch", [-40, 0, 12, 55])
@pytest.mark.parametrize("roll", [-100, -20, 0, 7, 35])
def test_levelling_takes_up_to_up_and_keeps_the_way_ahead(pitch: float, roll: float) -> None:
    up = up_of(np.radians(pitch), np.radians(roll))
    assert np.allclose(np.degrees(pitch_and_roll(up)), (pitch, roll))
    rotation = levelling(up)
    assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.isclose(np.linalg.det(rotation), 1)
    assert np.allclose(rotation @ up, (0, -1, 0))
    ahead = rotation @ (0, 0, 1)
    assert np.isclose(ahead[0], 0) and ahead[2] > 0 and np.isclose(np.degrees(np.arcsin(ahead[1])), pitch)


def test_a_camera_that_looks_down_sees_the_ground_rise_ahead() -> None:
    """A point of the ground far ahead is above a near one in the photo, whatever the pitch's sign means elsewhere."""
    level = levelling(up_of(np.radians(20), 0.0)).T @ np.array([[0, 1.5, 2], [0, 1.5, 20]]).T
    assert (level[1] / level[2])[1] < (level[1] / level[2])[0] and (level[1] / level[2])[0] < 1.5 / 2
