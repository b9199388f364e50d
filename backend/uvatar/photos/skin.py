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
