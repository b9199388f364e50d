"""What the mouth and jaw of a face in a photo do, so that the person's rest face has a closed mouth.

A smile or an open mouth belongs to the photo, not to the person. The movements of the landmarks by the body's
expression keys are weighted so that they explain what the landmarks show, with the scores of the blendshape model for a
start. The gap between the lips speaks most: whoever it belongs to, it is not the form of a face at rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from uvatar.body.face import Face
from uvatar.body.face_points import FaceCorrespondence
from uvatar.data.arrays import Floats
from uvatar.data.face import LIPS
from uvatar.protocol.expressions import EXPRESSIONS


@dataclass(frozen=True)
class ExpressionSettings:
    """Tuned numbers of the expression.

    Attributes:
        least_score: score up to which the blendshape model's opinion is taken for none: neutral mouths score up to
            0.3 as a smile.
        heard: standard deviation of the weight around the score, of keys to which the model responds.
        unheard: the same around 0 of keys to which it does not.
        form: metres; standard deviation of landmarks by the form of the face.
        together: how many landmarks the form moves as one.
        gap: metres; standard deviation of the gap between the lips that the expression does not explain.
        closed: metres of gap between the landmarks of lips that touch: the face model leaves some.
        least: weight below which a key is left at rest.
    """

    least_score: float = 0.3
    heard: float = 0.2
    unheard: float = 0.3
    form: float = 0.003
    together: float = 20
    gap: float = 0.002
    closed: float = 0.0015
    least: float = 0.02


DEFAULT_SETTINGS = ExpressionSettings()

_BOTH = ("Left", "Right")
# Of rendered heads, the model responds to these; the jaw is heard too softly to be as sure of it, and full lips score
# as a pucker.
_HEARD = tuple(f"mouthSmile{side}" for side in _BOTH)
_UNHEARD = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper",
    *(f"mouth{what}{side}" for what in ("Dimple", "Frown", "LowerDown", "Press", "Stretch", "UpperUp")
      for side in _BOTH),
)  # fmt: skip
KEYS = tuple(sorted(_HEARD + _UNHEARD))


@dataclass(frozen=True)
class FaceKeys:
    """How the body's expression keys of the mouth and jaw move its K face landmarks.

    Attributes:
        keys: (E,) rows of `EXPRESSIONS`.
        moves: (E, K, 3) metres of the rest pose at weight 1.
        lips: (P, 2) landmarks of the upper and the lower lip that touch when the mouth is closed.
    """

    keys: NDArray[np.int64]
    moves: NDArray[np.float64]
    lips: NDArray[np.int64]

    @classmethod
    def of(cls, face: Face, points: FaceCorrespondence, vertices: int) -> FaceKeys:
        """Of a body with so many vertices."""
        keys = np.array([EXPRESSIONS.index(name) for name in KEYS])
        unit = np.eye(len(EXPRESSIONS))
        moves = np.stack([points.at(face.movement(unit[key], vertices)) for key in keys])
        row = {int(index): row for row, index in enumerate(points.index)}
        return cls(keys, moves.astype(np.float64), np.array([[row[upper], row[lower]] for upper, lower in LIPS]))

    def movement(self, expression: Floats) -> NDArray[np.float64]:
        """Moves (K, 3) of the landmarks by weights (52,)."""
        moves: NDArray[np.float64] = np.tensordot(expression[self.keys], self.moves, 1)
        return moves

    def closed(self, form: Floats) -> NDArray[np.float64]:
        """Moves (K, 3) of the landmarks without what they open the lips."""
        closed = np.array(form, np.float64)
        upper, lower = self.lips.T
        gap = closed[upper] - closed[lower]
        closed[upper] -= gap / 2
        closed[lower] += gap / 2
        return closed


def find_expression(
    information: Floats,
    moment: Floats,
    scores: Floats,
    keys: FaceKeys,
    settings: ExpressionSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float64]:
    """Weights (52,), 0..1, of the keys that explain best how landmarks are displaced; others are 0.

    Args:
        information, moment: (K, 3, 3) and (K, 3) of the displacements, as of `FaceEvidence`.
        scores: (52,) of the blendshape model.
        keys: of the body.
        settings: tuned numbers.
    """
    certainty = 1 / (settings.form**2 * settings.together)
    weighted = np.einsum("kij,ekj->eki", information, keys.moves) * certainty
    system = np.einsum("eki,fki->ef", weighted, keys.moves)
    wanted = np.einsum("eki,ki->e", keys.moves, moment) * certainty
    displacement = np.linalg.solve(information + 1e-6 * np.eye(3), moment[..., None])[..., 0]
    upper, lower = keys.lips.T
    gap = np.maximum((displacement[upper] - displacement[lower])[:, 1] - settings.closed, 0)
    opens = (keys.moves[:, upper] - keys.moves[:, lower])[..., 1]
    # neighbouring places of the lips say much the same
    sure = 3 / (settings.gap**2 * len(keys.lips))
    system += sure * opens @ opens.T
    wanted += sure * opens @ gap
    heard = np.isin(keys.keys, [EXPRESSIONS.index(name) for name in _HEARD])
    expected = np.clip((scores[keys.keys] - settings.least_score) / (1 - settings.least_score), 0, 1)
    pull = np.where(heard, settings.heard, settings.unheard) ** -2.0
    system += np.diag(pull)
    wanted += pull * np.where(heard | (keys.keys == EXPRESSIONS.index("jawOpen")), expected, 0)
    root = np.linalg.cholesky(system)
    found = lsq_linear(root.T, np.linalg.solve(root, wanted), (0, 1)).x
    expression = np.zeros(len(EXPRESSIONS))
    expression[keys.keys] = np.where(found > settings.least, found, 0)
    return expression
