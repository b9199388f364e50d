"""Rendered people and what perception says of them; people simulated from them; training that repeats itself."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.evaluation.poses import held_out
from uvatar.fitting.lifter import FILE, Lifter
from uvatar.runtime.weights import weights_folder
from uvatar_training.data.problems import DataError
from uvatar_training.data.stream import Plan, stream
from uvatar_training.lifter.errors import found
from uvatar_training.lifter.make import make_lifter_data
from uvatar_training.lifter.people import People
from uvatar_training.lifter.poses import PoseSampler
from uvatar_training.lifter.shards import read_shards
from uvatar_training.lifter.simulated import SimulatedPeople
from uvatar_training.lifter.skeleton import RotatedSkeleton, global_rotations
from uvatar_training.trainers.lifter import LifterData, LifterTrainer
from uvatar_training.trainers.recipe import RecipeError, load_recipe
from uvatar_training.trainers.run import Result, run

PEOPLE = 4


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 made-up poses in the format of a bank, those held out marked by a turned toe."""
    poses = np.random.default_rng(0).normal(0, 0.15, (2000, 24, 3)).astype(np.float32)
    poses[:, 10] = held_out(2000)[:, None] * 3.0
    path = tmp_path_factory.mktemp("bank") / "bank.npz"
    np.savez(path, aa=poses)
    return path


@pytest.fixture(scope="module")
def folders(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lifter")
    make_lifter_data(folder / "train", bank, PEOPLE, seed=3)
    make_lifter_data(folder / "validation", bank, 2, seed=4, validation=True)
    return folder / "train", folder / "validation"


def test_poses_held_out_are_not_trained_on(bank: Path) -> None:
    assert np.abs(PoseSampler.load(bank).bank[:, 10]).max() < 2
    assert np.abs(PoseSampler.load(bank, validation=True).bank[:, 10]).min() > 2


def test_perception_sees_the_people_where_they_are(folders: tuple[Path, Path], body: BodyModel) -> None:
    rows = read_shards(list(folders[0].glob("*.npz")))
    assert len(rows["betas"]) == PEOPLE
    errors = []
    for i in range(PEOPLE):
        focal, width, height = (float(value) for value in rows["camera"][i])
        camera = Camera(focal, (width / 2, height / 2), int(width), int(height))
        points = body.landmarks_of(
            BodyParameters(*(rows[name][i] for name in ("betas", "global_orient", "body_pose", "transl")))
        )
        distance = np.linalg.norm(camera.project(points) - rows["landmarks"][i, :, :2], axis=1)
        errors.append(np.median(distance) / np.ptp(rows["box"][i].reshape(2, 2), axis=0).max())
    assert np.median(errors) < 0.06


def test_a_stopped_run_goes_on_with_the_same_people(bank: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    (path,) = folders[0].glob("*.npz")
    again = tmp_path / "again"
    make_lifter_data(again, bank, 2, seed=3)
    first, second = read_shards([path]), read_shards(list(again.glob("*.npz")))
    for name in first:
        assert np.array_equal(first[name][:2], second[name]), name
    before = path.stat().st_mtime_ns
    make_lifter_data(folders[0], bank, PEOPLE, seed=3)
    assert path.stat().st_mtime_ns == before


def test_the_skeleton_is_the_body(body: BodyModel) -> None:
    rng = np.random.default_rng(1)
    betas = rng.normal(0, 1, (5, 10)).astype(np.float32)
    pose = rng.normal(0, 0.5, (5, 24, 3)).astype(np.float32)
    pose[:, 22:] = 0
    rotations = torch.from_numpy(np.stack([global_rotations(one[0], one[1:]) for one in pose]).astype(np.float32))
    joints, landmarks = RotatedSkeleton(body)(torch.from_numpy(betas), rotations)
    expected, expected_landmarks = (
        torch.from_numpy(points) for points in (body.joints(betas, pose), body.landmarks(betas, pose))
    )
    assert torch.allclose(joints, expected - expected[:, :1], atol=1e-5)
    assert torch.allclose(landmarks, expected_landmarks - expected[:, :1], atol=1e-5)


def test_simulated_people_in_rendered_poses_look_like_the_rendered(
    folders: tuple[Path, Path], body: BodyModel, bank: Path
) -> None:
    """Errors put back onto the very people they were taken from give what perception said, but for the jitter."""
    skeleton = RotatedSkeleton(body)
    rows = read_shards(list(folders[0].glob("*.npz")))
    simulated = SimulatedPeople(rows, skeleton, body, PoseSampler.load(bank), count=8, seed=0)
    true_lens = People.of(rows)
    _, landmarks = skeleton(torch.from_numpy(true_lens.betas), torch.from_numpy(true_lens.rotations[:, 3]))
    index = 2 * np.arange(PEOPLE)  # each row is followed by its mirror image
    errors = simulated.errors
    values = errors.applied(
        landmarks.numpy().astype(float), np.tile(index[:, None], 5), errors.rays[index], np.random.default_rng(0)
    )
    seen = true_lens.features[:, 3]
    assert np.abs(values[:, 66:165] - seen[:, 66:165]).max() < 0.12
    assert np.median(np.abs(values[:, :66] - seen[:, :66])) < 0.06
    assert np.allclose(values[:, 165:200], seen[:, 165:200], atol=1e-5)


def test_training_repeats_itself_and_goes_on_where_it_stopped(
    folders: tuple[Path, Path], bank: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("lifter", "toy")
    data = LifterData.open(*folders, bank)

    def train(folder: str, stop_at: int | None = None) -> Result:
        return run(LifterTrainer(recipe, data), recipe, data.people, tmp_path / folder, "cpu", stop_at=stop_at)

    (whole,) = train("whole").files
    stopped = train("parts", stop_at=4)
    assert stopped.step == 4 and not stopped.files
    (parts,) = train("parts").files
    assert whole.read_bytes() == parts.read_bytes()
    with safe_open(whole, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
    assert facts["errors"]["mpjpe_20"] > 0 and facts["recipe"]["steps"] == recipe.steps
    assert list((tmp_path / "whole" / "pictures").glob("*.jpg"))
    assert list((tmp_path / "whole" / "tensorboard").iterdir())


def test_trained_weights_are_in_the_format_of_those_that_ship(
    folders: tuple[Path, Path], bank: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("lifter", "toy")
    data = LifterData.open(*folders, bank)
    trainer = LifterTrainer(recipe, data)
    (path,) = trainer.export({"lifter": trainer.players["lifter"].network}, tmp_path, "untrained")
    assert path.name == FILE and Lifter.load(tmp_path) is not None
    ours, shipped = load_file(path), load_file(weights_folder() / FILE)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in ours.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in shipped.items()
    }


def test_loading_processes_are_handed_no_network(folders: tuple[Path, Path], bank: Path) -> None:
    recipe = load_recipe("lifter", "toy")
    data = LifterData.open(*folders, bank)
    trainer = LifterTrainer(recipe, data)
    batches = []
    for people, prepare, collate in (
        (data.people, trainer.prepare, trainer.collate),
        pickle.loads(pickle.dumps((data.people, trainer.prepare, trainer.collate))),
    ):
        with stream(people, prepare, collate, Plan(len(data.people), 8, seed=0), 0, 1) as deliveries:
            batches.append(next(deliveries).batch)
    assert len(batches[0].betas) == 8
    torch.testing.assert_close(vars(batches[0]), vars(batches[1]), rtol=0, atol=0)
    assert not any(isinstance(value, torch.nn.Parameter) for value in vars(trainer.collate.simulated).values())
    with pytest.raises(RecipeError, match="no options wings"):
        LifterTrainer(recipe.with_(options={"wings": 2}), data)


def test_bad_data_is_named(tmp_path: Path, bank: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="no shards"):
        read_shards([])
    (path,) = folders[1].glob("*.npz")
    broken = tmp_path / "people_9_00000.npz"
    broken.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="people_9_00000"):
        read_shards([broken])
    with pytest.raises(DataError, match=r"missing.npz"):
        PoseSampler.load(tmp_path / "missing.npz")
    (tmp_path / "odd.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"odd.npz"):
        PoseSampler.load(tmp_path / "odd.npz")


def test_lost_people_are_left_out(folders: tuple[Path, Path], body: BodyModel) -> None:
    rows = {name: array.copy() for name, array in read_shards(list(folders[0].glob("*.npz"))).items()}
    skeleton = RotatedSkeleton(body)
    kept = len(found(rows, skeleton)["betas"])
    rows["landmarks"][0, :, 2] = 1
    rows["landmarks"][0, :, :2] += np.random.default_rng(0).normal(0, 300, (33, 2))
    assert len(found(rows, skeleton)["betas"]) in (kept, kept - 1)
    assert not any(np.array_equal(rows["landmarks"][0], one) for one in found(rows, skeleton)["landmarks"])
