"""Every term of the mesh loss against float64 NumPy, and what it must ignore."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

from uvatar_training.losses.mesh import (
    MeshLoss,
    MixturePrior,
    camera_distance,
    center_focal,
    joint_maps_distance,
    joints_2d_distance,
    joints_3d_distance,
    joints_aligned_distance,
    pose_distance,
    pose_prior,
    shape_distance,
)
from uvatar_training.losses.targets import joint_heatmaps

RNG = np.random.default_rng(0)


def tensor(*shape: int) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(size=shape))


def test_center_focal_is_the_published_formula() -> None:
    p = RNG.uniform(-0.2, 1.2, (2, 1, 8, 8))
    target = RNG.uniform(0, 0.9, (2, 1, 8, 8))
    target[0, 0, 2, 3] = target[1, 0, 5, 5] = target[1, 0, 1, 1] = 1
    expected = 0.0
    for value, goal in zip(p.ravel(), target.ravel(), strict=True):
        clamped = min(max(value, 1e-3), 1 - 1e-3)
        expected -= (
            np.log(clamped) * (1 - value) ** 2 if goal == 1 else np.log(1 - clamped) * value**2 * (1 - goal) ** 4
        )
    got = center_focal(torch.from_numpy(p), torch.from_numpy(target), torch.tensor([True, True]))
    np.testing.assert_allclose(got, expected / (3 + 1e-4), rtol=1e-6)


def test_center_focal_ignores_pictures_whose_people_are_not_all_labelled() -> None:
    target = torch.zeros(2, 1, 8, 8)
    target[:, 0, 4, 4] = 1
    p = torch.full((2, 1, 8, 8), 0.4)
    only_first = center_focal(p, target, torch.tensor([True, False]))
    torch.testing.assert_close(only_first, center_focal(p[:1], target[:1], torch.tensor([True])))
    assert center_focal(p, target, torch.tensor([False, False])) == 0


def test_distances_are_means_over_what_is_valid() -> None:
    a, b, valid = tensor(3, 5, 3), tensor(3, 5, 3), torch.from_numpy(RNG.uniform(size=(3, 5)) > 0.4)
    keep = valid.numpy()
    np.testing.assert_allclose(
        joints_2d_distance(a[..., :2], b[..., :2], valid),
        np.linalg.norm((a - b)[..., :2], axis=-1)[keep].mean(),
        rtol=1e-6,
    )
    centred_a = (a - (a[:, 1] + a[:, 2])[:, None] / 2).numpy()
    centred_b = (b - (b[:, 1] + b[:, 2])[:, None] / 2).numpy()
    np.testing.assert_allclose(
        joints_3d_distance(a, b, valid, (1, 2)), np.linalg.norm(centred_a - centred_b, axis=-1)[keep].mean(), rtol=1e-6
    )
    ra, rb = (torch.from_numpy(Rotation.random(15, random_state=s).as_matrix().reshape(3, 5, 3, 3)) for s in (1, 2))
    np.testing.assert_allclose(
        pose_distance(ra, rb, valid), np.linalg.norm((ra - rb).numpy(), axis=(-2, -1))[keep].mean(), rtol=1e-6
    )


def test_missed_joints_cost_the_same_however_many_there_are() -> None:
    labelled = torch.tensor([True, True])
    few, many = (torch.rand(2, count, 2, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9 for count in (5, 60))
    costs = []
    for joints in (few, many):
        target = joint_heatmaps(joints, torch.ones(joints.shape[:2], dtype=torch.bool), torch.tensor([0, 1]), 2)
        costs.append(float(joint_maps_distance(torch.zeros_like(target), target, labelled)))
        assert joint_maps_distance(target, target, labelled) == 0
        assert joint_maps_distance(torch.zeros_like(target), target, ~labelled) == 0
    # the square of a Gaussian of one cell sums to pi
    np.testing.assert_allclose(costs, np.pi, rtol=0.15)


def test_shape_distance_knows_and_guesses() -> None:
    a, b, valid = tensor(2, 10), tensor(2, 10), torch.tensor([True, False])
    weights = np.array([1, 0.64, 0.32, 0.32] + [0.16] * 6)
    expected = (np.linalg.norm((a - b)[0].numpy() * weights) + (a[1].numpy() ** 2).mean()) / 20
    np.testing.assert_allclose(shape_distance(a, b, valid), expected, rtol=1e-6)


def test_camera_distance_treats_twice_and_half_the_scale_alike() -> None:
    true = torch.tensor([[0.5, 0.1, 0.2]])
    valid = torch.tensor([True])
    far, near = true * torch.tensor([0.5, 1, 1]), true * torch.tensor([2.0, 1, 1])
    torch.testing.assert_close(camera_distance(far, true, valid), camera_distance(near, true, valid))
    assert camera_distance(true, true, valid) < 1e-6


def test_aligned_distance_is_scipy_s_alignment_and_blind_to_similarities() -> None:
    target = RNG.normal(size=(4, 24, 3))
    noisy = target + RNG.normal(0, 0.1, target.shape)
    rotations = Rotation.random(4, random_state=3)
    moved = np.stack([0.3 * (i + 1) * rotations[i].apply(noisy[i]) + i for i in range(4)])
    expected = []
    for i in range(4):
        p, t = noisy[i] - noisy[i].mean(0), target[i] - target[i].mean(0)
        rotation, _ = Rotation.align_vectors(t, p)
        p = rotation.apply(p)
        expected.append(np.linalg.norm((p * t).sum() / (p * p).sum() * p - t, axis=-1))
    valid = torch.ones(4, 24, dtype=torch.bool)
    got = joints_aligned_distance(torch.from_numpy(moved), torch.from_numpy(target), valid)
    np.testing.assert_allclose(got, np.mean(expected), rtol=1e-6)


def test_aligned_distance_does_not_mirror_and_uses_only_valid_joints() -> None:
    target = tensor(1, 24, 3)
    valid = torch.ones(1, 24, dtype=torch.bool)
    assert joints_aligned_distance(target * torch.tensor([-1.0, 1, 1]), target, valid) > 0.2
    broken = target.clone()
    broken[0, 3] += 100
    valid[0, 3] = False
    assert joints_aligned_distance(broken, target, valid) < 1e-6
    assert joints_aligned_distance(broken, target, valid & (torch.arange(24) < 3)) == 0  # three joints fit anything


def test_prior_is_the_best_component_s_likelihood() -> None:
    means, roots, weights = RNG.normal(size=(3, 6)), [], np.array([0.5, 0.3, 0.2])
    covariances = []
    for _ in range(3):
        a = RNG.normal(size=(6, 6))
        covariances.append(a @ a.T + np.eye(6))
        roots.append(np.linalg.cholesky(np.linalg.inv(covariances[-1])).T)
    prior = MixturePrior(torch.from_numpy(np.log(weights)), torch.from_numpy(means), torch.from_numpy(np.stack(roots)))
    poses = RNG.normal(size=(7, 6))
    expected = [
        min(
            -multivariate_normal(m, c).logpdf(x) - 3 * np.log(2 * np.pi) - np.log(w)
            for m, c, w in zip(means, covariances, weights, strict=True)
        )
        for x in poses
    ]
    np.testing.assert_allclose(prior.negative_log_likelihood(torch.from_numpy(poses)), expected, rtol=1e-6)
    # Tolerated up to the threshold, then growing without a step.
    threshold = float(np.min(expected))
    worst = torch.from_numpy(poses[[int(np.argmax(expected))]])
    np.testing.assert_allclose(pose_prior(worst, prior, threshold), (np.max(expected) - threshold) / 100, rtol=1e-6)
    assert pose_prior(torch.from_numpy(poses[[int(np.argmin(expected))]]), prior, threshold + 1) == 0


@pytest.mark.parametrize("term", [joints_2d_distance, pose_distance, camera_distance, joints_aligned_distance])
def test_nothing_valid_is_zero_with_zero_gradient(term: Callable[..., torch.Tensor]) -> None:
    shape = {
        joints_2d_distance: (2, 5, 2),
        pose_distance: (2, 5, 3, 3),
        camera_distance: (2, 3),
        joints_aligned_distance: (2, 5, 3),
    }[term]
    a = tensor(*shape).requires_grad_()
    valid = torch.zeros(shape[:1] if term is camera_distance else shape[:2], dtype=torch.bool)
    loss = term(a, tensor(*shape), valid)
    loss.backward()
    assert loss == 0 and a.grad is not None and torch.isfinite(a.grad).all() and a.grad.abs().sum() == 0


def test_gradients_are_finite_at_a_perfect_prediction() -> None:
    a = tensor(2, 8, 3).requires_grad_()
    valid = torch.ones(2, 8, dtype=torch.bool)
    (
        joints_aligned_distance(a, a.detach().clone(), valid) + joints_3d_distance(a, a.detach().clone(), valid, (0, 1))
    ).backward()
    assert a.grad is not None and torch.isfinite(a.grad).all()


def test_total_weighs_caps_and_refuses() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    total, log = MeshLoss({"pose": 2.0, "shape": 400.0, "camera": 0.0})({"pose": x, "shape": x, "camera": x})
    assert total.item() == pytest.approx(6 + 1000) and log == {"pose": 6.0, "shape": 1200.0}
    total.backward()
    assert x.grad is not None and x.grad.item() == pytest.approx(2 + 400 * 1000 / 1200)
    with pytest.raises(KeyError):
        MeshLoss({"pose": 1.0})({"vertices": x})
