"""Which of the scalp's colours tell what the back of the head is: shaded hair, or a hat in the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats


@dataclass(frozen=True)
class HairToneSettings:
    """Tuned numbers of the hair's tone; luma is `perceptual`.

    Attributes:
        shades: quantiles of the seen scalp's luma between which the hair's colour is taken: on the crown there is
            light, while the back of the head is in shade.
        pale: median luma over the skin's from which it is a pale hat or white hair. Of 12 heads in photos, one in a
            white hat has 1.64, the others .29 to .86.
        pale_shades: the same quantiles then: under the brim and at the forehead there are other things.
    """

    shades: tuple[float, float] = (0.15, 0.5)
    pale: float = 1.25
    pale_shades: tuple[float, float] = (0.4, 0.8)


DEFAULT_SETTINGS = HairToneSettings()


def telling(luma: Floats, skin: float, settings: HairToneSettings = DEFAULT_SETTINGS) -> NDArray[np.bool_]:
    """Which (K,) of the seen scalp's vertices tell the colour of what is not seen of it, at least one.

    Args:
        luma: (K,) of at least one vertex.
        skin: the same of the person's skin, in the same unit.
        settings: tuned numbers.
    """
    pale = float(np.median(luma)) > settings.pale * skin
    darkest, brightest = settings.pale_shades if pale else settings.shades
    low = np.quantile(luma, darkest, method="lower")  # one of them, so that at least that one is taken
    told: NDArray[np.bool_] = (luma >= low) & (luma <= np.quantile(luma, brightest))
    return told
