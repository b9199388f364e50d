"""Where the hair that the photo shows passes into strands that it does not show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import smoothstep
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.materials.labels import HAIR


@dataclass(frozen=True)
class HairEdgeSettings:
    """Tuned numbers, set while looking at the heads of 6 people.

    Attributes:
        passing: cosines to the line of sight up to which hair is strands alone, and from which it is the photo alone.
            In between the photo's hair is drawn out to a smear.
    """

    passing: tuple[float, float] = (0.1, 0.55)


DEFAULT_SETTINGS = HairEdgeSettings()


def with_soft_hair_edge(
    seen: SeenColours,
    cosine: Floats,
    texel_labels: NDArray[np.uint8],
    settings: HairEdgeSettings = DEFAULT_SETTINGS,
) -> SeenColours:
    """What the photos show, less of the scalp's hair the more it is seen from the edge; it tells its colour all the
    same.

    Args:
        seen: what the photos show.
        cosine: (T,) between the surface's normal and the line of sight of the photo that shows the texel best.
        texel_labels: (T,) materials.
        settings: tuned numbers.
    """
    atlas = seen.atlas
    scalp = atlas.interpolate(atlas.surface.scalp.astype(np.float32)) * (texel_labels == HAIR)
    kept = 1 - scalp * (1 - smoothstep(cosine, *settings.passing))
    return replace(seen, alpha=(seen.alpha * kept).astype(np.float32))
