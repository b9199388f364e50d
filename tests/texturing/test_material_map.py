"""The material map: a name for what each texel is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.texturing.conftest import Studio
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part

SIZE = 256
WAIST = -0.15  # metres, height of a hem on the rest body


def with_skin(rest: NDArray[Any], cloth: NDArray[Any]) -> NDArray[Any]:
    """Head and hands of skin."""
    bare = (rest[:, 1:2] > 0.27) | (np.abs(rest[:, :1]) > 0.68)
    return np.where(bare, [215.0, 165, 140], cloth)


def striped_top_over_grey(rest: NDArray[Any]) -> NDArray[Any]:
    """Red and cyan stripes over trousers of the grey that is their mean."""
    red = np.sin(2 * np.pi * rest[:, 1] / 0.08) > 0
    stripes = np.where(red[:, None], [190.0, 70, 60], [60.0, 160, 190])
    return with_skin(rest, np.where(rest[:, 1:2] > WAIST, stripes, [125.0, 115, 125]))


def badge(rest: NDArray[Any]) -> NDArray[Any]:
    """A red overall with a large blue badge beside the chest's middle."""
    square = (np.abs(rest[:, 0] - 0.08) < 0.035) & (np.abs(rest[:, 1] - 0.1) < 0.04) & (rest[:, 2] > 0.05)
    return with_skin(rest, np.where(square[:, None], [30.0, 40, 190], [190.0, 50, 45]))


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


def share_of(names: tuple[str, ...], materials: NDArray[np.uint8], atlas: Atlas, part: Part, kind: str) -> float:
    """Share of a part's texels whose material is of a kind."""
    kinds = np.array(["", *(name.split()[0] for name in names)])
    on_part = atlas.of_first_vertex(atlas.surface.part) == part
    return float((kinds[materials.ravel()[atlas.table.pixel[on_part]]] == kind).mean())


def test_trousers_in_the_mean_colour_of_a_striped_top_are_another_garment(studio: Studio, atlas: Atlas) -> None:
    texture = texture_person([studio.photograph(striped_top_over_grey, side=800)], atlas)
    assert texture.materials is not None
    assert share_of(texture.material_names, texture.materials, atlas, Part.LEFT_LEG, "lower") > 0.9
    assert share_of(texture.material_names, texture.materials, atlas, Part.TRUNK, "upper") > 0.5
    assert texture.materials.max() == len(texture.material_names)
    eyes = atlas.of_first_vertex(atlas.surface.eye) > 0
    names = np.array(["", *texture.material_names])[texture.materials.ravel()[atlas.table.pixel]]
    assert eyes.any() and ((names == "eyes") == eyes).all()


def test_a_badge_is_no_garment_and_shows_nowhere_else(studio: Studio, atlas: Atlas) -> None:
    texture = texture_person([studio.photograph(badge, side=800)], atlas)
    places = atlas.interpolate(atlas.surface.template)
    colours = texture.image.reshape(-1, 3)[atlas.table.pixel].astype(int)
    away = (np.abs(places[:, 0] - 0.08) > 0.06) | (np.abs(places[:, 1] - 0.1) > 0.07) | (places[:, 2] < 0.0)
    below_neck = places[:, 1] < 0.2
    blue = colours[:, 2] > colours[:, 0] + 40
    assert blue[~away & below_neck].mean() > 0.1
    assert blue[away & below_neck].mean() < 0.002


def test_no_materials_in_haste(studio: Studio, atlas: Atlas) -> None:
    texture = texture_person([studio.photograph(badge, side=400)], atlas, fast=True)
    assert texture.materials is None and texture.material_names == ()
