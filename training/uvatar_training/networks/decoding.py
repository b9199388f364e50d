"""Decodes the network's maps: peaks of the body-centre heatmap, and the other maps' parameters at these positions.

Batched and differentiable; `uvatar.mesh_predictor.decoding` is the NumPy version.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvatar.geometry.torch_rotations import matrices_from_6d
from uvatar.mesh_predictor.maps import (
    CENTER_THRESHOLD,
    HANDS,
    MAP_SIDE,
    MAX_PEOPLE,
    SCALE_BASE,
    Maps,
    PredictedBodies,
)


@dataclass(frozen=True)
class TorchCenters:
    """Positions of N people in a batch of maps, best first within each picture.

    Attributes:
        picture: (N,) index of the picture in the batch.
        place: (N,) flat index y * 64 + x on the map.
        score: (N,) value of the heatmap there.
    """

    picture: Tensor
    place: Tensor
    score: Tensor

    @property
    def xy(self) -> Tensor:
        """(N, 2) x and y on the 64x64 map."""
        return torch.stack([self.place % MAP_SIDE, self.place // MAP_SIDE], -1)


def find_centers(center: Tensor, threshold: float = CENTER_THRESHOLD, max_people: int = MAX_PEOPLE) -> TorchCenters:
    """Peaks of heatmaps (B, 1, 64, 64): values above the threshold that are the largest in their 5x5 neighbourhood."""
    peaks = torch.where(F.max_pool2d(center, 5, 1, 2) == center, center, torch.zeros_like(center))
    score, place = peaks.flatten(1).topk(max_people, dim=1)
    picture, rank = torch.nonzero(score > threshold, as_tuple=True)
    return TorchCenters(picture, place[picture, rank], score[picture, rank])


def centers_at(center: Tensor, picture: Tensor, xy: Tensor) -> TorchCenters:
    """Centres at given positions.

    Args:
        center: (B, 1, 64, 64) heatmaps, for the scores.
        picture: (N,) index of each person's picture.
        xy: (N, 2) in -1..1 across the padded square.
    """
    cell = ((xy + 1) / 2 * MAP_SIDE).long().clamp(0, MAP_SIDE - 1)
    place = cell[:, 1] * MAP_SIDE + cell[:, 0]
    return TorchCenters(picture, place, center.flatten(1)[picture, place])


def sample(maps: Maps[Tensor], centers: TorchCenters) -> PredictedBodies[Tensor]:
    """The parameters at the centres' cells, without interpolation."""
    camera = maps.camera.flatten(2)[centers.picture, :, centers.place]
    smpl = maps.smpl.flatten(2)[centers.picture, :, centers.place]
    # The scale is exponential, which keeps the network's values near zero for both distant and close people.
    camera = torch.cat([SCALE_BASE ** camera[:, :1], camera[:, 1:]], 1)
    pose = matrices_from_6d(smpl[:, :132].unflatten(1, (22, 6)))
    rest = torch.eye(3, dtype=pose.dtype, device=pose.device).expand(len(pose), HANDS, 3, 3)
    return PredictedBodies(camera, torch.cat([pose, rest], 1), smpl[:, 132:])
