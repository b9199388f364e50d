"""Coats on drawn people: open in front where the photo surely shows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.clothing.test_offsets import CAMERA, clothing_model, silhouette, standing
from tests.clothing.test_skirt import KNEE, WAIST, in_skirt, tube
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.skirt.dressing import FoundSkirt, build_skirt, find_skirt, without_skirt
from uvatar.data.joints import Joint
from uvatar.data.view import View
from uvatar.geometry.raster import rasterize

COAT, TROUSERS, PANEL = (120, 40, 40), (40, 60, 120), (220, 210, 60)
HALF = 0.06  # metres from the coat's middle to its edges


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def in_coat(body: BodyModel, inside: tuple[int, int, int] | None = TROUSERS) -> View:
    """Somebody in trousers and a coat that shows a strip of the colour ``inside``, or is closed."""
    view = in_skirt(body, KNEE, 0.3)
    pelvis = body.posed(view.fit.body)[1][Joint.PELVIS]
    coat = rasterize(*tube(pelvis, WAIST, KNEE, (0.16, 0.3)), CAMERA)
    pixels = np.full_like(view.photo.pixels, 150)
    pixels[silhouette(body, standing(body))] = TROUSERS
    pixels[coat.mask] = COAT
    if inside is not None:
        columns = np.arange(CAMERA.width) + 0.5
        across = (columns - CAMERA.center[0]) / CAMERA.focal * coat.depth - pelvis[0]
        pixels[coat.mask & (np.abs(across) < HALF)] = inside
    return replace(view, photo=replace(view.photo, pixels=pixels))


def found_in(view: View, body: BodyModel) -> FoundSkirt:
    found, _ = find_skirt(view, body)
    assert found is not None
    return found


def test_an_open_coat_is_open_where_the_photo_shows_it(body: BodyModel) -> None:
    view = in_coat(body)
    found = found_in(view, body)
    opening = found.opening
    assert opening is not None
    assert (opening.high - opening.low) == pytest.approx(2 * HALF, abs=0.03)
    assert opening.s[-1] == pytest.approx(found.picture.s[found.rows.hem], abs=0.02)
    offsets = clothing_offsets(view.fit, without_skirt(view.person, found), view.camera, clothing_model(body))
    skirt, _, _ = build_skirt(found, view, body, offsets)
    assert skirt is not None and skirt.opening is not None
    row, left, right = skirt.opening
    # The edges of the cloth lie where the photo has them.
    grid = skirt.grid()
    pelvis = body.posed(view.fit.body)[1][Joint.PELVIS]
    for column, side in ((left, -1), (right, 1)):
        assert np.abs(grid[row + 1 :, column, 0] - pelvis[0] - side * HALF).max() < 0.015
    # Between them there is none, and what is inside belongs to the body.
    quads = np.arange((len(skirt.vertices) // skirt.columns - 1) * skirt.columns)
    assert len(skirt.quads) == len(quads) - (right - left) * (len(quads) // skirt.columns - row)
    x0, y0, x1, y1 = view.person.window
    coat = (view.photo.pixels == COAT).all(-1)[y0:y1, x0:x1]
    middle = round(float(view.camera.project(pelvis)[0])) - x0
    rows = np.flatnonzero(coat.any(1))[20:]
    assert (found.pixels[rows, middle] == 0).mean() > 0.9
    assert (found.pixels[coat] > 0).mean() > 0.9


def test_a_closed_coat_stays_closed(body: BodyModel) -> None:
    assert found_in(in_coat(body, None), body).opening is None


def test_a_panel_is_no_opening(body: BodyModel) -> None:
    """The legs below the hem have another colour."""
    assert found_in(in_coat(body, PANEL), body).opening is None
