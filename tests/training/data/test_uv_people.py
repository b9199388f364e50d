"""People made ready for the UV plane: what is stored is what the pictures show, and files that cannot be used are
named.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from uvatar.body import BodyModel
from uvatar.body.torch_body import TorchBody
from uvatar.texture_predictor.config import Config
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import open_shards
from uvatar_training.data.texture_batch import TextureStage, prepare_person
from uvatar_training.data.uv_people import UvPeople, open_uv_people
from uvatar_training.networks.uv_plane import uv_plane
from uvatar_training.trainers.complete import CompleteTrainer, UvBatch, mirror_image
from uvatar_training.trainers.recipe import RecipeError, load_recipe

SIDE, SIZE = 64, 64


@pytest.fixture(scope="module")
def folder(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("uv")
    for path in shards.glob("*.tar"):
        shutil.copy(path, copy)
    return copy


@pytest.fixture(scope="module")
def people(folder: Path) -> UvPeople:
    return open_uv_people(folder, "train", SIDE, SIZE)[0]


def test_people_are_those_of_the_pictures(people: UvPeople, folder: Path, body: BodyModel) -> None:
    samples = {sample.name: sample for sample in map(open_shards(folder, "train").read, range(6))}
    stage = TextureStage.of(body, Config(resolution=SIZE, photo_side=SIDE), SIZE)
    assert len(people) >= 3 and len({people.read(k).name for k in range(len(people))}) == len(people)
    for number in range(len(people)):
        person = people.read(number)
        name, _, which = person.name.rpartition("/")
        expected = prepare_person(samples[name], int(which), stage)
        assert person.split == "train" and person.photo.shape == (SIDE, SIDE, 3)
        partial = np.dstack([person.colours, person.shown[0]])
        for got, wanted in (
            (person.photo, expected.photo),
            (partial, expected.partial),
            (person.truth, expected.truth),
        ):
            np.testing.assert_allclose(got / 255, wanted[0].permute(1, 2, 0).numpy(), atol=0.6 / 255)
        np.testing.assert_array_equal(person.pose, expected.pose[0])
        np.testing.assert_array_equal(person.camera, expected.camera[0])


def test_files_are_made_once_and_again_when_the_shard_is_newer(people: UvPeople, folder: Path) -> None:
    files = sorted(folder.glob("train-*.npy"))
    before = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2 and not list(folder.glob("*.part"))
    assert len(open_uv_people(folder, "train", SIDE, SIZE)[0]) == len(people)
    assert [file.stat().st_mtime_ns for file in files] == before
    os.utime(sorted(folder.glob("train-*.tar"))[0])
    open_uv_people(folder, "train", SIDE, SIZE)
    assert [file.stat().st_mtime_ns == time for file, time in zip(files, before, strict=True)] == [False, True]


def test_a_file_that_is_cut_off_is_named(people: UvPeople, folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("train-*"):
        shutil.copy(path, tmp_path)
    file = sorted(tmp_path.glob("*.npy"))[0]
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match=rf"{file.name}: cannot be read.*Delete it"):
        open_uv_people(tmp_path, "train", SIDE, SIZE)


def test_what_is_trained_on_is_no_more_than_the_picture_shows(people: UvPeople) -> None:
    trainer = CompleteTrainer(load_recipe("complete", "toy"))
    for number in range(len(people)):
        person = people.read(number)
        batches = [trainer.prepare(person, np.random.default_rng(seed)) for seed in range(8)]
        known = float((person.shown[0] / 255).mean())
        for batch in batches:
            assert batch.truth.shape == (1, 3, 128, 128) and batch.partial.min() >= 0 and batch.partial.max() <= 1
            assert 0 < float(batch.partial[:, 3].mean()) < 1.1 * known
        assert len({float(batch.partial.sum()) for batch in batches}) == 8


def test_less_is_shown_than_seen_and_completed_from_that_alone(people: UvPeople) -> None:
    for number in range(len(people)):
        person = people.read(number)
        everything, *less = person.shown
        for shown, completed in zip(person.shown, person.completed, strict=True):
            kept = shown > 127
            assert kept.any() and (completed[kept] == person.colours[kept]).all()  # what is shown stays
        assert all((part <= everything).all() for part in less)
    assert any((person.shown[1] < person.shown[0]).any() for person in map(people.read, range(len(people))))


def test_the_mirror_image_of_a_mirror_image_is_the_person(people: UvPeople, body: BodyModel) -> None:
    plane = uv_plane(body, SIZE)
    person = people.read(0)
    partial = np.dstack([person.colours, person.shown[0]])
    pictures = [
        torch.from_numpy(part).permute(2, 0, 1)[None] / 255
        for part in (person.photo, partial, person.completed[0], person.truth)
    ]
    numbers = [torch.from_numpy(part)[None] for part in (person.pose, person.betas, person.camera)]
    batch = UvBatch(*pictures, *numbers)
    once = mirror_image(batch, plane)
    twice = mirror_image(once, plane)
    for name in ("photo", "pose", "betas", "camera"):
        torch.testing.assert_close(getattr(twice, name), getattr(batch, name))
    left, right = plane.geometry[0, 0] > 0.05, plane.geometry[0, 0] < -0.05
    assert float(once.partial[0, 3][left].mean()) == pytest.approx(float(batch.partial[0, 3][right].mean()), abs=0.05)
    # a rotation about the vertical turns the other way, and left arms become right ones
    assert torch.equal(once.pose[0, 16, 0, 1], -batch.pose[0, 17, 0, 1])
    # the mirrored body in the mirrored pose: its joints are the mirrored joints
    posing = TorchBody(body.data)
    posed, mirrored = (posing.joints(part.betas, part.pose)[0] for part in (batch, once))
    other = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    torch.testing.assert_close(mirrored[other], posed * torch.tensor([-1.0, 1, 1]), atol=5e-3, rtol=0)


def test_a_network_without_a_uv_plane_is_refused() -> None:
    with pytest.raises(RecipeError, match="spatial conditioning"):
        CompleteTrainer(load_recipe("complete", "toy").with_(options={"config": "paper"}))
