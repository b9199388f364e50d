"""The texture of a skirt, from drawn photos in which the skirt has one colour and everything else another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clothing.test_offsets import CAMERA
from tests.clothing.test_skirt import dressed
from uvatar.body import BodyModel, load_open_body
from uvatar.data.shell import Skirt
from uvatar.data.view import View
from uvatar.geometry.raster import rasterize
from uvatar.texturing import Atlases
from uvatar.texturing.shells.skirt import skirt_texture

SIZE = 128
RED, GREEN, GREY = (190, 40, 50), (40, 160, 60), (128, 128, 128)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def painted(body: BodyModel, view: View, skirt: Skirt, inside: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A photo of a red skirt with a green left half, on a grey person before a grey wall."""
    picture = np.full((CAMERA.height, CAMERA.width, 3), GREY, np.uint8)
    vertices = body.posed(view.fit.body, inside)[0]
    person = rasterize(vertices, body.data.faces, CAMERA)
    cloth = rasterize(skirt.vertices, skirt.triangles, CAMERA)
    shown = cloth.depth < person.depth
    picture[shown] = RED
    left = np.arange(CAMERA.width)[None] < CAMERA.project(skirt.vertices.mean(0)[None])[0, 0]
    picture[shown & left] = GREEN
    return picture


def like(texture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(texture.astype(int) - colour).max(-1) < 40
    return near


def test_front_and_back_show_the_skirt_alone(body: BodyModel) -> None:
    view, skirt, inside = dressed(body)
    view = replace(view, photo=replace(view.photo, pixels=painted(body, view, skirt, inside)))
    surface = Atlases(body).at(512).surface
    texture = skirt_texture(skirt, view, body.posed(view.fit.body, inside)[0], surface, SIZE)
    assert texture.shape == (SIZE, SIZE, 3)
    red, green = like(texture, RED), like(texture, GREEN)
    assert (red | green).mean() > 0.96  # where they meet behind they blend: in front, their border is seen once
    quarter, middle = SIZE // 4, SIZE // 2
    # The front is in the middle of the texture, unmirrored; behind, left and right are as in front.
    assert green[:, quarter : middle - 8].mean() > 0.95
    assert red[:, middle + 8 : -quarter].mean() > 0.95
    assert green[:, 8:quarter].mean() > 0.95
    assert red[:, -quarter:-8].mean() > 0.95


def test_a_hand_before_the_skirt_is_not_painted_on_it(body: BodyModel) -> None:
    view, skirt, inside = dressed(body)
    picture = painted(body, view, skirt, inside)
    vertices = body.posed(view.fit.body, inside)[0].copy()
    surface = Atlases(body).at(512).surface
    # An arm that is laid before the skirt, in the photo and in the fit.
    arm = np.isin(surface.part, [6, 8])
    vertices[arm] += skirt.grid()[:, 3 * skirt.columns // 4].mean(0) - vertices[arm].mean(0) + (0, 0, -0.15)
    picture[rasterize(vertices, surface.faces[arm[surface.faces].all(1)], CAMERA).mask] = (230, 220, 210)
    view = replace(view, photo=replace(view.photo, pixels=picture))
    texture = skirt_texture(skirt, view, vertices, surface, SIZE)
    assert like(texture, (230, 220, 210)).mean() < 0.01


def test_a_gap_that_the_mask_has_closed_does_not_show_the_wall_on_the_cloth(body: BodyModel) -> None:
    """As between waist and elbow, where masks take the wall for the person; in front of the body, not at its sides."""
    view, skirt, inside = dressed(body)
    picture = painted(body, view, skirt, inside)
    wall, gap = (215, 220, 230), skirt.grid()[skirt.outer // 3, skirt.columns // 4 + skirt.columns // 8]
    picture[(picture == GREY).all(-1)] = wall
    x, y = np.round(CAMERA.project(gap[None])[0]).astype(int)
    picture[y - 12 : y + 12, x - 4 : x + 4] = wall
    view = replace(view, photo=replace(view.photo, pixels=picture))
    surface = Atlases(body).at(512).surface
    texture = skirt_texture(skirt, view, body.posed(view.fit.body, inside)[0], surface, SIZE)
    assert not like(texture, wall).any()


def test_a_dark_edge_is_not_carried_behind(body: BodyModel) -> None:
    """The photo shows the neighbour's shadow and a bit of the ground at the skirt's outline."""
    view, skirt, inside = dressed(body)
    picture = painted(body, view, skirt, inside)
    cloth = (np.abs(picture.astype(int) - GREEN).max(-1) == 0).astype(np.uint8)
    rows = np.flatnonzero(cloth.any(1))
    for row in rows[len(rows) // 2 :]:
        first = int(cloth[row].argmax())
        picture[row, first + 4 : first + 10] = np.multiply(GREEN, 0.85)
        picture[row, first : first + 4] = (60, 45, 35)
    view = replace(view, photo=replace(view.photo, pixels=picture))
    surface = Atlases(body).at(512).surface
    texture = skirt_texture(skirt, view, body.posed(view.fit.body, inside)[0], surface, SIZE)
    side = texture[:-8, 8 : SIZE // 4].astype(int)
    assert (np.abs(side - GREEN).max(-1) < 15).mean() > 0.9
