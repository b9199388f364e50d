"""The body model against the written-out equations and, where installed, against smplx."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel, as_smpl_dict
from uvatar.data.fit import BodyParameters
from uvatar.geometry.torch_rotations import matrices_from_axis_angle

from .reference import pose_body


def random_people(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(count, *shape, generator=generator) * scale
        for shape, scale in (((10,), 1.0), ((24, 3), 0.6), ((3,), 1.0))
    )  # type: ignore[return-value]


def test_matches_the_equations(body: BodyModel) -> None:
    betas, pose, transl = random_people(3)
    output = body(betas, pose, transl)
    for n in range(3):
        vertices, joints = pose_body(
            body.data, betas[n].double().numpy(), pose[n].double().numpy(), transl[n].double().numpy()
        )
        assert np.abs(output.vertices[n].numpy() - vertices).max() < 1e-5
        assert np.abs(output.joints[n].numpy() - joints).max() < 1e-5


def test_matches_smplx(body: BodyModel) -> None:
    smplx = pytest.importorskip("smplx", reason="the optional smplx package is not installed")
    from smplx.utils import Struct

    betas, pose, transl = random_people(4, seed=1)
    other = smplx.SMPL("", data_struct=Struct(**as_smpl_dict(body.data)), batch_size=4)
    expected = other(betas=betas, global_orient=pose[:, :1], body_pose=pose[:, 1:], transl=transl)
    output = body(betas, pose, transl)
    assert (output.vertices - expected.vertices).abs().max() < 1e-5
    assert (output.joints - expected.joints[:, :24]).abs().max() < 1e-5


def test_rotation_matrices_are_rodrigues() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)) * rng.choice([1e-9, 1e-4, 1e-2, 1.0, 3.0], (200, 1))
    expected = Rotation.from_rotvec(vectors).as_matrix()
    assert np.abs(matrices_from_axis_angle(torch.tensor(vectors)).numpy() - expected).max() < 1e-9
    assert np.abs(matrices_from_axis_angle(torch.tensor(vectors, dtype=torch.float32)).numpy() - expected).max() < 1e-6


def test_gradients_are_right_also_at_the_rest_pose(body: BodyModel) -> None:
    model = BodyModel(body.data).double()
    betas, pose, transl = (x.double() for x in random_people(1))
    for p in (pose, torch.zeros_like(pose), torch.full_like(pose, 1e-4)):
        inputs = tuple(x.clone().requires_grad_() for x in (betas, p, transl))

        def some(b: torch.Tensor, q: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return model(b, q, t).vertices[:, ::3000], model.landmarks(b, q, t)[:, ::8]

        assert torch.autograd.gradcheck(some, inputs, eps=1e-6, atol=1e-6)


def test_rotations_may_be_given_as_matrices(body: BodyModel) -> None:
    betas, pose, transl = random_people(2)
    given = body(betas, matrices_from_axis_angle(pose), transl)
    assert torch.allclose(given.vertices, body(betas, pose, transl).vertices, atol=1e-6)


def test_offsets_move_with_the_skin_but_not_the_joints(body: BodyModel) -> None:
    betas, _, _ = random_people(1)
    pose = torch.zeros(1, 24, 3)
    pose[:, 0] = torch.tensor([0.0, 0.0, np.pi / 2])  # the whole body turned a quarter about z
    offsets = torch.zeros(1, len(body.data.v_template), 3)
    offsets[:, 100] = torch.tensor([0.1, 0.0, 0.0])
    bare, dressed = body(betas, pose), body(betas, pose, None, offsets)
    moved = dressed.vertices - bare.vertices
    assert torch.allclose(moved[0, 100], torch.tensor([0.0, 0.1, 0.0]), atol=1e-6)
    assert moved[0].abs().sum() == pytest.approx(0.1, abs=1e-4)
    assert torch.equal(bare.joints, dressed.joints)


def test_landmarks_are_points_of_the_skinned_body(body: BodyModel) -> None:
    """Moved like vertices: the mean eye vertex of the posed body is where the landmark's own offset puts it."""
    betas, pose, transl = random_people(2)
    vertices = body(betas, pose, transl).vertices
    points = body.landmarks(betas, pose, transl)
    assert points.shape == (2, 33, 3)
    for landmark, part in ((2, 1), (5, 2)):
        eye = vertices[:, body.data.part == part].mean(1)
        assert (points[:, landmark] - eye).norm(dim=-1).max() < 0.02
    rest = body.landmarks(torch.zeros(1, 10), torch.zeros(1, 24, 3))[0].numpy()
    assert np.allclose(rest, body.data.landmark_template, atol=1e-6)


def test_posed_is_the_model_for_one_person(body: BodyModel) -> None:
    betas, pose, transl = (x[0] for x in random_people(1))
    parameters = BodyParameters(betas.numpy(), pose[0].numpy(), pose[1:].numpy(), transl.numpy())
    offsets = np.full((len(body.data.v_template), 3), 0.01, np.float32)
    vertices, joints = body.posed(parameters, offsets)
    expected = body(betas[None], pose[None], transl[None], torch.from_numpy(offsets)[None])
    assert vertices.dtype == np.float32
    assert np.allclose(vertices, expected.vertices[0].numpy(), atol=1e-6)
    assert np.allclose(joints, expected.joints[0].numpy(), atol=1e-6)
