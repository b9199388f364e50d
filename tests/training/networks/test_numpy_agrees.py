"""What training computes in PyTorch, with gradients, and reconstruction in NumPy is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.geometry.torch_rotations import matrices_from_axis_angle
from uvatar.mesh_predictor import decoding, weak_perspective
from uvatar.mesh_predictor.maps import MAX_PEOPLE, Maps
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.texture_predictor import inputs
from uvatar_training.networks import decoding as torch_decoding
from uvatar_training.networks import uv_plane as torch_uv_plane
from uvatar_training.networks import weak_perspective as torch_weak_perspective

SIZE = 128


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def both(values: Any) -> tuple[Any, torch.Tensor]:
    return values, torch.from_numpy(values)


def test_people_are_found_and_decoded_alike() -> None:
    rng = np.random.default_rng(0)
    center = np.round(rng.normal(0, 0.3, (3, 1, 64, 64)), 2).astype(np.float32)  # equal neighbours occur too
    camera, smpl = (rng.normal(size=(3, count, 64, 64)).astype(np.float32) for count in (3, 142))
    maps = Maps(center, camera, smpl)
    torch_maps = Maps(*(torch.from_numpy(values) for values in (center, camera, smpl)))
    ours, theirs = decoding.find_centers(center), torch_decoding.find_centers(torch_maps.center)
    assert len(ours.score) > 100
    # equal scores may come in any order
    for mine, other in zip(ours.score, theirs.score.tolist(), strict=True):
        assert mine == np.float32(other)
    assert (
        set(zip(ours.picture.tolist(), ours.place.tolist(), strict=True))
        == set(zip(theirs.picture.tolist(), theirs.place.tolist(), strict=True))
        or len(ours.score) == 3 * MAX_PEOPLE
    )
    same = torch_decoding.TorchCenters(*(torch.from_numpy(part) for part in (ours.picture, ours.place, ours.score)))
    bodies, torch_bodies = decoding.sample(maps, ours), torch_decoding.sample(torch_maps, same)
    for name in ("camera", "pose", "betas"):
        np.testing.assert_allclose(getattr(bodies, name), getattr(torch_bodies, name).numpy(), rtol=2e-6, atol=2e-6)
    xy = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    picture = rng.integers(0, 3, 50)
    given = decoding.centers_at(center, picture, xy)
    torch_given = torch_decoding.centers_at(torch_maps.center, torch.from_numpy(picture), torch.from_numpy(xy))
    np.testing.assert_array_equal(given.place, torch_given.place.numpy())
    np.testing.assert_array_equal(given.score, torch_given.score.numpy())


def test_weak_perspective_is_alike() -> None:
    rng = np.random.default_rng(1)
    joints, torch_joints = both(rng.normal(0, [0.25, 0.5, 0.12], (5, 24, 3)).astype(np.float32))
    camera, torch_camera = both(rng.uniform(0.2, 0.8, (5, 3)).astype(np.float32))
    use, torch_use = both(rng.random((5, 24)) < 0.7)
    square, pinhole = PaddedSquare.around(640, 480), Camera(554.0, (320.0, 240.0), 640, 480)
    seen = weak_perspective.project_weakly(joints, camera)
    torch_seen = torch_weak_perspective.project_weakly(torch_joints, torch_camera)
    np.testing.assert_allclose(seen, torch_seen.numpy(), rtol=1e-6, atol=1e-6)
    pixels = square.to_pixels(seen)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, torch_weak_perspective.to_pixels(square, torch_seen).numpy(), rtol=1e-5)
    back = torch_weak_perspective.to_normalised(square, torch.from_numpy(pixels))
    np.testing.assert_allclose(square.to_normalised(pixels), back.numpy(), rtol=1e-5, atol=1e-6)
    found = weak_perspective.fit_weak_camera(joints, seen, use)
    expected = torch_weak_perspective.fit_weak_camera(torch_joints, torch_seen, torch_use)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    moved = weak_perspective.translation(joints, camera, square, pinhole)
    torch_moved = torch_weak_perspective.translation(torch_joints, torch_camera, square, pinhole)
    np.testing.assert_allclose(moved, torch_moved.numpy(), rtol=1e-3, atol=1e-4)


def test_the_uv_plane_and_what_is_mirrored_in_it_are_alike(body: BodyModel) -> None:
    plane, torch_plane = inputs.uv_plane(body, SIZE), torch_uv_plane.uv_plane(body, SIZE)
    np.testing.assert_array_equal(plane.geometry, torch_plane.geometry.numpy())
    rng = np.random.default_rng(2)
    partial = rng.random((1, 4, SIZE, SIZE)).astype(np.float32)
    partial[:, 3] *= rng.random((SIZE, SIZE)) < 0.6
    partial[:, :3][np.broadcast_to(partial[:, 3:] == 0, (1, 3, SIZE, SIZE))] = np.nan
    mirrored = plane.mirrored(partial)
    expected = torch_plane.mirrored(torch.from_numpy(partial)).numpy()
    np.testing.assert_allclose(mirrored[:, 3], expected[:, 3], atol=2e-5)
    sure = np.broadcast_to(expected[:, 3:] > 0.02, (1, 3, SIZE, SIZE))
    np.testing.assert_allclose(mirrored[:, :3][sure], expected[:, :3][sure], atol=2e-3)
    assert np.isfinite(mirrored).all()


def test_poses_are_alike() -> None:
    rng = np.random.default_rng(3)
    fit = BodyParameters(*(rng.normal(size=shape).astype(np.float32) for shape in ((10,), (3,), (23, 3), (3,))))
    vectors = torch.from_numpy(np.concatenate([fit.global_orient[None], fit.body_pose]))
    np.testing.assert_allclose(inputs.pose_of(fit)[0], matrices_from_axis_angle(vectors).numpy(), atol=1e-6)
