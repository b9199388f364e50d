"""Pictures of simple meshes whose appearance can be said in advance."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.parts import made_part
from uvatar.body import load_open_body
from uvatar.data.camera import Camera
from uvatar.data.labels import Label
from uvatar.photos.encoding import encode_png
from uvatar.protocol.parts import BLEND, MASK, OPAQUE, Part
from uvatar.results.preview import label_colours, overlay, render_textured, turntable
from uvatar.results.preview.drawing import BACKDROP, TINTS
from uvatar.results.preview.drawing import sample_texture as sample

CAMERA = Camera(100.0, (50.0, 40.0), 100, 80)
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (40, 50, 220), (240, 240, 240)


def card(x0: float = -0.2, x1: float = 0.2, y0: float = -0.3, y1: float = 0.3, z: float = 1.0) -> NDArray[Any]:
    """An upright rectangle facing the camera, corners from the top left, clockwise as seen."""
    return np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], np.float32)


CARD_FACES = np.array([(0, 2, 1), (0, 3, 2)], np.int32)
CARD: Any = SimpleNamespace(
    faces=CARD_FACES, uv=np.array([(0, 1), (1, 1), (1, 0), (0, 0)], np.float32), face_uv=CARD_FACES
)


def quarters(size: int = 64) -> NDArray[Any]:
    """A texture of four colours: red, green on top, blue, white below."""
    texture = np.empty((size, size, 3), np.uint8)
    half = size // 2
    texture[:half, :half], texture[:half, half:], texture[half:, :half], texture[half:, half:] = RED, GREEN, BLUE, WHITE
    return texture


def box() -> tuple[NDArray[Any], Any]:
    """A tall box 2 m in front of the camera; front red, the side on the picture's right green, back blue, left
    white.
    """
    x, y, z = 0.3, 0.8, 0.3
    ring = [(-x, -z), (x, -z), (x, z), (-x, z)]
    vertices = np.array([(a, b, c + 2) for b in (-y, y) for a, c in ring], np.float32)
    faces, uv, face_uv = [], [], []
    for side, centre in enumerate([(0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25)]):
        a, b = side, (side + 1) % 4
        faces += [(a, a + 4, b), (b, a + 4, b + 4)]
        uv.append(centre)
        face_uv += [(side, side, side)] * 2
    return vertices, SimpleNamespace(
        faces=np.array(faces, np.int32), uv=np.array(uv, np.float32), face_uv=np.array(face_uv, np.int32)
    )


def close(colour: NDArray[Any], expected: tuple[int, int, int], within: int = 2) -> bool:
    return bool(np.abs(np.asarray(colour, int) - expected).max() <= within)


def test_a_textured_card_lies_where_the_camera_projects_it_and_the_right_way_up() -> None:
    picture = render_textured(card(), CARD, quarters(), CAMERA)
    # x -.2 .. .2 at 1 m with f = 100 about column 50: columns 30 to 69; y -.3 .. .3 about row 40: rows 10 to 69.
    expected = np.zeros((80, 100), bool)
    expected[10:70, 30:70] = True
    assert (picture.mask == expected).all()
    assert close(picture.image[20, 40], RED) and close(picture.image[20, 60], GREEN)
    assert close(picture.image[60, 40], BLUE) and close(picture.image[60, 60], WHITE)
    assert close(picture.image[0, 0], BACKDROP, 0)


def test_edges_are_blended_by_coverage_in_linear_light() -> None:
    background = np.full((80, 100, 3), 255, np.uint8)
    texture = np.zeros((8, 8, 3), np.uint8)
    picture = render_textured(card(x0=-0.195), CARD, texture, CAMERA, background)
    assert picture.coverage[40, 30] == pytest.approx(0.5)
    assert close(picture.image[40, 30], (188, 188, 188), 1)  # half the light of white, in sRGB
    assert (picture.image[~(picture.coverage > 0)] == 255).all()


def test_a_texture_finer_than_the_pixels_is_averaged() -> None:
    fine = np.indices((1024, 1024)).sum(0) % 2 * 255
    texture = np.repeat(fine[..., None].astype(np.uint8), 3, axis=2)
    picture = render_textured(card(), CARD, texture, CAMERA)
    assert picture.image[picture.coverage == 1].std() < 4


def test_only_the_triangle_with_fine_texels_is_averaged() -> None:
    """Upper right: all of a texture with stripes a texel wide. Lower left: a piece of it, texels two pixels wide."""
    texture = np.repeat((np.indices((1024, 1024))[1] % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    uv = np.concatenate([CARD.uv, CARD.uv * np.float32(20 / 1024)])
    both = SimpleNamespace(faces=CARD_FACES, uv=uv, face_uv=CARD_FACES + np.array([[0], [4]], np.int32))
    image = render_textured(card(), both, texture, CAMERA).image
    assert image[12:25, 58:68].std() < 4 and image[55:68, 32:42].std() > 30


def test_a_large_photo_is_drawn_in_strips_like_a_small_one() -> None:
    small = render_textured(card(), CARD, quarters(), CAMERA)
    large = Camera(2000.0, (1000.0, 800.0), 2000, 1600)
    picture = render_textured(card(), CARD, quarters(), large)
    assert (picture.mask[10::20, 10::20] == small.mask).all()
    assert close(picture.image[1200, 800], BLUE)


def test_texel_centres() -> None:
    texture = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    at = np.array([[(0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25), (0.5, 0.5)]])
    assert sample(texture, at)[0].ravel().tolist() == [0, 1, 2, 3, 1.5]


def test_the_overlay_leaves_the_rest_of_the_photo_alone_and_the_nearer_person_in_front() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    near, far = card(-0.3, 0.0), card(-0.2, 0.6, z=2.0)
    for bodies, front_tint in (([near, far], 0), ([far, near], 1)):
        picture = overlay(photo, CAMERA, bodies, CARD_FACES, opacity=1.0)
        untouched = np.ones((80, 100), bool)
        untouched[8:72, 18:82] = False
        assert (picture[untouched] == photo[untouched]).all()
        shared = picture[40, 45].astype(float)
        brightness = shared / np.linalg.norm(shared)
        tints = np.array(TINTS[:2], float)
        tints /= np.linalg.norm(tints, axis=1, keepdims=True)
        assert (tints @ brightness).argmax() == front_tint


def test_the_overlay_of_a_large_photo_is_made_smaller() -> None:
    photo = np.full((80, 100, 3), 90, np.uint8)
    assert overlay(photo, CAMERA, [card()], CARD_FACES, max_side=50).shape == (40, 50, 3)
    assert overlay(photo, CAMERA, [], CARD_FACES).shape == photo.shape


def test_a_turntable_goes_all_around_and_the_persons_left_comes_first() -> None:
    vertices, body = box()
    sheet = turntable(vertices, body, quarters(), views=4, columns=4, height=120, supersample=1)
    panels = np.split(sheet, 4, axis=1)
    assert sheet.shape[0] == 120
    for panel, colour in zip(panels, (RED, GREEN, BLUE, WHITE), strict=True):
        middle = panel[60, panel.shape[1] // 2].astype(float)
        nearest = min(
            (RED, GREEN, BLUE, WHITE), key=lambda c: np.abs(middle / middle.max() - np.array(c) / max(c)).sum()
        )
        assert nearest == colour
        assert close(panel[0, 0], BACKDROP, 1)


def test_a_body_stands_on_its_shadow() -> None:
    body = load_open_body().data
    upright = body.v_template * np.array([1, -1, -1], np.float32) + np.array([0, 0, 3], np.float32)
    sheet = turntable(upright, body, np.full((8, 8, 3), 255, np.uint8), views=1, columns=1, height=200, supersample=1)
    darkened = (sheet.max(-1) < max(BACKDROP) - 15) & (
        np.abs(np.ptp(sheet.astype(int), axis=-1) - np.ptp(BACKDROP)) <= 2
    )
    rows = np.flatnonzero(darkened.any(1))
    assert len(rows) and rows.min() > 150


def test_a_turntable_fills_its_last_row() -> None:
    vertices, body = box()
    sheet = turntable(vertices, body, quarters(), views=3, columns=2, height=48, supersample=1)
    assert sheet.shape[0] == 96 and (sheet[48:, sheet.shape[1] // 2 :] == BACKDROP).all()


def test_the_turntable_shows_parts() -> None:
    vertices, body = box()
    placed = card(-0.2, 0.2, -0.4, 0.4, z=1.65)
    faces = np.array([[0, 2, 1, -1], [0, 3, 2, -1]], np.int32)
    skirt = replace(made_part("Skirt"), vertices=placed, faces=faces, uv=None, face_uv=None, texture=b"", keys=None)
    skirt = replace(skirt, colour=(0.9, 0.1, 0.9), alpha=OPAQUE)

    def middles(part: Part) -> list[NDArray[Any]]:
        sheet = turntable(
            vertices, body, quarters(), views=4, columns=4, height=120, supersample=1, parts=[(part, placed)]
        )
        return [panel[60, panel.shape[1] // 2].astype(int) for panel in np.split(sheet, 4, axis=1)]

    front, side, *_ = middles(skirt)
    assert front[1] < 60 and abs(front[0] - front[2]) < 10 and front[0] > 150
    assert side[1] > side[0] and side[1] > side[2]
    worn = replace(
        skirt, uv=np.array([(0.75, 0.75)], np.float32), face_uv=np.where(faces < 0, -1, 0), body_texture=True
    )
    front = middles(worn)[0]
    assert front[1] > 2 * front[0]  # green, as the body's texture is there
    front = middles(replace(skirt, alpha=BLEND))[0]
    assert front[0] > 2 * front[1] and front[0] > 2 * front[2]


def test_the_turntable_shows_what_is_behind_holes() -> None:
    vertices, body = box()
    near, nearer = (card(-0.2, 0.2, -0.4, 0.4, z=z) for z in (1.65, 1.6))
    faces = np.array([[0, 2, 1, -1], [0, 3, 2, -1]], np.int32)
    picture = np.full((16, 16, 4), (230, 230, 30, 255), np.uint8)
    picture[8:, :, 3] = 0  # the lower half
    hair = replace(
        made_part("Hair"), vertices=near, faces=faces, uv=CARD.uv, face_uv=faces, keys=None, alpha=MASK,
        texture=encode_png(picture),
    )  # fmt: skip
    sheet = turntable(
        vertices, body, quarters(), views=1, columns=1, height=120, supersample=1, parts=[(hair, near), (hair, nearer)]
    )
    above, below = (sheet[row, sheet.shape[1] // 2].astype(int) for row in (50, 70))
    assert above[0] > 2 * above[2] and abs(above[0] - above[1]) < 10  # yellow
    assert below[0] > 2 * below[1] and below[0] > 2 * below[2]  # the box behind both cards
    solid = [(replace(hair, alpha=OPAQUE), near)]
    sheet = turntable(vertices, body, quarters(), views=1, columns=1, height=120, supersample=1, parts=solid)
    assert close(sheet[70, sheet.shape[1] // 2], tuple(above), within=3)


def test_label_colours_tell_labels_apart_and_fill_gutters() -> None:
    labels = np.array([[Label.EMPTY, Label.SEEN, Label.MIRRORED, Label.COMPLETED, Label.PREDICTED]], np.uint8)
    plain = label_colours(labels)
    assert len(np.unique(plain[0], axis=0)) == 5
    filled = label_colours(labels, fill_gutters=True)
    assert (filled[0, 0] == plain[0, 1]).all() and (filled[0, 1:] == plain[0, 1:]).all()
