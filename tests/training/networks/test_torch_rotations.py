"""Rotations in PyTorch, against float64 formulas."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from uvatar.geometry.torch_rotations import axis_angle_from_matrices, matrices_from_6d, six_d_from_matrices


def test_identity_is_the_3x2_layout() -> None:
    torch.testing.assert_close(matrices_from_6d(torch.tensor([1.0, 0, 0, 1, 0, 0])), torch.eye(3))


def test_6d_is_gram_schmidt_on_the_columns_of_a_row_major_3x2_matrix() -> None:
    values = np.random.default_rng(0).normal(size=(50, 6))
    expected = []
    for six in values:
        a, b = six.reshape(3, 2).T
        a = a / np.linalg.norm(a)
        b = b - a.dot(b) * a
        b = b / np.linalg.norm(b)
        expected.append(np.stack([a, b, np.cross(a, b)], 1))
    torch.testing.assert_close(matrices_from_6d(torch.from_numpy(values)), torch.from_numpy(np.stack(expected)))


def test_6d_round_trip() -> None:
    matrices = torch.from_numpy(Rotation.random(40, random_state=1).as_matrix())
    torch.testing.assert_close(matrices_from_6d(six_d_from_matrices(matrices)), matrices)


def test_axis_angle_at_every_angle() -> None:
    rng = np.random.default_rng(2)
    axes = rng.normal(size=(60, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.concatenate([[0.0, 1e-9, 1e-5, np.pi - 1e-6, np.pi - 1e-3], rng.uniform(0, np.pi, 55)])
    vectors = axes * angles[:, None]
    got = axis_angle_from_matrices(torch.from_numpy(Rotation.from_rotvec(vectors).as_matrix())).numpy()
    np.testing.assert_allclose(
        Rotation.from_rotvec(got).as_matrix(), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-7
    )
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), angles, atol=1e-6)
