"""Whether a colour may be a person's skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import perceptual, smoothstep


@dataclass(frozen=True)
class SkinLikenessSettings:
    """Tuned numbers of likeness to skin, set while looking at photos of 17 people, in `perceptual` units.

    Attributes:
        hue: distances of hue (chroma over luma) from the skin's up to which a colour is skin, and from which not.
        shade: luma over the skin's from which a colour may be skin, and from which fully: nails and shadows.
        light: the same at the bright end: what is brighter than lit skin is not skin.
    """

    hue: tuple[float, float] = (0.15, 0.25)
    shade: tuple[float, float] = (0.15, 0.3)
    light: tuple[float, float] = (1.5, 1.8)


DEFAULT_SETTINGS = SkinLikenessSettings()


def skin_likeness(
    colours: Floats, skin: Floats, settings: SkinLikenessSettings = DEFAULT_SETTINGS
) -> NDArray[np.float32]:
    """Whether (K,), 0..1, colours (K, 3) may be the skin (3,) in another light, all linear light."""
    own, reference = perceptual(colours), perceptual(skin)
    luma = np.maximum(own[:, 0], 1e-3)
    hue = np.linalg.norm(own[:, 1:] / luma[:, None] - reference[1:] / max(float(reference[0]), 1e-3), axis=1)
    light = luma / max(float(reference[0]), 1e-3)
    like = (1 - smoothstep(hue, *settings.hue)) * smoothstep(light, *settings.shade)
    return (like * (1 - smoothstep(light, *settings.light))).astype(np.float32)


def hue_distance(hue: Floats, reference: Floats, saturation: float) -> NDArray[np.float64]:
    """Distance (...,) of hues (..., 2), chroma over luma in `perceptual` units, from ``reference`` (..., 2), in which
    more of the reference's own saturation counts by the factor ``saturation``: a warm or underexposed photo saturates
    skin, while its hue's direction stays.
    """
    amount = np.linalg.norm(reference, axis=-1, keepdims=True)
    direction = reference / np.maximum(amount, 1e-6)
    step = hue - reference
    along = (step * direction).sum(-1, keepdims=True)
    across = step - along * direction
    along = np.where(along > 0, saturation * along, along)
    return np.asarray(np.hypot(np.linalg.norm(across, axis=-1), along[..., 0]), np.float64)
