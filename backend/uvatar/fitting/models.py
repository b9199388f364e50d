"""The learned pose models of fitting, loaded once and passed to every fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uvatar.fitting.hand_correction import HandCorrection
from uvatar.fitting.lifter import Lifter
from uvatar.fitting.prior import PosePrior


@dataclass(frozen=True)
class PoseModels:
    """The learned parts of fitting.

    Attributes:
        prior: which poses people take.
        hands: what the hand model gets wrong.
        lifter: a first pose from the landmarks; None where its weights are not installed.
    """

    prior: PosePrior
    hands: HandCorrection
    lifter: Lifter | None = None

    @classmethod
    def load(cls, folder: Path) -> PoseModels:
        """Load the models from a folder of weights. Raises FileNotFoundError if any but the lifter is missing."""
        return cls(PosePrior.load(folder), HandCorrection.load(folder), Lifter.load(folder))
