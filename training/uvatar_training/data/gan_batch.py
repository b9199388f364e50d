"""Batches for pre-training the generator: textures with the bodies of their wearers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from uvatar.texture_predictor.inputs import pose_of
from uvatar_training.data.batch import Batch
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample


@dataclass(frozen=True)
class GanBatch(Batch):
    """B real textures and their wearers.

    Attributes:
        texture: (B, 3, R, R) sRGB 0..1.
        pose: (B, 24, 3, 3); betas: (B, 10); camera: (B, 3), see `uvatar.texture_predictor.structure.Structure`.
    """

    texture: Tensor
    pose: Tensor
    betas: Tensor
    camera: Tensor


def prepare_gan(sample: Sample, rng: np.random.Generator, size: int) -> GanBatch:
    """One person's texture at (size, size), as a batch of one.

    Raises:
        DataError: no person of the sample has a texture.
    """
    worn = [(person, person.texture) for person in sample.people if person.texture is not None]
    if not worn:
        raise DataError(sample.name, "holds no texture")
    person, whole = worn[rng.integers(len(worn))]
    small = np.asarray(cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    texture = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    betas = torch.from_numpy(person.betas[:10].copy())[None]
    return GanBatch(texture, torch.from_numpy(pose_of(person.parameters)), betas, torch.tensor([[1.0, 0.0, 0.0]]))
