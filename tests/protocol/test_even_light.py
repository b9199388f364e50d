"""The light in a texture: taking it out, putting it back, and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.photos.colour import linear_from_srgb
from uvatar.protocol.even_light import as_photographed, decoded_light, encoded_light, evenly_lit


def test_light_is_divided_out_in_linear_light() -> None:
    photographed = np.full((64, 64, 3), (120, 90, 60), np.uint8)
    grey = encoded_light(np.full((16, 16), np.log(1.5), np.float32))
    even = evenly_lit(photographed, grey)
    assert linear_from_srgb(photographed) / linear_from_srgb(even) == pytest.approx(np.full((64, 64, 3), 1.5), rel=0.03)


def test_there_and_back_is_the_same_up_to_rounding() -> None:
    random = np.random.default_rng(0)
    photographed = random.integers(20, 180, (100, 80, 4), np.uint8)
    grey = encoded_light(random.uniform(-0.5, 0.3, (10, 8)))
    back = as_photographed(evenly_lit(photographed, grey), grey)
    assert (back[..., 3] == photographed[..., 3]).all()
    # Dark values have few codes: a step of an even texture in the shade is up to two steps of the photographed one.
    assert np.abs(back[..., :3].astype(int) - photographed[..., :3]).max() <= 2


def test_what_would_be_brighter_than_white_keeps_its_hue() -> None:
    photographed = np.full((8, 8, 3), (240, 160, 120), np.uint8)
    even = evenly_lit(photographed, encoded_light(np.full((8, 8), -1.0)))
    assert even.max() == 255
    before, after = linear_from_srgb(photographed)[0, 0], linear_from_srgb(even)[0, 0]
    assert after / after[0] == pytest.approx(before / before[0], rel=0.02)


def test_its_picture_may_be_smaller_and_is_interpolated() -> None:
    grey = encoded_light(np.linspace(-0.6, 0.6, 16)[None].repeat(16, 0))
    even = linear_from_srgb(evenly_lit(np.full((256, 256, 3), 128, np.uint8), grey))[128, 16:-16, 0]
    assert (np.diff(even) <= 0).all() and np.abs(np.diff(np.log(even))).max() < 0.04


def test_codes_are_one_per_cent_of_light() -> None:
    light = np.linspace(-1.2, 1.2, 200)
    assert np.log(decoded_light(encoded_light(light))) == pytest.approx(light, abs=0.0051)
