"""Decodes the network's maps: peaks of the body-centre heatmap, and the other maps' parameters at these positions.

`uvatar_training.networks.decoding` is the PyTorch version, with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.mesh_predictor.maps import (
    CENTER_THRESHOLD,
    HANDS,
    MAP_SIDE,
    MAX_PEOPLE,
    SCALE_BASE,
    Maps,
    PredictedBodies,
)

_SURROUNDINGS = np.ones((5, 5), np.uint8)
_SHORTEST = 1e-12  # least length that a vector is divided by, as in PyTorch's normalize

Arrays = NDArray[np.float32]


@dataclass(frozen=True)
class Centers:
    """Positions of N people in a batch of maps, best first within each picture.

    Attributes:
        picture: (N,) index of the picture in the batch.
        place: (N,) flat index y * 64 + x on the map.
        score: (N,) value of the heatmap there.
    """

    picture: NDArray[np.int64]
    place: NDArray[np.int64]
    score: Arrays

    @property
    def xy(self) -> NDArray[np.int64]:
        """(N, 2) x and y on the 64x64 map."""
        return np.stack([self.place % MAP_SIDE, self.place // MAP_SIDE], -1)


def find_centers(center: Arrays, threshold: float = CENTER_THRESHOLD, max_people: int = MAX_PEOPLE) -> Centers:
    """Peaks of heatmaps (B, 1, 64, 64): values above the threshold that are the largest in their 5x5 neighbourhood."""
    places, scores, pictures = [], [], []
    for index, heatmap in enumerate(center[:, 0]):
        largest = cv2.dilate(heatmap, _SURROUNDINGS)  # values outside the border count as -inf
        peaks = np.flatnonzero((heatmap == largest) & (heatmap > threshold))
        best = peaks[np.argsort(-heatmap.ravel()[peaks], kind="stable")][:max_people]
        places.append(best)
        scores.append(heatmap.ravel()[best])
        pictures.append(np.full(len(best), index))
    return Centers(
        np.concatenate(pictures).astype(np.int64), np.concatenate(places).astype(np.int64), np.concatenate(scores)
    )


def centers_at(center: Arrays, picture: Integers, xy: Floats) -> Centers:
    """Centres at given positions.

    Args:
        center: (B, 1, 64, 64) heatmaps, for the scores.
        picture: (N,) index of each person's picture.
        xy: (N, 2) in -1..1 across the padded square.
    """
    cell = np.clip(((xy + 1) / 2 * MAP_SIDE).astype(np.int64), 0, MAP_SIDE - 1)
    place = cell[:, 1] * MAP_SIDE + cell[:, 0]
    index = np.asarray(picture, np.int64)
    return Centers(index, place, center.reshape(len(center), -1)[index, place])


def sample(maps: Maps[Arrays], centers: Centers) -> PredictedBodies[Arrays]:
    """The parameters at the centres' cells, without interpolation."""
    row, column = np.divmod(centers.place, MAP_SIDE)
    camera, smpl = (values[centers.picture, :, row, column] for values in (maps.camera, maps.smpl))
    # The scale is exponential, which keeps the network's values near zero for both distant and close people.
    camera = np.concatenate([np.float32(SCALE_BASE) ** camera[:, :1], camera[:, 1:]], 1)
    pose = matrices_from_6d(smpl[:, :132].reshape(-1, 22, 6))
    rest = np.broadcast_to(np.eye(3, dtype=np.float32), (len(pose), HANDS, 3, 3))
    return PredictedBodies(camera, np.concatenate([pose, rest], 1), smpl[:, 132:])


def matrices_from_6d(values: Arrays) -> Arrays:
    """Rotation matrices (..., 3, 3) from 6D rotations (..., 6).

    Zhou et al. 2019, "On the continuity of rotation representations", eq. 15. The six numbers are a row-major 3x2
    matrix, as published by ROMP and SPIN: the first basis vector is elements 0, 2, 4, and the second is 1, 3, 5. The
    identity is 1, 0, 0, 1, 0, 0. (In PyTorch3D's layout, one vector follows the other.)
    """
    columns = values.reshape(*values.shape[:-1], 3, 2)
    first = _normalised(columns[..., 0])
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdims=True) * first
    second = _normalised(second)
    matrices: Arrays = np.stack([first, second, np.cross(first, second)], -1)
    return matrices


def _normalised(vectors: Arrays) -> Arrays:
    unit: Arrays = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _SHORTEST)
    return unit
