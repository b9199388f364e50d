"""Centre targets: where a person's centre is, how wide its peak, and who stands for whom."""

from __future__ import annotations

import numpy as np
import torch

from uvatar_training.losses.targets import (
    body_centers,
    center_cells,
    center_heatmap,
    joint_heatmaps,
    kernel_radii,
    match,
    repel,
)


def test_centre_is_the_mean_of_visible_torso_joints_else_of_all() -> None:
    joints = torch.tensor([[[0.0, 0.0], [0.2, 0.4], [0.8, 0.8]], [[0.1, 0.1], [0.5, 0.5], [0.3, 0.9]]])
    torso = torch.tensor([True, True, False])
    visible = torch.tensor([[True, True, True], [False, False, True]])
    torch.testing.assert_close(body_centers(joints, visible, torso), torch.tensor([[0.1, 0.2], [0.3, 0.9]]))


def test_radius_grows_with_the_person_from_2_to_7() -> None:
    def radius(width: float, height: float) -> int:
        joints = torch.tensor([[[-width, -height], [width, height], [9.0, 9.0]]]) / 2
        return int(kernel_radii(joints, torch.tensor([[True, True, False]]))[0])

    assert radius(0.01, 0.01) == 2
    assert radius(2, 2) == int(np.hypot(1, 1) * 4 + 2) == 7
    assert radius(0.6, 1.6) == int(np.hypot(0.3, 0.8) * 4 + 2)


def test_heatmap_is_one_at_centres_gaussian_around_and_the_larger_where_people_meet() -> None:
    centers = torch.tensor([[0.0, 0.0], [0.0625, 0.0]])
    radii = torch.tensor([3, 2])
    heatmap = center_heatmap(centers, radii)[0]
    cells = center_cells(centers)
    assert [heatmap[y, x].item() for x, y in cells.tolist()] == [1.0, 1.0]
    sigma_a, sigma_b = 7 / 6, 5 / 6
    x, y = 33, 33
    expected = max(
        np.exp(-((x - cells[0, 0]) ** 2 + (y - cells[0, 1]) ** 2) / (2 * sigma_a**2)),
        np.exp(-((x - cells[1, 0]) ** 2 + (y - cells[1, 1]) ** 2) / (2 * sigma_b**2)),
    )
    np.testing.assert_allclose(heatmap[y, x], expected, rtol=1e-5)
    assert heatmap[32 + 4, 32] == 0  # outside the kernel


def test_people_who_hide_each_other_are_pushed_apart_along_their_line() -> None:
    centers = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.9, 0.9]])
    radii = torch.tensor([4, 4, 4])
    moved = repel(centers, radii, torch.tensor([10, 12, 10]))
    needed = 9 / 64 * 2
    offset = (needed - 0.1) / 0.1 * (0.1 + 1e-4) * 0.2
    np.testing.assert_allclose(moved[0, 0], -offset / 2, rtol=1e-4)
    np.testing.assert_allclose(moved[1, 0], 0.1 + offset / 2, rtol=1e-4)
    torch.testing.assert_close(moved[2], centers[2])


def test_far_people_and_better_seen_people_stay_and_nobody_leaves_the_picture() -> None:
    far = torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    torch.testing.assert_close(repel(far, torch.tensor([7, 7]), torch.tensor([5, 5])), far)
    edge = torch.tensor([[0.99, 0.99], [0.99, 0.95]])
    assert repel(edge, torch.tensor([7, 7]), torch.tensor([5, 5])).abs().max() <= 0.96 + 1e-6
    same = torch.tensor([[0.2, 0.2], [0.2, 0.2]])
    pushed = repel(same, torch.tensor([5, 5]), torch.tensor([5, 5]))
    assert torch.isfinite(pushed).all() and (pushed[0] != pushed[1]).any()


def test_match_takes_the_near_peak_of_the_same_picture_else_the_person_s_own_cell() -> None:
    center = torch.zeros(2, 1, 64, 64)
    center[0, 0, 20, 11] = 0.9  # one cell right of person 0
    center[1, 0, 40, 40] = 0.8  # far from person 1, who has no peak
    true = torch.tensor([[10.5, 20.5], [10.5, 20.5]]) / 32 - 1
    matches = match(center, true, torch.tensor([0, 1]))
    assert matches.centers.xy.tolist() == [[11, 20], [10, 20]]
    assert matches.centers.picture.tolist() == [0, 1] and matches.person.tolist() == [0, 1]


def test_joints_peak_in_their_own_picture_where_they_are_seen_and_the_nearer_of_two_counts() -> None:
    joints = torch.tensor([[[0.0, 0.0], [-0.5, 0.25]], [[0.1, 0.0], [0.5, 0.5]], [[0.3, -0.7], [0.0, 0.0]]])
    visible = torch.tensor([[True, True], [True, False], [True, True]])
    picture = torch.tensor([0, 0, 2])
    heatmaps = joint_heatmaps(joints, visible, picture, 3).double().numpy()
    rows, columns = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5, indexing="ij")
    for number in range(3):
        for joint in range(2):
            expected = np.zeros((64, 64))
            for person in range(3):
                if picture[person] == number and visible[person, joint]:
                    x, y = (joints[person, joint].double().numpy() + 1) * 32
                    expected = np.maximum(expected, np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2))
            np.testing.assert_allclose(heatmaps[number, joint], expected, atol=1e-5)
