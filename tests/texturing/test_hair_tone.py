"""Which of the scalp's colours go on behind: shaded hair, but the lit cloth of a pale hat."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.texturing.completion.hair_tone import telling

SKIN = 0.6  # luma


@pytest.mark.parametrize(
    ("shades", "expected"),
    [
        ([0.1, 0.2, 0.2, 0.2, 0.3, 0.4, 0.6], 0.2),  # dark hair, shiny on the crown
        ([0.3, 0.7, 0.9, 0.95, 0.95, 0.97, 1.0], 0.95),  # a white hat, its brim's shadow and the forehead
        ([0.5, 0.55, 0.6, 0.65, 0.7, 0.72, 0.74], 0.55),  # fair hair, hardly brighter than the skin
    ],
)
def test_what_the_back_of_the_head_is_like(shades: list[float], expected: float) -> None:
    luma = np.array(shades)
    assert np.median(luma[telling(luma, SKIN)]) == pytest.approx(expected, abs=0.06)


def test_one_vertex_tells_itself() -> None:
    assert telling(np.array([0.4]), SKIN).all()
