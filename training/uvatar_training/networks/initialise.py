"""Initial weights for training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import nn

from uvatar.geometry.torch_rotations import six_d_from_matrices
from uvatar.mesh_predictor.maps import SCALE_BASE
from uvatar.mesh_predictor.networks.network import MeshPredictor
from uvatar.texture_predictor.config import Config, ConfigError
from uvatar.texture_predictor.networks.layers import Conv2d
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.networks.synthesis import Block
from uvatar.texture_predictor.structure import MATERIALS


@torch.no_grad()
def start_heads(network: MeshPredictor, scale: float = 0.6) -> None:
    """Initialise the heads to predict no people, and everywhere the parameters of a standing mean body at rest.

    With random heads, the first steps would only rotate bodies upright (a standing person's global_orient is pi about x
    in the camera frame), with gradients through meaningless rotations.

    Args:
        network: changed in place, except for its backbone.
        scale: of the weak-perspective camera; with 0.6, a person is half as high as the picture.
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


@torch.no_grad()
def start_from_completion(network: TextureNetwork, share: float = 0.02) -> None:
    """Initialise a Texture Predictor to predict nearly the result of mirroring and smooth filling.

    With random colours, the first thousand steps would only remove them.

    Args:
        network: changed in place.
        share: factor on the network's own contribution.
    """
    for block in network.synthesis.blocks:
        cast(Block, block).to_rgb.weight.mul_(share)


@torch.no_grad()
def grown(small: TextureNetwork, config: Config) -> TextureNetwork:
    """A network for larger textures that predicts the enlarged textures of a smaller network.

    Most of the training can thus be done at a quarter of the cost for every doubling (Karras et al. 2018).

    Raises:
        ConfigError: the configurations differ in more than the resolution, or the resolution does not increase.
    """
    if replace(small.config, resolution=config.resolution) != config or small.config.resolution > config.resolution:
        raise ConfigError(f"A network of {small.config} cannot grow to one of {config}.")
    network = TextureNetwork(config)
    start_from_completion(network)
    network.load_state_dict(small.state_dict(), strict=False)
    if network.structure_encoder.uv is not None:
        for layer in network.structure_encoder.uv.down[len(small.config.sizes) - 1 :]:
            cast(Conv2d, layer).weight.zero_()
    return network


@torch.no_grad()
def with_materials(network: TextureNetwork) -> TextureNetwork:
    """A network that also takes maps of materials, and makes the same textures until it has learnt what they say.

    ``network`` itself if it takes them already. Raises ConfigError if it has no spatial conditioning.
    """
    config = replace(network.config, materials=len(MATERIALS))
    if config == network.config:
        return network
    result, state = TextureNetwork(config), network.state_dict()
    uv = result.structure_encoder.uv
    assert uv is not None
    for number, entry in enumerate(uv.entries):
        name = f"structure_encoder.uv.entries.{number}.weight"
        known, weight = state[name], torch.zeros_like(cast(Conv2d, entry).weight)
        # the layer scales its weights by the number of its inputs
        weight[:, : known.shape[1]] = known * math.sqrt(weight.shape[1] / known.shape[1])
        state[name] = weight
    result.load_state_dict(state)
    return result
