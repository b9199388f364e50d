"""The pose lifter's network in PyTorch, for training and for export; nothing else of fitting imports PyTorch."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uvatar.fitting.lifter import BETAS, FEATURES, POSED, SPREADS
from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.torch_networks import TorchNetwork

WIDTH, BLOCKS, DROPOUT = 384, 2, 0.1


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.outer(self.dropout(torch.relu(self.inner(self.norm(x)))))
        return y


class LifterNetwork(nn.Module):
    """A residual multilayer perceptron.

    Features (B, 201) -> rotations (B, 22, 3, 3) of joints 0..21 in the axes of the camera that looks at the person,
    betas (B, 10), and the logarithms of the spreads (B, 51): of 22 joints, 19 bones, 10 betas.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(FEATURES), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(FEATURES), requires_grad=False)
        self.first = nn.Linear(FEATURES, WIDTH)
        self.blocks = nn.Sequential(*(_ResidualBlock(WIDTH) for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        # Its name and that of the output are those in the weight files.
        self.turns = nn.Linear(WIDTH, POSED * 6)
        self.betas = nn.Linear(WIDTH, BETAS)
        self.spreads = nn.Linear(WIDTH, SPREADS)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, 201) -> rotations (B, 22, 3, 3), betas (B, 10), logarithms of the spreads (B, 51)."""
        hidden = self.norm(self.blocks(self.first((features - self.mean) * self.scale)))
        return orthonormal(self.turns(hidden).unflatten(-1, (POSED, 6))), self.betas(hidden), self.spreads(hidden)


def orthonormal(values: Tensor) -> Tensor:
    """(..., 6), two columns after each other -> rotations (..., 3, 3) (Zhou et al. 2019, "On the continuity of rotation
    representations", eq. 15).
    """
    a, b = values[..., :3], values[..., 3:]
    first = torch.nn.functional.normalize(a, dim=-1)
    second = torch.nn.functional.normalize(b - (first * b).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


class DeployedLifter(nn.Module):
    """A network whose outputs come by name."""

    def __init__(self, network: LifterNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Features (B, 201) -> "turns", "betas" and "spreads" of `LifterNetwork`."""
        rotations, betas, spreads = self.network(features)
        return {"turns": rotations, "betas": betas, "spreads": spreads}


def on_torch(network: LifterNetwork, placement: Placement = ANYWHERE) -> TorchNetwork:
    """A trained network, run by PyTorch."""
    return TorchNetwork(DeployedLifter(network), placement)


def load_lifter_network(path: Path) -> LifterNetwork:
    """The network with the weights in a safetensors file, in evaluation mode."""
    network = LifterNetwork()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.eval()
