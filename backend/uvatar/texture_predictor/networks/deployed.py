"""The Texture Predictor as it is exported, and as PyTorch runs it behind `uvatar.runtime.networks.Network`."""

from __future__ import annotations

import json

from torch import Tensor, nn

from uvatar.runtime.devices import ANYWHERE, Placement
from uvatar.runtime.torch_networks import TorchNetwork
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.noise import noise_sizes
from uvatar.texture_predictor.structure import Structure


class DeployedTextureNetwork(nn.Module):
    """A network whose random numbers are inputs, so that every runtime makes the same texture of them."""

    def __init__(self, network: TextureNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        photo: Tensor,
        pose: Tensor,
        betas: Tensor,
        camera: Tensor,
        latent_noise: Tensor,
        noise: Tensor,
        truncation: Tensor,
        geometry: Tensor | None = None,
        partial: Tensor | None = None,
        mirrored: Tensor | None = None,
        completed: Tensor | None = None,
        materials: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One person's photo (1, 3, S, S), `Structure` and random numbers -> "texture" (1, 3, R, R), not clipped.

        Args:
            latent_noise: (1, latent) standard normal; zeros for the latent's mean.
            noise: (N,) standard normal, for all convolutions after each other (`noise_sizes`); zeros for none.
            truncation: (1,) as in `TextureNetwork.generate`.
        """
        network = self.network
        structure = Structure(pose, betas, camera, geometry, partial, mirrored, completed, materials)
        style = network.style_encoder(photo)
        latent = style.mean + latent_noise * (0.5 * style.log_variance).exp()
        vector, features = network.structure_encoder(structure)
        average = network.mapping.average
        code = average + (network.mapping(latent, vector) - average) * truncation
        codes = code[:, None].expand(-1, network.config.codes, -1)
        sizes = noise_sizes(network.config)
        parts = noise.split([size * size for size in sizes])
        pictures = [part.view(1, 1, size, size) for part, size in zip(parts, sizes, strict=True)]
        texture = network.synthesis(codes, features, pictures)
        return {"texture": texture if completed is None else texture + completed - 0.5}


def on_torch(network: TextureNetwork, placement: Placement = ANYWHERE) -> TorchNetwork:
    """A trained network, run by PyTorch."""
    metadata = {"config": json.dumps(network.config.as_dict())}
    return TorchNetwork(DeployedTextureNetwork(network), placement, metadata)
