"""Shards: what goes in comes out, other tools can open them, and damage is named."""

from __future__ import annotations

import errno
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvatar.data.camera import Camera
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample
from uvatar_training.data.shards import ShardWriter, open_shards

RNG = np.random.default_rng(0)


def person(texture: bool = True, **changes: object) -> PersonLabel:
    smooth = np.add.outer(np.arange(32), np.arange(32))[..., None] * np.array([2, 3, 1])
    values: dict[str, Any] = {
        "body": "open_body", "betas": RNG.normal(size=10), "global_orient": RNG.normal(size=3),
        "body_pose": RNG.normal(size=(23, 3)),
        "transl": RNG.normal(size=3), "joints": RNG.normal(size=(24, 3)), "joints_2d": RNG.uniform(0, 40, (24, 2)),
    }  # fmt: skip
    values = {name: value if isinstance(value, str) else value.astype(np.float32) for name, value in values.items()}
    values |= {"visible": RNG.random(24) < 0.7, "facts": {"pose": "on a chair", "person": 3}}
    if texture:
        values |= {
            "texture": smooth.astype(np.uint8),
            "stand_off": (RNG.integers(0, 100, 50) * 0.0002).astype(np.float32),
        }
    return PersonLabel(**{**values, **changes})


def sample(name: str = "a", count: int = 2, **changes: object) -> Sample:
    image = np.tile(np.linspace(0, 255, 40, dtype=np.uint8)[None, :, None], (30, 1, 3))
    mask = np.zeros((30, 40), np.uint8)
    for number in range(count):
        mask[:, 10 * number : 10 * number + 8] = number + 1
    values: dict[str, Any] = {
        "name": name, "source": "test", "split": "train", "image": image, "camera": Camera(50.5, (20.25, 15), 40, 30),
        "people": tuple(person(texture=number == 0) for number in range(count)), "mask": mask,
    }  # fmt: skip
    return Sample(**{**values, **changes})


def write(path: Path, samples: list[Sample]) -> None:
    with ShardWriter(path) as writer:
        for each in samples:
            writer.add(each)


def test_samples_come_back_as_they_went_in(tmp_path: Path) -> None:
    samples = [sample("a"), sample("b", count=1, labelled=False), sample("c", mask=None)]
    write(tmp_path / "train-0.tar", samples)
    shards = open_shards(tmp_path, "train")
    assert len(shards) == 3
    for number in (2, 0, 1):  # in any order
        read, wrote = shards.read(number), samples[number]
        assert (read.name, read.source, read.split, read.labelled, read.camera) == (
            wrote.name,
            "test",
            "train",
            wrote.labelled,
            wrote.camera,
        )
        assert np.abs(read.image.astype(int) - wrote.image).max() < 12  # JPEG
        assert (read.mask is None) == (wrote.mask is None)
        if wrote.mask is not None:
            assert read.mask is not None
            np.testing.assert_array_equal(read.mask, wrote.mask)
        for one, other in zip(read.people, wrote.people, strict=True):
            for name in ("betas", "global_orient", "body_pose", "transl", "joints", "joints_2d", "visible"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert one.facts == other.facts and (one.texture is None) == (other.texture is None)
            if other.texture is not None and other.stand_off is not None:
                assert one.texture is not None and np.abs(one.texture.astype(int) - other.texture).max() < 20
                assert one.stand_off is not None
                np.testing.assert_allclose(one.stand_off, other.stand_off, atol=1e-6)


def test_a_shard_is_a_tar_in_webdataset_s_layout(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", [sample(), sample()])
    with tarfile.open(tmp_path / "train-0.tar") as tar:
        names = tar.getnames()
    keys = [name.partition(".")[0] for name in names]
    assert keys == sorted(keys) and set(keys) == {"000000", "000001"}
    extensions = {name.partition(".")[2] for name in names}
    assert extensions == {"jpg", "people.png", "texture0.jpg", "standoff0.png", "json"}


def test_a_shard_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ShardWriter(tmp_path / "train-0.tar") as writer:  # noqa: PT012
        writer.add(sample())
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DataError, match=r"train-0\.tar: cannot be written: No space left on device"):
        write(tmp_path / "train-0.tar", [sample()])
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_was_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "train-0.tar"
    write(path, [sample("a"), sample("b"), sample("c")])
    data = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmember("000002.jpg").offset_data
    path.write_bytes(data[: last + 100])
    shards = open_shards(tmp_path)
    assert [shards.read(k).name for k in range(len(shards))] == ["a", "b"]


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train-0.tar"
    write(path, [sample("a"), sample("b")])
    shards = open_shards(tmp_path)
    with tarfile.open(path) as tar:
        member = tar.getmember("000001.json")
    data = bytearray(path.read_bytes())
    data[member.offset_data : member.offset_data + 20] = b"\xff" * 20
    path.write_bytes(bytes(data))
    assert shards.read(0).name == "a"
    with pytest.raises(DataError, match=r"train-0\.tar#1: is damaged"):
        shards.read(1)
    path.unlink()
    with pytest.raises(DataError, match=r"train-0\.tar: cannot be read"):
        shards.read(0)


def test_folders_without_what_is_wanted_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no shards"):
        open_shards(tmp_path / "nowhere")
    write(tmp_path / "train-0.tar", [sample()])
    with pytest.raises(DataError, match=r"no shards of the split 'held_out', only of \['train'\]"):
        open_shards(tmp_path, "held_out")
    (tmp_path / "train-1.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(DataError, match=r"train-1\.tar: cannot be read as a shard"):
        open_shards(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": (person(betas=np.full(10, np.inf, np.float32)),)}, "person 0 has betas that are not all numbers"),
        ({"people": (person(body_pose=np.zeros((21, 3), np.float32)),)}, r"body_pose of shape \(21, 3\)"),
        ({"people": (person(body="somebody"),)}, "unknown body 'somebody'"),
        ({"mask": np.zeros((30, 40), np.uint8)}, "the mask of person 0 is empty"),
        ({"mask": np.zeros((3, 4), np.uint8)}, "the mask has shape"),
        ({"split": "test"}, "split 'test'"),
        ({"camera": Camera(50, (1, 1), 10, 10)}, "its camera's 10x10"),
    ],
)
def test_samples_that_contradict_themselves_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^mine: .*{message}"):
        sample("mine", **change)
