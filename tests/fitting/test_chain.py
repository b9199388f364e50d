"""Points and derivatives against the body in PyTorch and its automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uvatar.body import load_open_body
from uvatar.body.torch_body import TorchBody
from uvatar.fitting.chain import BodyPoints, BodySkeleton, Placed, State
from uvatar.geometry import rotations
from uvatar.geometry.torch_rotations import matrices_from_axis_angle


@pytest.fixture(scope="module")
def double_body() -> TorchBody:
    return TorchBody(load_open_body().data).double()


@pytest.fixture(scope="module")
def state() -> State:
    rng = np.random.default_rng(0)
    return State(
        rotations.exp(rng.normal(size=(2, 3))),
        rng.normal(0, 0.5, (2, 21, 3)),
        rng.normal(size=(2, 10)),
        rng.normal(size=(2, 3)),
    )


def torch_landmarks(body: TorchBody, state: State, unknowns: torch.Tensor) -> torch.Tensor:
    count = len(state.betas)
    zero = torch.zeros(count, 2, 3, dtype=torch.float64)
    root = matrices_from_axis_angle(unknowns[:, None, :3]) @ torch.as_tensor(state.orient)[:, None]
    others = matrices_from_axis_angle(torch.cat([unknowns[:, 3:66].reshape(count, 21, 3), zero], 1))
    return body.landmarks(unknowns[:, 66:76], torch.cat([root, others], 1), unknowns[:, 76:])


def numpy_landmarks(body: TorchBody, state: State) -> Placed:
    data = body.data
    skeleton = BodySkeleton(
        data.joint_template.astype(float), data.joint_shapedirs.astype(float), tuple(int(p) for p in data.parents)
    )
    points = BodyPoints(
        *(a.astype(float) for a in (data.landmark_template, data.landmark_shapedirs, data.landmark_weights))
    )
    return skeleton.pose(state).place(points)


def test_points_and_derivatives_match_automatic_differentiation(double_body: TorchBody, state: State) -> None:
    unknowns = np.concatenate([np.zeros((2, 3)), state.pose.reshape(2, -1), state.betas, state.transl], 1)
    placed = numpy_landmarks(double_body, state)
    expected = torch_landmarks(double_body, state, torch.as_tensor(unknowns))
    assert np.abs(placed.positions - expected.numpy()).max() < 1e-12
    whole = torch.autograd.functional.jacobian(
        lambda x: torch_landmarks(double_body, state, x), torch.as_tensor(unknowns)
    ).numpy()
    own = np.stack([whole[i, :, :, i] for i in range(2)])
    assert np.abs(placed.derivative() - own).max() < 1e-12
    direction = np.random.default_rng(1).normal(size=placed.positions.shape)
    assert np.abs(placed.derivative(direction) - np.einsum("bpi,bpij->bpj", direction, own)).max() < 1e-12


def test_a_small_step_moves_points_as_the_derivative_says(double_body: TorchBody, state: State) -> None:
    step = np.random.default_rng(2).normal(0, 1e-5, (2, 79))
    before, after = numpy_landmarks(double_body, state), numpy_landmarks(double_body, state.stepped(step))
    foreseen = np.einsum("bpij,bj->bpi", before.derivative(), step)
    assert np.abs(after.positions - before.positions - foreseen).max() < 1e-8


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 0.3, 3.0])
def test_rotations(angle: float) -> None:
    vector = np.array([2.0, -1.0, 2.0]) / 3 * angle
    matrix = rotations.exp(vector)
    expected = torch.matrix_exp(torch.as_tensor(np.cross(vector, np.eye(3)).T)).numpy()
    assert np.abs(matrix - expected).max() < 1e-12
    assert np.abs(rotations.log(matrix) - vector).max() < 1e-7
    small = np.array([1e-6, 2e-6, -1e-6])
    assert (
        np.abs(rotations.exp(vector + small) - rotations.exp(rotations.left_jacobian(vector) @ small) @ matrix).max()
        < 1e-10
    )


@pytest.mark.parametrize("target", [[1.0, 0, 0], [-1.0, 0, 0], [0.2, 3.0, -1.0]])
def test_between_turns_one_direction_to_the_other(target: list[float]) -> None:
    turn = rotations.between(np.array([1.0, 0, 0]), np.array(target))
    assert np.allclose(turn @ [1.0, 0, 0], np.array(target) / np.linalg.norm(target))
    assert np.isclose(np.linalg.det(turn), 1)
