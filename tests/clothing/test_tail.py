"""Ponytails on drawn people: found where hair hangs beside the neck and only there, and hanging behind the head."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.clothing.test_hair import CAMERA, CLOTH, HAIR, SKIN, portrait
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.hair.dressing import hair_pixels, with_hair
from uvatar.clothing.hair.pixels import CHIN, HairPixels, long_hair
from uvatar.clothing.hair.tail_pixels import tied_hair
from uvatar.clothing.shells import at_rest
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS
from uvatar.data.view import View
from uvatar.texturing.shells.hair import hair_texture

SCALE = CAMERA.focal / 4  # pixels of a metre


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def tied(body: BodyModel, side: int = -1, colour: tuple[int, int, int] = HAIR) -> View:
    """Somebody with short hair and a strip of this colour beside the neck, on this side of it in the picture."""
    view = portrait(body, None)
    face, person = view.person.face, view.person
    assert face is not None
    photo, mask = view.photo.pixels.copy(), person.whole_mask(view.photo.pixels.shape[:2])
    x, y = float(face[CHIN, 0]) + side * 0.07 * SCALE, float(face[CHIN, 1])
    low, high = sorted((x, x + side * 0.03 * SCALE))
    strip = np.zeros_like(mask)
    strip[round(y - 0.04 * SCALE) : round(y + 0.08 * SCALE), round(low) : round(high)] = True
    strip &= ~mask
    photo[strip] = colour
    x0, y0, x1, y1 = person.window
    own = (mask | strip)[y0:y1, x0:x1].astype(np.uint8) * np.uint8(255)
    return replace(view, photo=replace(view.photo, pixels=photo), person=replace(person, mask=own))


@cache
def dressed(body: BodyModel) -> tuple[View, HairPixels]:
    view = tied(body)
    found = tied_hair(view, body)
    assert found is not None
    return replace(view, fit=with_hair(view.fit, found, hair_pixels(found, view, body), view, body, ())), found


@pytest.mark.parametrize("side", [-1, 1])
def test_a_ponytail_is_found_beside_the_neck(body: BodyModel, side: int) -> None:
    view = tied(body, side)
    assert long_hair(view, body) is None
    found = tied_hair(view, body)
    assert found is not None and found.tied


@pytest.mark.parametrize("colour", [SKIN, CLOTH])
def test_what_is_not_of_the_hairs_colour_is_none(body: BodyModel, colour: tuple[int, int, int]) -> None:
    assert tied_hair(tied(body, colour=colour), body) is None


def test_short_hair_is_none(body: BodyModel) -> None:
    assert tied_hair(portrait(body, None), body) is None


def test_a_grey_photo_does_not_tell(body: BodyModel) -> None:
    view = tied(body)
    grey = np.repeat(view.photo.pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    assert tied_hair(replace(view, photo=replace(view.photo, pixels=grey)), body) is None


def test_it_hangs_behind_the_head_and_shows_beside_the_neck(body: BodyModel) -> None:
    view, found = dressed(body)
    hair = view.fit.hair
    assert hair is not None
    ears = body.landmarks_of(view.fit.body)[EARS].mean(0)
    assert (hair.vertices[:, 2] > ears[2]).all()
    assert np.ptp(hair.vertices[:, 1]) < 0.35 and np.abs(hair.vertices - ears).max() < 0.4
    pixels = found.camera.project(hair.vertices)
    columns = np.nonzero(found.hair)[1]
    outside = columns.min() + 0.05 * np.ptp(columns)
    assert pixels[:, 0].min() == pytest.approx(outside, abs=0.02 * found.camera.focal / 4)


def test_the_mesh_is_sound(body: BodyModel) -> None:
    hair = dressed(body)[0].fit.hair
    assert hair is not None
    rings = hair.grid()
    assert np.isfinite(rings).all()
    assert np.abs(hair.weights.sum(1) - 1).max() < 1e-5
    normals = np.cross(np.roll(rings, -1, 1) - rings, np.gradient(rings, axis=0))
    away = rings - rings.mean(1, keepdims=True)
    outwards = (normals * away).sum(-1)
    assert (outwards > 0).mean() > 0.98 or (outwards < 0).mean() > 0.98
    quads = hair.quads
    faces = np.cross(rings.reshape(-1, 3)[quads[:, 1]] - rings.reshape(-1, 3)[quads[:, 0]],
                     rings.reshape(-1, 3)[quads[:, 2]] - rings.reshape(-1, 3)[quads[:, 0]])  # fmt: skip
    middle = rings.reshape(-1, 3)[quads].mean(1) - np.repeat(rings.mean(1), hair.columns, 0)[: len(quads)]
    assert ((faces * middle).sum(-1) > 0).mean() > 0.98


def test_it_follows_the_head_at_its_root(body: BodyModel) -> None:
    view, _ = dressed(body)
    hair = view.fit.hair
    assert hair is not None
    rest = at_rest(hair, body.transforms_of(view.fit.body)[:24])
    pose = view.fit.body.body_pose.copy()
    pose[Joint.HEAD - 1] += (0, 0.7, 0)
    transforms = body.transforms_of(replace(view.fit.body, body_pose=pose))[:24]
    moved = np.einsum("nj,jab,nb->na", hair.weights, transforms[:, :, :3], rest)
    moved += np.einsum("nj,ja->na", hair.weights, transforms[:, :, 3])
    moves = np.linalg.norm(moved - hair.vertices, axis=1).reshape(-1, hair.columns).mean(1)
    assert moves[0] > 0.03 and moves[-1] < moves[0]


def test_its_texture_is_hair(body: BodyModel) -> None:
    view, _ = dressed(body)
    assert view.fit.hair is not None
    texture = hair_texture(view.fit.hair, view, 64).astype(float)
    assert np.abs(np.median(texture, (0, 1)) - HAIR).max() < 25
