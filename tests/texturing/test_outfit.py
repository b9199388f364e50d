"""What no photo shows: the pattern of a garment goes on behind, single things do not, borders are sharp."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.texturing.conftest import Paint, Studio
from uvatar.body import BodyModel
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, Part
from uvatar.texturing.materials.labels import SKIN as SKIN_LABEL
from uvatar.texturing.materials.segmentation import segment

SIZE = 256
PITCH = 0.06  # metres, of stripes
WAIST = -0.15  # metres, height of a hem on the rest body
SKIN = (215.0, 160, 135)


def stripes(rest: NDArray[Any]) -> NDArray[Any]:
    """Stripes round the body."""
    light = np.sin(2 * np.pi * rest[:, 1] / PITCH) > 0
    return np.where(light[:, None], [200.0, 200, 190], [60.0, 70, 160])


def two_garments(rest: NDArray[Any]) -> NDArray[Any]:
    """A red top over green trousers."""
    return np.where(rest[:, 1:2] > WAIST, [190.0, 50, 45], [60.0, 120, 60])


def logo(rest: NDArray[Any]) -> NDArray[Any]:
    """A grey top with a yellow square on the chest."""
    square = (np.abs(rest[:, 0]) < 0.07) & (np.abs(rest[:, 1] - 0.1) < 0.06) & (rest[:, 2] > 0.1)
    return np.where(square[:, None], [230.0, 200, 20], [120.0, 120, 125])


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


def behind(texture: Texture, atlas: Atlas, region: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rest positions (K, 3) and colours (K, 3), 0..255, of the unseen texels on the back of the trunk that lie in
    ``region`` (V,)."""
    surface = atlas.surface
    normal_back = atlas.interpolate(surface.template[:, 2]) < 0.03
    chosen = normal_back & (atlas.interpolate(region.astype(np.float32)) > 0.99)
    chosen &= texture.source.ravel()[atlas.table.pixel] != Label.SEEN
    places = atlas.interpolate(surface.template)[chosen]
    return places, texture.image.reshape(-1, 3)[atlas.table.pixel[chosen]].astype(float)


def back_of(body: BodyModel) -> NDArray[np.bool_]:
    place = body.data.v_template
    near: NDArray[np.bool_] = (np.abs(place[:, 0]) < 0.1) & (place[:, 1] > -0.1) & (place[:, 1] < 0.15)
    return near


def textured(studio: Studio, paint: Paint, atlas: Atlas, **more: Any) -> Texture:
    return texture_person([studio.photograph(paint, side=800)], atlas, **more)


def test_stripes_go_on_behind_at_their_height(studio: Studio, atlas: Atlas) -> None:
    texture = textured(studio, stripes, atlas)
    places, colours = behind(texture, atlas, back_of(studio.body))
    truth = stripes(places).mean(1)
    assert len(places) > 500
    assert np.corrcoef(truth, colours.mean(1))[0, 1] > 0.6
    assert colours.mean(1).std() > 0.5 * truth.std()


def test_fast_reflects_stripes(studio: Studio, atlas: Atlas) -> None:
    texture = textured(studio, stripes, atlas, fast=True)
    places, colours = behind(texture, atlas, back_of(studio.body))
    truth = stripes(places).mean(1)
    assert np.corrcoef(truth, colours.mean(1))[0, 1] > 0.6
    assert colours.mean(1).std() > 0.3 * truth.std()


def test_buttons_do_not_show_on_the_back(studio: Studio, atlas: Atlas) -> None:
    def buttons(rest: NDArray[Any]) -> NDArray[Any]:
        """Stripes with a row of white buttons down the middle."""
        down = np.where(np.sin(2 * np.pi * rest[:, :1] / 0.04) > 0, [90.0, 30, 40], [40.0, 40, 45])
        round_ = np.hypot(rest[:, 0], (rest[:, 1] + 0.04) % 0.08 - 0.04) < 0.012
        return np.where((round_ & (rest[:, 2] > 0.05))[:, None], [250.0, 250, 250], down)

    texture = textured(studio, buttons, atlas)
    places, colours = behind(texture, atlas, back_of(studio.body))
    assert len(places) > 500
    assert (colours.min(1) > 150).mean() < 0.002


def test_a_logo_does_not_show_on_the_back(studio: Studio, atlas: Atlas) -> None:
    texture = textured(studio, logo, atlas)
    places, colours = behind(texture, atlas, back_of(studio.body))
    yellow = colours[:, 0] - colours[:, 2]
    assert len(places) > 500
    assert yellow.max() < 60


def test_a_hem_is_sharp_and_at_its_height_behind(studio: Studio, atlas: Atlas) -> None:
    texture = textured(studio, two_garments, atlas)
    place = studio.body.data.v_template
    near = (np.abs(place[:, 0]) < 0.1) & (np.abs(place[:, 1] - WAIST) < 0.12)
    places, colours = behind(texture, atlas, near)
    red = colours[:, 0] > colours[:, 1]
    away = np.abs(places[:, 1] - WAIST) > 0.03
    assert away.sum() > 300
    assert (red == (places[:, 1] > WAIST))[away].mean() > 0.97
    between = np.abs(colours[:, 0] - colours[:, 1]) < 25
    assert between.mean() < 0.08


def test_background_between_the_limbs_is_not_part_of_the_person(studio: Studio, atlas: Atlas) -> None:
    view = studio.photograph(two_garments, side=800, background=(245, 245, 250))
    mask = cv2.morphologyEx(view.person.mask, cv2.MORPH_CLOSE, np.ones((61, 61), np.uint8))
    texture = texture_person([replace(view, person=replace(view.person, mask=np.asarray(mask, np.uint8)))], atlas)
    colours = texture.image.reshape(-1, 3)[atlas.table.pixel].astype(int)
    unseen = texture.source.ravel()[atlas.table.pixel] != Label.SEEN
    body = atlas.of_first_vertex(atlas.surface.eye) == 0
    assert (colours[unseen & body].min(1) > 200).mean() < 0.01


def test_plain_cloth_stays_plain(studio: Studio, atlas: Atlas) -> None:
    texture = textured(studio, two_garments, atlas)
    _, colours = behind(texture, atlas, back_of(studio.body))
    assert colours.std(0).max() < 12


def test_plain_cloth_goes_on_behind_as_at_its_height_whatever_the_noise(studio: Studio, atlas: Atlas) -> None:
    def dyed(rest: NDArray[Any]) -> NDArray[Any]:
        """Cloth that gets slowly lighter upwards."""
        return np.array([90.0, 60, 120]) * (1 + 1.2 * np.clip(rest[:, 1:2] + 0.15, -0.1, 0.4))

    view = studio.photograph(dyed, side=800)
    noise = np.random.default_rng(0).normal(0, 6, view.photo.pixels.shape)
    noisy = np.clip(view.photo.pixels + noise, 0, 255).astype(np.uint8)
    texture = texture_person([replace(view, photo=replace(view.photo, pixels=noisy))], atlas)
    places, colours = behind(texture, atlas, back_of(studio.body))
    assert np.abs(colours - dyed(places)).mean() < 3


@pytest.mark.parametrize(("limbs", "bare"), [((150, 108, 90), True), ((40, 38, 37), False), ((70, 120, 80), False)])
def test_shaded_arms_are_skin_and_sleeves_are_not(atlas: Atlas, limbs: tuple[int, int, int], bare: bool) -> None:
    surface = atlas.surface
    paint = np.tile(np.array([60.0, 70, 160]), (len(surface.part), 1))
    paint[surface.part == Part.HEAD] = SKIN
    paint[np.isin(surface.part, ARMS)] = limbs
    seen = (surface.template[:, 2] > np.median(surface.template[:, 2])).astype(np.float32)
    colour, skin = linear_from_srgb(paint.astype(np.uint8)), linear_from_srgb(np.array(SKIN, np.uint8))
    found = segment(colour, seen, np.zeros_like(seen), skin, surface)
    arms = found.labels[np.isin(surface.part, ARMS) & (seen > 0)]
    assert (arms == SKIN_LABEL).mean() == pytest.approx(float(bare), abs=0.1)
    trunk = found.labels[(surface.part == Part.TRUNK) & (seen > 0)]
    assert (trunk == SKIN_LABEL).mean() < 0.05


@pytest.mark.parametrize("shade", [-0.4, 0.4])
def test_bare_arms_before_the_trunk_are_no_garment(atlas: Atlas, shade: float) -> None:
    """In the photo they lie before the trunk as well, and they are taken to be in other light than the face."""
    surface = atlas.surface
    paint = np.tile(np.array([235.0, 238, 242]), (len(surface.part), 1))
    paint[surface.part == Part.HEAD] = SKIN
    flanks = (surface.part == Part.TRUNK) & (np.abs(surface.template[:, 0]) > 0.12) & (surface.template[:, 1] < 0.1)
    bare = np.isin(surface.part, ARMS) | flanks
    paint[bare] = SKIN
    seen = (surface.template[:, 2] > np.median(surface.template[:, 2])).astype(np.float32)
    colour, skin = linear_from_srgb(paint.astype(np.uint8)), linear_from_srgb(np.array(SKIN, np.uint8))
    found = segment(colour, seen, np.where(bare, shade, 0).astype(np.float32), skin, surface)
    assert (found.labels[np.isin(surface.part, ARMS) & (seen > 0)] == SKIN_LABEL).mean() > 0.95


def test_hair_of_which_next_to_nothing_is_seen_has_a_colour(atlas: Atlas) -> None:
    surface = atlas.surface
    colour = np.tile(linear_from_srgb(np.array([60, 70, 160], np.uint8)), (len(surface.part), 1))
    seen = ((surface.template[:, 2] > 0) & ~surface.scalp).astype(np.float32)
    few = np.flatnonzero(surface.scalp)[:2]
    seen[few], colour[few] = 1, [[0.02, 0.01, 0.01], [0.2, 0.15, 0.1]]
    skin = linear_from_srgb(np.array(SKIN, np.uint8))
    with np.errstate(all="raise"):
        found = segment(colour, seen, np.zeros_like(seen), skin, surface)
    assert np.isfinite(found.colours).all()


def test_one_glove_alone_is_something_else(studio: Studio, atlas: Atlas) -> None:
    wrist = float(np.abs(atlas.surface.template[atlas.surface.part == Part.RIGHT_HAND, 0]).min())

    def black_right_hand(rest: NDArray[Any]) -> NDArray[Any]:
        colours = np.where(np.abs(rest[:, :1]) > 0.2, SKIN, [60.0, 70, 160])
        colours[rest[:, 1] > 0.25] = SKIN
        colours[rest[:, 0] < -wrist] = 25
        return colours

    texture = textured(studio, black_right_hand, atlas)
    colours = texture.image.reshape(-1, 3)[atlas.table.pixel].astype(float)
    hand = atlas.of_first_vertex(atlas.surface.part) == Part.RIGHT_HAND
    assert np.median(colours[hand].mean(1)) > 80
