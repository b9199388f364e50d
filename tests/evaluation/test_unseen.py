"""Figures of an avatar's unseen sides: structure, background, skin."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.evaluation.unseen import unseen_figures
from uvatar.geometry.mesh import vertex_normals
from uvatar.protocol.parts import Part
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import HANDS
from uvatar.texturing.layout.surface import Part as BodyPart

SIZE = 256
CAMERA = Camera(500, (150, 200), 300, 400)
WALL = np.tile(np.array([[40, 160, 60]], np.uint8), (2000, 1))


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def atlas(body: BodyModel) -> Atlas:
    return Atlas.of(body, SIZE)


def dressed(atlas: Atlas, noise_behind: float, spoilt: float = 0.0) -> Texture:
    """A noisy grey coat, with another noise behind, and so large a share of the back in the wall's colour."""
    table, surface, random = atlas.table, atlas.surface, np.random.default_rng(0)
    behind = atlas.interpolate(surface.template[:, 2]) < 0
    noise = random.normal(0, 1, len(table)) * np.where(behind, noise_behind, 10.0)
    colours = np.clip(120 + noise[:, None] + np.zeros(3), 0, 255).astype(np.uint8)
    colours[behind & (random.random(len(table)) < spoilt)] = WALL[0]
    part = surface.part[surface.faces[table.face, 0]]
    skin = np.isin(part, (BodyPart.HEAD, *HANDS))
    colours[skin] = (200, 150, 130)
    source = np.where(behind, Label.COMPLETED, Label.SEEN).astype(np.uint8)
    materials = np.where(skin, 1, 2).astype(np.uint8)
    return Texture(
        table.picture(colours), table.scatter(source), 0.5, table.scatter(materials), material_names=("skin", "upper")
    )


def standing(body: BodyModel) -> Fit:
    parameters = BodyParameters(
        np.zeros(10, np.float32), np.array([np.pi, 0, 0], np.float32), np.zeros((23, 3), np.float32),
        np.array([0, -0.3, 3.2], np.float32),
    )  # fmt: skip
    return Fit(parameters, np.zeros_like(body.data.v_template), 0.0, 0.0, 1.0)


def test_a_blurred_back_has_less_detail(body: BodyModel, atlas: Atlas) -> None:
    sharp, blurred = (
        unseen_figures(dressed(atlas, noise), standing(body), CAMERA, WALL, body) for noise in (10.0, 2.0)
    )
    assert sharp.detail == pytest.approx(1, abs=0.25)
    assert blurred.least_detail < 0.85 * sharp.least_detail
    assert sharp.skin < 0.01


def test_texels_in_the_colour_of_the_wall_are_counted(body: BodyModel, atlas: Atlas) -> None:
    clean, spoilt = (
        unseen_figures(dressed(atlas, 5.0, share), standing(body), CAMERA, WALL, body) for share in (0.0, 0.2)
    )
    assert clean.background < 0.01
    assert 0.006 < spoilt.background < 0.05
    assert clean.off_material < 0.005
    assert spoilt.off_material > clean.off_material + 0.005


def test_what_a_part_hides_does_not_count(body: BodyModel, atlas: Atlas) -> None:
    """A skirt-like copy of the whole body, a little larger, in one colour: it is what is seen."""
    fit, texture, faces = standing(body), dressed(atlas, 10.0), body.data.faces
    around = body.data.v_template + 0.01 * vertex_normals(body.data.v_template, faces)
    quads = np.column_stack([faces, np.full(len(faces), -1)]).astype(np.int32)
    weights = np.zeros((len(around), 4), np.float32)
    weights[:, 0] = 1
    part = Part("Skirt", around.astype(np.float32), quads, np.zeros((len(around), 4), np.uint8), weights)
    bare = unseen_figures(texture, fit, CAMERA, WALL, body)
    hidden = unseen_figures(texture, fit, CAMERA, WALL, body, [part])
    assert set(bare.garments) == {"upper"}
    assert "skirt" in hidden.garments
