"""The steps of texturing by themselves, against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.atlases import atlas_of
from tests.texturing.conftest import SIZE, Studio, plain
from uvatar.data.joints import HIP_JOINTS
from uvatar.data.labels import Label
from uvatar.data.landmarks import Landmark
from uvatar.data.person import Hand
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.texturing import texture_person
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.layout.texels import build_texel_table
from uvatar.texturing.seen.foreground import cut_out
from uvatar.texturing.seen.visibility import compute_visibility


def test_srgb_survives_the_round_trip_and_follows_its_standard() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert (srgb_from_linear(linear_from_srgb(codes)) == codes).all()
    assert linear_from_srgb(np.array(188, np.uint8)) == pytest.approx(0.5029, abs=1e-3)


@pytest.mark.parametrize("winding", [[0, 1, 2], [0, 2, 1]])
def test_texels_of_a_triangle(winding: list[int]) -> None:
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    table = build_texel_table(uv, np.array([winding]), np.array([winding]), 3, 16)
    row, column = np.divmod(table.pixel, 16)
    u, v = (column + 0.5) / 16, 1 - (row + 0.5) / 16
    assert np.allclose(
        table.interpolate(uv.astype(np.float32), np.array([winding])), np.column_stack([u, v]), atol=1e-5
    )
    assert (u + v <= 1 + 1e-6).all() and len(table) >= 16 * 15 // 2
    assert table.mass.sum() == pytest.approx(len(table), rel=1e-4)


def test_gutters_show_the_nearest_texel() -> None:
    uv = np.array([[0.1, 0.1], [0.4, 0.1], [0.4, 0.9], [0.1, 0.9], [0.8, 0.1], [0.9, 0.1], [0.9, 0.9], [0.8, 0.9]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    table = build_texel_table(uv, faces, faces, 8, 64)
    left = (table.face < 2).astype(np.float32)
    picture = table.picture(left)
    assert (picture[:, :37] == 1).all() and (picture[:, 40:] == 0).all()


def test_reductions_average_and_do_not_alias(studio: Studio) -> None:
    view = studio.photograph(plain, side=128)
    board = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)
    photo = replace(view.photo, pixels=np.repeat(board[..., None], 3, -1))
    foreground = cut_out(photo, replace(view.person, mask=np.full((128, 128), 255, np.uint8)), 1.0)
    points = np.random.default_rng(0).uniform(20, 100, (200, 2)).astype(np.float32)
    assert np.allclose(foreground.sample(points, 4.0), 0.5, atol=0.02)
    centres = np.floor(points) + np.float32(0.5)
    sharp = foreground.sample(centres, 1.0)[:, 0]
    assert np.allclose(sharp, board[tuple(np.floor(points).astype(int).T[::-1])] / 255, atol=1e-4)


def test_outside_the_person_the_outline_goes_on(studio: Studio) -> None:
    view = studio.photograph(plain, background=(255, 0, 0), side=256)
    foreground = cut_out(view.photo, view.person, 1.0)
    for footprint in (1.0, 4.0, 16.0):
        everywhere = (
            np.stack(np.meshgrid(np.arange(5.0, 250, 7), np.arange(5.0, 250, 7)), -1).reshape(-1, 2).astype(np.float32)
        )
        colours = srgb_from_linear(foreground.sample(everywhere, footprint)).astype(int)
        assert (colours[:, 2] > colours[:, 0] + 60).all()


def test_depth_inside_counts_pixels_to_the_outline(studio: Studio) -> None:
    view = studio.photograph(plain, side=64)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:50, 20:40] = 255
    foreground = cut_out(view.photo, replace(view.person, mask=mask), 1.0)
    found = foreground.depth_inside(np.array([[22.5, 30.5], [30.5, 30.5], [10.5, 30.5], [-10.5, 30.5]], np.float32))
    assert found[0] == pytest.approx(3, abs=1) and found[1] == pytest.approx(10, abs=1)
    assert found[2] == pytest.approx(-10, abs=1) and found[3] < -20


def test_hand_texels_are_trusted_only_where_the_photo_shows_the_hand(studio: Studio) -> None:
    view = studio.photograph(plain)
    surface = atlas_of(studio.body, SIZE).surface
    vertices, _ = studio.body.posed(view.fit.body)
    own = surface.part == Part.LEFT_HAND
    wrist, tip = (view.person.landmarks[place, :2] for place in (Landmark.LEFT_WRIST, Landmark.LEFT_INDEX))
    along, across = (tip - wrist) * 1.5, (tip - wrist)[::-1] * [-0.5, 0.5]
    fingers = [
        along * reach + across * spread for spread in (1.2, 0.6, 0.2, -0.2, -0.6) for reach in (0.4, 0.6, 0.8, 1.0)
    ]
    there = np.stack([np.zeros(2), *fingers]) + wrist
    trusts = []
    for points in (there, there + [0, 150]):
        person = replace(view.person, left_hand=Hand(points.astype(np.float32), np.zeros((21, 3), np.float32), 0.9))
        trusts.append(compute_visibility(vertices, surface, person, view.camera).trust_at(vertices[own]).mean())
    assert trusts[0] > trusts[1] + 0.2
    assert trusts[1] < 0.1


def test_the_trunk_is_trusted_where_nothing_is_before_it(studio: Studio) -> None:
    view = studio.photograph(plain)
    surface = atlas_of(studio.body, SIZE).surface
    vertices, _ = studio.body.posed(view.fit.body)
    visibility = compute_visibility(vertices, surface, view.person, view.camera)
    front = (surface.part == Part.TRUNK) & (visibility.cosine > 0.7) & (np.abs(surface.template[:, 0]) < 0.1)
    assert visibility.trust_at(vertices[front]).min() > 0.99


def test_mirrored_places_are_mirrored(studio: Studio) -> None:
    """The mirror image's place in the UV plane belongs to a texel with the mirrored rest position."""
    atlas = atlas_of(studio.body, SIZE)
    surface, table = atlas.surface, atlas.table
    centre = surface.mirror_uv.mean(1)
    column, row = np.clip((centre * SIZE).astype(int), 0, SIZE - 1).T
    texel = table.source[(SIZE - 1 - row) * SIZE + column]
    rest = table.interpolate(surface.template, surface.faces)[texel]
    expected = surface.template[surface.faces].mean(1) * [-1, 1, 1]
    assert np.percentile(np.linalg.norm(rest - expected, axis=1), 99) < 0.02


def test_in_a_close_up_the_legs_may_be_behind_the_camera(studio: Studio) -> None:
    view = studio.photograph(plain)
    lying = studio.parameters(pose=dict.fromkeys(HIP_JOINTS, (-1.57, 0, 0)))
    fit = replace(view.fit, body=replace(lying, transl=np.array([0, 0.3, 0.6], np.float32)))
    assert studio.body.posed(fit.body)[0][:, 2].min() < 0
    texture = texture_person([replace(view, fit=fit)], atlas_of(studio.body, SIZE))
    assert np.isin(texture.source, (Label.SEEN, Label.MIRRORED, Label.COMPLETED, Label.EMPTY)).all()
    assert (texture.source == Label.SEEN).any()


def test_bodies_behind_the_camera_are_refused(studio: Studio) -> None:
    view = studio.photograph(plain)
    vertices, _ = studio.body.posed(view.fit.body)
    with pytest.raises(ValueError, match="camera"):
        compute_visibility(
            vertices - np.array([0, 0, 5], np.float32), atlas_of(studio.body, SIZE).surface, view.person, view.camera
        )
