"""Sums over many texels or samples, made in one pass, are those of the plain formulation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import Studio, waves
from uvatar.photos.sampling import bilinear
from uvatar.texturing.completion.lowband import vertex_colours
from uvatar.texturing.seen.foreground import DEFAULT_SETTINGS, Foreground, cut_out, restored_detail

Colours = NDArray[np.float32]


def test_colours_at_vertices_are_weighted_means_of_the_texels_around(studio: Studio) -> None:
    atlas, rng = atlas_of(studio.body, 64), np.random.default_rng(0)
    texels = np.flatnonzero(rng.random(len(atlas.table)) < 0.5).astype(np.int32)
    colours, weights = (rng.random((len(texels), *shape), np.float32) for shape in ((3,), ()))
    colour, share = vertex_colours(colours, weights, texels, atlas)
    count = len(atlas.surface.template)
    sums, total = np.zeros((count, 3)), np.zeros(count)
    for texel, value, weight in zip(texels, colours, weights, strict=True):
        for vertex, part in zip(
            atlas.surface.faces[atlas.table.face[texel]], atlas.table.barycentric[texel], strict=True
        ):
            sums[vertex] += float(part) * float(weight) * value
            total[vertex] += float(part) * float(weight)
    known = total > 0
    assert known.any() and not known.all()
    assert np.allclose(colour[known], sums[known] / total[known, None], atol=1e-6) and not colour[~known].any()
    assert np.allclose(share, np.minimum(total / np.maximum(atlas.table.mass, 1e-9), 1), atol=1e-6)


def test_restored_detail_is_one_step_of_back_projection(studio: Studio) -> None:
    view = studio.photograph(waves, side=96)
    whole = np.full_like(view.person.mask, 255)
    whole[:6] = 0  # an edge, at which nothing is restored
    foreground = cut_out(view.photo, replace(view.person, mask=whole), 1.0)
    points = np.random.default_rng(1).uniform(-2, 98, (4000, 2)).astype(np.float32)
    footprint = np.where(np.arange(len(points)) % 5, 1.0, 3.0).astype(np.float32)
    sampled = foreground.sample(points, footprint)
    got = restored_detail(foreground, points, footprint, sampled)
    expected = plainly_restored(foreground, points, footprint, sampled)
    assert np.abs(got - expected).max() < 1e-5
    assert np.abs(got - sampled).max() > 1e-3 and np.array_equal(got[footprint > 2], sampled[footprint > 2])


def plainly_restored(foreground: Foreground, points: Colours, footprint: Colours, sampled: Colours) -> Colours:
    """Sample by sample and pixel by pixel."""
    picture = foreground.levels[0]
    height, width = picture.shape[:2]
    sums, weights = np.zeros((height, width, 3)), np.zeros((height, width))
    at = foreground.at(points)
    fine = footprint < DEFAULT_SETTINGS.restored
    for (x, y), colour in zip(at[fine] - np.float32(0.5), sampled[fine], strict=True):
        for row in (int(np.floor(y)), int(np.floor(y)) + 1):
            for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= row < height and 0 <= column < width:
                    part = (1 - abs(x - column)) * (1 - abs(y - row))
                    weights[row, column] += part
                    sums[row, column] += part * colour
    known = (weights > DEFAULT_SETTINGS.restored_weight) & (foreground.inside > DEFAULT_SETTINGS.least_rim)
    missing = np.where(known[..., None], picture - sums / np.maximum(weights, 1e-6)[..., None], 0).astype(np.float32)
    restored = sampled + bilinear(missing, at)
    column, row = np.clip(np.round(at - np.float32(0.5)).astype(int), 0, (width - 1, height - 1)).T
    around = np.ones((3, 3), np.uint8)
    least = np.minimum(cv2.erode(picture, around)[row, column], sampled)
    most = np.maximum(cv2.dilate(picture, around)[row, column], sampled)
    result: Colours = np.where(fine[:, None], np.clip(restored, least, most), sampled)
    return result


def test_values_at_texels_are_weighted_by_barycentric_coordinates(studio: Studio) -> None:
    atlas, rng = atlas_of(studio.body, 64), np.random.default_rng(2)
    table, faces, count = atlas.table, atlas.surface.faces, len(atlas.surface.template)
    chosen = (slice(None), slice(5, 99), rng.integers(0, len(table), 500), np.zeros(0, np.int64))
    for values in (rng.random(count, np.float32), rng.random((count, 4), np.float32), rng.random((count, 2))):
        for texels in chosen:
            plain = np.einsum("tk,tk...->t...", table.barycentric[texels], values[faces[table.face[texels]]])
            for got in (table.interpolate(values, faces, texels), table.interpolate_corners(values[faces], texels)):
                assert got.dtype == plain.dtype and got.shape == plain.shape and np.allclose(got, plain, atol=1e-7)
