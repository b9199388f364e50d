"""Mosaics: training pictures that show more people than photos do, in a single pass of the network.

Bochkovskiy et al. 2020, "YOLOv4", section 3.4. A mosaic has four whole pictures, or four or sixteen close-ups of
people, at the same number of pixels. A step on close-ups therefore covers several times as many people as a step on
the same number of whole pictures. People are never large in mosaics, which does not matter for a network that sees a
photo in two sizes (`uvatar.mesh_predictor.networks.sizes`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from uvatar.body import BodyModel
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar_training.data.mesh_batch import (
    PEOPLE_KEYS,
    MeshBatch,
    MeshItem,
    PicturePart,
    Shaking,
    collate_mesh,
    prepare_mesh,
)
from uvatar_training.data.problems import DataError
from uvatar_training.data.sample import PersonLabel, Sample

ACROSS = 2  # whole pictures in a row
CLOSE_UPS_ACROSS = (4, 2)
_MARGIN = 1.35  # ratio of a close-up's extent to that of its joints: heads and feet extend beyond theirs
_MOST_ENLARGED = 2.5  # largest magnification: close-ups of smaller people would be blurred
_WORTH = 12  # least visible joints of a person who gets a close-up
_ENOUGH = 8  # least joints in a close-up for a person to count


def prepare_tiles(
    sample: Sample, rng: np.random.Generator, body: BodyModel, shaking: Shaking | None = None, close_ups: float = 0.0
) -> list[MeshItem]:
    """The whole picture (see `prepare_mesh`), or close-ups of all people who are large enough.

    Args:
        sample: the picture.
        rng: source of all randomness.
        body: the body that the labels refer to.
        shaking: random variations; None for evaluation.
        close_ups: share of samples of which close-ups are made.

    Raises:
        DataError: no person is visible.
    """
    parts = [_close_up(person, rng) for person in sample.people] if close_ups and rng.random() < close_ups else []
    items = []
    for part in parts:
        if part is None:
            continue
        try:
            items.append(prepare_mesh(sample, rng, body, shaking, part))
        except DataError:
            continue  # the random variations moved the person out of the close-up
    return items or [prepare_mesh(sample, rng, body, shaking)]


def collate_tiles(samples: Sequence[Sequence[MeshItem]], mosaics: int = 0) -> MeshBatch:
    """Join the results of `prepare_tiles` in a batch.

    Of the squares of the network's size, the first 4 * ``mosaics`` (or fewer) are combined by fours. Smaller squares
    are combined in as few pictures as possible per size; missing tiles are black.
    """
    items = [item for sample in samples for item in sample]
    whole, *close = (
        [item for item in items if item.image.shape[-1] == INPUT_SIDE // across] for across in (1, *CLOSE_UPS_ACROSS)
    )
    tiled = ACROSS**2 * min(mosaics, len(whole) // ACROSS**2)
    pictures = [mosaic(whole[first : first + ACROSS**2], ACROSS) for first in range(0, tiled, ACROSS**2)] + whole[
        tiled:
    ]
    for across, tiles in zip(CLOSE_UPS_ACROSS, close, strict=True):
        pictures += [mosaic(tiles[first : first + across**2], across) for first in range(0, len(tiles), across**2)]
    return collate_mesh(pictures)


def mosaic(items: Sequence[MeshItem], across: int) -> MeshItem:
    """Arrange up to ``across``² squares of the same size in one picture, row by row, each shrunk to its tile."""
    side = INPUT_SIDE // across
    times = items[0].image.shape[-1] // side
    small = F.avg_pool2d(torch.stack([item.image for item in items]).float(), times).round().to(torch.uint8)
    small = F.pad(small, (0, 0, 0, 0, 0, 0, 0, across**2 - len(items)))
    image = small.unflatten(0, (across, across)).permute(2, 0, 3, 1, 4).reshape(3, INPUT_SIDE, INPUT_SIDE)
    rows = {key: torch.cat([item.rows[key] for item in items]) for key in PEOPLE_KEYS}
    middles = [
        torch.tensor([2 * column + 1, 2 * row + 1]) / across - 1 for row in range(across) for column in range(across)
    ]
    rows["joints_2d"] = torch.cat(
        [item.rows["joints_2d"] / across + middle for item, middle in zip(items, middles, strict=False)]
    )
    return MeshItem(image, rows, all(item.labelled for item in items))


def _close_up(person: PersonLabel, rng: np.random.Generator) -> PicturePart | None:
    """The part of the picture around a person, or None if it would be blurred or show too little of the person.

    Its size is drawn with a probability in proportion to the number of tiles that fit into one picture.
    """
    if person.visible.sum() < _WORTH:
        return None
    seen = person.joints_2d[person.visible].astype(np.float64)
    low, high = seen.min(0), seen.max(0)
    extent = float((high - low).max())
    fitting = [across for across in CLOSE_UPS_ACROSS if INPUT_SIDE / across <= _MOST_ENLARGED * _MARGIN * extent]
    if not fitting:
        return None
    odds = np.square(fitting) / np.square(fitting).sum()
    side = INPUT_SIDE // int(rng.choice(fitting, p=odds))
    return PicturePart(tuple((low + high) / 2), _MARGIN * extent, side, _ENOUGH)
