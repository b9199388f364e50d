"""Making a trained network fast on the CPU: batch norms folded into convolutions, channels-last memory, packed weights,
bfloat16.
"""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from uvatar.mesh_predictor.networks.network import SMPL_HEAD, MeshPredictor
from uvatar.mesh_predictor.networks.packed import can_pack, pack


def for_inference(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of ``network`` that computes the same, faster, and can no longer be trained; a Mesh Predictor's maps are
    float32.

    In every module a convolution registered right before a batch norm is taken to feed it, which holds for all blocks
    of this package (and is tested).
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    heads = copy.deepcopy(network.final_layers) if isinstance(network, MeshPredictor) else nn.ModuleDict()
    network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if dtype != torch.float32:
        for name, head in heads.named_children():
            # bfloat16 rounds what a head gives by up to 0.4 %. The pose needs more than its last layer to be better.
            last = 0 if name == SMPL_HEAD else -1
            network.final_layers[name] = _EndsInFloat32(head[:last].to(dtype=dtype), head[last:])  # type: ignore[index, operator, assignment]
    network.requires_grad_(False)
    if can_pack(dtype):
        pack(network)
    return network


class _EndsInFloat32(nn.Module):
    """A head whose last layers are computed in float32, whatever comes in."""

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first, self.last = (part.to(memory_format=torch.channels_last) for part in (first, last))  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """As the head, to float32."""
        out: Tensor = self.last(self.first(x).float())
        return out
