# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression keys of a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FaceKeys:
    """The expression keys of a body; N movements in all.

    Attributes:
        names: of the keys.
        starts: (K + 1,) key k has the movements starts[k] to starts[k + 1].
        vertices: (N,) the vertex that moves.
        deltas: (N, 3) metres at weight 1, body frame.
        weights: (K,) of the expression in the photo.
    """

    names: tuple[str, ...]
    starts: NDArray[np.int32]
    vertices: NDArray[np.int32]
    deltas: NDArray[np.float32]
    weights: NDArray[np.float32]
