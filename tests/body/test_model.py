"""The body model against the written-out equations, the body in PyTorch and, where installed, smplx."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel, as_smpl_dict
from uvatar.body.torch_body import TorchBody
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.geometry.rotations import exp
from uvatar.geometry.torch_rotations import matrices_from_axis_angle

from .reference import pose_body


def random_people(count: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Betas, pose and transl of people in any pose."""
    rng = np.random.default_rng(seed)
    betas, pose, transl = (
        (rng.normal(size=(count, *shape)) * scale).astype(np.float32)
        for shape, scale in (((10,), 1.0), ((24, 3), 0.6), ((3,), 1.0))
    )
    return betas, pose, transl


@pytest.fixture(scope="module")
def torch_body(body: BodyModel) -> TorchBody:
    return TorchBody(body.data)


def test_matches_the_equations(body: BodyModel) -> None:
    betas, pose, transl = random_people(3)
    output = body(betas, pose, transl)
    for n in range(3):
        vertices, joints = pose_body(body.data, *(x[n].astype(float) for x in (betas, pose, transl)))
        assert np.abs(output.vertices[n] - vertices).max() < 1e-5
        assert np.abs(output.joints[n] - joints).max() < 1e-5


def test_the_body_in_pytorch_is_the_same(body: BodyModel, torch_body: TorchBody) -> None:
    people = random_people(4, seed=2)
    betas, pose, transl = (torch.from_numpy(x) for x in people)
    offsets = np.random.default_rng(3).normal(0, 0.01, body.data.v_template.shape).astype(np.float32)
    ours, theirs = body(*people, offsets), torch_body(betas, pose, transl, torch.from_numpy(offsets))
    assert np.abs(ours.vertices - theirs.vertices.numpy()).max() < 1e-5
    assert np.abs(ours.joints - theirs.joints.numpy()).max() < 1e-5
    assert np.abs(body.joints(*people) - torch_body.joints(betas, pose, transl).numpy()).max() < 1e-5
    assert np.abs(body.landmarks(*people) - torch_body.landmarks(betas, pose, transl).numpy()).max() < 1e-5


def test_matches_smplx(body: BodyModel) -> None:
    smplx = pytest.importorskip("smplx", reason="the optional smplx package is not installed")
    from smplx.utils import Struct

    people = random_people(4, seed=1)
    betas, pose, transl = (torch.from_numpy(x) for x in people)
    other = smplx.SMPL("", data_struct=Struct(**as_smpl_dict(body.data)), batch_size=4)
    expected = other(betas=betas, global_orient=pose[:, :1], body_pose=pose[:, 1:], transl=transl)
    output = body(*people)
    assert np.abs(output.vertices - expected.vertices.numpy()).max() < 1e-5
    assert np.abs(output.joints - expected.joints[:, :24].numpy()).max() < 1e-5


def test_rotation_matrices_are_rodrigues() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)) * rng.choice([1e-9, 1e-4, 1e-2, 1.0, 3.0], (200, 1))
    expected = Rotation.from_rotvec(vectors).as_matrix()
    assert np.abs(matrices_from_axis_angle(torch.tensor(vectors)).numpy() - expected).max() < 1e-9
    assert np.abs(matrices_from_axis_angle(torch.tensor(vectors, dtype=torch.float32)).numpy() - expected).max() < 1e-6
    assert np.abs(exp(vectors) - expected).max() < 1e-9


def test_gradients_are_right_also_at_the_rest_pose(torch_body: TorchBody) -> None:
    model = TorchBody(torch_body.data).double()
    betas, pose, transl = (torch.from_numpy(x).double() for x in random_people(1))
    for p in (pose, torch.zeros_like(pose), torch.full_like(pose, 1e-4)):
        inputs = tuple(x.clone().requires_grad_() for x in (betas, p, transl))

        def some(b: torch.Tensor, q: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return model(b, q, t).vertices[:, ::3000], model.landmarks(b, q, t)[:, ::8]

        assert torch.autograd.gradcheck(some, inputs, eps=1e-6, atol=1e-6)


def test_rotations_may_be_given_as_matrices(body: BodyModel, torch_body: TorchBody) -> None:
    betas, pose, transl = random_people(2)
    plain = body(betas, pose, transl).vertices
    assert np.allclose(body(betas, exp(pose), transl).vertices, plain, atol=1e-6)
    matrices = matrices_from_axis_angle(torch.from_numpy(pose))
    given = torch_body(torch.from_numpy(betas), matrices, torch.from_numpy(transl))
    assert np.allclose(given.vertices.numpy(), plain, atol=2e-6)


def test_offsets_move_with_the_skin_but_not_the_joints(body: BodyModel) -> None:
    betas, _, _ = random_people(1)
    pose = np.zeros((1, 24, 3))
    pose[:, 0] = [0.0, 0.0, np.pi / 2]  # the whole body turned a quarter about z
    offsets = np.zeros((1, len(body.data.v_template), 3))
    offsets[:, 100] = [0.1, 0.0, 0.0]
    bare, dressed = body(betas, pose), body(betas, pose, None, offsets)
    moved = dressed.vertices - bare.vertices
    assert np.allclose(moved[0, 100], [0.0, 0.1, 0.0], atol=1e-6)
    assert np.abs(moved[0]).sum() == pytest.approx(0.1, abs=1e-4)
    assert np.array_equal(bare.joints, dressed.joints)


def test_landmarks_are_points_of_the_skinned_body(body: BodyModel) -> None:
    """Moved like vertices: the mean eye vertex of the posed body is where the landmark's own offset puts it."""
    betas, pose, transl = random_people(2)
    vertices = body(betas, pose, transl).vertices
    points = body.landmarks(betas, pose, transl)
    assert points.shape == (2, 33, 3)
    for landmark, part in ((2, 1), (5, 2)):
        eye = vertices[:, body.data.part == part].mean(1)
        assert np.linalg.norm(points[:, landmark] - eye, axis=-1).max() < 0.02
    rest = body.landmarks(np.zeros((1, 10)), np.zeros((1, 24, 3)))[0]
    assert np.allclose(rest, body.data.landmark_template, atol=1e-6)


def test_posed_is_the_model_for_one_person(body: BodyModel) -> None:
    betas, pose, transl = random_people(1)
    parameters = BodyParameters(betas[0], pose[0, 0], pose[0, 1:], transl[0])
    offsets = np.full((len(body.data.v_template), 3), 0.01, np.float32)
    vertices, joints = body.posed(parameters, offsets)
    expected = body(betas, pose, transl, offsets[None])
    assert vertices.dtype == joints.dtype == np.float32 and vertices.flags.c_contiguous
    assert np.allclose(vertices, expected.vertices[0], atol=1e-6)
    assert np.allclose(joints, expected.joints[0], atol=1e-6)
    assert np.allclose(body.landmarks_of(parameters), body.landmarks(betas, pose, transl)[0])


def test_nobody_is_posed_to_nobody(body: BodyModel) -> None:
    output = body(np.zeros((0, 10)), np.zeros((0, 24, 3)))
    assert output.vertices.shape == (0, len(body.data.v_template), 3) and output.joints.shape == (0, 24, 3)
