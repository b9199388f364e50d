"""Collars: the garment's pattern goes round the neck, and its colour stays off the skin above it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.texturing.conftest import Paint, Studio
from uvatar.data.labels import Label
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing import texture_person
from uvatar.texturing.completion.smooth import Garments, SeenColours, smooth_fill
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part, Surface
from uvatar.texturing.materials.labels import HAIR, SKIN
from uvatar.texturing.materials.segmentation import segment

SIZE = 256
BARE = (215.0, 160, 135)
DARK = (60.0, 45, 35)
STRIPES = 0.03  # metres, of two


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


def neck_of(surface: Surface) -> NDArray[np.bool_]:
    return (surface.part == Part.HEAD) & ~surface.scalp & ~surface.face_front


def dressed(surface: Surface, collar: Paint, top: float) -> Paint:
    """Paint of a garment that ends at a height, metres, with a bare head above, whose upper half is hair."""
    brow = np.quantile(surface.template[surface.face_front, 1], 0.9)

    def paint(rest: NDArray[Any]) -> NDArray[Any]:
        head = np.where(rest[:, 1:2] > brow, DARK, BARE)
        return np.where(rest[:, 1:2] < top, collar(rest), head)

    return paint


def nape(studio: Studio, collar: Paint, top: float, atlas: Atlas) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rest positions (K, 3) and colours (K, 3), 0..255, of the neck's texels that the photo does not show."""
    texture = texture_person([studio.photograph(dressed(atlas.surface, collar, top), side=800)], atlas)
    chosen = atlas.interpolate(neck_of(atlas.surface).astype(np.float32)) > 0.99
    places = atlas.interpolate(atlas.surface.template)
    chosen &= (texture.source.ravel()[atlas.table.pixel] != Label.SEEN) & (np.abs(places[:, 0]) < 0.05)
    chosen &= places[:, 2] < np.median(places[chosen, 2])
    return places[chosen], texture.image.reshape(-1, 3)[atlas.table.pixel[chosen]].astype(float)


def middle_of_neck(surface: Surface) -> float:
    """Height, metres."""
    behind = neck_of(surface) & (surface.template[:, 2] < np.median(surface.template[neck_of(surface), 2]))
    height = surface.template[behind & (np.abs(surface.template[:, 0]) < 0.05), 1]
    return float(0.5 * (height.min() + height.max()))


def test_a_striped_collar_is_striped_behind(studio: Studio, atlas: Atlas) -> None:
    def stripes(rest: NDArray[Any]) -> NDArray[Any]:
        light = np.sin(2 * np.pi * rest[:, :1] / STRIPES) > 0
        return np.where(light, [200.0, 200, 190], [60.0, 70, 160])

    top = middle_of_neck(atlas.surface)
    places, colours = nape(studio, stripes, top, atlas)
    collar = places[:, 1] < top - 0.01
    assert collar.sum() > 40
    truth = stripes(places[collar]).mean(1)
    assert colours[collar].mean(1).std() > 0.4 * truth.std()


def test_a_collar_does_not_redden_the_nape(atlas: Atlas) -> None:
    surface, size = atlas.surface, len(atlas.table)
    place = surface.template
    red, bare = (linear_from_srgb(np.array(colour, np.uint8)) for colour in ((190, 20, 20), BARE))
    worn = (place[:, 1] < middle_of_neck(surface)).astype(np.int64) * 2
    faces = surface.faces[atlas.table.face]
    at_texels = worn[faces[np.arange(size), atlas.table.barycentric.argmax(1)]].astype(np.uint8)
    colours = np.where(at_texels[:, None] > 0, red, bare).astype(np.float32)
    shown = (atlas.interpolate(place[:, 2:])[:, 0] > np.median(place[neck_of(surface), 2])).astype(np.float32)
    nothing = np.zeros(size, np.float32)
    seen = SeenColours(colours, shown, shown, nothing, np.tile(bare, (len(place), 1)), bare, atlas)
    fill = smooth_fill(seen, garments=Garments(worn, at_texels)).colours
    behind = (shown == 0) & (atlas.interpolate(neck_of(surface).astype(np.float32)) > 0.99)
    skin, collar = behind & (at_texels == 0), behind & (at_texels > 0)
    assert min(skin.sum(), collar.sum()) > 40
    assert (fill[skin, 0] / fill[skin, 1]).max() < 1.5 * bare[0] / bare[1]
    assert (fill[collar, 0] / fill[collar, 1]).min() > 4 * bare[0] / bare[1]


@pytest.mark.parametrize("alike", [True, False])
def test_a_garment_goes_on_up_the_neck_as_far_as_its_colour_does(atlas: Atlas, alike: bool) -> None:
    surface = atlas.surface
    place = surface.template
    chin = place[surface.face_front, 1].min()
    neck = neck_of(surface) & (place[:, 1] >= chin) & (place[:, 1] < chin + 0.03)
    below = (surface.part != Part.HEAD) | (place[:, 1] < chin)
    colour = np.tile(linear_from_srgb(np.array(BARE, np.uint8)), (len(place), 1))
    colour[surface.scalp] = linear_from_srgb(np.array(DARK, np.uint8))
    red = linear_from_srgb(np.array([190, 20, 20], np.uint8))
    colour[below] = red
    if alike:
        colour[neck] = red
    share = np.ones(len(place), np.float32)
    skin = linear_from_srgb(np.array(BARE, np.uint8))
    labels = segment(colour, share, np.zeros(len(place)), skin, surface).labels
    assert (labels[neck] > HAIR).mean() > 0.9 if alike else (labels[neck] == SKIN).mean() > 0.9
