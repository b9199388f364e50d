"""The light in a photo is found, and what is left is the same from all sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tests.texturing.conftest import Paint, Studio
from tests.texturing.test_material_map import striped_top_over_grey, with_skin
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import LUMA, linear_from_srgb, srgb_from_linear
from uvatar.protocol.even_light import evenly_lit
from uvatar.texturing import texture_person
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part

SIZE = 256
# Towards the light on the rest body, which faces the camera: from the person's left, above and in front.
SUN = np.array([0.75, 0.35, 0.55]) / np.linalg.norm([0.75, 0.35, 0.55])


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


def overall(rest: NDArray[Any]) -> NDArray[Any]:
    return with_skin(rest, np.broadcast_to([120.0, 80, 60], rest.shape))


def in_the_sun(paint: Paint, studio: Studio, sun: float = 0.75) -> Paint:
    """The paint under sun and sky; the body stands as it rests, so that places tell the normals."""
    data = studio.body.data
    normals = vertex_normals(data.v_template, data.faces)
    tree = cKDTree(data.v_template)

    def lit(rest: NDArray[Any]) -> NDArray[Any]:
        distance, near = tree.query(rest, 3)
        weight = 1 / np.maximum(distance, 1e-5)
        mixed = (normals[near] * (weight / weight.sum(1, keepdims=True))[..., None]).sum(1)
        light = 1 - sun + sun * np.clip((mixed @ SUN + 0.25) / 1.25, 0, 1)
        linear = linear_from_srgb(np.clip(paint(rest), 0, 255).astype(np.uint8)) * light[:, None] * 1.3
        return srgb_from_linear(linear).astype(float)

    return lit


def brightness(image: NDArray[np.uint8], atlas: Atlas) -> NDArray[np.float64]:
    """Natural log of the brightness of each texel."""
    colours = linear_from_srgb(image).reshape(-1, 3)[atlas.table.pixel]
    return np.log(np.maximum(colours @ LUMA, 2e-3))


def spread(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 90) - np.percentile(values, 10))


@pytest.mark.parametrize("paint", [overall, striped_top_over_grey])
def test_half_of_the_shade_is_gone_and_what_was_not_shaded_stays(
    studio: Studio, atlas: Atlas, paint: Callable[..., Any]
) -> None:
    texture = texture_person([studio.photograph(in_the_sun(paint, studio), side=800)], atlas)
    assert texture.light is not None
    rest = atlas.interpolate(atlas.surface.template)
    truth = np.log(linear_from_srgb(np.clip(paint(rest), 0, 255).astype(np.uint8)) @ LUMA)
    seen = (texture.source.ravel()[atlas.table.pixel] == 1) & (rest[:, 1] < 0.2)
    before = brightness(texture.image, atlas) - truth
    after = brightness(evenly_lit(texture.image, texture.light), atlas) - truth
    assert spread(before[seen]) > 0.6
    assert spread(after[seen]) < 0.6 * spread(before[seen])
    # Both halves of the trunk are alike now.
    on_trunk = seen & (atlas.of_first_vertex(atlas.surface.part) == Part.TRUNK)
    left, right = on_trunk & (rest[:, 0] > 0.05), on_trunk & (rest[:, 0] < -0.05)
    apart = [abs(np.median(one[left]) - np.median(one[right])) for one in (before, after)]
    assert apart[1] < 0.35 * apart[0]


def test_in_even_light_hardly_anything_changes(studio: Studio, atlas: Atlas) -> None:
    texture = texture_person([studio.photograph(striped_top_over_grey, side=800)], atlas)
    assert texture.light is not None
    change = brightness(evenly_lit(texture.image, texture.light), atlas) - brightness(texture.image, atlas)
    seen = texture.source.ravel()[atlas.table.pixel] == 1
    assert np.percentile(np.abs(change[seen]), 90) < 0.12


def test_in_haste_and_from_two_sides(studio: Studio, atlas: Atlas) -> None:
    paint = in_the_sun(overall, studio)
    views = [studio.photograph(paint, side=500), studio.photograph(paint, turn=180, side=500)]
    rest = atlas.interpolate(atlas.surface.template)
    truth = np.log(linear_from_srgb(np.clip(overall(rest), 0, 255).astype(np.uint8)) @ LUMA)
    for texture in (texture_person(views[:1], atlas, fast=True), texture_person(views, atlas)):
        assert texture.light is not None
        seen = (texture.source.ravel()[atlas.table.pixel] == 1) & (rest[:, 1] < 0.2)
        before = brightness(texture.image, atlas) - truth
        after = brightness(evenly_lit(texture.image, texture.light), atlas) - truth
        assert spread(after[seen]) < 0.75 * spread(before[seen])
    assert texture.normals is not None


def test_cloth_with_folds_gets_a_relief_and_prints_do_not(studio: Studio, atlas: Atlas) -> None:
    def folded(rest: NDArray[Any]) -> NDArray[Any]:
        folds = 1 + 0.12 * np.sin(2 * np.pi * rest[:, :1] / 0.03)
        return with_skin(rest, np.array([120.0, 80, 60]) * np.where(rest[:, 1:2] > -0.15, folds, 1.0))

    def slopes(paint: Callable[..., Any]) -> tuple[float, float]:
        texture = texture_person([studio.photograph(paint, side=900)], atlas)
        assert texture.normals is not None
        flat = texture.normals.reshape(-1, 3)[atlas.table.pixel].astype(float)[:, :2] - 128
        part = atlas.of_first_vertex(atlas.surface.part)
        seen = texture.source.ravel()[atlas.table.pixel] == 1
        size = np.linalg.norm(flat, axis=1)
        face = seen & (atlas.interpolate(atlas.surface.template)[:, 1] > 0.35)
        return float(size[seen & (part == Part.TRUNK)].mean()), float(size[face].mean())

    relief, face = slopes(folded)
    assert relief > 4 and face < 1
    assert slopes(striped_top_over_grey)[0] < 0.3 * relief
