"""How light falls on the person in the photo: a smooth function of the surface's direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import LUMA, perceptual
from uvatar.texturing.surface import Surface


@dataclass(frozen=True)
class ShadingSettings:
    """Tuned numbers of the estimate of shading, set on 12 rendered people whose light is known.

    Attributes:
        seen_share: share of a vertex's texels that must be seen.
        chroma_step: difference in chroma over luma at which two neighbours hardly count as the same material.
        luma_step: of natural log, the same for what the light does not explain.
        rounds: of reweighting.
        ridge: pull of the coefficients to 0, relative to the number of pairs.
        strongest: natural log of the largest factor that the light is believed to make.
        least_pairs: of vertices that are compared.
    """

    seen_share: float = 0.3
    chroma_step: float = 0.06
    luma_step: float = 0.12
    rounds: int = 6
    ridge: float = 2e-3
    strongest: float = 0.8
    least_pairs: int = 500


DEFAULT_SETTINGS = ShadingSettings()


def log_shading(
    colour: Floats, share: Floats, normals: Floats, surface: Surface, settings: ShadingSettings = DEFAULT_SETTINGS
) -> NDArray[np.float32]:
    """Estimate the natural log of the light that falls on each vertex, relative to a mean.

    Spherical harmonics of the normal up to the second order (Ramamoorthi and Hanrahan 2001, "An efficient
    representation for irradiance environment maps") are fitted to the steps of brightness between vertices that are
    close to each other and have the same hue; steps that they cannot explain are borders of garments and lose their
    weight (Retinex, Land and McCann 1971).

    Args:
        colour: (V, 3) linear light around each vertex.
        share: (V,) 0..1, how much of it is seen.
        normals: (V, 3) unit vectors, camera frame.
        surface: of the body.
        settings: tuned numbers.

    Returns (V,), zeros where too little is seen to tell.
    """
    seen = share > settings.seen_share
    a, b = surface.near_pairs
    chosen = seen[a] & seen[b]
    a, b = a[chosen], b[chosen]
    if len(a) < settings.least_pairs:
        return np.zeros(len(share), np.float32)
    coded = perceptual(colour)
    hue = coded[:, 1:] / np.maximum(coded[:, :1], 0.05)
    basis = _harmonics(normals)
    luma = np.log(np.maximum(colour @ LUMA, 2e-3))
    step, difference = luma[a] - luma[b], basis[a] - basis[b]
    same = np.exp(-((hue[a] - hue[b]) ** 2).sum(1) / settings.chroma_step**2)
    coefficients = np.zeros(basis.shape[1])
    for _ in range(settings.rounds):
        residual = step - difference @ coefficients
        weight = same / (1 + (residual / settings.luma_step) ** 2)
        system = (difference * weight[:, None]).T @ difference + settings.ridge * len(a) * np.eye(len(coefficients))
        coefficients = np.linalg.solve(system, difference.T @ (weight * step))
    light = basis @ coefficients
    light -= np.median(light[seen])
    return np.clip(light, -settings.strongest, settings.strongest).astype(np.float32)


def _harmonics(normals: Floats) -> NDArray[np.float64]:
    """The eight spherical harmonics (V, 8) of order 1 and 2, up to constant factors."""
    x, y, z = normals.astype(np.float64).T
    return np.stack([x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], 1)
