"""What a person's hair becomes, as the job says: what the photo shows, nothing, or a hairstyle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.clothing.ears import Ear
from uvatar.clothing.hair.dressing import bared_pixels, hair_pixels, with_hair, with_hairstyle
from uvatar.clothing.hair.pixels import HairPixels, long_hair
from uvatar.clothing.hair.tail_pixels import tied_hair
from uvatar.data.fit import Fit
from uvatar.data.view import View
from uvatar.protocol.options import AS_SEEN, NO_HAIR, ON_SURFACE


@dataclass(frozen=True)
class HairPlan:
    """What is to be done about a person's hair, before the body is dressed.

    Attributes:
        choice: one of `uvatar.protocol.options.HAIR`.
        found: long hair or a ponytail in the photo, or None.
        pixels: uint8 of the person's window, 255 where the body's surface does not follow the photo; None if it does
            everywhere.
    """

    choice: str
    found: HairPixels | None
    pixels: NDArray[np.uint8] | None

    @classmethod
    def of(cls, view: View, body: BodyModel, choice: str) -> HairPlan:
        """The plan for the person of the view."""
        if choice == ON_SURFACE:
            return cls(choice, None, None)
        found = long_hair(view, body) or tied_hair(view, body)
        if choice == AS_SEEN:
            return cls(choice, found, None if found is None else hair_pixels(found, view, body))
        return cls(choice, found, bared_pixels(view, body, found))

    @property
    def covers_ears(self) -> bool:
        """Whether ears may lie under hair that stays part of the surface."""
        return self.pixels is None or (self.choice == AS_SEEN and self.found is not None and self.found.tied)

    def worn(self, fit: Fit, view: View, body: BodyModel, ears: Sequence[Ear]) -> Fit | None:
        """The dressed fit with its hair; None where the hair that the photo shows cannot be built."""
        if self.pixels is None:
            return fit
        if self.choice == AS_SEEN:
            haired = fit if self.found is None else with_hair(fit, self.found, self.pixels, view, body, ears)
            return None if haired.hair is None else haired
        fit = replace(fit, bared=self.pixels)
        return fit if self.choice == NO_HAIR else with_hairstyle(fit, self.choice, self.found, view, body, ears)
