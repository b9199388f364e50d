"""Long hair on drawn people: found where it is worn and only there, of the drawn length, moving with the head, and left
out where the photo tells too little.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from tests.clothing.test_offsets import clothing_model, seen_as, silhouette, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.hair.dressing import hair_pixels, with_hair, without_hair
from uvatar.clothing.hair.pixels import CHIN, FOREHEAD, HairPixels, long_hair
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.shells import at_rest
from uvatar.data.camera import Camera
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS, EYES, MOUTH
from uvatar.data.photo import Photo
from uvatar.data.shell import Hair
from uvatar.data.view import View
from uvatar.fitting.face.field import FaceField
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.raster import rasterize
from uvatar.runtime.weights import weights_folder
from uvatar.texturing.shells.hair import hair_texture

CAMERA = Camera.for_photo(1000, 1400)
WALL, SKIN, CLOTH, HAIR = (150, 160, 165), (205, 160, 135), (60, 80, 150), (70, 40, 25)
SHOULDERS, CHEST = 0.22, 0.33  # lengths of hair, metres below the forehead's top


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def portrait(
    body: BodyModel, length: float | None, hair: tuple[int, int, int] = HAIR, cloth: tuple[int, int, int] = CLOTH
) -> View:
    """Somebody with hair that ends ``length`` metres below the forehead, on both sides of the face; None for short
    hair.
    """
    fit = standing(body, yaw=0.1)
    vertices = body.posed(fit.body)[0]
    field = FaceField.load(weights_folder(), body)
    assert field is not None
    face = np.zeros((478, 2), np.float32)
    points = field.points.at(vertices)
    face[: len(points)] = CAMERA.project(points.astype(np.float32))
    fragments = rasterize(vertices, body.data.faces, CAMERA)
    of_head = fragments.mask & (body.data.weights[body.data.faces[fragments.face, 0], Joint.HEAD] > 0.5)
    photo = np.full((CAMERA.height, CAMERA.width, 3), WALL, np.uint8)
    photo[fragments.mask] = cloth
    photo[of_head] = SKIN
    scale = CAMERA.focal / 4
    top, chin = face[FOREHEAD], face[CHIN]
    drawn = np.zeros(fragments.mask.shape, np.uint8)
    wide = int((0.105 if length else 0.085) * scale)
    middle = round(float(top[0])), round(float(top[1]) + 0.04 * scale)
    cv2.ellipse(drawn, middle, (wide, int(0.13 * scale)), 0, 180, 360, (1,), -1)
    if length:
        low = round(float(top[1]) + length * scale)
        cv2.rectangle(drawn, (middle[0] - wide, middle[1]), (middle[0] + wide, low), (1,), -1)
        neck = np.zeros_like(drawn)
        narrow = int(0.05 * scale)
        cv2.rectangle(neck, (middle[0] - narrow, round(float(chin[1]))), (middle[0] + narrow, low), (1,), -1)
        drawn[neck > 0] = 0
    oval = cv2.convexHull(np.round(face[: len(points)]).astype(np.int32))
    cv2.fillPoly(drawn, [oval], (0,))
    photo[drawn > 0] = hair
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    person = replace(seen_as(fragments.mask | (drawn > 0)), face=face, face_score=1.0)
    return View(Photo(np.clip(photo + noise, 0, 255).astype(np.uint8), None, "", "drawn.png"), person, CAMERA, fit)


@cache
def haired(body: BodyModel, length: float) -> tuple[View, HairPixels]:
    """The view and its hair, with the fit dressed and haired."""
    view = portrait(body, length)
    found = long_hair(view, body)
    assert found is not None
    model = clothing_model(body)
    pixels = hair_pixels(found, view, body)
    person = without_hair(view.person, pixels)
    fit = replace(view.fit, offsets=clothing_offsets(view.fit, person, view.camera, model))
    return replace(view, fit=with_hair(fit, found, pixels, view, body, model.ears)), found


def hair_of(view: View) -> Hair:
    assert view.fit.hair is not None
    return view.fit.hair


@pytest.mark.parametrize("length", [SHOULDERS, CHEST])
def test_long_hair_is_found_where_it_is(body: BodyModel, length: float) -> None:
    view, found = haired(body, length)
    drawn = np.abs(view.photo.pixels.astype(int) - HAIR).max(-1) < 25
    x0, y0, x1, y1 = view.person.window
    shown = hair_of(view).shown > 127
    assert mask_iou(shown, drawn[y0:y1, x0:x1]) > 0.85
    assert found.hair.any()


def test_short_hair_and_bald_heads_have_none(body: BodyModel) -> None:
    assert long_hair(portrait(body, None), body) is None
    assert long_hair(portrait(body, None, hair=SKIN), body) is None


def test_hair_that_looks_like_the_clothes_is_left_alone(body: BodyModel) -> None:
    """A hood in a jacket's colour."""
    assert long_hair(portrait(body, SHOULDERS, hair=CLOTH), body) is None


def test_without_a_face_there_is_no_hair(body: BodyModel) -> None:
    view = portrait(body, CHEST)
    assert long_hair(replace(view, person=replace(view.person, face=None)), body) is None
    assert long_hair(replace(view, person=replace(view.person, face_score=0.1)), body) is None


def test_a_lying_head_has_none(body: BodyModel) -> None:
    view = portrait(body, CHEST)
    assert view.person.face is not None
    lying = np.ascontiguousarray(view.person.face[:, ::-1])
    assert long_hair(replace(view, person=replace(view.person, face=lying)), body) is None


@pytest.mark.parametrize("length", [SHOULDERS, CHEST])
def test_hair_is_as_long_as_drawn(body: BodyModel, length: float) -> None:
    view, _ = haired(body, length)
    assert view.person.face is not None
    hair = hair_of(view)
    lowest = CAMERA.project(hair.vertices[np.unique(hair.quads)])[:, 1].max()
    wanted = view.person.face[FOREHEAD, 1] + length * CAMERA.focal / 4
    assert abs(lowest - wanted) < 0.08 * CAMERA.focal / 4


def test_body_and_hair_meet_the_mask_with_a_clean_skull(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    vertices, faces = view.fit.joined_to_shells(body.posed(view.fit.body, view.fit.offsets)[0], body.data.faces)
    x0, y0, x1, y1 = view.person.window
    shown = rasterize(vertices, faces, CAMERA).mask[y0:y1, x0:x1]
    assert mask_iou(shown, view.person.mask > 127) > 0.95
    crown = body.data.v_template[:, 1] > body.data.v_template[:, 1].max() - 0.08
    assert np.linalg.norm(view.fit.offsets[crown], axis=1).max() < 0.012


def test_the_face_stays_free(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    assert view.person.face is not None
    hair = hair_of(view)
    drawn = rasterize(hair.vertices, hair.triangles, CAMERA)
    face = np.zeros(drawn.mask.shape, np.uint8)
    cv2.fillPoly(face, [cv2.convexHull(np.round(view.person.face[:468]).astype(np.int32))], (1,))
    before = drawn.depth < rasterize(body.posed(view.fit.body)[0], body.data.faces, CAMERA).depth
    assert (drawn.mask & before)[cv2.erode(face, np.ones((9, 9), np.uint8)) > 0].mean() < 0.05


def test_beside_the_face_hair_lies_on_the_head(body: BodyModel) -> None:
    """And does not close round the face like a hood."""
    view, _ = haired(body, CHEST)
    hair, marks = hair_of(view), body.landmarks_of(view.fit.body)
    used = hair.vertices[np.unique(hair.quads)]
    beside = used[(used[:, 1] > marks[EYES, 1].mean()) & (used[:, 1] < marks[MOUTH, 1].mean())]
    assert len(beside) > 20
    # The drawn hair is beside the face, so nothing of it may be as far before the ears as the cheeks are.
    assert marks[EARS, 2].mean() - beside[:, 2].min() < 0.04


def test_the_mesh_is_sound_and_covers_the_back(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    hair = hair_of(view)
    assert np.isfinite(hair.vertices).all()
    assert hair.quads.max() < len(hair.vertices) and hair.quad_uv.max() < len(hair.uv)
    assert np.abs(hair.weights.sum(1) - 1).max() < 1e-5 and ((hair.weights > 0).sum(1) <= 4).all()
    head = body.posed(view.fit.body)[0][body.data.weights[:, Joint.HEAD] > 0.9]
    behind = head[head[:, 2] > np.quantile(head[:, 2], 0.9)]
    nearest = np.linalg.norm(hair.vertices[np.unique(hair.quads)][None] - behind[::20, None], axis=-1).min(1)
    assert nearest.max() < 0.06


def test_the_rest_pose_returns_to_the_photos(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    hair, transforms = hair_of(view), body.transforms_of(view.fit.body)
    rest = at_rest(hair, transforms[:24])
    posed = np.einsum("nj,jab,nb->na", hair.weights, transforms[:24, :, :3], rest)
    posed += np.einsum("nj,ja->na", hair.weights, transforms[:24, :, 3])
    assert np.abs(posed - hair.vertices).max() < 1e-4


def test_a_turned_head_takes_the_crown_along_and_leaves_the_ends(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    hair = hair_of(view)
    rest = at_rest(hair, body.transforms_of(view.fit.body)[:24])
    pose = view.fit.body.body_pose.copy()
    pose[Joint.HEAD - 1] += (0, 0.7, 0)
    transforms = body.transforms_of(replace(view.fit.body, body_pose=pose))[:24]
    posed = np.einsum("nj,jab,nb->na", hair.weights, transforms[:, :, :3], rest)
    posed += np.einsum("nj,ja->na", hair.weights, transforms[:, :, 3])
    moved = np.linalg.norm(posed - hair.vertices, axis=1)
    used = np.unique(hair.quads)
    rows = hair.vertices[used, 1]
    assert moved[used][rows > np.quantile(rows, 0.97)].max() < 0.03
    assert np.median(moved[used][rows < np.quantile(rows, 0.4)]) > 0.03


def openings(hair: Hair) -> int:
    """How many pieces the mesh's borders are in."""
    edges = np.sort(np.stack([hair.quads, np.roll(hair.quads, -1, 1)], -1).reshape(-1, 2), 1)
    single, counts = np.unique(edges, axis=0, return_counts=True)
    rim = single[counts == 1]
    graph = sparse.coo_matrix((np.ones(len(rim)), rim.T), (len(hair.vertices),) * 2)
    _, pieces = connected_components(graph, directed=False)
    return len(np.unique(pieces[rim.ravel()]))


def test_a_highlight_makes_no_hole(body: BodyModel) -> None:
    view, found = haired(body, CHEST)
    hair = found.hair.astype(np.uint8)
    inside = cv2.distanceTransform(hair, cv2.DIST_L2, 3)
    for _ in range(3):  # where most hair is around
        row, column = np.unravel_index(int(inside.argmax()), inside.shape)
        radius = round(0.7 * float(inside.max()))
        cv2.circle(hair, (int(column), int(row)), radius, (0,), -1)
        cv2.circle(inside, (int(column), int(row)), 3 * radius, (0.0,), -1)
    bright = replace(found, hair=hair > 0)
    pixels, ears = hair_pixels(found, view, body), clothing_model(body).ears
    fit = with_hair(replace(view.fit, hair=None), bright, pixels, view, body, ears)
    assert fit.hair is not None
    assert openings(fit.hair) == openings(hair_of(view))


def test_hair_cut_by_the_frame_is_no_monster(body: BodyModel) -> None:
    view = portrait(body, CHEST)
    mask = view.person.mask.copy()
    mask[:, : mask.shape[1] // 2] = 0
    person = replace(view.person, mask=mask)
    view = replace(view, person=person)
    found = long_hair(view, body)
    assert found is not None
    fit = with_hair(view.fit, found, hair_pixels(found, view, body), view, body, ())
    assert fit.hair is not None
    assert np.abs(fit.hair.vertices - body.posed(fit.body)[1][Joint.HEAD]).max() < 0.6


def test_the_texture_is_hair_all_over(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    texture = hair_texture(hair_of(view), view, 128).astype(float)
    assert texture.shape == (128, 128, 3)
    assert np.abs(np.median(texture, (0, 1)) - HAIR).max() < 20
    assert (np.abs(texture - HAIR).max(-1) < 60).mean() > 0.95
    back = texture[:, [*range(16), *range(112, 128)]]
    assert back.std((0, 1)).max() > 1


def test_what_shows_at_the_edge_of_hair_is_not_in_its_texture(body: BodyModel) -> None:
    """The edge's pixels hold half of what is beside it: leaves, say."""
    view, _ = haired(body, CHEST)
    hair = hair_of(view)
    x0, y0, x1, y1 = view.person.window
    shown = (hair.shown > 127).astype(np.uint8)
    edge = (shown > 0) & (cv2.distanceTransform(shown, cv2.DIST_L2, 3) <= 1)
    pixels = view.photo.pixels.copy()
    pixels[y0:y1, x0:x1][edge] = (0, 255, 0)
    texture = hair_texture(hair, replace(view, photo=replace(view.photo, pixels=pixels)), 128).astype(float)
    green = texture[..., 1] - texture[..., [0, 2]].max(-1)
    assert edge.sum() > 50
    assert (green > 40).mean() < 0.002


def test_body_below_hair_is_not_seen(body: BodyModel) -> None:
    view, _ = haired(body, CHEST)
    hair = hair_of(view)
    assert (hair.loose <= hair.pixels).all() and hair.loose.any()
    x0, y0, x1, y1 = view.person.window
    assert (silhouette(body, view.fit, camera=CAMERA)[y0:y1, x0:x1] & (hair.loose > 0)).any()
