"""Inputs of a Texture Predictor, made up."""

from __future__ import annotations

import torch

from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.structure import Structure


def made_up(config: Config, batch: int = 2, seed: int = 0) -> tuple[torch.Tensor, Structure[torch.Tensor]]:
    """Random photos and structures of the configuration's shapes."""
    rng = torch.Generator().manual_seed(seed)
    size, side = config.resolution, config.photo_side
    pose = torch.linalg.qr(torch.randn(batch, 24, 3, 3, generator=rng)).Q
    body = pose, torch.randn(batch, 10, generator=rng), torch.randn(batch, 3, generator=rng)
    plane = (
        (
            torch.randn(1, 7, size, size, generator=rng),
            *(torch.rand(batch, count, size, size, generator=rng) for count in (4, 4, 3)),
            *([torch.rand(batch, config.materials, size, size, generator=rng)] if config.materials else []),
        )
        if config.spatial
        else ()
    )
    return torch.rand(batch, 3, side, side, generator=rng), Structure(*body, *plane)
