"""How light falls on the person in the photo: a smooth function of the surface's direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import LUMA, perceptual
from uvatar.texturing.layout.surface import Surface


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

    Args:
        colour: (V, 3) linear light around each vertex.
        share: (V,) 0..1, how much of it is seen.
        normals: (V, 3) unit vectors, camera frame.
        surface: of the body.
        settings: tuned numbers.

    Returns (V,), zeros where too little is seen to tell.
    """
    steps = light_steps(colour, share, normals, surface, settings)
    if steps is None:
        return np.zeros(len(share), np.float32)
    light = harmonics(normals) @ fitted_light(steps, settings)
    light -= np.median(light[share > settings.seen_share])
    return np.clip(light, -settings.strongest, settings.strongest).astype(np.float32)


@dataclass(frozen=True)
class LightSteps:
    """What neighbours of the same hue tell of the light; P pairs of vertices.

    Attributes:
        luma: (P,) the steps of brightness, natural log.
        basis: (P, 8) the steps of `harmonics`.
        same: (P,) 0..1, how likely both are of one material.
    """

    luma: NDArray[np.float64]
    basis: NDArray[np.float64]
    same: NDArray[np.float64]


def light_steps(
    colour: Floats, share: Floats, normals: Floats, surface: Surface, settings: ShadingSettings = DEFAULT_SETTINGS
) -> LightSteps | None:
    """Compare seen vertices that are close to each other; None if there are too few. Arguments as `log_shading`'s."""
    seen = share > settings.seen_share
    a, b = surface.near_pairs
    chosen = seen[a] & seen[b]
    a, b = a[chosen], b[chosen]
    if len(a) < settings.least_pairs:
        return None
    coded = perceptual(colour)
    hue = coded[:, 1:] / np.maximum(coded[:, :1], 0.05)
    basis, luma = harmonics(normals), log_luma(colour)
    same = np.exp(-((hue[a] - hue[b]) ** 2).sum(1) / settings.chroma_step**2)
    return LightSteps(luma[a] - luma[b], basis[a] - basis[b], same)


def fitted_light(steps: LightSteps, settings: ShadingSettings = DEFAULT_SETTINGS) -> NDArray[np.float64]:
    """Coefficients (8,) of `harmonics`, the natural log of the light by the surface's direction.

    Spherical harmonics of the normal up to the second order (Ramamoorthi and Hanrahan 2001, "An efficient
    representation for irradiance environment maps") are fitted to the steps of brightness; steps that they cannot
    explain are borders of garments and lose their weight (Retinex, Land and McCann 1971).
    """
    coefficients = np.zeros(steps.basis.shape[1])
    for _ in range(settings.rounds):
        residual = steps.luma - steps.basis @ coefficients
        weight = steps.same / (1 + (residual / settings.luma_step) ** 2)
        system = (steps.basis * weight[:, None]).T @ steps.basis
        system += settings.ridge * len(steps.luma) * np.eye(len(coefficients))
        coefficients = np.linalg.solve(system, steps.basis.T @ (weight * steps.luma))
    return coefficients


def log_luma(colour: Floats) -> NDArray[np.float64]:
    """Natural log of the brightness (V,) of linear light (V, 3)."""
    return np.asarray(np.log(np.maximum(colour @ LUMA, 2e-3)), np.float64)


def harmonics(normals: Floats) -> NDArray[np.float64]:
    """The eight spherical harmonics (V, 8) of order 1 and 2, up to constant factors."""
    x, y, z = normals.astype(np.float64).T
    return np.stack([x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], 1)
