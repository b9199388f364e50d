"""The open body's anatomy is a mannequin's, whatever its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import BodyData, BodyModel, load_body
from uvatar.data.joints import Joint
from uvatar.runtime.weights import weights_folder

WOMAN, MAN = np.eye(10)[2] * 2.0, -np.eye(10)[2] * 2.0


@pytest.fixture(scope="module")
def nude() -> BodyData:
    return load_body(weights_folder() / "open_body.npz")


def groove(rest: NDArray[np.floating[Any]], pelvis: NDArray[np.float32]) -> float:
    """How deep the seat is in its middle, metres, below the hip joints' height."""
    level = np.abs(rest[:, 1] - pelvis[1] + 0.03) < 0.02
    behind = rest[level & (rest[:, 2] < pelvis[2])]
    side = np.abs(behind[:, 0])
    return float(behind[side < 0.006, 2].min() - behind[(side > 0.04) & (side < 0.08), 2].min())


@pytest.mark.parametrize("betas", [np.zeros(10), WOMAN, MAN])
def test_the_seat_has_no_cleft(body: BodyModel, nude: BodyData, betas: NDArray[np.float64]) -> None:
    pelvis = nude.joint_template[Joint.PELVIS]
    before, after = (groove(data.v_template + data.shapedirs @ betas, pelvis) for data in (nude, body.data))
    assert before > 0.01
    assert after < 0.003


def test_only_chest_belly_and_seat_change(body: BodyModel, nude: BodyData) -> None:
    moved = np.linalg.norm(body.data.v_template - nude.v_template, axis=1)
    assert 100 < (moved > 1e-5).sum() < 400
    assert moved.max() < 0.03
    assert (nude.weights[moved > 1e-5][:, [Joint.HEAD, Joint.LEFT_KNEE, Joint.LEFT_ELBOW]] == 0).all()
    assert np.abs(body.data.joint_template - nude.joint_template).max() < 5e-3


def test_left_and_right_stay_alike(body: BodyModel) -> None:
    rest = body.data.v_template
    assert np.abs(rest[body.data.mirror] * (-1, 1, 1) - rest).max() < 1e-4
