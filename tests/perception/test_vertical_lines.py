"""Edges that may be vertical: drawn pictures whose edges are known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.person import Person
from uvatar.perception.vertical_lines import vertical_segments


def picture(lines: list[tuple[int, int, int, int]], size: tuple[int, int] = (600, 800)) -> NDArray[np.uint8]:
    image = np.full((*size, 3), 200, np.uint8)
    for x0, y0, x1, y1 in lines:
        cv2.line(image, (x0, y0), (x1, y1), (40, 40, 40), 6, cv2.LINE_AA)
    return image


def someone(window: tuple[int, int, int, int]) -> Person:
    x0, y0, x1, y1 = window
    mask = np.full((y1 - y0, x1 - x0), 255, np.uint8)
    points = np.zeros((33, 3), np.float32)
    return Person(np.array(window, np.float32), 1.0, points, points, window, mask, np.zeros_like(mask))


def test_steep_edges_are_found_where_they_are_and_flat_ones_left_out() -> None:
    found = vertical_segments(picture([(200, 100, 220, 500), (50, 550, 750, 540)]), [])
    assert len(found) >= 2  # both sides of the bar
    for x0, y0, x1, y1 in found:
        along = (np.array([y0, y1]) - 100) / 400 * 20 + 200
        assert np.abs(np.array([x0, x1]) - along).max() < 6


def test_edges_of_people_are_left_out() -> None:
    bars = picture([(200, 100, 200, 500), (600, 100, 600, 500)])
    found = vertical_segments(bars, [someone((150, 50, 260, 560))])
    assert len(found) and (found[:, 0] > 500).all()


def test_a_tilted_photos_edges_are_looked_for_along_its_up() -> None:
    leaning = picture([(300, 500, 700, 100)])
    assert not len(vertical_segments(leaning, []))
    assert len(vertical_segments(leaning, [], tilt=np.pi / 4))


def test_a_plain_picture_has_none() -> None:
    assert vertical_segments(picture([]), []).shape == (0, 4)
