"""What the photo shows on a limb that belongs to something beside it, from painted vertices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, HANDS, Part, Surface
from uvatar.texturing.materials.labels import SKIN, UNSEEN
from uvatar.texturing.materials.propagation import propagate
from uvatar.texturing.materials.segmentation import Materials
from uvatar.texturing.materials.stray import without_stray, without_stray_texels
from uvatar.texturing.seen.projection import Projection
from uvatar.texturing.seen.stray_hair import stray_hair

SHIRT, TROUSERS, SHOES = 2, 3, 4
COLOURS = linear_from_srgb(
    np.array([[[215, 160, 135], [60, 40, 30], [230, 230, 235], [25, 25, 28], [120, 60, 30]]], np.uint8)
)[0]
LEGS, FEET = (Part.LEFT_LEG, Part.RIGHT_LEG), (Part.LEFT_FOOT, Part.RIGHT_FOOT)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.of(load_open_body(), 256)


def dressed(surface: Surface) -> NDArray[np.int32]:
    """A short-sleeved shirt over trousers and shoes, seen from before."""
    labels = np.full(len(surface.part), SKIN, np.int32)
    labels[surface.part == Part.TRUNK] = SHIRT
    across = np.abs(surface.template[:, 0])
    arms = np.isin(surface.part, ARMS)
    labels[arms & (across < 0.4 * across[arms].max() + 0.6 * across[arms].min())] = SHIRT
    labels[np.isin(surface.part, LEGS)] = TROUSERS
    labels[np.isin(surface.part, FEET)] = SHOES
    labels[surface.template[:, 2] < np.median(surface.template[:, 2])] = UNSEEN
    return labels


def cleaned(labels: NDArray[np.int32], surface: Surface) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    materials = Materials(labels, 5, COLOURS, np.zeros(len(labels), bool))
    found, _, other = without_stray(materials, COLOURS[np.maximum(labels, 0)], surface.template, surface)
    return found.labels, other


def test_trousers_on_a_forearm_and_its_hand_are_rejected(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    left = np.isin(surface.part, (Part.LEFT_ARM, Part.LEFT_HAND)) & (labels == SKIN)
    labels[left] = TROUSERS
    found, other = cleaned(labels, surface)
    assert (found[left] == UNSEEN).all()
    assert other[left].all()
    right = np.isin(surface.part, (Part.RIGHT_ARM, Part.RIGHT_HAND))
    assert (found[right] == labels[right]).all()
    assert not other[right].any()


def test_what_strays_stays_where_the_photo_faces_it(atlas: Atlas) -> None:
    """From the photo's side it is there; at a grazing angle the arm is its own."""
    surface, count = atlas.surface, len(atlas.table)
    arm = surface.part == Part.LEFT_ARM
    colours, whole = np.tile(COLOURS[TROUSERS], (count, 1)).astype(np.float32), np.ones(count, np.float32)
    seen = SeenColours(colours, whole, whole, 0 * whole, 0 * whole, COLOURS[SKIN].astype(np.float32), atlas)
    before = surface.template[:, 2] > np.median(surface.template[arm, 2])
    whole_arm, facing = (atlas.interpolate(one.astype(np.float32)) for one in (arm, before))
    cosine = np.where(facing > 0.5, 0.9, 0.1).astype(np.float32)
    nothing, labels = np.zeros(len(arm), bool), np.zeros(len(arm), np.int64)
    low = np.zeros((len(arm), 3), np.float32)
    left = without_stray_texels(seen, nothing, arm, seen.skin, cosine, low, labels, np.zeros(count, np.uint8))
    assert (left.alpha[(whole_arm == 1) & (facing == 1)] == 1).all()
    assert (left.alpha[(whole_arm == 1) & (facing == 0)] == 0).all()
    assert (left.certain[whole_arm == 1] == 0).all()  # it speaks for nothing of the arm
    for shown in (left.alpha, left.certain):
        assert (shown[whole_arm == 0] == 1).all()


def test_long_sleeves_stay(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    labels[np.isin(surface.part, ARMS) & (labels == SKIN)] = SHIRT
    found, other = cleaned(labels, surface)
    arms = np.isin(surface.part, ARMS)
    assert (found[arms] == labels[arms]).all()
    assert not other.any()


def test_sleeves_of_the_trousers_cloth_under_a_vest_stay(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    labels[np.isin(surface.part, ARMS) & (labels == SKIN)] = TROUSERS
    found, other = cleaned(labels, surface)
    assert (found[np.isin(surface.part, ARMS)] == labels[np.isin(surface.part, ARMS)]).all()
    assert not other.any()


def test_an_arms_skin_on_the_flank_is_rejected_and_a_bare_belly_is_not(atlas: Atlas) -> None:
    surface = atlas.surface
    x, y = surface.template[:, 0], surface.template[:, 1]
    waist = (surface.part == Part.TRUNK) & (np.abs(y - np.median(y[surface.part == Part.TRUNK])) < 0.08)
    labels = dressed(surface)
    flank = waist & (x > 0.09) & (labels == SHIRT)
    labels[flank] = SKIN
    assert flank.sum() > 5
    assert (cleaned(labels, surface)[0][flank] == UNSEEN).all()
    labels = dressed(surface)
    belly = waist & (np.abs(x) < 0.1) & (labels == SHIRT)
    labels[belly] = SKIN
    assert (cleaned(labels, surface)[0][belly] == SKIN).all()


def test_shoes_go_round_the_foot_whatever_hangs_over_them(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    feet = np.isin(surface.part, FEET)
    height = surface.template[:, 1] - surface.template[feet, 1].min()
    labels[feet & (surface.template[:, 0] > 0.1) & (labels == SHOES)] = TROUSERS  # a wide leg hides half a shoe
    materials = Materials(labels, 5, COLOURS, np.zeros(len(labels), bool))
    before = np.full(len(labels), UNSEEN, np.int32)
    probability = propagate(materials, (labels != UNSEEN).astype(np.float32), before, surface)
    behind = feet & (labels == UNSEEN) & (height < 0.04)
    assert (probability.argmax(1)[behind] == SHOES).mean() > 0.9


def test_a_sole_that_is_seen_tells_nothing_of_the_shoe(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    sole, unseen = 5, np.isin(surface.part, FEET) & (labels == UNSEEN)
    down = vertex_normals(surface.template, surface.faces)[:, 1] < -0.8
    labels[np.isin(surface.part, FEET)] = UNSEEN
    left = surface.part == Part.LEFT_FOOT
    labels[left & down] = sole
    toes = left & ~down & (surface.template[:, 2] > np.quantile(surface.template[left, 2], 0.9))
    labels[toes] = SHOES
    assert surface.vertex_area[labels == sole].sum() > 2 * surface.vertex_area[toes].sum()
    materials = Materials(labels, 6, COLOURS[[*range(5), 0]], np.zeros(len(labels), bool))
    before = np.full(len(labels), UNSEEN, np.int32)
    found = propagate(materials, (labels != UNSEEN).astype(np.float32), before, surface).argmax(1)
    assert (found[unseen & ~down & (surface.part == Part.RIGHT_FOOT)] == SHOES).mean() > 0.8


def test_an_unseen_sleeve_is_that_of_the_other_arm(atlas: Atlas) -> None:
    surface = atlas.surface
    labels = dressed(surface)
    left = np.isin(surface.part, (Part.LEFT_ARM, Part.LEFT_HAND))
    labels[left] = UNSEEN
    materials = Materials(labels, 5, COLOURS, np.zeros(len(labels), bool))
    before = np.full(len(labels), UNSEEN, np.int32)
    found = propagate(materials, (labels != UNSEEN).astype(np.float32), before, surface).argmax(1)
    told = left & (labels[surface.mirror] != UNSEEN) & (surface.part != HANDS[0])
    assert (found[told] == labels[surface.mirror][told]).mean() > 0.9


@pytest.mark.parametrize(("chain", "hidden"), [(False, True), (True, False)])
def test_a_ponytail_beside_the_neck_is_not_painted_on_it(atlas: Atlas, chain: bool, hidden: bool) -> None:
    """A dark chain in front of the neck is."""
    surface = atlas.surface
    texels = np.arange(len(atlas.table), dtype=np.int32)
    corner = surface.faces[atlas.table.face, 0]
    place = surface.template[corner]
    chin = surface.template[surface.face_front, 1].min()
    neck = (surface.part[corner] == Part.HEAD) & ~surface.scalp[corner] & (place[:, 1] < chin)
    front = np.abs(place[:, 0]) < 0.02
    dark = neck & (front if chain else place[:, 0] > 0.03)
    colours = np.tile(COLOURS[SHIRT], (len(texels), 1))
    colours[surface.part[corner] == Part.HEAD] = COLOURS[SKIN]
    colours[surface.scalp[corner] | dark] = COLOURS[1]
    one = np.ones(len(texels), np.float32)
    cosine = np.where(front, 0.95, 0.3).astype(np.float32)
    projection = Projection(texels, colours.astype(np.float32), one, one, cosine, one)
    found = stray_hair(projection, COLOURS[SKIN], atlas)
    assert dark.sum() > 20
    assert (found[dark].mean() > 0.8) == hidden
    assert found[surface.part[corner] != Part.HEAD].max() == 0


@pytest.mark.parametrize("strapless", [False, True])
def test_a_dress_with_an_open_back_has_a_front(atlas: Atlas, strapless: bool) -> None:
    surface = atlas.surface
    height, behind = surface.template[:, 1], surface.template[:, 2] < np.median(surface.template[:, 2])
    labels = np.where(behind, SKIN, UNSEEN).astype(np.int32)
    trunk = surface.part == Part.TRUNK
    labels[trunk & behind & (height < -0.2)] = SHIRT
    if not strapless:
        labels[trunk & behind & (np.abs(surface.template[:, 0]) > 0.05) & (height > 0.05)] = SHIRT
    materials = Materials(labels, 5, COLOURS, np.zeros(len(labels), bool))
    nowhere = np.full(len(labels), UNSEEN)
    found = propagate(materials, behind.astype(np.float32), nowhere, surface).argmax(1)
    chest = (
        trunk
        & (surface.template[:, 2] > 0.08)
        & (np.abs(height - 0.05) < 0.06)
        & (np.abs(surface.template[:, 0]) < 0.1)
    )
    assert chest.sum() > 20
    assert (found[chest] == (SKIN if strapless else SHIRT)).mean() > 0.9
