"""Samples, and pictures in which a place can be found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from uvatar_training.data.sample import PersonLabel, Sample
from uvatar_training.data.shards import open_shards


@pytest.fixture(scope="session")
def samples(shards: Path) -> list[Sample]:
    found = open_shards(shards, "train")
    return [found.read(k) for k in range(len(found))]


@pytest.fixture(scope="session")
def dotted() -> Callable[[Sample, PersonLabel, int], Sample]:
    """Makes of a sample a picture of one person that is black but for one bright dot where a joint is."""

    def of(sample: Sample, person: PersonLabel, joint: int) -> Sample:
        x, y = person.joints_2d[joint]
        rows, columns = np.meshgrid(np.arange(sample.image.shape[0]), np.arange(sample.image.shape[1]), indexing="ij")
        dot = np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 8)
        return replace(
            sample, image=np.repeat((dot * 255).astype(np.uint8)[..., None], 3, 2), people=(person,), mask=None
        )

    return of


@pytest.fixture(scope="session")
def middle_of() -> Callable[[Tensor], Tensor]:
    """Finds the dot in a square picture (3, S, S): x and y in pixels."""

    def of(image: Tensor) -> Tensor:
        weight = image[0].double()
        return (
            torch.stack([(weight.sum(axis) * (torch.arange(len(weight)) + 0.5)).sum() for axis in (0, 1)])
            / weight.sum()
        )

    return of
