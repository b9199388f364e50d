"""`evaluate hands`: errors against poses that are known, and the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import standing
from uvatar.body import BodyModel, load_open_body
from uvatar.evaluation.hands import POSES, HandScore, compared, summary
from uvatar.protocol.rig import ANGLE_LIMITS, hand_pose

SCORE = HandScore("000", "left", "fist", 80, False)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def test_errors_are_those_of_the_fingers_and_the_wrist(body: BodyModel) -> None:
    assert body.data.rig is not None
    axes = body.data.rig.finger_axes
    fist, opened = (hand_pose(POSES[name], POSES[name], axes).astype(np.float32) for name in ("fist", "open"))
    truth = standing(hand_pose=fist)
    same = compared(SCORE, 0, truth, truth, body)
    assert same.found and same.believed
    assert same.angle == pytest.approx(0, abs=0.1) and same.tips == pytest.approx(0, abs=0.01) and same.palm == 0
    pose = truth.body_pose.copy()
    pose[19] = [0, 0, np.radians(20)]
    other = compared(SCORE, 0, truth, replace(truth, hand_pose=opened, body_pose=pose), body)
    assert other.palm == pytest.approx(20, abs=0.2) and other.angle > 50 and other.tips > 5
    relaxed = hand_pose(POSES["relaxed"], POSES["relaxed"], axes).astype(np.float32)
    unseen = compared(SCORE, 1, truth, replace(truth, hand_pose=relaxed), body)
    assert not unseen.believed and unseen.angle == pytest.approx(unseen.relaxed, abs=0.1)


def test_table_counts_hands_and_averages_those_that_were_believed() -> None:
    hands = [SCORE, replace(SCORE, found=True), replace(SCORE, found=True, believed=True, angle=10.0, tips=1.0)]
    row = {row["pose"]: row for row in summary(hands)}
    assert (row["fist"]["hands"], row["fist"]["found"], row["fist"]["believed"]) == (3, 2, 1)
    assert row["fist"]["angle (degrees)"] == row["all"]["angle (degrees)"] == 10
    assert row["open"]["hands"] == 0 and np.isnan(row["open"]["tips (cm)"])


def test_poses_are_within_the_limits_of_the_joints() -> None:
    for angles in POSES.values():
        assert (angles >= ANGLE_LIMITS[..., 0] - 1e-9).all() and (angles <= ANGLE_LIMITS[..., 1] + 1e-9).all()
