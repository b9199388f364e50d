"""The Mesh Predictor's blocks on oneDNN's packed convolutions: the same sums in fewer passes over memory.

A feature map of HRNet fills the cache of a processor core or more, so that every pass counts: ReLUs and sums are part of the
convolutions before them, and sums are made in place.  So blocks and fusions here overwrite what they are given.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

from backend.mesh_predictor.blocks import BasicBlock, Bottleneck
from backend.mesh_predictor.hrnet import HighResolutionModule, HRNet


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch has oneDNN's packed convolutions for this processor and type. Without them all works, slower."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise_") or not hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight"):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack(module: nn.Module) -> None:
    """Replace the module's blocks, convolutions before a ReLU and all other plain convolutions by packed ones, in place.

    ``module``: in eval mode, channels-last, batch norms folded into the convolutions before them (an Identity is left of each).
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
    """A convolution, and a ReLU where wanted, whose weights are laid out once as oneDNN wants them and not at every call."""

    def __init__(self, conv: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(conv.weight.detach().contiguous().to_mkldnn(), *self._geometry)
        self._bias = conv.bias
        self._after = "relu" if relu else "none"

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution and the ReLU."""
        return torch.ops.mkldnn._convolution_pointwise.default(x, self._weight, self._bias, *self._geometry, self._after, [], "")

    def plus(self, x: Tensor, other: Tensor, relu: bool) -> Tensor:
        """The convolution of ``x`` plus ``other``, and a ReLU where wanted, in one pass."""
        operation = torch.ops.mkldnn._convolution_pointwise.binary
        return operation(x, other, self._weight, self._bias, *self._geometry, "add", 1.0, "relu" if relu else None, [], "")

    def onto(self, total: Tensor, x: Tensor, relu: bool) -> Tensor:
        """The same, in ``total``."""
        operation = torch.ops.mkldnn._convolution_pointwise_.binary
        return operation(total, x, self._weight, self._bias, *self._geometry, "add", 1.0, "relu" if relu else None, [], "")


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
        return self.last.onto(self.shortcut(x), y, relu=True)


class PackedFusion(nn.Module):
    """Branches and their fusion, every target summed in place."""

    def __init__(self, module: HighResolutionModule) -> None:
        super().__init__()
        self.branches = module.branches
        pack(self.branches)
        # Coarse sources first: a path down ends in a convolution, which can do the ReLU after the sum.
        self.targets = nn.ModuleList(
            nn.ModuleList(PackedPath(path, int(source)) for source, path in reversed(list(paths.named_children())))
            for paths in module.fuse_layers
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """As the module; ``features`` are overwritten."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        outputs = []
        # The finest last: by then nobody else needs its features, the largest, and the sum is made in them.
        for target in reversed(range(len(self.targets))):
            total = features[target]
            paths: list[PackedPath] = list(self.targets[target].children())  # type: ignore[arg-type]
            for path in paths:
                total = path.onto(total, features[path.source], keep=path is paths[0] and target > 0, relu=path is paths[-1])
            outputs.append(total)
        return outputs[::-1]


class PackedPath(nn.Module):
    """One path of a fusion, added to its target."""

    def __init__(self, path: nn.Module, source: int) -> None:
        """``path``: a `Fuse` that starts at branch ``source``."""
        super().__init__()
        pack(path)
        self.source = source
        *first, self.last = [step for step in path.modules() if isinstance(step, PackedConv2d)]
        self.first = nn.Sequential(*first)
        self.upscale: int = path.upscale  # type: ignore[assignment]

    def onto(self, total: Tensor, x: Tensor, keep: bool, relu: bool) -> Tensor:
        """The sum of ``total`` and the path of ``x``, and a ReLU where wanted; in place unless ``total`` is to be kept."""
        x = self.first(x)
        if self.upscale == 1:
            return self.last.plus(x, total, relu) if keep else self.last.onto(total, x, relu)
        y = self.last(x)
        blocks = (*y.shape[:3], self.upscale, y.shape[3], self.upscale)
        result = torch.empty_like(total) if keep else total
        torch.add(total.view(blocks), y[:, :, :, None, :, None], out=result.view(blocks))
        return result.relu_() if relu else result
