"""Boxes: suppression, tiles, the crowd behind."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.perception.people import Detections, anchors, suppress, tiles, without_bystanders


def test_anchors_cover_the_input_evenly() -> None:
    boxes = anchors()
    assert boxes.shape == (19206, 4)
    assert boxes[:, :2].min() > 0 and np.allclose(boxes[: 40 * 40 * 9, :2].mean(0), 160)


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
    kept = suppress(
        Detections(boxes, np.array([0.5, 0.9, 0.3], np.float32), np.array([0.4, 0.1, 0.2], np.float32)), 0.5
    )
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3])
    assert kept.boxes[0].tolist() == [1, 0, 11, 10]
    assert kept.rivals.tolist() == pytest.approx([0.4, 0.2]), "the rivals of what was one thing are kept"


@pytest.mark.parametrize(("width", "height"), [(800, 451), (451, 800), (640, 640), (4000, 500)])
def test_tiles_cover_the_photo(width: int, height: int) -> None:
    seen = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in tiles(width, height):
        seen[max(round(y0), 0) : round(y1), max(round(x0), 0) : round(x1)] = True
    assert seen.all()


def test_small_uncertain_people_behind_large_ones_are_left_out() -> None:
    boxes = np.array([[0, 0, 100, 400], [200, 0, 220, 60], [300, 0, 320, 60], [400, 0, 460, 300]], np.float32)
    found = without_bystanders(Detections(boxes, np.array([0.9, 0.3, 0.85, 0.3], np.float32), np.zeros(4, np.float32)))
    assert found.boxes[:, 0].tolist() == [0, 300, 400]
