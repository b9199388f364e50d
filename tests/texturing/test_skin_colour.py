"""The skin's colour where no face is found: of the part that looks most like skin in the light."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from tests.texturing.conftest import Studio
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, HANDS, Part
from uvatar.texturing.seen.projection import ProjectedView
from uvatar.texturing.seen.skin import DEFAULT_SETTINGS, skin_colour

Colour = tuple[int, int, int]
SLEEVES = (60, 90, 150)
GLOVES = (30, 30, 35)


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, 128)


def found(parts: dict[Part, Colour], atlas: Atlas, studio: Studio) -> Colour:
    """The skin's colour, sRGB, of a person of whom these parts are seen, in these colours."""
    view = SimpleNamespace(source=studio.photograph(lambda rest: np.tile(SLEEVES, (len(rest), 1)), side=64))
    part = atlas.of_first_vertex(atlas.surface.part)
    colours, alpha = np.zeros((len(part), 3), np.float32), np.zeros(len(part), np.float32)
    for one, colour in parts.items():
        colours[part == one] = linear_from_srgb(np.array(colour, np.uint8))
        alpha[part == one] = 1
    red, green, blue = srgb_from_linear(skin_colour([cast(ProjectedView, view)], colours, alpha, atlas)[None])[0]
    return int(red), int(green), int(blue)


def test_of_limbs_in_sun_and_shade_the_lit_one_tells(atlas: Atlas, studio: Studio) -> None:
    lit = (214, 130, 81)
    parts = {HANDS[0]: lit, HANDS[1]: (64, 37, 11), ARMS[0]: (53, 30, 16), Part.HEAD: (170, 82, 41)}
    assert found(parts, atlas, studio) == lit


def test_sleeves_and_gloves_tell_nothing(atlas: Atlas, studio: Studio) -> None:
    covered: dict[Part, Colour] = {HANDS[0]: GLOVES, HANDS[1]: GLOVES, ARMS[0]: SLEEVES, ARMS[1]: SLEEVES}
    assert found(covered, atlas, studio) == DEFAULT_SETTINGS.unknown
    assert found({**covered, Part.HEAD: (80, 51, 48)}, atlas, studio) == (80, 51, 48)
