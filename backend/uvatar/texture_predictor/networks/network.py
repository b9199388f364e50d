"""The Texture Predictor's network: a style code from the photo and the body makes the texture, features in the UV plane
steer it.

    photo -> ResNet-18 -> latent (mean, log-variance)
    structure -> structure encoder -> structure vector, UV features of every size
    latent, structure vector -> mapping -> style code
    style code, UV features -> StyleGAN2 synthesis -> texture, added to the one that is completed without learning

Structure is pose, shape, camera, and what is known of the texture so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.encoders import StructureEncoder, Style, StyleEncoder
from uvatar.texture_predictor.networks.synthesis import Mapping, Synthesis, mixed
from uvatar.texture_predictor.structure import Structure


@dataclass(frozen=True)
class TexturePrediction:
    """The network's output for B photos.

    Attributes:
        texture: (B, 3, R, R) sRGB, about 0..1, not clipped; row 0 at v = 1; in the gutters anything.
        style: of the photos.
    """

    texture: Tensor
    style: Style


class TextureNetwork(nn.Module):
    """Style encoder, structure encoder, mapping and synthesis; random weights until a checkpoint is loaded."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.style_encoder = StyleEncoder(config)
        self.structure_encoder = StructureEncoder(config)
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def forward(
        self,
        photo: Tensor,
        structure: Structure[Tensor],
        rng: torch.Generator | None = None,
        truncation: float = 1.0,
        mixing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> TexturePrediction:
        """Photos and structures -> textures.

        Args:
            photo: (B, 3, photo_side, photo_side) sRGB 0..1, the person before mid-grey.
            rng: of the latent, the noise and the mixing, on the network's device; None: the latent's mean and no noise,
                so that the same photo always gives the same texture.
            truncation, mixing, dtype: see `generate`.

        Raises:
            ValueError: a photo or structure of another shape than the configuration's.
        """
        _check(photo, structure, self.config)
        style = self.style_encoder(photo)
        latent = style.mean if rng is None else style.sample(rng)
        return TexturePrediction(self.generate(latent, structure, rng, truncation, mixing, dtype), style)

    def generate(
        self,
        latent: Tensor,
        structure: Structure[Tensor],
        rng: torch.Generator | None = None,
        truncation: float = 1.0,
        mixing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Latents (B, latent) and structures -> textures (B, 3, R, R), without a photo.

        Args:
            rng: of noise and mixing; None for neither.
            truncation: 1 takes the style codes as they are, 0 the average one; between: tamer textures.
            mixing: probability that the layers from a random one on take the code of another latent, drawn from the
                prior.
            dtype: of the largest four sizes' activations: float16 and bfloat16 are safe.
        """
        vector, features = self.structure_encoder(structure)
        codes = self.codes(latent, vector, truncation)
        if rng is not None and mixing > 0 and torch.rand((), generator=rng, device=rng.device) < mixing:
            other = torch.randn(latent.shape, generator=rng, device=rng.device)
            crossover = int(torch.randint(1, self.config.codes, (), generator=rng, device=rng.device))
            codes = mixed(codes, self.codes(other, vector, truncation), crossover)
        noise = None if rng is None else self.synthesis.noise(len(latent), rng)
        texture = self.synthesis(codes, features, noise, dtype)
        # What is learnt is what completion misses: colours that are seen need not be carried through the network.
        image: Tensor = texture if structure.completed is None else texture + structure.completed - 0.5
        return image

    def codes(self, latent: Tensor, vector: Tensor, truncation: float = 1.0) -> Tensor:
        """(B, latent), structure vectors (B, structure) -> style codes (B, config.codes, style), the same one for all
        layers.
        """
        codes: Tensor = self.mapping(latent, vector, truncation)[:, None].expand(-1, self.config.codes, -1)
        return codes


def _check(photo: Tensor, structure: Structure[Tensor], config: Config) -> None:
    side, size = config.photo_side, config.resolution
    batch = len(photo)
    shapes: list[tuple[str, Tensor | None, Sequence[int]]] = [
        ("photo", photo, (batch, 3, side, side)),
        ("pose", structure.pose, (batch, 24, 3, 3)),
        ("betas", structure.betas, (batch, 10)),
        ("camera", structure.camera, (batch, 3)),
    ]
    if config.spatial:
        shapes += [
            ("partial", structure.partial, (batch, 4, size, size)),
            ("mirrored", structure.mirrored, (batch, 4, size, size)),
        ]
        shapes += [("completed", structure.completed, (batch, 3, size, size))]
    if config.materials:
        shapes += [("materials", structure.materials, (batch, config.materials, size, size))]
    for name, tensor, shape in shapes:
        found = None if tensor is None else tuple(tensor.shape)
        if found != tuple(shape):
            raise ValueError(f"This Texture Predictor takes {name} of shape {tuple(shape)}, not {found}.")
    if config.spatial:
        found = None if structure.geometry is None else tuple(structure.geometry.shape)
        if found not in ((batch, 7, size, size), (1, 7, size, size)):
            raise ValueError(f"This Texture Predictor takes geometry of shape {(batch, 7, size, size)}, not {found}.")
