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
from uvatar.texture_predictor.inputs import Crop, pose_of
from uvatar.texture_predictor.structure import MATERIALS
from uvatar.texturing.layout.atlas import Atlas
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import open_shards
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
    assert len(people) >= 3 and len({people.read(k).name for k in range(len(people))}) == len(people)
    inside = Atlas.of(body, SIZE).table.scatter(np.ones(len(Atlas.of(body, SIZE).table), bool))
    for number in range(len(people)):
        person = people.read(number)
        name, _, which = person.name.rpartition("/")
        sample, label = samples[name], samples[name].people[int(which)]
        assert sample.mask is not None
        rows, columns = np.nonzero(sample.mask == int(which) + 1)
        crop = Crop.around(np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]))
        mask = (sample.mask == int(which) + 1).astype(np.uint8) * np.uint8(255)
        photo = crop.person(sample.image, mask, SIDE)[0].transpose(1, 2, 0)
        np.testing.assert_allclose(person.photo / 255, photo, atol=0.6 / 255)
        np.testing.assert_array_equal(person.pose, pose_of(label.parameters)[0])
        assert person.split == "train" and not person.shown[:, ~inside].any()
        # what is seen has the colours of the truth, which are those of the picture but for light and shade
        for shown, completed in zip(person.shown, person.completed, strict=True):
            seen = person.truth[shown].astype(float), completed[shown].astype(float)
            assert np.corrcoef(*(part.ravel() for part in seen))[0, 1] > 0.3  # nearly 0 of other texels
            assert (completed[inside] > 0).any(-1).mean() > 0.9


def test_materials_are_those_of_the_dressed_surface(people: UvPeople, body: BodyModel) -> None:
    table = Atlas.of(body, SIZE).table
    inside = table.scatter(np.ones(len(table), bool))
    told = [part for person in map(people.read, range(len(people))) for part in person.materials if part.any()]
    assert told
    for materials in told:
        assert not materials[~inside].any() and materials[inside].all() and materials.max() <= len(MATERIALS)
        assert {MATERIALS.index("skin") + 1, MATERIALS.index("eyes") + 1} <= set(materials[inside].tolist())


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
        known = float(person.shown.mean((1, 2)).max())
        for batch in batches:
            assert batch.truth.shape == (1, 3, 128, 128) and batch.partial.min() >= 0 and batch.partial.max() <= 1
            assert 0 < float(batch.partial[:, 3].mean()) < 1.1 * known
        assert len({float(batch.partial.sum()) for batch in batches}) == 8


def test_errors_of_fit_and_mask_change_what_is_shown(people: UvPeople) -> None:
    everyone = list(map(people.read, range(len(people))))
    assert all((person.shown[0] != person.shown[1]).any() for person in everyone)
    assert all((person.shown[0] & person.shown[1]).sum() > 0.5 * person.shown[0].sum() for person in everyone)


def test_the_mirror_image_of_a_mirror_image_is_the_person(people: UvPeople, body: BodyModel) -> None:
    plane = uv_plane(body, SIZE)
    person = people.read(0)
    partial = np.dstack([person.completed[0], 255 * person.shown[0]]).astype(np.uint8)
    materials = np.eye(1 + len(MATERIALS), dtype=np.uint8)[person.materials[0]][..., 1:] * np.uint8(255)
    pictures = [
        torch.from_numpy(part).permute(2, 0, 1)[None] / 255
        for part in (person.photo, partial, person.completed[0], materials, person.truth)
    ]
    numbers = [torch.from_numpy(part)[None] for part in (person.pose, person.betas, person.camera)]
    batch = UvBatch(*pictures, *numbers)
    once = mirror_image(batch, plane)
    twice = mirror_image(once, plane)
    for name in ("photo", "pose", "betas", "camera"):
        torch.testing.assert_close(getattr(twice, name), getattr(batch, name))
    left, right = plane.geometry[0, 0] > 0.05, plane.geometry[0, 0] < -0.05
    assert float(once.partial[0, 3][left].mean()) == pytest.approx(float(batch.partial[0, 3][right].mean()), abs=0.05)
    shoes = MATERIALS.index("shoes")
    assert float(once.materials[0, shoes][left].mean()) == pytest.approx(
        float(batch.materials[0, shoes][right].mean()), abs=0.05
    )
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
