"""The Mesh Predictor's blocks on oneDNN's packed convolutions: the same sums in fewer passes over memory.

A feature map of HRNet fills the cache of a processor core or more, so that every pass counts: ReLUs and sums are part
of the convolutions before them, and sums are made in place.  So blocks and fusions here overwrite what they are given.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvatar.mesh_predictor.networks.blocks import BasicBlock, Bottleneck
from uvatar.mesh_predictor.networks.hrnet import HighResolutionModule, HRNet


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch has oneDNN's packed convolutions for this processor and type.

    Without them all works, slower.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise_") or not hasattr(
        torch._C._nn, "mkldnn_reorder_conv2d_weight"
    ):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack(module: nn.Module) -> None:
    """Replace the module's blocks, convolutions before a ReLU and all other plain convolutions by packed ones, in
    place.

    ``module``: in eval mode, channels-last, batch norms folded into the convolutions before them (an Identity is left
        of each).
    """
    children = list(module.named_children())
    for place, (name, child) in enumerate(children):
        if isinstance(child, BasicBlock | Bottleneck):
            setattr(module, name, PackedBlock(child))
        elif isinstance(child, HighResolutionModule):
            setattr(module, name, PackedFusion(child))
        elif type(child) is nn.Conv2d:
            following = [type(other) for _, other in children[place + 1 : place + 3]]
            relu = isinstance(module, nn.Sequential) and following == [nn.Identity, nn.ReLU]
            setattr(module, name, PackedConv2d(child, relu or isinstance(module, HRNet)))
            if relu:
                setattr(module, children[place + 2][0], nn.Identity())
        else:
            pack(child)
    if isinstance(module, HRNet):  # its own two convolutions are both before this one ReLU
        module.relu = nn.Identity()  # type: ignore[assignment]


class PackedConv2d(nn.Module):
    """A convolution, and a ReLU where wanted, whose weights are laid out once as oneDNN wants them and not at every
    call.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(
            conv.weight.detach().contiguous().to_mkldnn(), *self._geometry
        )
        self._bias = conv.bias
        self._after = "relu" if relu else "none"

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution and the ReLU."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
            x, self._weight, self._bias, *self._geometry, self._after, [], ""
        )
        return out

    def plus(self, x: Tensor, total: Tensor, relu: bool, in_place: bool) -> Tensor:
        """``total`` plus the convolution of ``x``, and a ReLU where wanted, in one pass.

        ``total`` is overwritten if ``in_place``.
        """
        rest: tuple[Any, ...] = (
            self._weight,
            self._bias,
            *self._geometry,
            "add",
            1.0,
            "relu" if relu else None,
            [],
            "",
        )
        if in_place:
            total = torch.ops.mkldnn._convolution_pointwise_.binary(total, x, *rest)
            return total
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(x, total, *rest)
        return out


class PackedBlock(nn.Module):
    """A residual block whose sums and ReLUs are part of its convolutions."""

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        convolutions = [child for child in block.children() if isinstance(child, nn.Conv2d)]
        self.inner = nn.Sequential(*(PackedConv2d(conv, relu=True) for conv in convolutions[:-1]))
        self.last = PackedConv2d(convolutions[-1])
        shortcut = getattr(block, "downsample", None)
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        pack(self.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """As the block; ``x`` is overwritten where the block keeps its channels."""
        y = self.inner(x)
        return self.last.plus(y, self.shortcut(x), relu=True, in_place=True)


class PackedFusion(nn.Module):
    """Branches and their fusion, every target summed in place."""

    def __init__(self, module: HighResolutionModule) -> None:
        super().__init__()
        self.branches = module.branches
        pack(self.branches)
        self.targets = nn.ModuleList(PackedTarget(target, paths) for target, paths in enumerate(module.fuse_layers))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """As the module; ``features`` are overwritten."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        # The finest target last: by then nobody else needs its features, the largest, and its sum is made in them.
        return [target(features) for target in reversed(self.targets)][::-1]


class PackedTarget(nn.Module):
    """The sum of all branches at the resolution of one.

    Coarser branches come up together, doubled step by step: to double a sum costs less than to sum what was enlarged.
    """

    def __init__(self, target: int, paths: nn.Module) -> None:
        """``paths``: by the number of its source, every `Fuse` that leads to ``target``."""
        super().__init__()
        self._target = target
        pack(paths)
        steps = [[step for step in path.modules() if isinstance(step, PackedConv2d)] for path in paths.children()]
        self.down = nn.ModuleList(nn.Sequential(*path) for path in steps[:target])  # finest source first
        self.up = nn.ModuleList(path[0] for path in reversed(steps[target:]))  # coarsest source first

    def forward(self, features: list[Tensor]) -> Tensor:
        """The sum and its ReLU. The finest target's features are overwritten, for it is summed last."""
        total, in_place = features[self._target], self._target == 0
        coarser = None
        for convolution, x in zip(self.up, features[: self._target : -1], strict=True):
            if coarser is None:
                coarser = convolution(x)
            else:
                coarser = convolution.plus(x, _doubled(coarser), relu=False, in_place=True)  # type: ignore[operator]
        if coarser is not None:
            total = total.add_(_doubled(coarser)) if in_place else total + _doubled(coarser)
            in_place = True
        for source, path in enumerate(self.down):
            steps: list[PackedConv2d] = list(path.children())  # type: ignore[arg-type]
            x = features[source]
            for step in steps[:-1]:
                x = step(x)
            total = steps[-1].plus(x, total, relu=source == self._target - 1, in_place=in_place)
            in_place = True
        return total if self.down else total.relu_()


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
