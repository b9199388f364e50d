"""Ears are skin in the cheek's tone, shaded by their form, unless hair covers them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.texturing.conftest import SIZE, Studio
from uvatar.data.labels import Label
from uvatar.photos.colour import LUMA, colour_distance, linear_from_srgb
from uvatar.texturing import texture_person
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.seen.ears import EARS, bare_ears, ear_doubt, ear_shade, paint_ears
from uvatar.texturing.seen.projection import Projection
from uvatar.texturing.seen.stray_hair import StrayHairSettings

SKIN, HAIR, WALL = linear_from_srgb(np.array([[[215, 160, 135], [50, 35, 28], [90, 120, 200]]], np.uint8))[0]


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


def head(atlas: Atlas) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Colours (T, 3) of a head of skin and hair, and the ear (T,) of each texel."""
    scalp, ear = atlas.of_first_vertex(atlas.surface.scalp), atlas.of_first_vertex(atlas.surface.ear)
    return np.where((scalp & (ear == 0))[:, None], HAIR, SKIN).astype(np.float32), ear


def doubt(colours: NDArray[np.float32], cosine: float, atlas: Atlas) -> NDArray[np.float32]:
    """Of a photo that shows the whole surface at one angle."""
    count = len(atlas.table)
    ones = np.ones(count, np.float32)
    shown = Projection(np.arange(count, dtype=np.int32), colours, ones, ones, cosine * ones, ones)
    return ear_doubt(shown, SKIN, atlas, StrayHairSettings(least=20))


def seen_as(colours: NDArray[np.float32], alpha: NDArray[np.float32], atlas: Atlas) -> SeenColours:
    at_vertices = np.zeros((len(atlas.surface.template), 3), np.float32)
    return SeenColours(colours, alpha, alpha, 0 * alpha, at_vertices, SKIN, atlas)


def test_background_on_an_ear_is_rejected_and_skin_is_not(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    colours[ear == 1] = WALL
    found = doubt(colours, 0.8, atlas)
    assert (found[ear == 1] == 1).all()
    assert (found[ear != 1] == 0).all()


def test_hair_on_one_ear_beside_a_bare_one_is_rejected_where_it_is_not_all_of_it(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    texels = np.flatnonzero(ear == 1)
    colours[texels[::2]] = HAIR
    found = doubt(colours, 0.8, atlas)
    assert (found[texels[::2]] == 1).all()
    assert (found[texels[1::2]] == 0).all()


def test_an_ear_seen_from_the_edge_is_not_shown(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    found = doubt(colours, 0.1, atlas)
    assert (found[ear > 0] == 1).all()
    assert (found[ear == 0] == 0).all()  # skin is skin and hair is hair


def test_ears_under_hair_stay_hair(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    colours[ear > 0] = HAIR
    assert (doubt(colours, 0.8, atlas)[ear > 0] == 0).all()
    seen = seen_as(colours, np.ones(len(ear), np.float32), atlas)
    assert bare_ears(seen) == (False, False)
    painted, source = colours.copy(), np.zeros(len(ear), np.uint8)
    paint_ears(painted, source, replace(seen, alpha=0.6 * seen.alpha))
    assert (painted == colours).all()


def test_specks_around_an_ear_are_rejected_at_grazing_angles_alone(atlas: Atlas) -> None:
    """Skin on the hair above it, something dark below it."""
    colours, _ = head(atlas)
    surface = atlas.surface
    middle = surface.template[surface.ear == 1].mean(0)
    places = atlas.interpolate(surface.template) - middle
    near = (np.linalg.norm(places, axis=1) < 0.05) & (atlas.of_first_vertex(surface.part) == Part.HEAD)
    scalp = atlas.of_first_vertex(surface.scalp) & (atlas.of_first_vertex(surface.ear) == 0)
    above = np.flatnonzero(near & scalp & (places[:, 1] > 0.02))
    bare = ~atlas.of_first_vertex(surface.scalp) & (atlas.of_first_vertex(surface.ear) == 0)
    below = np.flatnonzero(near & bare & (places[:, 1] < -0.02))
    assert min(len(above), len(below)) > 8
    colours[above[::4]], colours[below[::4]] = SKIN, WALL
    specks = np.concatenate([above[::4], below[::4]])
    rest = np.setdiff1d(np.concatenate([above, below]), specks)
    found = doubt(colours, 0.3, atlas)
    assert (found[specks] == 1).all()
    assert (found[rest] == 0).all()
    assert (doubt(colours, 0.8, atlas)[specks] == 0).all()


def test_unseen_ears_are_painted_in_the_tone_of_their_own_cheek(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    left = atlas.interpolate(atlas.surface.template)[:, 0] > 0
    colours[left] *= 0.6  # in the shade
    alpha = (ear == 0).astype(np.float32)
    colours[ear > 0] = HAIR
    painted, source = colours.copy(), np.full(len(ear), Label.PREDICTED, np.uint8)
    paint_ears(painted, source, seen_as(colours, alpha, atlas))
    for one, tone in zip(EARS, (0.6 * SKIN, SKIN), strict=True):
        own = (ear == one) & (source == Label.COMPLETED)
        assert own.sum() > 0.3 * (ear == one).sum()
        light = (painted[own] @ LUMA) / (tone @ LUMA)
        assert light.max() < 1.01
        assert 0.7 < np.median(light) < 1
        assert light.min() < 0.8  # its hollow is in the shade
        hue = painted[own] / (painted[own] @ LUMA)[:, None]
        assert np.abs(hue - SKIN / (SKIN @ LUMA)).max() < 0.2
    assert (painted[ear == 0] == colours[ear == 0]).all()
    worn = colours.copy()
    paint_ears(worn, source, seen_as(colours, alpha, atlas), np.ones(len(ear), bool))
    assert (worn == colours).all()


def test_an_unseen_ear_has_the_structure_of_the_seen_one(atlas: Atlas) -> None:
    colours, ear = head(atlas)
    colours[ear == 1] *= np.array([1, 0.8, 0.8], np.float32)
    alpha = (ear != 2).astype(np.float32)
    painted, source = colours.copy(), np.zeros(len(ear), np.uint8)
    paint_ears(painted, source, seen_as(colours, alpha, atlas))
    own = (ear == 2) & (source == Label.MIRRORED)
    assert own.sum() > 0.2 * (ear == 2).sum()
    assert np.median(colour_distance(painted[own], SKIN * np.array([1, 0.8, 0.8], np.float32))) < 0.02


def test_ears_are_shaded_within_limits(atlas: Atlas) -> None:
    shade, ear = ear_shade(atlas.surface), atlas.surface.ear
    assert (shade[ear == 0] == 1).all()
    assert shade[ear > 0].min() < 0.7
    assert shade[ear > 0].max() > 0.9
    np.testing.assert_allclose(shade, shade[atlas.surface.mirror], atol=0.05)


def test_ears_of_a_person_with_dark_hair_are_skin_all_round(studio: Studio, atlas: Atlas) -> None:
    """Seen from before, of a body whose hair lies on the rear of its ears."""
    surface = atlas.surface
    front = surface.template[surface.ear > 0, 2].max()

    def paint(rest: NDArray[Any]) -> NDArray[Any]:
        skin, hair, shirt = np.array([215, 160, 135]), np.array([50, 35, 28]), np.array([60, 90, 190])
        above = rest[:, 1] > surface.template[surface.ear > 0, 1].max()
        colours = np.where(((rest[:, 2] < front - 0.01) | above)[:, None], hair, skin)
        return np.where((rest[:, 1] < surface.template[surface.face_front, 1].min() - 0.1)[:, None], shirt, colours)

    made = texture_person([studio.photograph(paint)], atlas)
    ear = np.flatnonzero(atlas.of_first_vertex(surface.ear) > 0)
    assert made.materials is not None
    labels = made.materials.reshape(-1)[atlas.table.pixel[ear]]
    assert (labels == 1 + made.material_names.index("skin")).mean() > 0.9
    colours = linear_from_srgb(made.image).reshape(-1, 3)[atlas.table.pixel[ear]]
    assert (colour_distance(colours, SKIN) < colour_distance(colours, HAIR)).mean() > 0.9
