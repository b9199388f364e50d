"""Colours of skin in photos of any light."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.photos.colour import linear_from_srgb, perceptual
from uvatar.photos.skin import hue_distance

MIDDLING = (190, 150, 128)


def hue(colour: tuple[int, int, int]) -> NDArray[np.float32]:
    coded = perceptual(linear_from_srgb(np.array(colour, np.uint8)))
    return np.asarray(coded[1:] / coded[0], np.float32)


def away(colour: tuple[int, int, int], saturation: float) -> float:
    """Distance of an sRGB colour's hue from that of a middling skin."""
    return float(hue_distance(hue(colour), hue(MIDDLING), saturation))


@pytest.mark.parametrize("skin", [(196, 95, 57), (171, 86, 44), (72, 48, 48), (220, 132, 104)])
def test_skin_in_warm_light_has_the_hue_of_skin(skin: tuple[int, int, int]) -> None:
    assert away(skin, saturation=0.25) < 0.12


@pytest.mark.parametrize("other", [(245, 41, 96), (39, 46, 32), (120, 125, 130), (70, 90, 150), (137, 81, 133)])
def test_other_hues_are_not_that_of_skin(other: tuple[int, int, int]) -> None:
    assert away(other, saturation=0.25) > 0.12


def test_without_tolerance_it_is_the_plain_distance() -> None:
    own, reference = np.array([0.4, -0.4]), np.array([0.1, -0.2])
    assert hue_distance(own, reference, 1.0) == pytest.approx(np.linalg.norm(own - reference))
