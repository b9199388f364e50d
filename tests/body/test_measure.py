"""Measurements against other ways of taking them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from uvatar.body import BodyModel, measure
from uvatar.body.measure import girth
from uvatar.data.joints import ELBOW_JOINTS, HAND_JOINTS, HIP_JOINTS, SHOULDER_JOINTS, WRIST_JOINTS


def test_girth_of_a_cylinder_is_its_circumference() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.stack([0.2 * np.cos(angle), np.zeros(200), 0.1 * np.sin(angle)], 1)
    vertices = np.concatenate([ring, ring + [0, 1, 0]])
    i, j = np.arange(200), (np.arange(200) + 1) % 200
    faces = np.concatenate([np.stack([i, j, i + 200], 1), np.stack([j, j + 200, i + 200], 1)])
    h = ((0.2 - 0.1) / (0.2 + 0.1)) ** 2  # Ramanujan's perimeter of an ellipse
    expected = np.pi * 0.3 * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    assert girth(vertices, faces, 0.37) == pytest.approx(expected, rel=1e-3)
    assert girth(vertices, faces, 1.5) == 0.0


def test_girths_are_those_of_the_whole_trunk(body: BodyModel) -> None:
    """Only edges near the heights are cut; cutting all gives the same."""
    data, betas = body.data, np.random.default_rng(0).normal(0, 1, 10)
    vertices = data.v_template + data.shapedirs @ betas
    joints = data.joint_template + data.joint_shapedirs @ betas
    low, high = joints[HIP_JOINTS, 1].mean(), joints[SHOULDER_JOINTS, 1].mean()
    arms = [*SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS, *HAND_JOINTS]
    trunk = data.faces[(data.weights[:, arms].sum(1) < 0.5)[data.faces].all(1)]

    def girths(start: float, end: float) -> list[float]:
        return [100 * girth(vertices, trunk, low + share * (high - low)) for share in np.arange(start, end, 0.01)]

    measured = measure(body, betas)
    assert measured["chest"] == round(max(girths(0.60, 0.705)), 1)
    assert measured["waist"] == round(float(np.mean(girths(0.36, 0.465))), 1)
    assert measured["hip"] == round(max(girths(-0.15, 0.255)), 1)


def test_waist_matches_the_widest_points_seen_from_every_side(body: BodyModel) -> None:
    """Cauchy: the perimeter of a convex outline is pi times its mean width.

    Taken from a thin slab of surface points, not from a cut.
    """
    vertices = body.data.v_template.astype(float)
    measured = measure(body, np.zeros(10))["waist"]
    corner = vertices[body.data.faces]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), (len(corner), 30))
    points = np.einsum("fkc,fcd->fkd", weights.transpose(0, 1, 2), corner).reshape(-1, 3)
    names = body.data.joint_names
    low, high = (body.data.joint_template[names.index(n), 1] for n in ("left_hip", "left_shoulder"))
    slab = points[np.abs(points[:, 1] - (low + 0.41 * (high - low))) < 0.004][:, [0, 2]]
    directions = np.stack([np.cos(np.linspace(0, np.pi, 180)), np.sin(np.linspace(0, np.pi, 180))])
    assert 100 * np.pi * np.ptp(slab @ directions, axis=0).mean() == pytest.approx(measured, rel=0.02)


def test_average_people_have_average_measurements(body: BodyModel) -> None:
    """Within the spread that surveys (ANSUR II, NHANES) report for adults."""
    names = ("stature", "chest", "waist", "hip", "inseam", "shoulder_width")
    expected = {
        "male": ((170, 182), (92, 112), (78, 100), (92, 110), (72, 90), (34, 43)),
        "female": ((157, 169), (84, 104), (70, 92), (94, 112), (68, 84), (31, 38)),
    }
    for group, ranges in expected.items():
        values = measure(body, body.data.shape_prior[group].mean)
        for name, (low, high) in zip(names, ranges, strict=True):
            assert low < values[name] < high, (group, name, values[name])


def test_measurements_follow_their_betas(body: BodyModel) -> None:
    def series(beta: int, name: str) -> list[float]:
        return [measure(body, np.eye(10)[beta] * value)[name] for value in (-2, -1, 0, 1, 2)]

    for beta, names in ((0, ("stature", "inseam", "arm")), (1, ("chest", "waist", "hip"))):
        for name in names:
            values = series(beta, name)
            assert all(a < b for a, b in itertools.pairwise(values)), (beta, name, values)
    assert series(0, "stature")[2] == pytest.approx(100 * np.ptp(body.data.v_template[:, 1]), abs=0.1)
