"""How strongly a face makes each of 52 expressions, by MediaPipe's blendshape model.

Model: Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial Blendshape Prediction", 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.perception.models import Model
from uvatar.protocol.expressions import EXPRESSIONS

# The landmarks that the model reads, by MediaPipe's face_blendshapes_graph.cc; the last ten are the irises'.
_READ = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81,
    82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
]  # fmt: skip


class ExpressionModel:
    """Scores of expressions from face landmarks."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def scores(self, points: Floats) -> NDArray[np.float32]:
        """(52,) 0..1, in the order of `EXPRESSIONS`, of a face with landmarks (478, 2) in pixels.

        The model does not know `tongueOut`, which is 0.
        """
        (out,) = self._model(points[_READ][None].astype(np.float32))
        scores = np.zeros(len(EXPRESSIONS), np.float32)
        # the model's first score is that of a neutral face; the others have the same order
        scores[:-1] = out.reshape(-1)[1:]
        return scores
