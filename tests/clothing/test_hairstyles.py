"""Hairstyles that an artist chooses: of the form they say, on the head wherever it is, in the colour of the photo's
hair.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.clothing.test_hair import CHEST, CLOTH, HAIR, SKIN, portrait
from tests.clothing.test_offsets import clothing_model, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.hair.dressing import bared_pixels, with_hairstyle
from uvatar.clothing.hair.pixels import long_hair
from uvatar.clothing.hair.styles import LOOSE, STYLES, styled
from uvatar.clothing.shells import at_rest
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS, EYES, MOUTH
from uvatar.data.shell import Hair
from uvatar.protocol.options import HAIRSTYLES
from uvatar.texturing.shells.hair import hair_texture


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def on(body: BodyModel, style: str, yaw: float = 0.1) -> Hair:
    ears = np.concatenate([ear.vertices for ear in clothing_model(body).ears])
    hair = styled(style, standing(body, yaw=yaw), body, ears)
    assert hair is not None
    return hair


def test_every_style_that_a_job_may_name_can_be_made() -> None:
    assert set(HAIRSTYLES) == set(STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_the_mesh_is_sound(body: BodyModel, style: str) -> None:
    hair = on(body, style)
    head = body.posed(standing(body, yaw=0.1).body)[1][Joint.HEAD]
    assert np.isfinite(hair.vertices).all() and np.abs(hair.vertices - head).max() < 0.5
    assert np.abs(hair.weights.sum(1) - 1).max() < 1e-5 and ((hair.weights > 0).sum(1) <= 4).all()
    assert hair.quads.max() < len(hair.vertices) and hair.quad_uv.max() < len(hair.uv)


@pytest.mark.parametrize("style", STYLES)
def test_it_sits_on_the_head_whichever_way_that_looks(body: BodyModel, style: str) -> None:
    """Not towards the camera, as what a photo shows does."""
    rests = [at_rest(on(body, style, yaw), body.transforms_of(standing(body, yaw=yaw).body)[:24]) for yaw in (0.1, 2.5)]
    assert np.abs(rests[0] - rests[1]).max() < 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_the_face_is_free(body: BodyModel, style: str) -> None:
    rest = at_rest(on(body, style), body.transforms_of(standing(body, yaw=0.1).body)[:24])
    used = rest[np.unique(on(body, style).quads)]
    eyes, mouth = (body.data.landmark_template[which].mean(0) for which in (EYES, MOUTH))
    before = (used[:, 2] > body.data.landmark_template[EARS, 2].mean() + 0.03) & (np.abs(used[:, 0]) < 0.05)
    assert not (before & (used[:, 1] < eyes[1] + 0.03) & (used[:, 1] > mouth[1] - 0.03)).any()


def test_they_are_as_long_as_they_say(body: BodyModel) -> None:
    mouth = body.landmarks_of(standing(body, yaw=0.1).body)[MOUTH, 1].mean()
    below = {}
    for style in STYLES:
        hair = on(body, style)
        below[style] = float(hair.vertices[np.unique(hair.quads), 1].max() - mouth)
    assert below["bun"] < -0.1 and 0.02 < below["bob"] < 0.13
    assert below["ponytail"] > 0.08 and 0.2 < below["long"] < 0.4


@pytest.mark.parametrize("seen", [True, False])  # whether hair and clothes differ
@pytest.mark.parametrize("style", STYLES)
def test_they_have_the_colour_of_the_photos_hair(body: BodyModel, style: str, seen: bool) -> None:
    view = portrait(body, None, cloth=CLOTH if seen else HAIR)
    fit = with_hairstyle(view.fit, style, None, view, body, clothing_model(body).ears)
    assert fit.hair is not None
    texture = hair_texture(fit.hair, view, 64).astype(float)
    assert np.abs(np.median(texture, (0, 1)) - HAIR).max() < 25


@pytest.mark.parametrize("cloth", [CLOTH, HAIR])
def test_skin_above_a_high_hairline_does_not_tell_the_colour(body: BodyModel, cloth: tuple[int, int, int]) -> None:
    view = portrait(body, None, cloth=cloth)
    pixels = view.photo.pixels.copy()
    marks = view.camera.project(body.landmarks_of(view.fit.body))
    assert view.person.face is not None
    top = view.person.face[10, 1]  # of the forehead
    of_hair = np.abs(pixels.astype(int) - HAIR).max(-1) < 25
    receding = of_hair & (np.abs(np.arange(pixels.shape[1])[None] - marks[EYES, 0].mean()) < 60)
    receding &= np.arange(len(pixels))[:, None] > top - 0.03 * view.camera.focal / 4
    receding &= np.arange(len(pixels))[:, None] < top + 0.1 * view.camera.focal / 4
    pixels[receding] = SKIN
    view = replace(view, photo=replace(view.photo, pixels=pixels))
    fit = with_hairstyle(view.fit, "bun", None, view, body, ())
    assert receding.sum() > 500 and fit.hair is not None
    assert np.abs(np.median(hair_texture(fit.hair, view, 64).astype(float), (0, 1)) - HAIR).max() < 25


def test_a_bald_person_gets_no_hair_of_skin(body: BodyModel) -> None:
    view = portrait(body, None, hair=SKIN)
    fit = with_hairstyle(view.fit, "bun", None, view, body, ())
    assert fit.hair is not None
    assert np.abs(np.median(hair_texture(fit.hair, view, 64).astype(float), (0, 1)) - SKIN).max() > 60


def test_ears_lie_flat_under_loose_hair_only(body: BodyModel) -> None:
    view = portrait(body, None)
    for style in STYLES:
        fit = with_hairstyle(view.fit, style, None, view, body, clothing_model(body).ears)
        assert (np.abs(fit.offsets).max() > 0.003) == (style in LOOSE)


def test_the_colour_is_known_where_the_photo_shows_no_head(body: BodyModel) -> None:
    view = portrait(body, None)
    view = replace(view, person=replace(view.person, mask=np.zeros_like(view.person.mask)))
    fit = with_hairstyle(view.fit, "bun", None, view, body, ())
    assert fit.hair is not None
    assert hair_texture(fit.hair, view, 64).std() > 1


def test_a_bare_head_leaves_out_hair_beside_it_and_before_the_chest(body: BodyModel) -> None:
    view = portrait(body, CHEST)
    found = long_hair(view, body)
    x0, y0, x1, y1 = view.person.window
    drawn = (np.abs(view.photo.pixels[y0:y1, x0:x1].astype(int) - HAIR).max(-1) < 25) & (view.person.mask > 127)
    bared = bared_pixels(view, body, found) > 127
    marks = view.camera.project(body.landmarks_of(view.fit.body))
    low = np.arange(y0, y1)[:, None] > marks[MOUTH, 1].mean() + 60
    assert bared[drawn & low].mean() > 0.9
    # Neither the face nor the trunk is left out.
    assert view.person.face is not None
    nose = view.person.face[1].astype(int) - (x0, y0)
    assert not bared[nose[1] - 20 : nose[1] + 20, nose[0] - 20 : nose[0] + 20].any()
    assert bared[(view.person.mask > 127) & ~drawn].mean() < 0.05
