"""The hand model's known errors, undone: it opens fists, shares curls out wrongly among a finger's joints, and tilts
palms.

How a hand is truly held is read off the solved pose and the landmarks by a linear regression, which was fitted to
rendered hands by ``tools/hand_correction.py`` (weights/hand_correction.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.hands import HandLandmark
from uvatar.fitting.hand_skeleton import ANGLES
from uvatar.protocol.rig import FINGERS, THUMB, TWIST
from uvatar.runtime.weights import weights_folder

# Only the thumb twists.
FREE_ANGLES = np.setdiff1d(np.arange(len(FINGERS) * ANGLES), np.arange(THUMB) * ANGLES + TWIST)


@dataclass(frozen=True)
class HandCorrection:
    """A linear regression from what `inputs` makes of K numbers to the pose of a left hand.

    Attributes:
        shares: (A + 3, K) of the inputs in the A `FREE_ANGLES`, radians, and in the palm's turn.
        constants: (A + 3,) added to these.
    """

    shares: NDArray[np.float64]
    constants: NDArray[np.float64]

    @classmethod
    def load(cls, folder: Path | None = None) -> HandCorrection:
        """The one in a folder of weights; by default the one that ships. Raises FileNotFoundError."""
        with np.load((folder or weights_folder()) / "hand_correction.npz", allow_pickle=False) as file:
            return cls(file["shares"].astype(float), file["constants"].astype(float))

    def __call__(self, values: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Inputs (B, K) -> the likely angles (B, 5, 5), radians, and the palm's turn from the solved one (B, 3),
        axis-angle in the axes of the hand at rest.
        """
        result = values @ self.shares.T + self.constants
        angles = np.zeros((len(values), len(FINGERS) * ANGLES))
        angles[:, FREE_ANGLES] = result[:, : len(FREE_ANGLES)]
        return angles.reshape(-1, len(FINGERS), ANGLES), result[:, len(FREE_ANGLES) :]


def inputs(angles: Floats, palm: Floats, world: Floats, places: Floats) -> NDArray[np.float64]:
    """What the regression is given of B left hands: angles, landmarks as the palm sees them, and the line of sight.

    Args:
        angles: (B, 5, 5) solved, radians.
        palm: (B, 3, 3) solved: rotation of the hand from the body's axes at rest to the camera's.
        world: (B, 21, 3) landmarks in space, camera axes.
        places: (B, 21, 2) landmarks in the picture, in units of the palm's length.
    """
    count = len(angles)
    space = world - world[:, :1]
    length = np.linalg.norm(space[:, HandLandmark.MIDDLE_MCP], axis=-1)
    space = space / np.maximum(length, 1e-9)[:, None, None]
    picture = np.concatenate([places - places[:, :1], np.zeros((*places.shape[:2], 1))], -1)
    # x @ palm is palm's inverse applied to x
    seen = [(points @ palm)[:, 1:].reshape(count, -1) for points in (space, picture)]
    return np.concatenate([angles.reshape(count, -1)[:, FREE_ANGLES], *seen, palm[:, 2]], 1)
