"""The white of an eye is as the photo shows it, or, where the photo is too coarse, in the light of the face."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import Studio
from tests.texturing.test_face import projected_face, with_face
from uvatar.data.face import LEFT_IRIS, LEFT_LIDS, RIGHT_IRIS, RIGHT_LIDS
from uvatar.data.fit import BodyParameters
from uvatar.data.labels import Label
from uvatar.photos.colour import LUMA, linear_from_srgb
from uvatar.texturing import View, texture_person

SIZE = 512
SKIN, YELLOW, IRIS = (200, 150, 110), (190, 180, 100), (60, 40, 20)


def skin(rest: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(np.array(SKIN, np.float64), rest.shape)


class Lowered(Studio):
    """Takes pictures with the whole head in them."""

    def parameters(self, *arguments: Any, **named: Any) -> BodyParameters:
        return replace(super().parameters(*arguments, **named), transl=np.array([0, -0.05, 2.6], np.float32))


def looking(studio: Studio, side: int) -> View:
    """A person with yellow whites, in a photo of so many pixels."""
    view = Lowered(studio.body).photograph(skin, side=side)
    face, pixels = projected_face(studio, view), view.photo.pixels.copy()
    for lids, iris in ((LEFT_LIDS, LEFT_IRIS), (RIGHT_LIDS, RIGHT_IRIS)):
        middle, radius = face[lids].mean(0), 0.2 * float(np.ptp(face[lids][:, 0]))
        face[iris] = middle + radius * np.array([(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)], np.float32)
        # the photo's eyes are open wider than the mesh's, so that no lid is seen between those
        contour = middle + 1.3 * (face[lids] - middle)
        cv2.fillPoly(pixels, [np.round(contour).astype(np.int32)], YELLOW)
        cv2.circle(pixels, tuple(int(value) for value in np.round(middle)), round(radius), IRIS, -1)
    return with_face(replace(view, photo=replace(view.photo, pixels=pixels)), face)


def painted_white(studio: Studio, view: View | None) -> NDArray[np.float64]:
    """(3,) linear light: the brighter half of what is painted of the eyeballs, the median."""
    atlas = atlas_of(studio.body, SIZE)
    view = view or studio.photograph(skin)
    texture = texture_person([view], atlas)
    rows, columns = np.divmod(atlas.table.pixel[atlas.of_first_vertex(atlas.surface.eye) > 0], SIZE)
    painted = linear_from_srgb(texture.image[rows, columns][texture.source[rows, columns] == Label.COMPLETED])
    light = painted @ LUMA
    median: NDArray[np.float64] = np.median(painted[light >= np.median(light)], axis=0)
    return median


def hue(colour: NDArray[Any]) -> NDArray[Any]:
    return colour / (colour @ LUMA)


def test_the_white_is_the_photos_where_it_is_seen(studio: Studio) -> None:
    white = painted_white(studio, looking(studio, 1600))
    assert np.abs(hue(white) - hue(linear_from_srgb(np.array(YELLOW, np.uint8)))).max() < 0.15


def test_the_white_of_a_small_face_is_shaded_and_in_the_skins_light(studio: Studio) -> None:
    skin_light = linear_from_srgb(np.array(SKIN, np.uint8))
    small, unknown = painted_white(studio, looking(studio, 640)), painted_white(studio, None)
    assert np.ptp(hue(unknown)) < 0.05 < 0.3 < np.ptp(hue(small)) < np.ptp(hue(skin_light))
    assert (np.diff(small) < 0).all(), "red, green, blue, as in the skin"
    assert small @ LUMA < skin_light @ LUMA < unknown @ LUMA
