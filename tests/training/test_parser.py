"""The parser's training, from rendered people to a network that the product runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from uvatar.data.parsing import ParseClass
from uvatar.parsing.inputs import CLASSES, GRID, PLACES, SIDE, network_inputs
from uvatar.parsing.network import load_parser_network
from uvatar.runtime.weights import weights_folder
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import ShardWriter, open_shards
from uvatar_training.parsing.crops import person_crop
from uvatar_training.parsing.features import FeatureCrops, make_parser_data
from uvatar_training.synthesis.order import SynthesisOrder
from uvatar_training.synthesis.synthesize import synthesize
from uvatar_training.trainers.parser import ParserTrainer
from uvatar_training.trainers.recipe import load_recipe
from uvatar_training.trainers.run import Turn, run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for split, count in (("train", 4), ("held_out", 2)):
        order = SynthesisOrder(folder, count, seed=5, split=split, side=256, texture=128, textures=False, per_shard=4)
        synthesize(order)
    return folder


@pytest.fixture(scope="module")
def crops(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    for split in ("train", "held_out"):
        assert make_parser_data(shards, folder, split) == 1
    return folder


def test_labels_agree_with_the_mask(shards: Path) -> None:
    """Whoever is nearest has a class, background and what is carried belong to nobody."""
    found = set()
    for split in ("train", "held_out"):
        samples = open_shards(shards, split)
        for number in range(len(samples)):
            sample = samples.read(number)
            assert sample.labels is not None and sample.mask is not None
            found |= set(np.unique(sample.labels[sample.mask > 0]).tolist())
            free = sample.labels[sample.mask == 0]
            # People of whom hardly anything is seen have no number in the mask.
            assert np.isin(free, (ParseClass.BACKGROUND, ParseClass.CARRIED)).mean() > 0.99
    assert ParseClass.BACKGROUND not in found and ParseClass.CARRIED not in found
    assert {ParseClass.HAIR, ParseClass.FACE, ParseClass.SKIN, ParseClass.SHOES} <= found


def test_crops_show_one_person(shards: Path) -> None:
    samples, rng = open_shards(shards, "train"), np.random.default_rng(1)
    made = 0
    for number in range(len(samples)):
        sample = samples.read(number)
        assert sample.mask is not None
        plain = person_crop(sample, 0, rng, None)
        if plain is None:
            assert (sample.mask == 1).sum() < 1000
            continue
        made += 1
        varied = person_crop(sample, 0, rng, [np.zeros((SIDE, SIDE, 3), np.uint8)])
        assert varied is not None and varied.image.shape == (SIDE, SIDE, 3) and varied.labels.max() < len(CLASSES)
        own = ~np.isin(plain.labels, (ParseClass.BACKGROUND, ParseClass.CARRIED))
        rows, columns = np.nonzero(own)
        assert max(np.ptp(rows), np.ptp(columns)) == pytest.approx(SIDE / 1.15, abs=4)
        agree = (plain.mask > 127) == own
        assert agree.mean() > 0.9
        assert len(plain.places) == PLACES
    assert made


def test_training_resumes_and_the_product_runs_what_it_makes(crops: Path, tmp_path: Path) -> None:
    recipe = load_recipe("parser", "toy")
    held_out = FeatureCrops(crops, "held_out")
    data = FeatureCrops(crops, "train")
    whole = run(ParserTrainer(recipe, held_out), recipe, data, tmp_path / "whole", "cpu")
    assert run(ParserTrainer(recipe, held_out), recipe, data, tmp_path / "parts", "cpu", stop_at=2).files == []
    parts = run(ParserTrainer(recipe, held_out), recipe, data, tmp_path / "parts", "cpu")
    first, second = (load_parser_network(result.files[0]).state_dict() for result in (whole, parts))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    network = load_parser_network(whole.files[0])
    image = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    inputs = network_inputs(image, np.full((300, 300), 255, np.uint8), np.full((33, 3), 150, np.float32))
    with torch.no_grad():
        made = network(**{name: torch.from_numpy(values) for name, values in inputs.items()})["probabilities"]
    assert made.shape == (1, len(CLASSES), SIDE // 2, SIDE // 2)
    np.testing.assert_allclose(made.sum(1), 1, atol=1e-4)


def test_training_learns(crops: Path) -> None:
    """Twenty steps on the same crops lower the loss by a fifth."""
    recipe = replace(load_recipe("parser", "toy"), steps=20)
    data = FeatureCrops(crops, "train")
    trainer = ParserTrainer(recipe, data)
    batch = trainer.collate([trainer.prepare(data.read(k), np.random.default_rng(0)) for k in range(min(4, len(data)))])
    decoder = trainer.players["parser"].network
    optimiser = trainer.players["parser"].optimiser

    def descend(_: str, loss: torch.Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    turn = SimpleNamespace(networks={"parser": decoder}, descend=descend)
    losses = [trainer.step(cast(Turn, turn), batch)["classes"] for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]


def test_shards_without_labels_are_named(shards: Path, tmp_path: Path) -> None:
    sample = replace(open_shards(shards, "train").read(0), labels=None)
    with ShardWriter(tmp_path / "train-0-00000.tar") as writer:
        writer.add(sample)
    with pytest.raises(DataError, match="no labels"):
        make_parser_data(tmp_path, tmp_path / "crops", "train")
    with pytest.raises(DataError, match="parser-data"):
        FeatureCrops(tmp_path / "crops", "train")


def test_places_are_maps_of_what_is_seen() -> None:
    landmarks = np.full((33, 3), -1, np.float32)
    landmarks[27] = 128, 192, 0.9  # the left ankle
    landmarks[28] = 64, 64, 0.1
    maps = network_inputs(np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), np.uint8), landmarks)["places"][0]
    assert maps.shape == (PLACES, GRID, GRID)
    assert np.flatnonzero(maps.any((1, 2))).tolist() == [6]
    row, column = np.unravel_index(maps[6].argmax(), maps[6].shape)
    assert abs(row - 23.5) <= 1 and abs(column - 15.5) <= 1


@pytest.mark.skipif(not (weights_folder() / "parser.safetensors").is_file(), reason="no parser ships")
def test_the_trunk_that_ships_is_imagenets() -> None:
    from uvatar_training.parsing.features import frozen_trunk

    shipped = load_parser_network(weights_folder() / "parser.safetensors").trunk.state_dict()
    for name, value in frozen_trunk().state_dict().items():
        torch.testing.assert_close(shipped[name].float(), value.float(), atol=5e-3, rtol=5e-3)
