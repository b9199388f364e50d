"""What is between the lips in a photo is on the inside of the avatar's mouth, and not on its lips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import Studio, plain
from tests.texturing.test_face import projected_face, spline_of, with_face
from uvatar.body import BodyModel, load_open_body
from uvatar.data.face import FACE_LANDMARKS, INNER_LIPS, LIPS, FaceLandmark
from uvatar.data.fit import BodyParameters
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.results.preview import render_textured
from uvatar.texturing import View, texture_person
from uvatar.texturing.face import FaceSpline
from uvatar.texturing.layout.atlas import Atlas

SIDE, SIZE = 1600, 512
TEETH = (255, 255, 255)
IRISES = slice(FaceLandmark.RIGHT_IRIS, FACE_LANDMARKS)


class Talking(Studio):
    """The body with an open mouth."""

    def parameters(self, *arguments: Any, **options: Any) -> BodyParameters:
        expression = np.array([0.4 * (name == "jawOpen") for name in EXPRESSIONS], np.float32)
        return replace(super().parameters(*arguments, **options), expression=expression)


def whole_face(studio: Studio, view: View) -> NDArray[np.float32]:
    """(478, 2) the face's points, irises in the face's middle."""
    face = projected_face(studio, view)
    face[IRISES] = face[: IRISES.start].mean(0)
    return face


@pytest.fixture(scope="module")
def talking() -> Talking:
    return Talking(load_open_body())


@pytest.fixture(scope="module")
def view(talking: Talking) -> View:
    """A blue person who shows white teeth; the photo's mouth is opened two pixels wider than the mesh's."""
    view = talking.photograph(plain, side=SIDE)
    face = whole_face(talking, view)
    for upper, lower in LIPS:
        face[upper, 1] -= 1
        face[lower, 1] += 1
    pixels = view.photo.pixels.copy()
    cv2.fillPoly(pixels, [np.round(face[INNER_LIPS]).astype(np.int32)], TEETH)
    return with_face(replace(view, photo=replace(view.photo, pixels=pixels)), face)


@pytest.fixture(scope="module")
def atlas(talking: Talking) -> Atlas:
    return atlas_of(talking.body, SIZE)


@pytest.fixture(scope="module")
def spline(talking: Talking) -> FaceSpline:
    spline = spline_of(talking)
    assert spline is not None
    return spline


@pytest.fixture(scope="module")
def texture(view: View, atlas: Atlas, spline: FaceSpline) -> NDArray[np.uint8]:
    return texture_person([view], atlas, face=spline).image


def on_lips(texture: NDArray[np.uint8], atlas: Atlas, spline: FaceSpline) -> NDArray[np.float64]:
    """Red (N,) of the texels on the outside of the mouth and around it: 60 on blue skin, 255 on teeth."""
    texels = spline.mouth.outside[atlas.surface.faces].all(1)[atlas.table.face] & (
        atlas.surface.eye[atlas.surface.faces[atlas.table.face, 0]] == 0
    )
    return texture.reshape(-1, 3)[atlas.table.pixel[texels], 0].astype(float)


def test_lips_have_no_teeth_on_them(texture: NDArray[np.uint8], view: View, atlas: Atlas, spline: FaceSpline) -> None:
    unaware = texture_person([replace(view, person=replace(view.person, face=None))], atlas, face=spline).image
    before, after = ((on_lips(image, atlas, spline) > 100).sum() for image in (unaware, texture))
    assert before > 50
    assert after < 0.1 * before


def test_a_body_without_teeth_shows_the_photos_in_its_own_view(
    view: View, talking: Talking, spline: FaceSpline
) -> None:
    """The open body has teeth and flesh of its own; official SMPL has neither."""
    assert view.person.face is not None
    toothless = BodyModel(replace(talking.body.data, mouth=None))
    texture = texture_person([view], atlas_of(toothless, SIZE), face=spline).image
    x, y = np.round(view.person.face[INNER_LIPS].mean(0)).astype(int)
    camera = view.camera.cropped((x - 100, y - 100, x + 100, y + 100))
    vertices, _ = talking.body.posed(view.fit.body, view.fit.offsets)
    image = render_textured(vertices, talking.body.data, texture, camera).image
    assert image[98:103, 98:103].min() > 200


def test_a_closed_mouth_is_left_as_the_photo_shows_it(studio: Studio, atlas: Atlas, spline: FaceSpline) -> None:
    closed = studio.photograph(plain, side=SIDE)
    face = whole_face(studio, closed)
    pixels = closed.photo.pixels.copy()
    line = [np.round(face[[78, 14, 308]]).astype(np.int32)]
    cv2.polylines(pixels, line, False, (0, 0, 0), 2)
    closed = replace(closed, photo=replace(closed.photo, pixels=pixels))
    image = texture_person([with_face(closed, face)], atlas, face=spline).image
    assert on_lips(image, atlas, spline).min() < 20
