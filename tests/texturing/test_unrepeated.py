"""What a garment has once is not carried to its sides and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.texturing.shells.skirt_pattern import with_pattern
from uvatar.texturing.shells.unrepeated import unrepeated

SIZE = 256
BUTTONS = [(60, 128), (120, 128), (180, 128)]


def cloth() -> tuple[NDArray[np.float32], NDArray[np.bool_], Floats]:
    """Grey cloth with upright stripes, three pale buttons in its middle; the front half is seen."""
    column = np.arange(SIZE)
    stripes = np.where(column % 16 < 6, 0.16, 0.1)
    colours = np.broadcast_to(stripes[None, :, None], (SIZE, SIZE, 3)).astype(np.float32).copy()
    for row, middle in BUTTONS:
        colours[row - 4 : row + 5, middle - 3 : middle + 4] = 0.8
    seen = np.zeros((SIZE, SIZE), bool)
    seen[:, 64:192] = True
    angle = 2 * np.pi * (column / SIZE - 0.5)
    points = np.stack(
        np.broadcast_arrays(0.16 * np.sin(angle), 0.8 * column[:, None] / SIZE, 2 - 0.16 * np.cos(angle)), -1
    )
    return colours, seen, points


def test_buttons_are_there_once_and_stripes_are_not() -> None:
    colours, seen, points = cloth()
    once = unrepeated(colours, seen, points)
    assert all(once[row - 3 : row + 4, column - 2 : column + 3].all() for row, column in BUTTONS)
    assert once[:, :110].sum() == once[:, 146:].sum() == 0
    assert not (once & ~seen)[:, :64].any()


def test_buttons_do_not_come_back_behind() -> None:
    colours, seen, points = cloth()
    smooth = np.full((SIZE, SIZE, 3), 0.12, np.float32)
    made = with_pattern(colours, seen, seen & ~unrepeated(colours, seen, points), smooth, points)
    assert np.array_equal(made[60, 128], colours[60, 128])
    assert made[~seen].max() < 0.4
    assert made[:, :56].std() > 0.5 * colours[0, :, 0].std()


def test_cloth_without_a_pattern_is_left_as_it_is() -> None:
    """Where nothing comes back, nothing is one of a kind."""
    _, seen, points = cloth()
    ramp = np.geomspace(0.01, 1, SIZE, dtype=np.float32)[None, :, None]
    assert not unrepeated(np.broadcast_to(ramp, (SIZE, SIZE, 3)).copy(), seen, points).any()
