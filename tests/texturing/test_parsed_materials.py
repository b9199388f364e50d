"""Materials that a parser corrects: on the body's own surface, with colours that mislead."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.data.parsing import ParseClass, Parsing
from uvatar.texturing import Atlases
from uvatar.texturing.layout.surface import ARMS, HANDS, LEGS, Part, Surface
from uvatar.texturing.materials.labels import HAIR, SKIN
from uvatar.texturing.materials.parsed import DEFAULT_SETTINGS, ParsedVertices, bare_hand, corrected
from uvatar.texturing.materials.segmentation import segment
from uvatar.texturing.materials.settings import DEFAULT_SETTINGS as MATERIALS
from uvatar.texturing.outfit import _parsed
from uvatar.texturing.seen.projection import ProjectedView

BEIGE, DARK = (0.42, 0.24, 0.17), (0.02, 0.015, 0.012)


@pytest.fixture(scope="module")
def surface() -> Surface:
    return Atlases(load_open_body()).at(256).surface


def said(surface: Surface, cloth: NDArray[np.bool_], hair: NDArray[np.bool_]) -> ParsedVertices:
    """A parser that is sure: these vertices show cloth and hair, the others skin."""
    skin = ~cloth & ~hair
    return ParsedVertices(*((one * 0.95).astype(np.float32) for one in (skin, hair, cloth)))


def test_a_shirt_in_the_colour_of_skin_becomes_a_garment(surface: Surface) -> None:
    """Bare arms and legs, a beige shirt: colours alone see one surface of skin."""
    count = len(surface.part)
    colour = np.tile(np.array(BEIGE, np.float32), (count, 1))
    colour[surface.scalp] = DARK
    share, shading = np.ones(count, np.float32), np.zeros(count, np.float32)
    trunk = surface.part == Part.TRUNK
    inputs = (colour, share, shading, np.array(BEIGE, np.float32), surface, MATERIALS)
    alone = segment(*inputs)
    assert (alone.labels[trunk] == SKIN).mean() > 0.95
    helped = segment(*inputs, said(surface, trunk, surface.scalp))
    assert (helped.labels[trunk] > HAIR).mean() > 0.9
    assert (helped.labels[np.isin(surface.part, (*ARMS, *LEGS))] == SKIN).mean() > 0.9
    assert helped.count == alone.count + 1


def test_pieces_keep_their_borders_and_small_disagreements_count_for_nothing(surface: Surface) -> None:
    trunk = surface.part == Part.TRUNK
    labels = np.where(trunk, 2, SKIN).astype(np.int32)
    nearly = trunk & (surface.template[:, 1] > np.quantile(surface.template[trunk, 1], 0.02))
    agreed = corrected(labels, said(surface, nearly, np.zeros_like(trunk)), surface)
    np.testing.assert_array_equal(agreed, labels)
    shared = corrected(labels, said(surface, np.zeros_like(trunk), np.zeros_like(trunk)), surface)
    assert (shared == SKIN).all()


def test_a_parser_that_is_not_sure_changes_nothing(surface: Surface) -> None:
    trunk = surface.part == Part.TRUNK
    labels = np.where(trunk, 2, SKIN).astype(np.int32)
    unsure = np.full(len(labels), DEFAULT_SETTINGS.sure - 0.1, np.float32)
    parsed = ParsedVertices(unsure, 0 * unsure, 0 * unsure)
    np.testing.assert_array_equal(corrected(labels, parsed, surface), labels)
    assert bare_hand(parsed, surface.part == HANDS[0], DEFAULT_SETTINGS) is None
    sure = replace(parsed, cloth=np.ones_like(unsure))
    assert bare_hand(sure, surface.part == HANDS[0], DEFAULT_SETTINGS) is False


def test_vertices_are_looked_up_where_the_photo_shows_them(surface: Surface) -> None:
    """The left half of the picture shows skin, the right half cloth; unseen vertices are told nothing of."""
    values = np.zeros((10, 20, len(ParseClass)), np.float32)
    values[:, :10, ParseClass.SKIN], values[:, 10:, ParseClass.LOWER] = 1, 1
    x = surface.template[:, 0]
    pixels = np.stack([np.where(x > 0, 15.0, 5.0), np.full(len(x), 5.0)], 1)
    seen = surface.template[:, 2] > 0
    settings = replace(DEFAULT_SETTINGS, rounds=0)
    parsed = ParsedVertices.of(Parsing((0.0, 0.0, 20.0, 10.0), values), pixels, seen, surface, settings)
    np.testing.assert_array_equal(parsed.cloth, (seen & (x > 0)).astype(np.float32))
    np.testing.assert_array_equal(parsed.skin, (seen & (x <= 0)).astype(np.float32))
    assert not parsed.hair.any()


def test_what_the_parsed_photo_hides_is_not_looked_up_in_it(surface: Surface) -> None:
    """Other photos of the person may show the colour of what lies behind an arm in the one that is parsed."""
    count = len(surface.part)
    values = np.zeros((4, 4, len(ParseClass)), np.float32)
    values[..., ParseClass.SKIN] = 1
    hidden, beside = surface.part == Part.TRUNK, surface.part == Part.HEAD
    visibility = SimpleNamespace(
        vertices=surface.template,
        pixels=np.full((count, 2), 2.0, np.float32),
        cosine=np.ones(count, np.float32),
        trust_at=lambda points: np.where(beside, 0, 1).astype(np.float32),
        part_at=lambda points: np.where(hidden, ARMS[0], surface.part).astype(np.uint8),
    )
    person = SimpleNamespace(parsing=Parsing((0.0, 0.0, 4.0, 4.0), values))
    view = SimpleNamespace(visibility=visibility, shift=np.zeros((count, 2)), source=SimpleNamespace(person=person))
    found = _parsed(cast(ProjectedView, view), np.ones(count, bool), surface, MATERIALS)
    assert found is not None
    np.testing.assert_allclose(found.skin, ~(hidden | beside), atol=1e-6)
