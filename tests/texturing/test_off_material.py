"""Texels seen edge-on whose colour is another material's, from painted texels; and collars, which lie on the neck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.materials.labels import HAIR, SKIN
from uvatar.texturing.materials.off_material import without_off_material
from uvatar.texturing.materials.parsed import ParsedVertices
from uvatar.texturing.materials.segmentation import segment
from uvatar.texturing.seen.merging import best_cosine
from uvatar.texturing.seen.projection import Projection

SHIRT = 2
COLOURS = linear_from_srgb(np.array([[[215, 160, 135], [60, 40, 30], [40, 60, 150]]], np.uint8))[0]
EDGE_ON, TURNED = 0.06, 0.9


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.of(load_open_body(), 256)


@pytest.fixture(scope="module")
def worn(atlas: Atlas) -> NDArray[np.int64]:
    """A shirt, a bare head, hair on the scalp."""
    surface = atlas.surface
    labels = np.full(len(surface.part), SHIRT, np.int64)
    labels[surface.part == Part.HEAD] = SKIN
    labels[surface.scalp] = HAIR
    return labels


def kept(
    atlas: Atlas, labels: NDArray[np.int64], shown: NDArray[np.int64], edge_on: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Alpha (T,) of a photo that shows the materials ``shown`` (T,) where the body has ``labels`` (V,)."""
    of_texels = atlas.of_first_vertex(labels).astype(np.uint8)
    one, nothing = np.ones(len(of_texels), np.float32), np.zeros(len(of_texels), np.float32)
    low = COLOURS[labels].astype(np.float32)
    seen = SeenColours(COLOURS[shown].astype(np.float32), one, one, nothing, low, COLOURS[SKIN], atlas)
    cosine = np.where(edge_on, EDGE_ON, TURNED).astype(np.float32)
    found = without_off_material(seen, cosine, low, labels, of_texels)
    np.testing.assert_array_equal(found.alpha, found.certain)
    return found.alpha


def places(atlas: Atlas) -> NDArray[np.float32]:
    return atlas.interpolate(atlas.surface.template)


def neck_of(atlas: Atlas) -> NDArray[np.bool_]:
    """(T,) the neck's texels, below the hairline."""
    surface = atlas.surface
    chin = surface.template[surface.face_front, 1].min()
    neck = atlas.of_first_vertex((surface.part == Part.HEAD) & ~surface.scalp & (surface.template[:, 1] < chin))
    return np.asarray(neck, bool)


def test_a_shirt_seen_edge_on_is_not_painted_on_the_neck(atlas: Atlas, worn: NDArray[np.int64]) -> None:
    shown = atlas.of_first_vertex(worn)
    neck, left = neck_of(atlas), places(atlas)[:, 0] > 0
    alpha = kept(atlas, worn, np.where(neck, SHIRT, shown), left)
    assert neck.sum() > 100
    assert alpha[neck & left].max() < 0.1
    assert alpha[neck & ~left & (places(atlas)[:, 0] < -0.01)].min() == 1  # turned to the camera, it is there
    assert alpha[~neck].mean() > 0.98  # what is of its material stays, at whatever angle


def test_a_hairline_may_be_finer_than_the_mesh(atlas: Atlas, worn: NDArray[np.int64]) -> None:
    surface, shown = atlas.surface, atlas.of_first_vertex(worn)
    hair = (worn == HAIR).astype(float)
    by_hair = atlas.of_first_vertex((surface.graph @ hair > 0) & (worn == SKIN))
    below_eyes = surface.template[:, 1] < surface.template[surface.eye > 0, 1].min()
    far = atlas.of_first_vertex(surface.face_front & below_eyes)
    everywhere = np.ones(len(shown), bool)
    alpha = kept(atlas, worn, np.where(by_hair | far, HAIR, shown), everywhere)
    assert alpha[by_hair].mean() > 0.95
    assert alpha[far].mean() < 0.2


@pytest.mark.parametrize(("parsed_hair", "expected"), [(None, SHIRT), (0.6, HAIR)])
def test_a_dark_collar_is_no_hair(atlas: Atlas, parsed_hair: float | None, expected: int) -> None:
    """Unless the parser says that it is."""
    surface = atlas.surface
    height = surface.template[:, 1]
    chin = height[surface.face_front].min()
    head = surface.part == Part.HEAD
    collar = head & ~surface.scalp & ~surface.face_front & (height < chin + 0.012)
    collar &= np.asarray(surface.graph @ surface.scalp.astype(float)) == 0
    upper = collar & (height >= chin)
    colour = np.tile(COLOURS[SKIN], (len(height), 1)).astype(np.float32)
    colour[surface.scalp] = COLOURS[HAIR]
    colour[collar | ~head] = linear_from_srgb(np.array([[[45, 42, 60]]], np.uint8))[0, 0]
    share, shading = np.ones(len(height), np.float32), np.zeros(len(height), np.float32)
    parsed = None
    if parsed_hair is not None:
        nothing = np.zeros(len(height), np.float32)
        parsed = ParsedVertices(nothing, np.where(upper, parsed_hair, 0).astype(np.float32), nothing)
    found = segment(colour, share, shading, COLOURS[SKIN], surface, parsed=parsed)
    assert upper.sum() > 5
    assert (found.labels[upper] == expected).mean() > 0.9


@pytest.mark.parametrize("parsed", [False, True])
def test_a_head_without_hair_has_none(atlas: Atlas, parsed: bool) -> None:
    surface = atlas.surface
    colour = np.tile(COLOURS[SKIN], (len(surface.part), 1)).astype(np.float32)
    share, shading = np.ones(len(colour), np.float32), np.zeros(len(colour), np.float32)
    told = ParsedVertices(shading, shading, shading) if parsed else None
    found = segment(colour, share, shading, COLOURS[SKIN], surface, parsed=told)
    assert not (found.labels == HAIR).any()


def test_the_angle_is_that_of_the_photo_that_shows_a_texel_best() -> None:
    one = np.ones(2, np.float32)
    cosine = np.array([0.9, 0.2], np.float32)
    front = Projection(np.array([0, 1], np.int32), np.zeros((2, 3), np.float32), one, one, cosine, one)
    back = replace(front, texels=np.array([1, 2], np.int32), cosine=np.array([0.8, 0.5], np.float32))
    np.testing.assert_allclose(best_cosine([front, back], 4), [0.9, 0.8, 0.5, 0])
