"""Poses: anchors, averaging of mirrored passes, heatmaps, and the choice among hypotheses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uvatar.data.landmarks import OTHER_SIDE_LANDMARKS, Landmark
from uvatar.perception.geometry import Roi
from uvatar.perception.people import Detections
from uvatar.perception.pose import HEATMAP_SHARE, LANDMARK_SIDE, Pose, anchors, averaged, grey_outside, heatmap_points
from uvatar.perception.search import Hypothesis, choose


def made(x: float, certainty: float = 0.8) -> Pose:
    """A person 200 px tall whose segmentation fills the middle of a region round x."""
    spread = np.random.default_rng(0).uniform(-100, 100, (33, 2))
    landmarks = np.column_stack([spread + [x, 300], np.ones(33)]).astype(np.float32)
    logits = np.full((LANDMARK_SIDE, LANDMARK_SIDE), -10, np.float32)
    logits[64:192, 96:160] = 10
    roi = Roi(x, 300, 400)
    return Pose(landmarks, np.zeros((33, 3), np.float32), 1.0, certainty, np.ones(33, np.float32), logits, roi, roi)


def test_mirror_swaps_sides_and_is_its_own_inverse() -> None:
    assert [OTHER_SIDE_LANDMARKS[i] for i in OTHER_SIDE_LANDMARKS] == list(Landmark)
    # eyes, ears, mouth, shoulders, fingers, toes
    assert [OTHER_SIDE_LANDMARKS[i] for i in (0, 2, 7, 9, 11, 19, 31)] == [0, 5, 8, 10, 12, 20, 32]


def test_detector_anchors() -> None:
    points = anchors()
    assert points.shape == (2254, 2) and points.min() > 0 and points.max() < 1


def test_average_of_a_pass_and_its_mirror_image() -> None:
    pose = made(100)
    lopsided = pose.logits.copy()
    lopsided[:, :40] = 3
    pose = replace(pose, logits=lopsided)
    other = replace(
        pose,
        roi=pose.roi.flipped(),
        logits=lopsided[:, ::-1],
        landmarks=pose.landmarks + np.array([2, 0, 0], np.float32),
    )
    mean = averaged(pose, other)
    assert np.array_equal(mean.logits, lopsided)
    assert np.allclose(mean.landmarks[:, 0], pose.landmarks[:, 0] + 1)


def test_passes_that_swap_the_legs_are_not_averaged() -> None:
    pose = made(100, certainty=0.8)
    legs = [25, 26, 27, 28]
    pose.landmarks[legs, 0] = [60, 140, 60, 140]
    swapped = pose.landmarks.copy()
    swapped[legs, 0] = [140, 60, 140, 60]
    other = replace(pose, landmarks=swapped, certainty=0.7)
    assert averaged(pose, other).landmarks[legs, 0].tolist() == [60, 140, 60, 140]
    assert averaged(other, pose).landmarks[legs, 0].tolist() == [60, 140, 60, 140]


def test_heatmap_draws_only_where_it_has_a_peak() -> None:
    heat = np.zeros((64, 64, 2))
    heat[20, 30, 0] = 0.9
    everywhere = np.ones((64, 64), bool)
    points = heatmap_points(np.array([[118.0, 86.0], [118.0, 86.0]]), heat, everywhere)
    assert points[0] == pytest.approx([118 + HEATMAP_SHARE * (30.5 * 4 - 118), 86 + HEATMAP_SHARE * (20.5 * 4 - 86)])
    assert points[1] == pytest.approx([118, 86])
    outside = heatmap_points(np.array([[-900.0, 5000.0], [1e6, -1e6]]), heat, everywhere)
    assert outside[0] == pytest.approx([-900, 5000])


def test_a_point_beside_the_person_goes_to_its_peak_on_the_person() -> None:
    heat = np.zeros((64, 64, 2))
    heat[20, 30] = 0.9
    heat[50, 60] = 0.95  # a neighbour's
    person = np.zeros((64, 64), bool)
    person[10:40, 20:40] = True
    points = heatmap_points(np.array([[220.0, 200.0], [150.0, 100.0]]), heat, person)
    assert points[0] == pytest.approx([30.5 * 4, 20.5 * 4])
    assert points[1] == pytest.approx([150, 100])  # it is on the person: only what is near counts


def test_grey_outside_a_box() -> None:
    crop = np.full((64, 64, 3), 200, np.uint8)
    greyed = grey_outside(crop, Roi(100, 100, 64), np.array([100.0, 0.0, 300.0, 300.0]))
    assert (greyed[:, :30] == 128).all() and (greyed[:, 34:] == 200).all()


def test_nobody_is_counted_twice() -> None:
    found = Detections(np.zeros((3, 4), np.float32), np.array([0.9, 0.5, 0.6], np.float32), np.zeros(3, np.float32))
    people = [
        Hypothesis(0, made(200), 0.9, 0.8),
        Hypothesis(1, made(210), 0.9, 0.8),
        Hypothesis(2, made(700), 0.9, 0.8),
    ]
    assert [item.index for item in choose(people, found)] == [0, 2]


def test_the_certain_hypothesis_of_a_box_wins() -> None:
    found = Detections(np.zeros((1, 4), np.float32), np.array([0.9], np.float32), np.zeros(1, np.float32))
    vague, clear = Hypothesis(0, made(200, certainty=0.3), 0.9, 0.8), Hypothesis(0, made(220, certainty=0.8), 0.85, 0.8)
    assert choose([vague, clear], found) == [clear]
