"""One photo in two sizes: each person is taken from where they are about as large as the network knows people best.

A network that has learnt of people of a hundred pixels does not find those of four hundred as surely, nor knows as well
which way they face: they reach beyond what a place of its maps sees. So the photo is shown again at half its size,
which takes a quarter of the time of the first look (image pyramids: Rowley et al. 1998, "Neural network-based face
detection"). At a quarter it finds people where none are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvatar.mesh_predictor.maps import INPUT_SIDE, SCALE_BASE, Maps

SMALLER = 2  # times
LIMIT = 135.0  # pixels of the padded square of 512 to a metre of a person, from which on the smaller photo is better
_NEVER = 1e-3  # what a place is worth that looks like no centre: its size still says which people would be there
_BESIDE = 1 - 1e-3  # of a cell's worth for the finer cells beside its middle: a peak is one cell


class InSizes(nn.Module):
    """A `MeshPredictor` that looks at a photo in two sizes and says, for every place, what the size says that suits who
    is there.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Maps[Tensor]:
        """(B, 3, 512, 512) sRGB in [0, 1] -> Maps.

        Centres count half for each octave that a person is on the other side of the limit.
        """
        full, small = self.network(image), of_all(self.network(F.avg_pool2d(image, SMALLER), 1 / SMALLER))
        # How many octaves a person is larger than the limit, by each look's own word.
        larger, larger_small = (
            torch.log2(SCALE_BASE ** maps.camera[:, :1] * (INPUT_SIDE / 2) / LIMIT) for maps in (full, small)
        )
        center = full.center.clamp_min(_NEVER) * 2 ** -torch.relu(larger)
        center_small = small.center.clamp_min(_NEVER) * 2 ** -torch.relu(-larger_small)
        better = center_small > center
        return Maps(
            torch.where(better, center_small, center),
            torch.where(better, small.camera, full.camera),
            torch.where(better, small.smpl, full.smpl),
        )


def of_all(maps: Maps[Tensor]) -> Maps[Tensor]:
    """Maps (B, C, 32, 32) of a photo that was taken for the middle of a square of 512 -> maps (B, C, 64, 64) of all of
    it.
    """
    raw, shift = maps.camera[:, :1] + math.log(SMALLER) / math.log(SCALE_BASE), maps.camera[:, 1:] * SMALLER
    center, camera, smpl = (
        part.repeat_interleave(SMALLER, 2).repeat_interleave(SMALLER, 3)
        for part in (maps.center, torch.cat([raw, shift], 1), maps.smpl)
    )
    beside = torch.full((SMALLER, SMALLER), _BESIDE, dtype=center.dtype, device=center.device)
    beside[SMALLER // 2, SMALLER // 2] = 1
    return Maps(center * beside.repeat(maps.center.shape[2:]), camera, smpl)
