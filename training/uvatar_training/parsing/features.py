"""Features of crops, computed once: the trunk stays frozen, so that the decoder is trained in minutes on a CPU."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvatar.mesh_predictor.networks.efficientnet_lite import STAGES, EfficientNetLite0
from uvatar.parsing.inputs import SIDE, place_maps
from uvatar.parsing.network import RETURNED, TRUNK_STAGES
from uvatar_training.data.batch import Batch
from uvatar_training.data.problems import DataError
from uvatar_training.data.shards import ShardSet, shard_paths, shard_set
from uvatar_training.losses.features import imagenet_weights
from uvatar_training.parsing.crops import Crop, person_crop

PEOPLE = 3  # of a picture at most
OTHERS = 300  # pictures whose parts lie before and behind people
_AT_ONCE = 8
_FEATURES = ("fine", "middle", "coarse")


@dataclass(frozen=True)
class ParserBatch(Batch):
    """B crops.

    Attributes:
        fine, middle, coarse: features of the trunk.
        mask: (B, 1, S, S) 0..1.
        places: (B, 8, S / 8, S / 8) 0..1.
        labels: (B, S, S) int64.
    """

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    mask: Tensor
    places: Tensor
    labels: Tensor


def frozen_trunk() -> EfficientNetLite0:
    """The parser's trunk with ImageNet's weights. Raises FeatureError if their package is not installed."""
    trunk = EfficientNetLite0(STAGES[:TRUNK_STAGES], RETURNED)
    trunk.load_imagenet(imagenet_weights())
    return trunk.requires_grad_(False).eval()


def make_parser_data(
    data: Path,
    out: Path,
    split: str,
    variants: int = 1,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Cut out the people of the shards and compute their features; existing files are kept.

    Args:
        data: folder of shards with labels.
        out: folder of the files, one for every shard and variant.
        split: "train", whose crops are varied, or "held_out".
        variants: how often each person is cut out.
        seed: of the variations.
        progress: called with 1 for each file.

    Returns:
        The number of files.

    Raises:
        DataError: the shards have no labels, or cannot be read.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    trunk, done = frozen_trunk(), 0
    for variant in range(variants):
        for path in shard_paths(data, split):
            target = out / f"{path.stem}-v{variant}.npz"
            if not target.exists():
                rng = np.random.default_rng([seed, variant, zlib.crc32(path.stem.encode())])
                _write(target, _crops(shard_set([path]), rng, split == "train"), trunk)
            done += 1
            progress(1)
    return done


def _crops(shards: ShardSet, rng: np.random.Generator, varied: bool) -> list[Crop]:
    samples = [shards.read(number) for number in range(len(shards))]
    if missing := [sample.name for sample in samples if sample.labels is None or sample.mask is None]:
        raise DataError(missing[0], "has no labels: make the shards again with this version")
    others = [np.asarray(cv2.resize(sample.image, (SIDE, SIDE)), np.uint8) for sample in samples[:OTHERS]]
    found = (
        person_crop(sample, number, rng, others if varied else None)
        for sample in samples
        for number in range(min(len(sample.people), PEOPLE))
    )
    return [crop for crop in found if crop is not None]


@torch.no_grad()
def _write(path: Path, crops: Sequence[Crop], trunk: EfficientNetLite0) -> None:
    features: dict[str, list[NDArray[np.float16]]] = {name: [] for name in _FEATURES}
    for start in range(0, len(crops), _AT_ONCE):
        images = np.stack([crop.image for crop in crops[start : start + _AT_ONCE]])
        for name, values in zip(
            _FEATURES, trunk(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255), strict=True
        ):
            features[name].append(values.half().numpy())
    nothing = np.zeros((0, 1, 1, 1), np.float16)
    arrays: dict[str, NDArray[Any]] = {name: np.concatenate(values or [nothing]) for name, values in features.items()}
    arrays["image"] = np.array([crop.image for crop in crops], np.uint8)
    arrays["mask"] = np.array([crop.mask for crop in crops], np.uint8)
    arrays["labels"] = np.array([crop.labels for crop in crops], np.uint8)
    arrays["places"] = np.array([np.round(place_maps(crop.places) * 255) for crop in crops], np.uint8)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    os.replace(part, path)


@dataclass(frozen=True)
class FeatureCrop:
    """A crop as it is stored: its name, its split and its arrays by name."""

    name: str
    split: str
    arrays: dict[str, NDArray[Any]]


class FeatureCrops:
    """All crops of a split in a folder, in memory: some 0.6 MB each."""

    def __init__(self, folder: Path, split: str) -> None:
        """Read them. Raises DataError if there are none, or a file is damaged."""
        paths = sorted(folder.glob(f"{split}-*-v*.npz")) if folder.is_dir() else []
        if not paths:
            raise DataError(folder, f"holds no crops of the split {split!r}: make some with uvatar-train parser-data")
        self._crops: list[FeatureCrop] = []
        for path in paths:
            try:
                with np.load(path) as stored:
                    arrays = {name: stored[name] for name in stored.files}
                count = len(arrays["labels"])
            except (OSError, ValueError, KeyError) as error:
                raise DataError(path, f"is damaged: {error}") from error
            self._crops += [
                FeatureCrop(f"{path.stem}#{row}", split, {name: values[row] for name, values in arrays.items()})
                for row in range(count)
            ]

    def __len__(self) -> int:
        return len(self._crops)

    def read(self, number: int) -> FeatureCrop:
        """The crop ``number``."""
        return self._crops[number]


def prepare_crop(crop: FeatureCrop, _: np.random.Generator) -> ParserBatch:
    """One crop as a batch of one; the variations are in the stored features."""

    def tensor(name: str, divisor: float = 1) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(crop.arrays[name]))[None].float() / divisor

    labels = torch.from_numpy(crop.arrays["labels"].astype(np.int64))[None]
    fine, middle, coarse = (tensor(name) for name in _FEATURES)
    return ParserBatch(fine, middle, coarse, tensor("mask", 255)[:, None], tensor("places", 255), labels)
