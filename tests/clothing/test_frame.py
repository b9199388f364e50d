"""What is worn at the edge of the photo, and beside limbs that it does not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clothing.test_offsets import CAMERA, clothing_model, coat, seen_as, silhouette, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.limbs import beside_hidden_limbs, limbs
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.joints import Joint
from uvatar.data.landmarks import ANKLES, ELBOWS, KNEES, WRISTS
from uvatar.data.person import Person


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def hiding(person: Person, points: Sequence[int], visibility: float = 0.1) -> Person:
    landmarks = person.landmarks.copy()
    landmarks[points, 2] = visibility
    return replace(person, landmarks=landmarks)


LEFT_ARM = [ELBOWS[0], WRISTS[0]]


def lengths(offsets: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.linalg.norm(offsets, axis=1))


def test_a_coat_that_the_photo_cuts_ends_below_its_edge(body: BodyModel) -> None:
    fit = standing(body)
    whole = silhouette(body, fit, coat(body, 0.07))
    hip = body.posed(fit.body)[1][Joint.LEFT_HIP]
    edge = int(CAMERA.project(hip[None])[0, 1])
    camera = replace(CAMERA, height=edge)
    found = clothing_offsets(fit, seen_as(whole[:edge]), camera, clothing_model(body))
    below = (body.posed(fit.body)[0][:, 1] - hip[1]) > 0.12
    trunk = np.isin(body.data.weights.argmax(1), [Joint.SPINE1, Joint.SPINE2])
    assert lengths(found[below]).max() < 0.01
    assert np.percentile(lengths(found[trunk]), 75) > 0.02


def test_no_bulge_is_made_of_an_arm_that_the_body_has_elsewhere(body: BodyModel) -> None:
    """The mask shows an elbow that stands off; the landmarks do not show it, and the fitted arm hangs."""
    fit = standing(body)
    mask = silhouette(body, fit)
    rows, columns = np.nonzero(mask)
    middle, low = int(columns.mean()), int(np.quantile(rows, 0.45))
    side = np.s_[low - 40 : low + 40, middle : int(columns.max()) + 25]
    wide = mask.copy()
    wide[side] = True
    arms, *_ = limbs(body.data)
    model = clothing_model(body)
    moved = [
        lengths(clothing_offsets(fit, hiding(seen_as(wide), points), CAMERA, model))[~arms] for points in ([], LEFT_ARM)
    ]
    assert np.percentile(moved[1], 99) < 0.7 * np.percentile(moved[0], 99)


def test_which_parts_are_beside_hidden_limbs(body: BodyModel) -> None:
    data, joint = body.data, body.data.weights.argmax(1)
    person = seen_as(silhouette(body, standing(body)))
    assert not beside_hidden_limbs(person, CAMERA, data).any()
    arm = beside_hidden_limbs(hiding(person, LEFT_ARM), CAMERA, data)
    assert arm[joint == Joint.LEFT_ELBOW].all() and not arm[joint == Joint.RIGHT_ELBOW].any()
    assert arm[(joint == Joint.SPINE1) & (data.v_template[:, 0] > 0.02)].all()
    assert not arm[(joint == Joint.SPINE1) & (data.v_template[:, 0] < -0.02)].any()
    legs = beside_hidden_limbs(hiding(person, [*KNEES, *ANKLES]), CAMERA, data)
    assert legs[joint == Joint.LEFT_KNEE].all() and not legs[joint == Joint.SPINE3].any()
