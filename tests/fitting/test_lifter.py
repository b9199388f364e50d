"""The pose lifter: what it is told, what it says, and that the fitter can do without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tests.fitting.people import CAMERA, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.landmarks import OTHER_SIDE_LANDMARKS
from uvatar.data.person import Person
from uvatar.fitting import lifter as lifter_module
from uvatar.fitting.fitter import fit_people
from uvatar.fitting.lifter import MIRRORED_JOINTS, Lifted, Lifter, features, mirrored_features
from uvatar.fitting.lifter_network import LifterNetwork, orthonormal
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prepared import prepare_fitting
from uvatar.geometry import rotations
from uvatar.runtime.weights import weights_folder


def mirror_image(person: Person, camera: Camera) -> Person:
    landmarks, world, box = (
        person.landmarks[OTHER_SIDE_LANDMARKS].copy(),
        person.world_landmarks[OTHER_SIDE_LANDMARKS].copy(),
        person.box.copy(),
    )
    landmarks[:, 0] = camera.width - landmarks[:, 0]
    world[:, 0] *= -1
    box[[0, 2]] = camera.width - box[[2, 0]]
    return replace(person, landmarks=landmarks, world_landmarks=world, box=box)


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    found = Lifter.load()
    assert found is not None, "weights/pose_lifter.safetensors is not there"
    return found


@pytest.fixture(scope="module")
def person(body: BodyModel) -> Person:
    pose = standing().body_pose.copy()
    pose[0], pose[3], pose[17] = [-0.4, 0.1, 0.1], [0.5, 0, 0], [0, -1.0, 0]
    return person_of(body, standing(body_pose=pose))


def test_turns_are_rotations() -> None:
    turns = orthonormal(torch.randn(50, 6, dtype=torch.float64))
    assert torch.allclose(turns @ turns.transpose(-1, -2), torch.eye(3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(orthonormal(torch.tensor([1.0, 0, 0, 0, 1, 0])), torch.eye(3))


def test_resolution_does_not_matter(person: Person) -> None:
    larger = Camera(3 * CAMERA.focal, (3 * CAMERA.center[0], 3 * CAMERA.center[1]), 3 * CAMERA.width, 3 * CAMERA.height)
    landmarks = person.landmarks * np.array([3, 3, 1], np.float32)
    a = features(person.landmarks, person.world_landmarks, person.box, CAMERA)
    b = features(landmarks, person.world_landmarks, 3 * person.box, larger)
    assert np.allclose(a, b, atol=1e-5)


def test_features_of_the_mirror_image(person: Person) -> None:
    other = mirror_image(person, CAMERA)
    expected = features(other.landmarks, other.world_landmarks, other.box, CAMERA)
    assert np.allclose(
        mirrored_features(features(person.landmarks, person.world_landmarks, person.box, CAMERA)), expected, atol=1e-5
    )


def test_the_mirror_image_is_lifted_to_the_mirrored_pose(lifter: Lifter, person: Person) -> None:
    a, b = lifter.lift(person, CAMERA), lifter.lift(mirror_image(person, CAMERA), CAMERA)
    expected = a.pose[MIRRORED_JOINTS[1:] - 1] * [1, -1, -1]
    assert np.allclose(rotations.exp(b.pose), rotations.exp(expected), atol=1e-4)
    assert np.allclose(rotations.log(b.orient), rotations.log(a.orient) * [1, -1, -1], atol=1e-4)
    assert np.allclose(b.betas, a.betas, atol=1e-4)
    assert np.allclose(b.joint_spread, a.joint_spread[MIRRORED_JOINTS], rtol=1e-4)


def test_where_the_person_is_in_the_photo_turns_the_body_with_the_ray(lifter: Lifter, body: BodyModel) -> None:
    """The same person, carried round the camera, looks the same to a camera that follows."""
    truth = standing(transl=np.array([0.0, -0.4, 3.2]))
    wide = Camera(CAMERA.focal, (1000.0, 320.0), 2000, 640)
    points = body.landmarks_of(truth).astype(np.float64)
    turn = Rotation.from_euler("y", 25, degrees=True)
    lifted: list[Lifted] = []
    for moved in (points, turn.apply(points)):
        pixels = wide.project(moved)
        middle = wide.project(moved[[23, 24]].mean(0))
        box = np.concatenate([middle - 100, middle + 100])
        # Perception's space has the axes of a camera that looks at the person.
        world = (points - points[[23, 24]].mean(0)).astype(np.float32)
        lifted.append(lifter.lift_landmarks(np.column_stack([pixels, np.ones(33)]), world, box, wide))
    assert (
        np.degrees(Rotation.from_matrix(lifted[1].orient @ (turn.as_matrix() @ lifted[0].orient).T).magnitude()) < 10
    )  # of 25


def test_a_standing_person_is_lifted_standing(lifter: Lifter, body: BodyModel) -> None:
    truth = standing()
    lifted = lifter.lift(person_of(body, truth), CAMERA)
    off = Rotation.from_matrix(lifted.orient.T @ rotations.exp(truth.global_orient.astype(float))).magnitude()
    assert np.degrees(off) < 20
    assert np.abs(lifted.pose[[3, 4]]).max() < 0.5  # knees
    assert (lifted.joint_spread > 0.01).all() and (lifted.joint_spread < 1).all()


def test_what_is_not_seen_is_less_sure(lifter: Lifter, person: Person) -> None:
    hidden = person.landmarks.copy()
    hidden[[13, 15, 17, 19, 21], 2] = 0.02  # the left arm
    doubtful = lifter.lift(replace(person, landmarks=hidden), CAMERA)
    seen = lifter.lift(person, CAMERA)
    assert doubtful.bone_spread[2] > 1.2 * seen.bone_spread[2]  # the left forearm
    assert doubtful.bone_spread[2] > doubtful.bone_spread[3]


def test_without_its_weights_bodies_are_fitted_from_the_landmarks(
    body: BodyModel, person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifter_module, "FILE", "absent.safetensors")
    monkeypatch.setattr(lifter_module, "ONNX_FILE", "absent.onnx")
    monkeypatch.setattr(lifter_module, "ONNX_FILE", "absent.onnx")
    assert Lifter.load() is None
    assert Lifter.load(tmp_path / "absent.safetensors") is None
    model = prepare_fitting(body, PoseModels.load(weights_folder()))
    assert fit_people([person], CAMERA, model)[0].start == "landmarks"


def test_the_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in LifterNetwork().parameters()) < 3_000_000
