"""The Mesh Predictor's network: a backbone that gives features at 1/4 or 1/8 of the picture, and three heads at 1/8
(ROMP).

Sun et al. 2021, "Monocular, one-stage, regression of multiple 3D people".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvatar.mesh_predictor.maps import INPUT_SIDE, MAP_SIDE, SMPL_CHANNELS, Maps
from uvatar.mesh_predictor.networks.blocks import BasicBlock
from uvatar.mesh_predictor.networks.hrnet import HRNet

HEAD_CHANNELS = 64
SMPL_HEAD, CENTER_HEAD, CAMERA_HEAD = (
    "1",
    "2",
    "3",
)  # number 0 was the 2D-pose head of the published network's pre-training
CAMERA_CHANNELS = 3  # raw scale (its power of 1.1 is taken in decoding), tx, ty


def coordinate_channels(features: Tensor, share: float = 1.0) -> Tensor:
    """(B, 2, H, W) x and y of every pixel, -1 at the first and 1 at the last pixel centre (CoordConv, Liu et al. 2018).

    ``share``: of the side of a larger picture, of which they are the middle.
    """
    batch, _, height, width = features.shape
    x, y = (
        torch.linspace(-end, end, count, dtype=features.dtype, device=features.device)
        for count in (width, height)
        for end in [(count - 1) / (count / share - 1)]
    )
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).expand(batch, -1, -1, -1)
    # In the features' order in memory: what is concatenated of mixed orders has to be turned around in every head.
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    return grid.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def head(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Features (B, inputs, 64 * stride, 64 * stride) -> map (B, outputs, 64, 64)."""
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(inputs, HEAD_CHANNELS, 3, stride, 1), nn.BatchNorm2d(HEAD_CHANNELS), nn.ReLU(inplace=True)
        ),
        # One more level than needed, as in the published checkpoint's names.
        nn.Sequential(*(nn.Sequential(BasicBlock(HEAD_CHANNELS)) for _ in range(2))),
        nn.Conv2d(HEAD_CHANNELS, outputs, 1),
    )


class MeshPredictor(nn.Module):
    """Backbone and heads.

    Any backbone with ``channels`` that maps (B, 3, H, W) to (B, channels, H/stride, W/stride) will do, ``stride`` being
    4 or 8.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        inputs = int(backbone.channels) + 2  # type: ignore[arg-type]
        self.head_stride = INPUT_SIDE // MAP_SIDE // int(backbone.stride)  # type: ignore[arg-type]
        channels = {SMPL_HEAD: SMPL_CHANNELS, CENTER_HEAD: 1, CAMERA_HEAD: CAMERA_CHANNELS}
        self.final_layers = nn.ModuleDict(
            {name: head(inputs, outputs, self.head_stride) for name, outputs in channels.items()}
        )

    def forward(self, image: Tensor, share: float = 1.0) -> Maps[Tensor]:
        """(B, 3, 512, 512) sRGB in [0, 1] -> Maps.

        With a ``share``, that of the side of 512 that a smaller image has: it is treated as the middle of 512x512, and
        the maps hold the cells of that part.
        """
        return self.maps(self.backbone(image), share)

    def maps(self, features: Tensor, share: float = 1.0) -> Maps[Tensor]:
        """The backbone's features (B, channels, H/stride, W/stride) -> Maps."""
        features = torch.cat([features, coordinate_channels(features, share)], 1)
        center, camera, smpl = (self.final_layers[name](features) for name in (CENTER_HEAD, CAMERA_HEAD, SMPL_HEAD))
        return Maps(center, camera, smpl)


def romp() -> MeshPredictor:
    """The published ROMP network: HRNet-W32, 29,048,274 parameters, random weights."""
    return MeshPredictor(HRNet())
