"""Texturing as a user sees it: paint a body, photograph it, texture it, compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import SIZE, Studio, plain, waves
from uvatar.data.joints import Joint
from uvatar.data.labels import Label
from uvatar.data.landmarks import Landmark
from uvatar.texturing import Atlases, Texture, TexturingError, texture_person

FOREARM_BEFORE_TRUNK = {Joint.LEFT_SHOULDER: (0.0, -0.9, -1.1), Joint.LEFT_ELBOW: (0.0, -1.9, 0.0)}
LEFT_ELBOW = 0.44


def decibels(difference: NDArray[Any]) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(difference.astype(float)))))


def eye_texels(studio: Studio) -> NDArray[Any]:
    """(N, N) the rectangles of the picture that hold the eyeballs."""
    data, chosen = studio.body.data, np.zeros((SIZE, SIZE), bool)
    for eye in (1, 2):
        uv = data.uv[data.face_uv[data.part[data.faces[:, 0]] == eye]].reshape(-1, 2) * SIZE
        low, high = np.floor(uv.min(0)).astype(int) - 1, np.ceil(uv.max(0)).astype(int) + 1
        chosen[SIZE - high[1] : SIZE - low[1], low[0] : high[0]] = True
    return chosen


@pytest.fixture(scope="module")
def front(studio: Studio) -> Texture:
    return texture_person([studio.photograph(waves)], atlas_of(studio.body, SIZE))


def test_seen_texels_carry_the_photographed_colours(
    front: Texture, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    rest, _ = rest_of_texel
    seen = front.source == Label.SEEN
    assert seen.mean() > 0.2
    assert decibels(front.image[seen] - waves(rest[seen])) > 27


def test_labels_say_which_side_was_seen(front: Texture, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rest, filled = rest_of_texel
    assert ((front.source != Label.EMPTY) == filled).mean() > 0.998
    trunk = filled & (np.abs(rest[..., 0]) < 0.08) & (rest[..., 1] > -0.2) & (rest[..., 1] < 0.1)
    depth = rest[..., 2] - 0.5 * (rest[trunk][:, 2].min() + rest[trunk][:, 2].max())
    assert (front.source[trunk & (depth > 0.03)] == Label.SEEN).mean() > 0.98
    assert not (front.source[trunk & (depth < -0.03)] == Label.SEEN).any()


def test_what_is_not_seen_continues_the_colours_of_the_same_height(
    studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    def bands(rest: NDArray[Any]) -> NDArray[Any]:
        return np.where(rest[:, 1:2] > -0.25, [200.0, 60.0, 60.0], [50.0, 60.0, 160.0])

    texture = texture_person([studio.photograph(bands)], atlas_of(studio.body, SIZE))
    rest, filled = rest_of_texel
    far = filled & (texture.source == Label.COMPLETED) & (np.abs(rest[..., 0]) < 0.15)
    far &= (np.abs(rest[..., 1] + 0.25) > 0.12) & (rest[..., 1] < 0.1) & (rest[..., 1] > -0.9)
    assert far.sum() > 1000
    assert np.abs(texture.image[far] - bands(rest[far])).mean() < 20


def test_nothing_is_black_and_gutters_are_filled(front: Texture, studio: Studio) -> None:
    pupils = eye_texels(studio)
    assert front.image[~pupils].max(1).min() > 20


def test_colours_do_not_step_at_uv_seams(studio: Studio) -> None:
    """The same vertex, looked up at its places on several UV islands, has the same colour."""
    texture = texture_person([studio.photograph(waves, turn=25)], atlas_of(studio.body, SIZE))
    data = studio.body.data
    pairs = np.unique(np.column_stack([data.faces.ravel(), data.face_uv.ravel()]), axis=0)
    order = np.flatnonzero(np.diff(pairs[:, 0]) == 0)
    first, second = data.uv[pairs[order, 1]], data.uv[pairs[order + 1, 1]]

    def look_up(uv: NDArray[Any]) -> NDArray[Any]:
        column, row = np.clip((uv * SIZE).astype(int), 0, SIZE - 1).T
        return texture.image[SIZE - 1 - row, column].astype(float)

    steps = np.abs(look_up(first) - look_up(second)).mean(1)
    assert len(steps) > 500
    assert np.median(steps) < 6
    assert np.percentile(steps, 95) < 30


def test_an_arm_before_the_trunk_leaves_no_ghost(
    studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    def red_arms(rest: NDArray[Any]) -> NDArray[Any]:
        return np.where(np.abs(rest[:, :1]) > 0.24, [220.0, 30.0, 30.0], [40.0, 60.0, 190.0])

    view = studio.photograph(red_arms, pose=FOREARM_BEFORE_TRUNK)
    elbow, wrist = (view.person.landmarks[place, :2] for place in (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST))
    assert view.photo.pixels[tuple(((elbow + wrist) / 2).astype(int)[::-1])][0] > 150, (
        "the forearm is not in the picture"
    )
    # fits are never exact: the body is fitted two centimetres beside the photographed one
    shifted = replace(view.fit.body, transl=view.fit.body.transl + np.array([0.02, 0.01, 0], np.float32))
    texture = texture_person([replace(view, fit=replace(view.fit, body=shifted))], atlas_of(studio.body, SIZE))
    rest, filled = rest_of_texel
    trunk = filled & (np.abs(rest[..., 0]) < 0.13) & (rest[..., 1] < 0.12) & (rest[..., 1] > -0.25)
    redness = texture.image[..., 0].astype(int) - texture.image[..., 2]
    assert trunk.sum() > 2000
    assert (redness[trunk] > 0).mean() < 0.005
    hidden = trunk & (texture.source != Label.SEEN) & (rest[..., 2] > 0.12)
    assert hidden.sum() > 50, "the forearm hides part of the trunk"


def test_the_hidden_side_is_mirrored_where_both_sides_look_alike(
    studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    texture = texture_person([studio.photograph(waves, turn=60)], atlas_of(studio.body, SIZE))
    rest, _ = rest_of_texel
    mirrored = texture.source == Label.MIRRORED
    assert mirrored.mean() > 0.05
    assert decibels(texture.image[mirrored] - waves(rest[mirrored])) > 20


def test_a_side_that_looks_different_is_not_mirrored(
    studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    def two_halves(rest: NDArray[Any]) -> NDArray[Any]:
        return np.where(rest[:, :1] > 0, [200.0, 50.0, 50.0], [50.0, 170.0, 60.0])

    texture = texture_person([studio.photograph(two_halves, turn=35)], atlas_of(studio.body, SIZE))
    rest, filled = rest_of_texel
    legs = filled & (rest[..., 1] < -0.45)
    assert not (texture.source[legs] == Label.MIRRORED).any()
    wrong = np.where(
        rest[..., 0] > 0, texture.image[..., 1] > texture.image[..., 0], texture.image[..., 0] > texture.image[..., 1]
    )
    assert wrong[legs].mean() < 0.06


def test_two_photos_merge(studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rest, filled = rest_of_texel
    views = [studio.photograph(waves), studio.photograph(waves, turn=180, gain=0.8)]
    alone = [texture_person([view], atlas_of(studio.body, SIZE)) for view in views]
    both = texture_person(views, atlas_of(studio.body, SIZE))
    shares = [(texture.source[filled] == Label.SEEN).mean() for texture in (*alone, both)]
    assert shares[2] > max(shares[:2]) + 0.25
    seen = both.source == Label.SEEN
    assert decibels(both.image[seen] - waves(rest[seen])) > 22


def test_the_background_does_not_tint_the_outline(studio: Studio) -> None:
    view = studio.photograph(plain, background=(0, 255, 0))
    # the mask is a pixel too large, as masks are at best
    grown = np.pad(view.person.mask, 1, mode="edge")
    grown = np.max([grown[i : i + 640, j : j + 640] for i in range(3) for j in range(3)], axis=0)
    texture = texture_person([replace(view, person=replace(view.person, mask=grown))], atlas_of(studio.body, SIZE))
    seen = (texture.source == Label.SEEN) | (texture.source == Label.MIRRORED)
    green = texture.image[..., 1].astype(int) - texture.image[..., 2]
    assert (green[seen] > -60).mean() < 0.035
    assert (green[seen] > 40).mean() < 0.001


def test_other_people_are_never_sampled(studio: Studio) -> None:
    view = studio.photograph(plain)
    pixels, others, mask = view.photo.pixels.copy(), view.person.others.copy(), view.person.mask.copy()
    pixels[300:420, 200:440], others[300:420, 200:440], mask[300:420, 200:440] = (255, 0, 0), 255, 0
    view = replace(
        view, photo=replace(view.photo, pixels=pixels), person=replace(view.person, others=others, mask=mask)
    )
    texture = texture_person([view], atlas_of(studio.body, SIZE))
    redness = texture.image[..., 0].astype(int) - texture.image[..., 1]
    assert redness.max() < 120


def test_a_grey_photo_gives_a_grey_texture(studio: Studio) -> None:
    view = studio.photograph(lambda rest: np.repeat(waves(rest)[:, :1], 3, axis=1))
    texture = texture_person([view], atlas_of(studio.body, SIZE))
    assert np.ptp(texture.image.astype(int), axis=-1).max() <= 2


def test_eyes_are_eyes_even_where_no_face_is_known(front: Texture, studio: Studio) -> None:
    ball = front.image[eye_texels(studio) & (front.source != Label.EMPTY)].astype(int)
    luma = ball.mean(-1)
    assert luma.max() > 120 and luma.min() < 60
    assert np.ptp(ball, axis=-1)[luma > 140].max() < 12, "the white of the eye has no colour"


def test_a_predicted_texture_completes_and_is_tinted_to_the_person(
    studio: Studio, rest_of_texel: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    rest, filled = rest_of_texel
    stripes = np.zeros((SIZE, SIZE, 3), np.uint8)
    stripes[filled] = np.where(np.sin(60 * rest[filled][:, 1:2]) > 0, 180, 90)
    texture = texture_person([studio.photograph(waves)], atlas_of(studio.body, SIZE), predicted=stripes)
    assert (texture.source[filled] == Label.PREDICTED).mean() > 0.3
    back = (
        (texture.source == Label.PREDICTED)
        & (np.abs(rest[..., 0]) < 0.1)
        & (np.abs(rest[..., 1] + 0.05) < 0.15)
        & (rest[..., 2] < 0.02)
    )
    bright = stripes[..., 0] > 128
    assert texture.image[back & bright].mean() > texture.image[back & ~bright].mean() + 15


@pytest.mark.parametrize("size", [0, 8, 10_000])
def test_unusable_sizes_are_refused(studio: Studio, size: int) -> None:
    with pytest.raises(TexturingError, match="size"):
        Atlases(studio.body).at(size)


def test_no_photo_is_refused(studio: Studio) -> None:
    with pytest.raises(TexturingError, match="photo"):
        texture_person([], atlas_of(studio.body, SIZE))


def test_a_garment_s_hem_is_as_sharp_on_the_back_as_its_slices_are(studio: Studio) -> None:
    """White above, black below the hips' middle, seen from the front alone: from one to the other within a few
    centimetres all round.
    """
    hem = float(studio.body.data.joint_template[0][1]) - 0.05

    def clothes(rest: NDArray[Any]) -> NDArray[Any]:
        return np.where(rest[:, 1:2] > hem, 230.0, 25.0).repeat(3, 1)

    atlas = atlas_of(studio.body, SIZE)
    table, surface = atlas.table, atlas.surface
    texture = texture_person([studio.photograph(clothes)], atlas_of(studio.body, SIZE))
    place = table.interpolate(surface.template, surface.faces)
    behind = (place[:, 2] < surface.template[:, 2].mean() - 0.03) & (np.abs(place[:, 0]) < 0.12)
    middle = behind & (np.abs(place[:, 1] - hem) < 0.15) & (texture.source.ravel()[table.pixel] == Label.COMPLETED)
    brightness = texture.image.reshape(-1, 3)[table.pixel].mean(1)
    between = middle & (brightness > 60) & (brightness < 200)
    assert middle.sum() > 300
    assert between.sum() / middle.sum() < 0.12
