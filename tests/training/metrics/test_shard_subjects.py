"""People of synthetic pictures as subjects: what is scored is what the pictures show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from uvatar.body import BodyModel
from uvatar.texture_predictor.config import Config
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import open_shards
from uvatar_training.data.texture_batch import TextureStage
from uvatar_training.metrics.evaluation import evaluate_textures
from uvatar_training.metrics.shard_subjects import shard_subject, shard_subjects
from uvatar_training.metrics.subjects import Subject
from uvatar_training.rendering import paint

SIDE = 128


@pytest.fixture(scope="module")
def stage(body: BodyModel) -> TextureStage:
    return TextureStage.of(body, Config(resolution=SIDE), SIDE)


@pytest.fixture(scope="module")
def whole(shards: Path, stage: TextureStage) -> list[Subject]:
    samples = open_shards(shards, "train")
    found = [
        subject for sample in map(samples.read, range(len(samples))) for k in range(len(sample.people))
        if (subject := shard_subject(sample, k, stage)) is not None
    ]  # fmt: skip
    assert len(found) >= 2
    return found


def test_photo_body_and_texture_belong_together(whole: list[Subject]) -> None:
    """The true texture on the body looks like the photo, but for the light's shading; another place in the picture does
    not.
    """
    for subject in whole:
        shown = paint(subject.view, subject.texture)
        away, shifted = (
            float((picture - subject.photo).abs().mean(1, keepdim=True)[subject.mask].mean())
            for picture in (shown, shown.roll(9, -1))
        )
        assert away < 0.16 and away < shifted
        assert (subject.photo.amin(1, keepdim=True)[~subject.mask] == 1).all()  # white around
        assert float(subject.mask.sum() / subject.view.mask.sum()) >= 0.85
        middle = [mask[0, 0].nonzero().float().mean(0) for mask in (subject.view.mask, subject.behind.mask)]
        assert float((middle[0] - middle[1]).abs()[1]) < SIDE / 4  # turned on the spot


def test_hidden_people_are_no_subjects(shards: Path, stage: TextureStage, whole: list[Subject]) -> None:
    sample = next(
        s for s in map(open_shards(shards, "train").read, range(6)) if s.name == whole[0].sitter.name.rpartition("/")[0]
    )
    number = int(whole[0].sitter.name.rpartition("/")[2])
    mask = sample.mask.copy()
    rows = np.flatnonzero((mask == number + 1).any(1))
    stripes = (np.arange(len(mask)) - rows[0]) % 8 >= 4  # a fence
    mask[stripes] = np.where(mask[stripes] == number + 1, 0, mask[stripes])
    assert shard_subject(replace(sample, mask=mask), number, stage) is None
    person = replace(sample.people[number], texture=None)
    people = tuple(person if k == number else one for k, one in enumerate(sample.people))
    assert shard_subject(replace(sample, people=people), number, stage) is None


def test_nobody_large_enough_is_an_error_that_names_the_folder(
    shards: Path, stage: TextureStage, tmp_path: Path
) -> None:
    assert not list(shard_subjects(open_shards(shards, "held_out"), stage, 0))
    if len(list(shard_subjects(open_shards(shards, "held_out"), stage, 5))) < 2:
        with pytest.raises(DataError, match="make more pictures"):
            evaluate_textures(5, None, tmp_path, shards, SIDE)


def test_texels_outside_the_person_s_own_pixels_are_not_seen(whole: list[Subject], stage: TextureStage) -> None:
    subject = whole[0]
    half = subject.mask.clone()
    half[..., : SIDE // 2] = False
    known, less = (replace(subject, mask=mask).partial(stage.mesh, stage.texels)[:, 3] for mask in (subject.mask, half))
    assert 0 < float(less.sum()) < 0.9 * float(known.sum()) and not torch.any((less > 0) & (known == 0))
