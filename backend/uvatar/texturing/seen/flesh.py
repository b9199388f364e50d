"""The inside of the mouth, which no photo shows rightly: painted as flesh that darkens towards the throat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.photos.colour import LUMA, smoothstep
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.seen.eyes import greyed


@dataclass(frozen=True)
class FleshSettings:
    """Tuned numbers of the mouth's inside, chosen by the look of open mouths in Blender.

    Attributes:
        flesh: linear light behind the lips, on skin of luminance ``skin``.
        throat: the same at the throat.
        lips: depths behind the lips' seam, metres, between which the photo's lips give way to the flesh.
        deep: depths behind the seam, metres, between which it darkens.
        skin: luminance of the skin to which the light belongs.
        light: limits of the factor by which other skin changes it.
        grey: relative range of the skin's channels below which the photo is grey.
    """

    flesh: tuple[float, float, float] = (0.30, 0.09, 0.08)
    throat: tuple[float, float, float] = (0.10, 0.018, 0.016)
    lips: tuple[float, float] = (0.002, 0.007)
    deep: tuple[float, float] = (0.010, 0.080)
    skin: float = 0.4
    light: tuple[float, float] = (0.5, 1.15)
    grey: float = 0.06


DEFAULT_SETTINGS = FleshSettings()


def mouth_depth(atlas: Atlas) -> NDArray[np.float32]:
    """(T,) how far the texels lie behind the lips' seam, metres; 0 outside the mouth and on a body without one."""
    mouth = atlas.body.data.mouth
    depth = np.zeros(len(atlas.surface.template), np.float32)
    if mouth is not None:
        depth[mouth.flesh] = mouth.depth
    inside: NDArray[np.float32] = atlas.interpolate(depth).astype(np.float32)
    return inside


def paint_flesh(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    skin: NDArray[np.float32],
    atlas: Atlas,
    settings: FleshSettings = DEFAULT_SETTINGS,
) -> None:
    """Write the texels inside the mouth into ``colours`` (T, 3), linear light, and ``source`` (T,), labels.

    ``skin`` (3,): linear light, by whose luminance the flesh is lit.
    """
    depth = mouth_depth(atlas)
    texels = np.flatnonzero(depth > settings.lips[0])
    light = np.clip(float(skin @ LUMA) / settings.skin, *settings.light)
    dark = smoothstep(depth[texels, None], *settings.deep)
    near, far = (
        greyed(np.array(colour, np.float32), skin, settings.grey) for colour in (settings.flesh, settings.throat)
    )
    flesh = light * (near + (far - near) * dark)
    share = smoothstep(depth[texels, None], *settings.lips)
    colours[texels] += (share * (flesh - colours[texels])).astype(np.float32)
    source[texels[share[:, 0] > 0.5]] = Label.COMPLETED
