"""HRNet-W32 (Sun et al.

2019, "Deep high-resolution representation learning for human pose estimation"), in ROMP's layout.

Branches of 32, 64, 128 and 256 channels at 1/4, 1/8, 1/16 and 1/32 of the picture run side by side and are fused after
every module; the 1/4 branch is the output.  Parameter names are those of ROMP's published checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from uvatar.mesh_predictor.networks.blocks import BasicBlock, Bottleneck, conv3x3, conv_bn

WIDTHS = (32, 64, 128, 256)
MODULES = {2: 1, 3: 4, 4: 3}  # stage -> number of its modules; stage s runs s branches
BLOCKS = 4  # basic blocks per branch and module


class Fuse(nn.Sequential):
    """One path of the fusion: a finer branch comes down by strided 3x3 convolutions, a coarser one up by 1x1 and
    nearest.
    """

    def __init__(self, source: int, target: int) -> None:
        self.upscale = 2 ** max(source - target, 0)
        if source > target:
            super().__init__(*conv_bn(WIDTHS[source], WIDTHS[target], 1))
        else:
            # Channels change, and the ReLU is left out, only in the last step.
            steps = range(source + 1, target + 1)
            super().__init__(
                *(
                    conv_bn(WIDTHS[source], WIDTHS[target if step == target else source], 3, 2, relu=step != target)
                    for step in steps
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, source channels, h, w) -> (B, target channels, H, W) at the target's resolution."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return y if self.upscale == 1 else F.interpolate(y, scale_factor=self.upscale, mode="nearest")


class HighResolutionModule(nn.Module):
    """Branches in parallel, then every target branch receives the sum of all."""

    def __init__(self, branches: int, targets: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(WIDTHS[b]) for _ in range(BLOCKS))) for b in range(branches)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleDict({str(source): Fuse(source, target) for source in range(branches) if source != target})
            for target in range(targets)
        )
        self.relu = nn.ReLU()

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One tensor per branch in, one per target out."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        outputs = []
        for target, paths in enumerate(self.fuse_layers):
            total = features[target]
            for source, path in paths.items():  # type: ignore[operator]
                total = total + path(features[int(source)])
            outputs.append(self.relu(total))
        return outputs


class HRNet(nn.Module):
    """HRNet-W32 up to its finest branch: 28,535,552 parameters."""

    channels, stride = WIDTHS[0], 4

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv3x3(3, 64, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = conv3x3(64, 64, 2)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(3)))
        # A transition opens the next, coarser branch; the first one also brings the stem to the branches' widths.
        self.transition1 = nn.ModuleList(
            [conv_bn(256, WIDTHS[0], 3, 1, relu=True), nn.Sequential(conv_bn(256, WIDTHS[1], 3, 2, relu=True))]
        )
        self.transition2 = nn.ModuleDict({"2": nn.Sequential(conv_bn(WIDTHS[1], WIDTHS[2], 3, 2, relu=True))})
        self.transition3 = nn.ModuleDict({"3": nn.Sequential(conv_bn(WIDTHS[2], WIDTHS[3], 3, 2, relu=True))})
        self.stage2 = self._stage(2)
        self.stage3 = self._stage(3)
        self.stage4 = self._stage(4, last_targets=1)

    @staticmethod
    def _stage(branches: int, last_targets: int | None = None) -> nn.ModuleList:
        count = MODULES[branches]
        targets = [branches] * (count - 1) + [last_targets or branches]
        return nn.ModuleList(HighResolutionModule(branches, target) for target in targets)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], H and W multiples of 32 -> (B, 32, H/4, W/4)."""
        x = image * 2 - 1  # ROMP's normalisation: not ImageNet's mean and deviation
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)
        features = [transition(x) for transition in self.transition1]
        for module in self.stage2:
            features = module(features)
        features = [*features, self.transition2["2"](features[-1])]
        for module in self.stage3:
            features = module(features)
        features = [*features, self.transition3["3"](features[-1])]
        for module in self.stage4:
            features = module(features)
        finest: Tensor = features[0]
        return finest
