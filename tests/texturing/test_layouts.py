"""The body's texture layout: where its texels lie; pictures between it and the layout of networks and older avatars."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from uvatar.body import BodyModel, load_open_body
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.engine.complete import complete_texture
from uvatar.photos.encoding import encode_png
from uvatar.texturing.layout.atlas import Atlas, Atlases
from uvatar.texturing.layout.layouts import LayoutChange, atlas_for
from uvatar.texturing.layout.surface import HANDS, Part

SIZE = 256


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body(Path(__file__).resolve().parents[2] / "weights" / "open_body.npz")


@pytest.fixture(scope="module")
def older(body: BodyModel) -> BodyModel:
    return body.in_network_layout()


def stretches(body: BodyModel) -> NDArray[np.float64]:
    """(F, 2) larger and smaller scale of every triangle: texels of 1024 per centimetre of the rest body."""
    data = body.data
    first, second, third = (data.v_template[data.faces[:, k]].astype(float) for k in range(3))
    length = np.linalg.norm(second - first, axis=1)
    along = ((third - first) * (second - first)).sum(1) / length
    across = np.linalg.norm(np.cross(second - first, third - first), axis=1) / length
    rest = np.zeros((len(length), 2, 2))
    rest[:, 0, 0], rest[:, 0, 1], rest[:, 1, 1] = length, along, across
    a, b, c = (data.uv[data.face_uv[:, k]].astype(float) for k in range(3))
    scales: NDArray[np.float64] = np.linalg.svd(np.stack([b - a, c - a], -1) @ np.linalg.inv(rest), compute_uv=False)
    return 10.24 * scales


def median(values: NDArray[np.float64], chosen: NDArray[np.bool_], body: BodyModel) -> float:
    """By area."""
    area = atlas_of(body, SIZE).surface.vertex_area[body.data.faces].mean(1)[chosen]
    order = np.argsort(values[chosen])
    return float(values[chosen][order][np.searchsorted(area[order].cumsum(), area.sum() / 2)])


def test_the_face_has_twice_the_trunks_texels_per_centimetre(body: BodyModel, older: BodyModel) -> None:
    surface = atlas_of(body, SIZE).surface
    faces = surface.faces
    outside = surface.template[faces, 2].mean(1) > 0.12  # not the mouth's inside
    face = surface.face_front[faces].all(1) & outside & (surface.eye[faces[:, 0]] == 0)
    trunk, hands = surface.part[faces[:, 0]] == Part.TRUNK, np.isin(surface.part[faces[:, 0]], HANDS)
    now, before = (np.sqrt(stretches(one).prod(1)) for one in (body, older))
    assert median(now, face, body) > 2 * median(now, trunk, body)
    assert median(now, face, body) > 1.3 * median(before, face, body)
    assert median(now, hands, body) > 1.1 * median(before, hands, body)
    assert median(now, trunk, body) > 0.99 * median(before, trunk, body)
    squeezed, as_before = (np.quantile((s[:, 0] / s[:, 1])[face], 0.95) for s in (stretches(body), stretches(older)))
    assert squeezed < 1.05 * as_before


def test_islands_keep_a_gutter(body: BodyModel) -> None:
    """At 512 texels, islands are at least four texels apart, so that a level of mipmaps does not mix them."""
    table = atlas_of(body, 512).table
    picture = table.scatter(np.ones(len(table), np.uint8))
    count, labels = cv2.connectedComponents(picture)
    assert count == 1 + 13  # islands; none touches another
    for island in range(1, count):
        distance = cv2.distanceTransform((labels != island).astype(np.uint8), cv2.DIST_L2, 5)
        assert distance[(labels != island) & (labels > 0)].min() >= 4


def coloured_by_place(body: BodyModel) -> NDArray[np.float32]:
    """(SIZE, SIZE, 3) colours that are positions on the rest body."""
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    return table.picture(table.interpolate(surface.template, surface.faces).astype(np.float32))


def test_a_picture_shows_the_same_surface_in_both_layouts(body: BodyModel, older: BodyModel) -> None:
    for source, target in ((body, older), (older, body)):
        change = LayoutChange.between(source, target, SIZE)
        moved, expected = change.picture(coloured_by_place(source)), coloured_by_place(target)
        error = np.linalg.norm(moved - expected, axis=2)[change.inside]
        assert np.quantile(error, 0.95) < 0.004  # metres: less than a texel
        assert np.median(np.linalg.norm(coloured_by_place(source) - expected, axis=2)[change.inside]) > 0.02


def painted(body: BodyModel) -> Texture:
    """A texture in white whose left arm and front of the trunk alone are marked, and green."""
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    place = surface.template[surface.faces[table.face, 0]]
    marked = (place[:, 0] > 0.25) | ((place[:, 2] > 0.05) & (place[:, 1] < 0.2) & (place[:, 0] > -0.25))
    source = table.scatter(np.where(marked, Label.SEEN, Label.COMPLETED).astype(np.uint8))
    return Texture(np.where(source[..., None] == Label.SEEN, (40, 160, 80), (255, 255, 255)).astype(np.uint8), source)


def test_a_texture_of_an_older_avatar_is_completed_in_its_own_layout(body: BodyModel, older: BodyModel) -> None:
    atlases = Atlases(body)
    assert atlas_for(painted(body), atlases) is atlases.at(SIZE)
    texture = painted(older)
    assert atlas_for(texture, atlases).body.data.network_uv is None
    pictures = [("a.png", encode_png(texture.image)), ("a labels.png", encode_png(texture.source))]
    found = complete_texture(pictures, atlases)["texture"]
    done = cv2.imdecode(np.frombuffer(found["texture_png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    table, surface = atlas_of(older, SIZE).table, atlas_of(older, SIZE).surface
    right_arm = table.scatter(surface.template[surface.faces[table.face, 0], 0] < -0.3)
    assert np.abs(np.median(done[right_arm], axis=0) - (40, 160, 80)).max() < 12  # mirrored from the painted one


def test_a_body_with_one_layout_keeps_it(older: BodyModel) -> None:
    assert older.in_network_layout() is older
    atlas = atlas_for(painted(older), Atlases(older))
    assert isinstance(atlas, Atlas) and atlas.body is older
