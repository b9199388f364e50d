"""People who turn round: the truth agrees with itself from all sides, and what differs is counted."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Never

import numpy as np
import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.sitters import Sitter, random_sitter
from uvatar.evaluation.turning import SeenFrom, evaluate_turning, spread, turned
from uvatar.geometry import rotations
from uvatar.photos.decoding import PhotoError


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def sitter(body: BodyModel) -> Sitter:
    return random_sitter("test", load_poses()[0], body, np.random.default_rng(5))


def test_a_turn_keeps_the_person_on_the_spot_and_upright(body: BodyModel, sitter: Sitter) -> None:
    half = turned(sitter, np.pi, body)
    before, after = body.posed(sitter.body)[1], body.posed(half.body)[1]
    assert np.allclose(before[0], after[0], atol=1e-4)
    up = np.array(sitter.up)
    assert np.allclose((before - before[0]) @ up, (after - after[0]) @ up, atol=1e-4)
    across = [joints[1] - joints[2] - ((joints[1] - joints[2]) @ up) * up for joints in (before, after)]
    assert np.allclose(across[0], -across[1], atol=1e-4)
    once_round = turned(half, np.pi, body)
    assert np.allclose(body.posed(once_round.body)[1], before, atol=1e-4)
    assert once_round.yaw == pytest.approx(sitter.yaw)


def test_the_truth_agrees_with_itself_and_differences_are_counted(body: BodyModel, sitter: Sitter) -> None:
    views = [SeenFrom(turned(sitter, angle, body).body, 0.0) for angle in np.arange(4) * np.pi / 2]
    alike = spread(views, sitter, body)
    assert alike["views"] == 4
    assert all(value == pytest.approx(0, abs=0.01) for name, value in alike.items() if name != "views")
    betas = sitter.body.betas.copy()
    betas[0] += 1
    pose = sitter.body.body_pose.copy()
    pose[17] = rotations.log(rotations.exp(pose[17].astype(float)) @ rotations.exp(np.array([0, -0.8, 0])))
    other = SeenFrom(replace(sitter.body, betas=betas, body_pose=pose.astype(np.float32)), 4.0)
    differing = spread([*views, other], sitter, body)
    assert differing["stature"] > 2 and differing["joints"] > 0.5 and differing["joints_pa"] > 0.1
    assert differing["lean"] == pytest.approx(1.6) and differing["lean_error"] == pytest.approx(0.8)
    assert np.isnan(spread(views[:1], sitter, body)["joints"])


def test_whoever_is_not_found_from_any_side_is_in_the_table(body: BodyModel, tmp_path: Path) -> None:
    def nobody(data: bytes, name: str) -> Never:
        raise PhotoError("nobody")

    evaluate_turning(tmp_path, nobody, count=1, body=body)
    (row,) = csv.DictReader((tmp_path / "table.csv").open())
    assert row["views"] == "0" and row["joints"] == "nan"
    assert len(list((tmp_path / "pictures").iterdir())) == 8
