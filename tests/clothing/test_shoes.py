"""Shoes: their form on the body, and when a person wears which, on drawn people whose feet are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clothing.test_offsets import CAMERA, seen_as, spoilt_quads, standing
from uvatar.body import BodyError, BodyModel, load_open_body
from uvatar.clothing.model import prepare_clothing
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.shoes import SHOE_FILE, Shoes, load_shoes, shoe_offsets
from uvatar.data.camera import Camera
from uvatar.data.joints import Joint
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.geometry.adjacency import triangle_edges
from uvatar.geometry.mesh import face_normals, unit
from uvatar.geometry.raster import rasterize
from uvatar.runtime.weights import weights_folder

KINDS = ("trainer", "flat", "boot", "heel")
PALE, DARK = (205, 160, 138), (96, 62, 46)  # sRGB of two people's skin
BLACK, BROWN, WHITE, RED = (25, 25, 28), (150, 78, 40), (235, 235, 238), (160, 30, 30)  # of shoes


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def shoes(body: BodyModel) -> Shoes:
    found = load_shoes(body.data)
    assert found is not None and set(found.names) == set(KINDS)
    return found


def worn(shoes: Shoes, kind: str) -> NDArray[np.float32]:
    return shoes.offsets[shoes.names.index(kind)]


def toes_from_below(body: BodyModel, shoes: Shoes, vertices: NDArray[Any]) -> float:
    """Share that the front 7 cm of the left foot fill of their convex outline, seen from far below."""
    own = shoes.feet & (body.data.v_template[:, 0] > 0)
    faces = body.data.faces[own[body.data.faces].all(1)]
    place = vertices - [vertices[own, 0].mean(), 0, vertices[own, 2].max() - 0.08]
    seen = np.stack([place[:, 0], place[:, 2], place[:, 1] + 20], 1).astype(np.float32)
    mask = rasterize(seen, faces, Camera(20 * 2500, (200.0, 200.0), 400, 400)).mask
    mask = mask[225:]  # 1 cm before the picture's middle
    points = np.argwhere(mask).astype(np.int32)
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points[:, ::-1].copy()), (1,))
    return float(mask.sum() / hull.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_a_shod_foot_has_no_toes(body: BodyModel, shoes: Shoes, kind: str) -> None:
    template = body.data.v_template
    assert toes_from_below(body, shoes, template) < 0.93
    assert toes_from_below(body, shoes, template + worn(shoes, kind)) > 0.96


@pytest.mark.parametrize("kind", KINDS)
def test_shoes_have_a_sole_and_stay_on_the_feet(body: BodyModel, shoes: Shoes, kind: str) -> None:
    offsets = worn(shoes, kind)
    shod = body.data.v_template + offsets
    lower = body.data.v_template[:, 1].min() - shod[:, 1].min()
    assert 0.01 < lower < 0.05
    # Under the ball of the foot the sole is flat: the middle third of its width is at one height.
    ball = shoes.feet & (shod[:, 0] > 0) & (np.abs(shoes.along - 0.68) < 0.06)
    sole = ball & (shod[:, 1] < shod[ball, 1].min() + 0.012)
    middle = np.abs(shod[:, 0] - shod[sole, 0].mean()) < 0.3 * np.ptp(shod[sole, 0])
    assert np.ptp(shod[sole & middle, 1]) < 0.008
    assert not offsets[shoes.height > 0.3].any()
    assert np.abs(offsets[body.data.mirror] * [-1, 1, 1] - offsets).max() < 2e-3


@pytest.mark.parametrize("kind", KINDS)
def test_shoes_fold_no_quad(body: BodyModel, shoes: Shoes, kind: str) -> None:
    halves = body.data.faces.reshape(-1, 2, 3)
    normals = unit(face_normals(body.data.v_template + worn(shoes, kind), halves))
    bare = unit(face_normals(body.data.v_template, halves))
    folded = ((normals[:, 0] * normals[:, 1]).sum(1) < 0.1) & ((bare[:, 0] * bare[:, 1]).sum(1) > 0.1)
    assert not folded.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("angles", [(0.6, 0.0), (-0.6, 0.4), (0.3, -0.5)])
def test_a_posed_shoe_does_not_tear(body: BodyModel, shoes: Shoes, kind: str, angles: tuple[float, float]) -> None:
    """Ankle and ball of the foot bend: no edge of the foot grows by much, and no quad folds."""
    pose = np.zeros((23, 3), np.float32)
    pose[Joint.LEFT_ANKLE - 1, 0], pose[Joint.LEFT_FOOT - 1, 0] = angles
    parameters = replace(standing(body).body, body_pose=pose)
    shod = body.data.v_template + worn(shoes, kind)
    posed = body.posed(parameters, worn(shoes, kind))[0]
    edges = triangle_edges(body.data.faces)
    edges = edges[shoes.feet[edges].all(1)]
    before, after = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (shod, posed))
    assert (after - before).max() < 0.01
    halves = body.data.faces.reshape(-1, 2, 3)[shoes.feet[body.data.faces].all(1).reshape(-1, 2).all(1)]
    normals = unit(face_normals(posed, halves))
    assert ((normals[:, 0] * normals[:, 1]).sum(1) < 0).mean() < 0.002


def photographed(
    body: BodyModel,
    shoes: Shoes,
    skin: tuple[int, int, int],
    kind: str | None = None,
    colour: tuple[int, int, int] = BLACK,
    turn: float = 0.5,
    camera: Camera = CAMERA,
) -> View:
    """A drawn person with bare legs, in shoes of a kind and colour or barefoot, lit from above, with a face."""
    fit = standing(body, yaw=turn)
    offsets = None if kind is None else worn(shoes, kind)
    vertices = body.posed(fit.body, offsets)[0]
    fragments = rasterize(vertices, body.data.faces, camera)
    paint = np.tile(np.array(skin, np.float32), (len(vertices), 1))
    if kind is not None:
        paint[shoes.height < (0.22 if kind == "boot" else 0.09)] = colour
    normals = unit(face_normals(vertices, body.data.faces))
    light = 0.85 - 0.25 * normals[np.maximum(fragments.face, 0), 1]
    shown = fragments.interpolate(paint, body.data.faces) * light[..., None]
    picture = np.where(fragments.mask[..., None], shown, 120).clip(0, 255).astype(np.uint8)
    person = seen_as(fragments.mask)
    head = body.landmarks_of(fit.body)[[0, 7, 8]].mean(0)  # between nose and ears
    middle = camera.project(head[None])[0]
    points = np.tile(middle, (478, 1)) + np.random.default_rng(0).uniform(-2, 2, (478, 2))
    person = replace(person, face=points.astype(np.float32), face_score=1.0)
    return View(Photo(picture, None, "", "drawn.png"), person, camera, fit)


@pytest.mark.parametrize("skin", [PALE, DARK])
@pytest.mark.parametrize("turn", [0.0, 0.9, 2.5])
def test_a_barefoot_person_stays_barefoot(
    body: BodyModel, shoes: Shoes, skin: tuple[int, int, int], turn: float
) -> None:
    kind, offsets = shoe_offsets(photographed(body, shoes, skin, turn=turn), body, shoes)
    assert kind is None
    assert not offsets.any()


@pytest.mark.parametrize("skin", [PALE, DARK])
@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
def test_a_person_in_shoes_gets_shoes(
    body: BodyModel, shoes: Shoes, skin: tuple[int, int, int], colour: tuple[int, int, int]
) -> None:
    kind, offsets = shoe_offsets(photographed(body, shoes, skin, "trainer", colour), body, shoes)
    assert kind is not None
    assert toes_from_below(body, shoes, body.data.v_template + offsets) > 0.96


def test_brown_shoes_are_not_skin(body: BodyModel, shoes: Shoes) -> None:
    assert shoe_offsets(photographed(body, shoes, PALE, "flat", BROWN), body, shoes)[0] is not None


@pytest.mark.parametrize("kind", ["trainer", "flat", "boot"])
@pytest.mark.parametrize("turn", [0.6, 1.3])
def test_the_kind_is_that_of_the_outline(body: BodyModel, shoes: Shoes, kind: str, turn: float) -> None:
    camera = Camera.for_photo(1000, 1400)
    assert shoe_offsets(photographed(body, shoes, PALE, kind, turn=turn, camera=camera), body, shoes)[0] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_chosen_kind_is_worn_whatever_the_photo_shows(body: BodyModel, shoes: Shoes, kind: str) -> None:
    cut = Camera(CAMERA.focal, CAMERA.center, 500, 400)
    for camera in (CAMERA, cut):
        worn_kind, offsets = shoe_offsets(photographed(body, shoes, PALE, camera=camera), body, shoes, kind)
        assert worn_kind == kind
        assert toes_from_below(body, shoes, body.data.v_template + offsets) > 0.96


def test_shoes_can_be_left_out(body: BodyModel, shoes: Shoes) -> None:
    kind, offsets = shoe_offsets(photographed(body, shoes, PALE, "boot"), body, shoes, "none")
    assert kind is None
    assert not offsets.any()


def test_feet_outside_the_photo_wear_trainers(body: BodyModel, shoes: Shoes) -> None:
    cut = Camera(CAMERA.focal, CAMERA.center, 500, 400)
    kind, offsets = shoe_offsets(photographed(body, shoes, PALE, "trainer", camera=cut), body, shoes)
    assert kind == "trainer"
    assert np.abs(offsets).max() > 0.01
    assert shoe_offsets(photographed(body, shoes, PALE, "trainer", camera=cut), body, shoes, "none")[0] is None


def test_shoes_are_as_large_as_the_feet(body: BodyModel, shoes: Shoes) -> None:
    view = photographed(body, shoes, PALE, "trainer")
    betas = view.fit.body.betas.copy()
    betas[0] = -2  # a child of about 1.3 m
    small = replace(view, fit=replace(view.fit, body=replace(view.fit.body, betas=betas)))
    kind = shoes.names.index("trainer")
    rest = body.data.v_template + body.data.shapedirs @ betas
    share = np.abs(shoes.scaled(kind, rest)).max() / np.abs(shoes.offsets[kind]).max()
    assert 0.6 < share < 0.9
    assert shoe_offsets(small, body, shoes)[1].shape == rest.shape


def test_clothes_go_over_the_shoes(body: BodyModel, shoes: Shoes) -> None:
    """With the right shoes to begin from, the surface that meets the mask has no toes and no spoilt quads."""
    view = photographed(body, shoes, PALE, "trainer")
    _, offsets = shoe_offsets(view, body, shoes)
    found = clothing_offsets(view.fit, view.person, view.camera, prepare_clothing(body), offsets)
    template = body.data.v_template
    assert toes_from_below(body, shoes, template + found) > 0.95
    assert spoilt_quads(template + offsets, template + found, body.data.faces) == 0
    lowest = (template + found)[shoes.feet, 1].min()
    assert lowest < template[:, 1].min() - 0.003 or offsets[shoes.feet, 1].min() > -0.003


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_wide_hems_draw_no_heel_into_the_ground(body: BodyModel, shoes: Shoes, turn: float) -> None:
    """The mask goes on 5 cm around the whole person, also below the feet: soles stay flat and at their height."""
    view = photographed(body, shoes, PALE, "trainer", turn=turn)
    offsets = worn(shoes, "trainer")
    metres_per_pixel = float(body.posed(view.fit.body)[0][:, 2].mean()) / view.camera.focal
    side = 2 * round(0.05 / metres_per_pixel) + 1
    around = cv2.dilate(view.person.mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    person = replace(view.person, mask=around.astype(np.uint8))
    found = clothing_offsets(view.fit, person, view.camera, prepare_clothing(body), offsets)
    sole = shoes.feet & (shoes.height < 0.03)
    moved = (found - offsets)[sole]
    assert np.linalg.norm(moved, axis=1).max() > 0.01  # clothes do grow here
    assert np.abs(moved[:, 1]).max() < 0.002


def test_shoes_are_lifted_where_the_fit_stands_too_low(body: BodyModel, shoes: Shoes) -> None:
    """The whole fit is lower than the person by one and a half times the thickness of the sole."""
    view = photographed(body, shoes, PALE, "trainer", camera=Camera.for_photo(1000, 1400))
    template = body.data.v_template
    thickness = float(template[:, 1].min() - (template + worn(shoes, "trainer"))[:, 1].min())
    lower = view.fit.body.transl + np.array([0, 1.5 * thickness, 0], np.float32)  # y points down
    low = replace(view, fit=replace(view.fit, body=replace(view.fit.body, transl=lower)))
    as_is, lifted = (shoe_offsets(one, body, shoes, "trainer")[1][shoes.feet, 1].min() for one in (view, low))
    assert lifted - as_is > 1.2 * thickness


def test_shoes_of_another_body_are_not_put_on(body: BodyModel, tmp_path: Path) -> None:
    with np.load(weights_folder() / SHOE_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(tmp_path / SHOE_FILE, **{**arrays, "vertex_count": np.array(6890)})
    assert load_shoes(body.data, tmp_path / SHOE_FILE) is None


def test_a_damaged_file_says_what_to_do(body: BodyModel, tmp_path: Path) -> None:
    (tmp_path / SHOE_FILE).write_bytes(b"no archive")
    with pytest.raises(BodyError, match="Install the program again"):
        load_shoes(body.data, tmp_path / SHOE_FILE)
