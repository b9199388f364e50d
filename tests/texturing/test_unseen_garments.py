"""What is worn where the photo ends: plain trousers and shoes, or what is seen at the hips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.texturing.conftest import Paint, Studio
from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.materials.unseen_garments import DEFAULT_SETTINGS

SKIN, SHIRT, JEANS = (215.0, 160, 135), (190.0, 60, 50), (70.0, 90, 150)
LEGS, FEET = (Part.LEFT_LEG, Part.RIGHT_LEG), (Part.LEFT_FOOT, Part.RIGHT_FOOT)
TRAINERS = ("trainer", "trainer")
NAVEL, HIPS, THIGHS = -0.15, -0.3, -0.5  # metres on the rest body, where photos end and hems lie


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, 256)


def in_shirt(hem: float) -> Paint:
    """A shirt down to ``hem``, metres on the rest body, and jeans below."""

    def paint(rest: NDArray[Any]) -> NDArray[Any]:
        colours = np.where(rest[:, 1:2] > hem, SHIRT, JEANS)
        colours[(rest[:, 1] > 0.25) | (np.abs(rest[:, 0]) > 0.6)] = SKIN
        return colours

    return paint


def cut_at(view: View, height: float, studio: Studio, shoes: tuple[str | None, str | None] = TRAINERS) -> View:
    """The photo's part above ``height``, metres on the rest body, of somebody who wears these shoes."""
    vertices, _ = studio.body.posed(view.fit.body)
    near = np.abs(studio.body.data.v_template[:, 1] - height) < 0.01
    row = int(np.median(view.camera.project(vertices[near])[:, 1]))
    person = replace(
        view.person,
        window=(0, 0, view.camera.width, row),
        box=np.minimum(view.person.box, [np.inf, np.inf, np.inf, row]).astype(np.float32),
        mask=view.person.mask[:row],
        others=view.person.others[:row],
    )
    photo = replace(view.photo, pixels=view.photo.pixels[:row])
    return View(photo, person, replace(view.camera, height=row), replace(view.fit, shoes=shoes))


def worn(texture: Texture, atlas: Atlas, parts: tuple[Part, Part]) -> NDArray[Any]:
    """The colours of these parts' texels, 0..255."""
    colours = texture.image.reshape(-1, 3)[atlas.table.pixel].astype(float)
    return colours[np.isin(atlas.of_first_vertex(atlas.surface.part), parts)]


def test_below_a_shirt_are_plain_trousers_and_shoes(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(-2.0)), NAVEL, studio)
    texture = texture_person([view], atlas)
    trousers, shoes = worn(texture, atlas, LEGS), worn(texture, atlas, FEET)
    assert np.abs(np.median(trousers, 0) - DEFAULT_SETTINGS.trousers).max() < 4
    assert np.percentile(np.abs(trousers - np.median(trousers, 0)).max(1), 90) < 6
    assert np.abs(np.median(shoes, 0) - DEFAULT_SETTINGS.shoes).max() < 4
    assert {"lower", "shoes"} <= set(texture.material_names)


def test_the_shirt_goes_on_to_the_hips_and_shoes_end_at_the_ankles(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(-2.0)), NAVEL + 0.1, studio)
    texture = texture_person([view], atlas)
    assert texture.materials is not None
    names = np.array(["", *texture.material_names])[texture.materials.ravel()[atlas.table.pixel]]
    part, height = atlas.of_first_vertex(atlas.surface.part), atlas.interpolate(atlas.surface.template[:, 1])
    belly = (part == Part.TRUNK) & (height > atlas.surface.template[np.isin(atlas.surface.part, LEGS), 1].max() + 0.03)
    assert np.mean(names[belly] == "lower") < 0.01
    shins = np.isin(part, LEGS) & (height > height[np.isin(part, FEET)].max() + 0.03)
    assert np.mean(names[shins] == "shoes") < 0.01


def test_hems_that_nobody_sees_are_straight(studio: Studio, atlas: Atlas) -> None:
    """They do not follow the mesh's edges, which are up to five centimetres long."""
    texture = texture_person([cut_at(studio.photograph(in_shirt(-2.0)), NAVEL + 0.1, studio)], atlas)
    assert texture.materials is not None
    names = np.array(["", *texture.material_names])[texture.materials.ravel()[atlas.table.pixel]]
    part, height = atlas.of_first_vertex(atlas.surface.part), atlas.interpolate(atlas.surface.template[:, 1])
    template, of_vertex = atlas.surface.template[:, 1], atlas.surface.part
    waist = float(template[np.isin(of_vertex, LEGS)].max())
    near = np.isin(part, (Part.TRUNK, *LEGS)) & (np.abs(height - waist) < 0.03) & (np.abs(height - waist) > 0.003)
    assert near.sum() > 200
    assert np.mean((names[near] == "lower") == (height[near] < waist)) > 0.99
    ankles = np.isin(part, (*LEGS, *FEET)) & (names == "shoes")
    top = height[ankles][height[ankles] > height[ankles].max() - 0.02]
    shins = np.isin(part, (*LEGS, *FEET)) & (names == "lower")
    assert height[shins].min() > np.median(top) - 0.01


def test_a_prediction_leaves_them_plain(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(-2.0)), NAVEL, studio)
    green = np.full((256, 256, 3), (30, 200, 30), np.uint8)
    trousers = worn(texture_person([view], atlas, predicted=green), atlas, LEGS)
    assert np.abs(np.median(trousers, 0) - DEFAULT_SETTINGS.trousers).max() < 4


def test_trousers_that_are_seen_at_the_hips_go_on(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(NAVEL - 0.05)), HIPS - 0.05, studio)
    trousers = worn(texture_person([view], atlas), atlas, LEGS)
    assert np.abs(np.median(trousers, 0) - JEANS).max() < 12


def test_legs_that_are_seen_are_as_they_are_seen(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(HIPS)), THIGHS - 0.2, studio)
    texture = texture_person([view], atlas)
    assert np.abs(np.median(worn(texture, atlas, LEGS), 0) - JEANS).max() < 12
    assert np.abs(np.median(worn(texture, atlas, FEET), 0) - DEFAULT_SETTINGS.shoes).max() < 4


def test_unseen_feet_without_shoes_are_skin(studio: Studio, atlas: Atlas) -> None:
    view = cut_at(studio.photograph(in_shirt(HIPS)), THIGHS, studio, shoes=(None, None))
    feet = worn(texture_person([view], atlas), atlas, FEET)
    assert np.abs(np.median(feet, 0) - SKIN).max() < 30
