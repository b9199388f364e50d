"""SURREAL's textures: its lists, the grey ones left out, gutters filled."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.atlases import atlas_of
from uvatar.body import BodyModel
from uvatar_training.data.problems import DataError
from uvatar_training.data.textures import surreal_textures, texture_folder

SIDE = 128


@pytest.fixture(scope="module")
def smpl_data(tmp_path_factory: pytest.TempPathFactory, body: BodyModel) -> Path:
    """Textures as SURREAL stores them: colour on the islands, black between; lists relative to smpl_data."""
    root = tmp_path_factory.mktemp("smpl_data")
    table = atlas_of(body, SIDE).table
    for gender, names in (
        ("male", ("nongrey_male_0001", "grey_male_0002", "nongrey_male_0003")),
        ("female", ("nongrey_female_0001",)),
    ):
        folder = root / "textures" / gender
        folder.mkdir(parents=True)
        for name in names:
            picture = table.scatter(np.full((len(table), 3), (30, 120, 220), np.uint8))
            cv2.imwrite(str(folder / f"{name}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
        lines = [f"textures/{gender}/{name}.jpg" for name in names]
        (folder / f"{gender}_train.txt").write_text("\n".join(lines[:2]) + "\n")
        (folder / f"{gender}_test.txt").write_text("\n".join(lines[2:]) + "\n")
    return root


def test_lists_and_the_grey_filter(smpl_data: Path, body: BodyModel) -> None:
    def names(**options: object) -> list[str]:
        return [path.stem for path in surreal_textures(smpl_data, body.data, 64, **options).paths]  # type: ignore[arg-type]

    assert names() == ["nongrey_male_0001", "nongrey_female_0001"]
    assert names(grey=True) == ["nongrey_male_0001", "grey_male_0002", "nongrey_female_0001"]
    assert names(split="held_out") == ["nongrey_male_0003"]


def test_gutters_are_filled_before_shrinking(smpl_data: Path, body: BodyModel) -> None:
    texture = surreal_textures(smpl_data, body.data, 32).read(0).astype(int)
    # Without filling, texels at the islands' borders would be mixed with black.
    assert np.abs(texture - [30, 120, 220]).max() < 25
    raw = cv2.imread(str(smpl_data / "textures/male/nongrey_male_0001.jpg"))
    naive = cv2.resize(raw, (32, 32), interpolation=cv2.INTER_AREA)[..., ::-1].astype(int)
    assert np.abs(naive - [30, 120, 220]).max() > 100


def test_missing_lists_textures_and_layouts_are_named(smpl_data: Path, body: BodyModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"male_train\.txt: is missing"):
        surreal_textures(tmp_path, body.data, 64)
    for gender in ("male", "female"):
        (tmp_path / "textures" / gender).mkdir(parents=True)
        (tmp_path / "textures" / gender / f"{gender}_train.txt").write_text(
            f"textures/{gender}/nongrey_{gender}_0009.jpg\n"
        )
    with pytest.raises(DataError, match=r"nongrey_male_0009\.jpg: is missing, and 1 more"):
        surreal_textures(tmp_path, body.data, 64)
    broken = smpl_data / "textures/male/nongrey_male_0003.jpg"
    held_out = surreal_textures(smpl_data, body.data, 64, split="held_out")
    data = broken.read_bytes()
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"nongrey_male_0003\.jpg: cannot be read as a square picture"):
        held_out.read(0)
    broken.write_bytes(data)


def test_folders_are_split_by_name(tmp_path: Path, body: BodyModel) -> None:
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((16, 16, 3), number, np.uint8))
    train, held_out = (texture_folder(tmp_path, body.data, 16, split) for split in ("train", "held_out"))
    assert len(train) + len(held_out) == 40 and len(held_out) > 0
    assert not set(train.paths) & set(held_out.paths)


def test_textures_can_be_trained_on(smpl_data: Path, body: BodyModel) -> None:
    from uvatar_training.data.textures import TextureSamples
    from uvatar_training.trainers.gan import GanTrainer
    from uvatar_training.trainers.recipe import load_recipe

    samples = TextureSamples(surreal_textures(smpl_data, body.data, 64), "train", "open_body")
    batch = GanTrainer(load_recipe("gan", "toy"), body).prepare(samples.read(0), np.random.default_rng(0))
    assert batch.texture.shape == (1, 3, 128, 128)
    np.testing.assert_allclose(batch.texture.mean((0, 2, 3)) * 255, [30, 120, 220], atol=8)
