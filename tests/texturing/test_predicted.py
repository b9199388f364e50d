"""Predicted texels beside photographed ones: without steps, in the picture and across UV seams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import SIZE, Studio
from uvatar.data.labels import Label
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.texturing import Texture, TexturingError, texture_person
from uvatar.texturing.completion.membrane import SeamSystem, neighbours, without_seams
from uvatar.texturing.layout.atlas import Atlas


def cloth(rest: NDArray[Any]) -> NDArray[Any]:
    """Colours that differ from limb to limb and wave finely: (N, 3) rest positions -> sRGB 0..255."""
    x, y, z = rest.T
    wave = 18 * np.sin(50 * y)
    return np.stack(
        [150 + 60 * np.sin(2 * y) + wave, 120 + 50 * np.cos(3 * y) + wave, 110 + 40 * np.abs(x) + 15 * z + wave], -1
    )


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return atlas_of(studio.body, SIZE)


@pytest.fixture(scope="module")
def truth(atlas: Atlas) -> NDArray[np.uint8]:
    """The painted body's own texture."""
    return atlas.table.picture(
        cloth(atlas.table.interpolate(atlas.surface.template, atlas.surface.faces)).round().astype(np.uint8)
    )


def test_neighbours_are_near_on_the_body_also_across_seams(atlas: Atlas) -> None:
    surface, table = atlas.surface, atlas.table
    pairs, seam = neighbours(atlas)
    place = table.interpolate(surface.template, surface.faces)
    apart = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
    rows, columns = np.divmod(table.pixel[pairs], SIZE)
    beside = np.abs(np.diff(rows)) + np.abs(np.diff(columns)) == 1
    assert beside[~seam].all() and beside[seam].mean() < 0.2
    assert seam.sum() > 500 and np.quantile(apart[seam], 0.99) < 0.03 and np.quantile(apart, 0.999) < 0.05
    assert len(np.unique(pairs)) > 0.99 * len(table)


def test_seams_are_closed_as_a_dense_solver_does(studio: Studio) -> None:
    atlas = atlas_of(studio.body, 64)
    count = len(atlas.table)
    colours = np.random.default_rng(0).random((count, 3)).astype(np.float32)
    got = without_seams(colours, SeamSystem.of(atlas))
    pairs, seam = neighbours(atlas)
    system, right = np.eye(count) / (0.07 * 64) ** 2, np.zeros((count, 3))
    for (a, b), across in zip(pairs, seam, strict=True):
        step = colours[b] - colours[a] if across else np.zeros(3)
        for own, other, sign in ((a, b, 1), (b, a, -1)):
            system[own, own] += 1
            system[own, other] -= 1
            right[own] += sign * step
    expected = colours + np.linalg.solve(system, right)
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.05 * np.sqrt(np.mean((expected - colours) ** 2))


def test_a_prediction_s_own_seams_are_closed(atlas: Atlas) -> None:
    """Colours of the UV plane, which know nothing of what touches on the body."""
    table = atlas.table
    rows, columns = np.divmod(table.pixel, SIZE)
    colours = np.column_stack([rows, columns, np.full_like(rows, SIZE // 2)]).astype(np.float32) / SIZE
    pairs, seam = neighbours(atlas)
    closed = without_seams(colours, SeamSystem.of(atlas))
    gap, before = (np.abs(values[pairs[seam, 0]] - values[pairs[seam, 1]]).max(1) for values in (closed, colours))
    assert np.median(before) > 0.1 and np.median(gap) < 0.1 * np.median(before)
    within = np.abs((closed - colours)[pairs[~seam, 0]] - (closed - colours)[pairs[~seam, 1]]).max(1)
    assert np.quantile(within, 0.95) < 0.05  # spread, so that no step is left inside
    np.testing.assert_allclose(closed[:, 2], 0.5, atol=1e-3)


def test_photo_texels_stay_and_the_rest_is_the_prediction_brought_to_them(
    studio: Studio, atlas: Atlas, truth: NDArray[Any]
) -> None:
    """A perfect prediction but for its light, which is off by another share in every part: nearer to the truth where
    the photo is near.
    """
    table, surface = atlas.table, atlas.surface
    light = np.array([0.6, 0.9, 0.7, 0.5, 0.8, 0.6, 0.75, 0.55, 0.9, 0.65])[surface.part[surface.faces[table.face, 0]]]
    dim = table.picture(srgb_from_linear(linear_from_srgb(truth.reshape(-1, 3)[table.pixel]) * light[:, None]))
    view = studio.photograph(cloth)
    projected, combined = (
        texture_person([view], atlas),
        texture_person([view], atlas, dim),
    )
    seen, unseen = combined.source == Label.SEEN, combined.source == Label.PREDICTED
    body = (table.scatter(surface.eye[surface.faces[table.face, 0]] == 0)) & (projected.source != Label.EMPTY)
    assert np.array_equal(seen & body, (projected.source == Label.SEEN) & body)
    moved = np.abs(combined.image[seen & body].astype(int) - projected.image[seen & body]).max(1)
    assert (moved == 0).mean() > 0.95 and moved.max() < 12  # only where the photo itself was blended in

    def error(image: NDArray[np.uint8]) -> float:
        return float(np.sqrt(np.mean((image[unseen & body].astype(float) - truth[unseen & body]) ** 2)))

    assert (unseen & body).sum() > 0.3 * body.sum()
    assert error(combined.image) < 0.85 * error(dim)
    exact = texture_person([view], atlas, truth)
    assert error(exact.image) < 0.2 * error(projected.image)  # and a prediction that is right stays what it is
    # no step where photo and prediction meet, on the body: as smooth there as the truth is
    labels, image = combined.source.ravel()[table.pixel], combined.image.reshape(-1, 3)[table.pixel].astype(float)
    pairs, _ = neighbours(atlas)
    known = np.isin(labels[pairs], (Label.SEEN, Label.PREDICTED)).all(1)
    border = pairs[known & (labels[pairs[:, 0]] != labels[pairs[:, 1]])]
    own = truth.reshape(-1, 3)[table.pixel].astype(float)
    step = np.abs((image[border[:, 0]] - image[border[:, 1]]) - (own[border[:, 0]] - own[border[:, 1]])).max(1)
    assert len(border) > 300 and np.median(step) < 8


def test_the_predictor_is_asked_with_what_the_product_makes_alone(
    studio: Studio, atlas: Atlas, truth: NDArray[Any]
) -> None:
    asked: list[Texture] = []

    def predict(completed: Texture) -> NDArray[np.uint8]:
        asked.append(completed)
        return truth

    view = studio.photograph(cloth)
    called, given, alone = (texture_person([view], atlas, prediction) for prediction in (predict, truth, None))
    np.testing.assert_array_equal(called.image, given.image)
    (completed,) = asked
    assert {Label.SEEN, Label.MIRRORED, Label.COMPLETED} <= set(np.unique(completed.source))
    same = completed.source == alone.source
    assert same.mean() > 0.99 and (completed.image[same] == alone.image[same]).all(1).mean() > 0.9  # but for the eyes
    mirrored = given.source.ravel()[atlas.table.pixel] == Label.MIRRORED
    on_ears = atlas.surface.ear[atlas.surface.faces[atlas.table.face]].any(1)
    assert not mirrored[~on_ears].any()  # an ear may be the other one's image


def test_the_prediction_alone(studio: Studio, truth: NDArray[Any], atlas: Atlas) -> None:
    alone = texture_person([studio.photograph(cloth)], atlas, truth, keep_photo=False)
    assert set(np.unique(alone.source)) == {Label.EMPTY, Label.PREDICTED}
    np.testing.assert_array_equal(alone.image, truth)


def test_a_prediction_of_another_size_is_refused(studio: Studio, atlas: Atlas, truth: NDArray[Any]) -> None:
    for predicted in (truth[::2, ::2], lambda partial: truth[::2, ::2]):
        with pytest.raises(TexturingError, match="predicted texture has shape"):
            texture_person([studio.photograph(cloth, side=128)], atlas, predicted)
