"""The coarse points that carry fields."""

from __future__ import annotations

import numpy as np

from uvatar.clothing.fields import _farthest


def test_each_point_is_the_farthest_from_those_before() -> None:
    points = np.random.default_rng(0).normal(0, 1, (500, 6))
    chosen, spacing = _farthest(points, 60)
    plainly = [0]
    while len(plainly) < 60:
        distance = np.linalg.norm(points[:, None] - points[plainly], axis=-1).min(1)
        plainly.append(int(distance.argmax()))
    assert chosen == plainly
    assert np.isclose(spacing, np.linalg.norm(points[:, None] - points[plainly[:-1]], axis=-1).min(1).max())
