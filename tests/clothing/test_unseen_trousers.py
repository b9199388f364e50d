"""Trousers on legs that no photo shows: wide as trousers are, on every body, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from tests.clothing.test_offsets import CAMERA, seen_as, silhouette, spoilt_quads, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.limbs import LEG_JOINTS
from uvatar.clothing.model import ClothingModel, prepare_clothing
from uvatar.clothing.unseen_trousers import unseen_trousers, with_unseen_trousers
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS
from uvatar.data.landmarks import ANKLES, KNEES
from uvatar.data.photo import Photo
from uvatar.data.view import View


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def model(body: BodyModel) -> ClothingModel:
    return prepare_clothing(body)


@pytest.mark.parametrize("seed", range(6))
def test_legs_become_straight_trousers(body: BodyModel, model: ClothingModel, seed: int) -> None:
    data = body.data
    betas = np.random.default_rng(seed).normal(0, 0.9 if seed else 0, data.shapedirs.shape[-1])
    rest = data.v_template + data.shapedirs @ betas
    joints = data.joint_template + data.joint_shapedirs @ betas
    offsets = unseen_trousers(data, model.mesh.averaging, betas)
    worn, size = rest + offsets, np.ptp(rest[:, 1]) / 1.7
    ankle, hip = joints[ANKLE_JOINTS, 1].mean(), joints[HIP_JOINTS, 1].mean()
    assert not offsets[(rest[:, 1] < ankle - 0.04 * size) | (rest[:, 1] > hip + 0.09 * size)].any()
    assert spoilt_quads(rest, worn, data.faces) == 0
    for side, own in zip((1, -1), LEG_JOINTS, strict=True):
        leg = data.weights[:, own].sum(1) > 0.9
        inner, bare_inner = ((side * v[leg & (rest[:, 1] < hip - 0.15 * size), 0]).min() for v in (worn, rest))
        assert inner > min(bare_inner, 0) - 1e-3, "the legs run into each other"
        for height in (
            0.05,
            0.2,
            0.35,
        ):  # above the ankle; lean shins gain 6 cm
            ring = leg & (np.abs(rest[:, 1] - ankle - height * size) < 0.02 * size)
            around, bare = (ConvexHull(v[ring][:, [0, 2]]).area / size for v in (worn, rest))
            assert max(0.3, bare) < around < 0.62 and (around > bare + 0.06 or bare > 0.32)


def test_only_legs_that_the_photo_does_not_show_wear_them(body: BodyModel, model: ClothingModel) -> None:
    fit = standing(body)
    person = seen_as(silhouette(body, fit))
    photo = Photo(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), None, "0" * 64)
    shoes = np.full(fit.offsets.shape, 0.01, np.float32)
    cloth = np.ones(len(shoes))
    assert with_unseen_trousers(shoes, View(photo, person, CAMERA, fit), model, cloth) is shoes
    landmarks = person.landmarks.copy()
    landmarks[[*KNEES, *ANKLES], 2] = 0
    portrait = View(photo, replace(person, landmarks=landmarks), CAMERA, fit)
    trousers = unseen_trousers(body.data, model.mesh.averaging, fit.body.betas)
    assert np.abs(trousers).max() > 0.02
    for worn in (shoes, np.zeros_like(shoes), None):
        found = with_unseen_trousers(worn, portrait, model, cloth)
        assert found is not None
        np.testing.assert_allclose(found, trousers if worn is None else worn + trousers)
    # Another photo of the same person shows the legs: they may be bare.
    whole = View(photo, person, CAMERA, fit)
    assert with_unseen_trousers(shoes, portrait, model, cloth, [portrait, whole]) is shoes
    # The photo ends at the thighs, and these are bare.
    thighs = (body.data.v_template[:, 1] < -0.4) & (body.data.v_template[:, 1] > -0.6)
    assert with_unseen_trousers(shoes, portrait, model, np.where(thighs, 0, cloth)) is shoes
