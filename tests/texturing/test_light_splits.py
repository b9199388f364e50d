"""One garment in sun and shade is one material, from painted vertices; garments of one hue stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing.layout.surface import ARMS, FEET, LEGS, Part, Surface, build_surface
from uvatar.texturing.materials.labels import SKIN as SKIN_LABEL
from uvatar.texturing.materials.segmentation import segment

SKIN = (215, 160, 135)
SUN, SHADE = (232, 229, 221), (117, 121, 122)
JEANS = (60, 80, 130)


@pytest.fixture(scope="module")
def surface() -> Surface:
    return build_surface(load_open_body().data)


def told(paint: NDArray[Any], surface: Surface, skin: tuple[int, int, int] = SKIN) -> NDArray[np.int32]:
    """The materials (V,) of a body painted so, sRGB (V, 3), and seen from before."""
    colour = linear_from_srgb(paint.astype(np.uint8))
    tone = linear_from_srgb(np.array(skin, np.uint8))
    seen = (surface.template[:, 2] > np.median(surface.template[:, 2])).astype(np.float32)
    return segment(colour, seen, np.zeros(len(seen), np.float32), tone, surface).labels


def in_shirt(surface: Surface) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The paint (V, 3) of somebody in a sunlit shirt and jeans, and where (V,) the shirt is."""
    paint = np.tile(np.array(SKIN, float), (len(surface.part), 1))
    shirt = np.isin(surface.part, (Part.TRUNK, *ARMS))
    paint[shirt], paint[np.isin(surface.part, LEGS)] = SUN, JEANS
    return paint, shirt


def one(labels: NDArray[np.int32], where: NDArray[np.bool_]) -> float:
    """The share of the seen vertices there that have the label of most of them."""
    there = labels[where & (labels >= 0)]
    return float(np.bincount(there).max() / len(there))


@pytest.mark.parametrize("shaded", ["one side", "arm and flank"])
def test_a_shirt_half_in_the_sun_is_one_material(surface: Surface, shaded: str) -> None:
    paint, shirt = in_shirt(surface)
    across = surface.template[:, 0]
    dark = across > 0 if shaded == "one side" else (surface.part == Part.LEFT_ARM) | (across > 0.12)
    paint[shirt & dark] = SHADE
    assert one(told(paint, surface), shirt) > 0.95


def test_trousers_in_the_colour_of_the_shaded_shirt_are_another(surface: Surface) -> None:
    paint, shirt = in_shirt(surface)
    legs = np.isin(surface.part, LEGS)
    paint[legs] = SHADE
    labels = told(paint, surface)
    assert one(labels, shirt) > 0.9
    assert one(labels, legs) > 0.9
    assert np.median(labels[shirt & (labels >= 0)]) != np.median(labels[legs & (labels >= 0)])


def test_a_shirt_inside_a_jacket_of_its_hue_is_another(surface: Surface) -> None:
    paint, shirt = in_shirt(surface)
    inner = (surface.part == Part.TRUNK) & (np.abs(surface.template[:, 0]) < 0.06)
    paint[shirt & ~inner] = SHADE
    labels = told(paint, surface)
    assert set(np.unique(labels[inner])).isdisjoint(np.unique(labels[np.isin(surface.part, ARMS) & (labels >= 0)]))


def test_bare_limbs_in_hard_sun_are_skin(surface: Surface) -> None:
    """Half of them in the sun, half in deep shade, round a dress."""
    paint = np.tile(np.array([245.0, 41, 96]), (len(surface.part), 1))
    limbs = np.isin(surface.part, (*ARMS, *LEGS))
    paint[limbs | (surface.part == Part.HEAD)] = (196, 95, 57)
    paint[limbs & (surface.template[:, 0] > 0)] = (48, 28, 14)
    paint[np.isin(surface.part, FEET)] = 250
    labels = told(paint, surface, skin=(184, 105, 62))
    assert (labels[limbs & (labels >= 0)] == SKIN_LABEL).mean() > 0.95
    trunk = labels[(surface.part == Part.TRUNK) & (labels >= 0)]
    assert (trunk == SKIN_LABEL).mean() < 0.05


def test_a_suit_of_the_skins_hue_is_none(surface: Surface) -> None:
    paint = np.tile(np.array([120.0, 90, 70]), (len(surface.part), 1))
    paint[surface.part == Part.HEAD] = SKIN
    labels = told(paint, surface)
    suit = np.isin(surface.part, (Part.TRUNK, *ARMS, *LEGS)) & (labels >= 0)
    assert (labels[suit] == SKIN_LABEL).mean() < 0.05


def test_dark_trousers_below_dark_arms_are_none(surface: Surface) -> None:
    """They are of one colour with the shaded arms, and the shirt takes the trunk down to the hips."""
    paint = np.tile(np.array([235.0, 232, 228]), (len(surface.part), 1))
    paint[surface.part == Part.HEAD] = SKIN
    trousers = np.isin(surface.part, LEGS) | ((surface.part == Part.TRUNK) & (surface.template[:, 1] < -0.22))
    paint[trousers | np.isin(surface.part, ARMS)] = (52, 40, 36)
    labels = told(paint, surface)
    assert (labels[trousers & (labels >= 0)] == SKIN_LABEL).mean() < 0.05
