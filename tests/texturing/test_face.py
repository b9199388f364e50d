"""The photo's face lands on the mesh's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.texturing.conftest import SIZE, Studio, plain
from uvatar.body.data import LEFT_EYE
from uvatar.body.face_points import load_correspondence
from uvatar.data.face import FACE_LANDMARKS, FaceLandmark
from uvatar.data.joints import Joint
from uvatar.runtime.weights import weights_folder
from uvatar.texturing import View
from uvatar.texturing.face import FaceSpline, face_offsets, face_shift
from uvatar.texturing.seen.visibility import compute_visibility

NOSE, CHIN = 4, 152  # the outermost points of the face mesh
CONTOUR = slice(FaceLandmark.RIGHT_IRIS)  # all points but the irises


def projected_face(studio: Studio, view: View) -> NDArray[np.float32]:
    """(478, 2) where the mesh's face points lie in the photo."""
    points = load_correspondence(weights_folder() / "face_correspondence.npz", studio.body)
    assert points is not None
    vertices, _ = studio.body.posed(view.fit.body, view.fit.offsets)
    face = np.zeros((FACE_LANDMARKS, 2), np.float32)
    face[points.index] = view.camera.project(points.at(vertices))
    return face


def with_face(view: View, face: NDArray[np.float32]) -> View:
    return replace(view, person=replace(view.person, face=face, face_score=1.0))


def spline_of(studio: Studio) -> FaceSpline | None:
    return FaceSpline.load(weights_folder(), studio.body)


def shift_of(studio: Studio, view: View) -> NDArray[np.float32]:
    surface = atlas_of(studio.body, SIZE).surface
    vertices, _ = studio.body.posed(view.fit.body, view.fit.offsets)
    return face_shift(view.person, compute_visibility(vertices, surface, view.person, view.camera), spline_of(studio))


@pytest.fixture(scope="module")
def view(studio: Studio) -> View:
    return studio.photograph(plain)


def test_the_correspondence_knows_nose_chin_and_sides(studio: Studio) -> None:
    points = load_correspondence(weights_folder() / "face_correspondence.npz", studio.body)
    assert points is not None
    place = dict(zip(points.index.tolist(), points.at(studio.body.data.v_template), strict=True))
    assert place[NOSE][2] == pytest.approx(max(p[2] for p in place.values()), abs=0.004)
    assert place[CHIN][1] == pytest.approx(min(p[1] for p in place.values()), abs=0.004)
    assert abs(place[NOSE][0]) < 0.002 and abs(place[CHIN][0]) < 0.002
    assert place[FaceLandmark.LEFT_EYE_OUTER][0] == pytest.approx(-place[FaceLandmark.RIGHT_EYE_OUTER][0], abs=0.002)
    eye = studio.body.data.v_template[studio.body.data.part == LEFT_EYE].mean(0)
    assert np.abs(place[FaceLandmark.LEFT_EYE_OUTER][:2] - eye[:2]).max() < 0.025


def test_a_face_beside_the_mesh_is_brought_onto_it(studio: Studio, view: View) -> None:
    face = projected_face(studio, view)
    moved = (face - face[CONTOUR].mean(0)) * 1.06 + face[CONTOUR].mean(0) + [3.0, -2.0]
    shift = shift_of(studio, with_face(view, moved.astype(np.float32)))
    points = load_correspondence(weights_folder() / "face_correspondence.npz", studio.body)
    assert points is not None
    found = points.at(shift)
    assert np.linalg.norm(found - (moved - face)[points.index], axis=1).max() < 1.0
    below = studio.body.data.v_template[:, 1] < 0.15
    assert not shift[below].any(), "only the head moves"


@pytest.mark.parametrize("wrong", ["far away", "tiny", "upside down"])
def test_a_face_that_cannot_be_this_one_moves_nothing(studio: Studio, view: View, wrong: str) -> None:
    face = projected_face(studio, view)
    middle = face[CONTOUR].mean(0)
    moved = {
        "far away": face + 200,
        "tiny": (face - middle) * 0.2 + middle,
        "upside down": (face - middle) * -1 + middle,
    }[wrong]
    assert not shift_of(studio, with_face(view, moved.astype(np.float32))).any()


def test_a_face_turned_away_moves_nothing(studio: Studio) -> None:
    side = studio.photograph(plain, turn=75)
    assert not shift_of(studio, with_face(side, projected_face(studio, side) + np.float32(2))).any()


def test_offsets_bring_the_mesh_onto_the_photo(studio: Studio) -> None:
    view = studio.photograph(plain, turn=20, pose={Joint.HEAD: (0.2, 0.1, 0.0), Joint.NECK: (0.1, 0.0, 0.1)})
    face = projected_face(studio, view)
    target = (face + [2.5, -1.5]).astype(np.float32)
    view = with_face(view, target)
    offsets = face_offsets(view.fit, view.person, view.camera, studio.body, spline_of(studio))
    clothed = replace(view, fit=replace(view.fit, offsets=view.fit.offsets + offsets))
    error = np.linalg.norm(projected_face(studio, clothed) - target, axis=1)[CONTOUR]
    assert np.median(error) < 0.3
    assert 0 < np.linalg.norm(offsets, axis=1).max() < 0.04
    assert not offsets[studio.body.data.v_template[:, 1] < 0.15].any()


def test_no_face_no_offsets(studio: Studio, view: View) -> None:
    assert not face_offsets(view.fit, view.person, view.camera, studio.body, spline_of(studio)).any()


def test_a_head_widened_by_hair_is_not_painted_with_the_skin_beside_it(studio: Studio, view: View) -> None:
    spline = spline_of(studio)
    assert spline is not None
    face = projected_face(studio, view)
    side = spline.correspondence.index[~spline.front]
    middle = face[CONTOUR].mean(0)
    narrow = face.copy()
    narrow[side] = (narrow[side] - middle) * [0.8, 1.0] + middle
    found = spline.correspondence.at(shift_of(studio, with_face(view, narrow.astype(np.float32))))
    assert np.abs(found).max() < 0.05 * np.abs(narrow - face).max()
