"""The random numbers of a texture: the same seed, the same texture, whatever runs the network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.texture_predictor.config import Config


def noise_sizes(config: Config) -> list[int]:
    """Sides of the noise of every convolution, coarse to fine."""
    return [size for size in config.sizes for _ in range(2)][1:]


def random_inputs(config: Config, seed: int | None) -> dict[str, NDArray[np.float32]]:
    """The network's inputs "latent_noise" (1, latent) and "noise" (N,): zeros, for the most likely texture, without a
    seed.
    """
    count = sum(size * size for size in noise_sizes(config))
    if seed is None:
        return {"latent_noise": np.zeros((1, config.latent), np.float32), "noise": np.zeros(count, np.float32)}
    rng = np.random.default_rng(seed)
    return {
        "latent_noise": rng.standard_normal((1, config.latent), np.float32),
        "noise": rng.standard_normal(count, np.float32),
    }
