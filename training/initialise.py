"""Where training of a Mesh Predictor starts."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from backend.mesh_predictor.decoding import SCALE_BASE
from backend.mesh_predictor.network import MeshPredictor
from backend.mesh_predictor.rotation import six_d_from_matrices


@torch.no_grad()
def start_heads(network: MeshPredictor, scale: float = 0.6) -> None:
    """Make the heads say the same everywhere: nobody, and if somebody then a standing person of mean shape at rest.

    From random heads the first steps would only be spent on turning bodies upright (a standing person's global_orient is
    pi about x in the camera frame), with gradients through meaningless rotations.

    Args:
        network: changed in place; its backbone is left as it is.
        scale: of the weak-perspective camera; 0.6 makes a person half as high as the picture.
    """
    biases = {}
    for number, head in network.final_layers.items():
        last = cast(nn.Conv2d, cast(nn.Sequential, head)[-1])
        nn.init.normal_(last.weight, std=1e-3)
        biases[number] = nn.init.zeros_(cast(nn.Parameter, last.bias))
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    rest = torch.stack([upright, *[torch.eye(3)] * 21])
    biases["1"][:132] = six_d_from_matrices(rest).flatten()
    biases["3"][0] = math.log(scale) / math.log(SCALE_BASE)
