"""Cloth bridges what is hollow in the body below it, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clothing.test_hair import CAMERA, SKIN, portrait
from tests.clothing.test_offsets import clothing_model, silhouette
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.bridging import bridged, cloth_shares
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.sections import hull_reach
from uvatar.data.joints import Joint
from uvatar.geometry.mesh import vertex_normals


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def trunk(body: BodyModel) -> NDArray[np.bool_]:
    return np.asarray(body.data.weights[:, [Joint.SPINE1, Joint.SPINE2, Joint.PELVIS]].sum(1) > 0.9)


def shares(body: BodyModel, skin: bool = False) -> NDArray[np.float64]:
    view = portrait(body, None, cloth=SKIN) if skin else portrait(body, None)
    return cloth_shares(view, body, clothing_model(body).mesh.averaging)


def test_cloth_is_told_from_skin(body: BodyModel) -> None:
    own = trunk(body)
    assert shares(body)[own].mean() > 0.95
    assert shares(body, skin=True)[own].mean() < 0.05
    head_and_hands = body.data.weights[:, [Joint.HEAD, Joint.LEFT_HAND, Joint.RIGHT_FOOT]].max(1) > 0.999
    assert shares(body)[head_and_hands].max() < 1e-3


def test_a_face_in_the_dark_tells_nothing_of_skin(body: BodyModel) -> None:
    view = portrait(body, None)
    dark = replace(view, photo=replace(view.photo, pixels=np.zeros_like(view.photo.pixels)))
    told = cloth_shares(dark, body, clothing_model(body).mesh.averaging)
    assert np.isfinite(told).all() and told[trunk(body)].mean() > 0.95


def hollows(vertices: NDArray[np.float64], body: BodyModel) -> NDArray[np.float64]:
    """(V,) how far a vertex lies under its neighbours."""
    normals = vertex_normals(vertices, body.data.faces)
    mean = clothing_model(body).mesh.averaging
    return np.asarray(np.maximum(((mean @ vertices - vertices) * normals).sum(1), 0))


def test_cloth_is_convex_where_the_body_is_not(body: BodyModel) -> None:
    data, mean = body.data, clothing_model(body).mesh.averaging
    rest = data.v_template + data.shapedirs[..., 2] * 1.5
    cloth, facing = shares(body), np.ones(len(rest))
    worn = bridged(np.zeros_like(rest), rest, facing, cloth, data, mean)
    own = trunk(body) & (cloth > 0.9)
    assert hollows(rest + worn, body)[own].sum() < 0.3 * hollows(rest, body)[own].sum()
    assert np.linalg.norm(worn, axis=1).max() <= 0.0601 * np.ptp(rest[:, 1]) / 1.7
    normals = vertex_normals(rest, data.faces)
    assert (worn * normals).sum(1).min() > -0.005


def test_skin_and_the_outline_stay(body: BodyModel) -> None:
    data, mean = body.data, clothing_model(body).mesh.averaging
    nothing = np.zeros_like(data.v_template)
    bare = bridged(nothing, data.v_template, np.ones(len(nothing)), np.zeros(len(nothing)), data, mean)
    edge = bridged(nothing, data.v_template, np.zeros(len(nothing)), np.ones(len(nothing)), data, mean)
    assert not bare.any() and not edge.any()


def test_the_outline_is_met_all_the_same(body: BodyModel) -> None:
    view, model = portrait(body, None), clothing_model(body)
    person = replace(
        view.person,
        mask=silhouette(body, view.fit, camera=CAMERA)[
            view.person.window[1] : view.person.window[3], view.person.window[0] : view.person.window[2]
        ].astype(np.uint8)
        * np.uint8(255),
    )
    cloth = cloth_shares(view, body, model.mesh.averaging)
    offsets = clothing_offsets(view.fit, person, view.camera, model, cloth=cloth)
    shown, wanted = (silhouette(body, view.fit, some, CAMERA) for some in (offsets, None))
    assert (shown & wanted).sum() / (shown | wanted).sum() > 0.97


def test_reach_of_a_square(body: BodyModel) -> None:
    square = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
    diagonal = np.sqrt(0.5)
    assert hull_reach(square, np.array([(1, 0), (diagonal, diagonal)])) == pytest.approx([1, np.sqrt(2)])
    line = np.array([(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)])
    assert (hull_reach(line, np.array([(0.0, 1.0)])) > 0).all()
