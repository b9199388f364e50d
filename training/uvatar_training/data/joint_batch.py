"""Batches for training both predictors together: whole pictures, and the crop of one person in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.texture_predictor.inputs import Crop
from uvatar_training.data.batch import Batch
from uvatar_training.data.mesh_batch import MeshBatch, MeshItem, collate_mesh, prepare_mesh
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import Sample

SMALLEST = 600  # least pixels of a person's mask


@dataclass(frozen=True)
class JointItem:
    """One picture, with the fields of `JointBatch` without the first axis; ``person`` counts within the picture."""

    mesh: MeshItem
    person: int
    photo: Tensor
    picture: Tensor
    mask: Tensor
    crop: Tensor
    camera: Tensor


@dataclass(frozen=True)
class JointBatch(Batch):
    """B whole pictures with their people, and a crop of one person from each picture.

    Attributes:
        mesh: the pictures and labels.
        person: (B,) row of the labels for the person in each crop.
        photo: (B, 3, S, S) the crop on mid-grey, for the style encoder.
        picture: (B, 3, P, P) the crop.
        mask: (B, 1, P, P) bool, the person's pixels in the crop.
        crop: (B, 3) left, top and side of the crop in the square of 512 pixels.
        camera: (B, 3) focal length and principal point in this square, pixels.
    """

    mesh: MeshBatch
    person: Tensor
    photo: Tensor
    picture: Tensor
    mask: Tensor
    crop: Tensor
    camera: Tensor


def prepare_joint(sample: Sample, rng: np.random.Generator, body: BodyModel, photo_side: int, side: int) -> JointItem:
    """The whole picture, and a crop of its largest person.

    Args:
        sample: the picture.
        rng: source of all randomness.
        body: the body that the labels refer to.
        photo_side, side: S and P of `JointBatch`, pixels.

    Raises:
        DataError: the sample has no mask, or nobody in it is large enough.
    """
    item = prepare_mesh(sample, rng, body)
    if sample.mask is None:
        raise DataError(sample.name, "has no mask")
    seen = [number for number, person in enumerate(sample.people) if person.visible.any()]
    pixels = [int((sample.mask == number + 1).sum()) for number in seen]
    largest = int(np.argmax(pixels))
    if pixels[largest] < SMALLEST:
        raise DataError(sample.name, "shows no person large enough for a texture")
    mask = (sample.mask == seen[largest] + 1).astype(np.uint8) * np.uint8(255)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = Crop.around(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]))
    height, width = sample.image.shape[:2]
    scale = INPUT_SIDE / max(height, width)
    left, top = (INPUT_SIDE - width * scale) / 2, (INPUT_SIDE - height * scale) / 2
    camera = sample.camera
    return JointItem(
        item,
        largest,
        torch.from_numpy(crop.person(sample.image, mask, photo_side))[0],
        torch.from_numpy(crop.cut(sample.image, side)).permute(2, 0, 1).float() / 255,
        torch.from_numpy(crop.cut(mask, side) > 127)[None],
        torch.tensor([crop.left * scale + left, crop.top * scale + top, crop.side * scale]).float(),
        torch.tensor([camera.focal * scale, camera.center[0] * scale + left, camera.center[1] * scale + top]).float(),
    )


def collate_joint(items: Sequence[JointItem]) -> JointBatch:
    """Join prepared pictures in a batch."""
    mesh = collate_mesh([item.mesh for item in items])
    first = torch.searchsorted(mesh.labels.picture, torch.arange(len(items)))
    person = first + torch.tensor([item.person for item in items])
    tensors = {
        name: torch.stack([getattr(item, name) for item in items])
        for name in ("photo", "picture", "mask", "crop", "camera")
    }
    return JointBatch(mesh, person, **tensors)
