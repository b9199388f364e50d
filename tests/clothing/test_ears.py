"""Ears on the open body: whole where they are seen, inside the hair where it covers them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clothing.test_offsets import CAMERA, clothing_model, coat, seen_as, silhouette, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.ears import Ear, ears_under_hair, find_ears, with_whole_ears
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.camera import Camera
from uvatar.data.face import BARE_SKIN
from uvatar.data.joints import Joint
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.geometry.adjacency import triangle_edges
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.mesh import unit
from uvatar.geometry.raster import rasterize

SKIN, HAIR = (205, 160, 135), (60, 40, 25)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def head_camera() -> Camera:
    """Sees the test body's head and shoulders large."""
    return replace(CAMERA, focal=4.5 * CAMERA.focal, center=(CAMERA.center[0], CAMERA.center[1] + 1000))


def hair(body: BodyModel, thickness: float) -> NDArray[np.float32]:
    """Rest-pose displacements (V, 3) of a cap of hair over head and ears; the face stays free."""
    data = body.data
    middle = data.landmark_template[7:9].mean(0)
    from_middle = data.v_template - middle
    outward = unit(from_middle * (1, 0.6, 1))
    amount = np.clip((from_middle[:, 1] + 0.05) / 0.04, 0, 1) * np.clip((0.04 - from_middle[:, 2]) / 0.04, 0, 1)
    amount = amount * (data.weights[:, Joint.HEAD] > 0.5)
    return (thickness * amount[:, None] * outward).astype(np.float32)


def edge_ratios(ear: Ear, offsets: NDArray[np.float32], body: BodyModel) -> NDArray[np.float64]:
    """(E,) lengths of the ear's edges with displacements, as shares of those without."""
    data = body.data
    own = np.zeros(len(data.v_template), bool)
    own[ear.vertices] = True
    edges = triangle_edges(data.faces[own[data.faces].all(1)])
    lengths = [np.linalg.norm(np.diff(some[edges], axis=1)[:, 0], axis=1)
               for some in (data.v_template + offsets, data.v_template)]  # fmt: skip
    ratios: NDArray[np.float64] = lengths[0] / lengths[1]
    return ratios


def test_ears_are_found_whole_on_both_sides(body: BodyModel) -> None:
    left, right = find_ears(body.data)
    assert set(body.data.mirror[left.vertices]) == set(right.vertices)
    size = np.ptp(body.data.v_template[left.vertices], axis=0)
    assert 0.05 < size[1] < 0.075  # metres: a human ear is 6 to 7 cm tall
    assert not set(left.vertices) & set(left.around)


def test_a_body_without_ears_has_none(body: BodyModel) -> None:
    smooth = np.array(body.data.v_template)
    for ear in find_ears(body.data):
        smooth += 1.0 / 0.92 * ear.flattened(smooth)
    assert find_ears(replace(body.data, v_template=smooth.astype(np.float32))) == ()


def test_seen_ears_keep_their_form(body: BodyModel) -> None:
    """A cap of hair widens the outline beside them; the ears move with the head as a whole."""
    fit, camera = standing(body, yaw=0), head_camera()
    mask = silhouette(body, fit, hair(body, 0.03), camera=camera)
    found = clothing_offsets(fit, seen_as(mask), camera, clothing_model(body))
    for ear in find_ears(body.data):
        assert np.abs(edge_ratios(ear, found, body) - 1).max() < 0.01
    assert mask_iou(silhouette(body, fit, found, camera=camera), mask) > 0.96


def test_ears_under_hair_lie_inside_it(body: BodyModel) -> None:
    fit, camera = standing(body, yaw=0), head_camera()
    mask = silhouette(body, fit, hair(body, 0.03), camera=camera)
    found = clothing_offsets(fit, seen_as(mask), camera, clothing_model(body), hair_on_ears=True)
    dressed = body.data.v_template + found
    for ear in find_ears(body.data):
        assert (ear.outward * dressed[ear.vertices, 0]).max() < (ear.outward * dressed[ear.around, 0]).max() + 0.004
    assert mask_iou(silhouette(body, fit, found, camera=camera), mask) > 0.96


def test_hair_that_lies_close_leaves_the_ears_whole(body: BodyModel) -> None:
    fit, camera = standing(body, yaw=0), head_camera()
    mask = silhouette(body, fit, camera=camera)
    found = clothing_offsets(fit, seen_as(mask), camera, clothing_model(body), hair_on_ears=True)
    for ear in find_ears(body.data):
        assert np.abs(edge_ratios(ear, found, body) - 1).max() < 0.01


def test_a_coat_leaves_ears_alone(body: BodyModel) -> None:
    fit = standing(body)
    mask = silhouette(body, fit, coat(body, 0.07))
    found = clothing_offsets(fit, seen_as(mask), CAMERA, clothing_model(body))
    for ear in find_ears(body.data):
        assert np.abs(edge_ratios(ear, found, body) - 1).max() < 0.01


@pytest.mark.parametrize("covered", [True, False])
def test_hair_over_ears_is_seen_by_its_colour(body: BodyModel, covered: bool) -> None:
    fit, camera = standing(body, yaw=0), head_camera()
    vertices, _ = body.posed(fit.body, fit.offsets)
    fragments = rasterize(vertices, body.data.faces, camera)
    above = body.data.v_template[:, 1] > body.data.landmark_template[2:6, 1].mean() + 0.05
    ears = find_ears(body.data)
    if covered:
        above[np.concatenate([ear.region for ear in ears])] = True
    pixels = np.full((camera.height, camera.width, 3), SKIN, np.uint8)
    corners = body.data.faces[np.maximum(fragments.face, 0)]
    pixels[fragments.mask & above[corners].any(-1)] = HAIR
    nose = np.argmax(np.where(body.data.weights[:, Joint.HEAD] > 0.5, body.data.v_template[:, 2], -1))
    face = np.zeros((478, 2), np.float32)
    face[BARE_SKIN] = camera.project(vertices[[nose]])
    photo = Photo(pixels, None, "")
    person = replace(seen_as(fragments.mask), face=face, face_score=1.0)
    assert ears_under_hair(View(photo, person, camera, fit), body, ears) == covered
    unseen = replace(person, face=None)
    assert not ears_under_hair(View(photo, unseen, camera, fit), body, ears)


def test_ears_keep_their_form_whatever_moves_the_head(body: BodyModel) -> None:
    """As the last move of the features onto the photo's does, which knows nothing of ears."""
    rest = body.data.v_template
    moves = 0.004 * np.sin(rest[:, [1, 2, 0]] * 100)
    ears = find_ears(body.data)
    moved = with_whole_ears(moves, rest, ears)
    own = np.concatenate([ear.vertices for ear in ears])
    assert all(np.abs(edge_ratios(ear, moved, body) - 1).max() < 0.001 for ear in ears)
    assert np.array_equal(np.delete(moved, own, 0), np.delete(moves, own, 0))
