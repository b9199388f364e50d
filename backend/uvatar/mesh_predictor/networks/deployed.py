"""The Mesh Predictor as it is exported, and as PyTorch runs it behind `uvatar.runtime.networks.Network`."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from uvatar.mesh_predictor.networks.checkpoint import load_checkpoint
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.inference import for_inference
from uvatar.mesh_predictor.networks.network import MeshPredictor, romp
from uvatar.mesh_predictor.networks.sizes import InSizes
from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.torch_networks import TorchNetwork


class DeployedMeshPredictor(nn.Module):
    """A network whose maps come by name."""

    def __init__(self, network: nn.Module, in_sizes: bool = False) -> None:
        """``in_sizes``: whether it is to look at photos in two sizes."""
        super().__init__()
        self.network = InSizes(network) if in_sizes else network

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, 512, 512) sRGB in [0, 1] -> the fields of `uvatar.mesh_predictor.maps.Maps`."""
        maps = self.network(image)
        return {"center": maps.center, "camera": maps.camera, "smpl": maps.smpl}


def on_torch(network: nn.Module, placement: Placement = ANYWHERE, in_sizes: bool = False) -> TorchNetwork:
    """A trained network, run by PyTorch."""
    return TorchNetwork(
        DeployedMeshPredictor(network, in_sizes),
        placement,
        on_cpu=lambda: DeployedMeshPredictor(for_inference(network), in_sizes),
    )


def load_light(path: Path) -> MeshPredictor:
    """The light network with the weights in a safetensors file. Raises CheckpointError."""
    network = MeshPredictor(LightBackbone())
    load_checkpoint(network, path)
    return network.eval()


def load_romp(path: Path) -> tuple[MeshPredictor, bool]:
    """The exact network with the weights in ROMP.pkl or another PyTorch file, and whether its bodies have their origin
    between the hips. Raises CheckpointError.
    """
    network = romp()
    root_aligned = load_checkpoint(network, path)
    return network.eval(), root_aligned
