"""The 52 expression keys by their ARKit names, and the mouth shapes and moods that are composed of them.

Backend and extension share this table. Left and right are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A key that the body has once on each side ends in L or R here; see EXPRESSIONS for the full names.
_SIDED = (
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp",
    "eyeSquint", "eyeWide", "jaw", "mouth", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile",
    "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
_SINGLE = (
    "browInnerUp", "cheekPuff", "jawForward", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "tongueOut",
)  # fmt: skip

# In alphabetical order. `mouthClose` is a corrective as in ARKit: it closes the lips of a mouth that `jawOpen` opens,
# and folds them if it is used alone. `eyeLook…` moves the lids; the eyes themselves turn on their bones.
EXPRESSIONS = tuple(sorted((*_SINGLE, *(name + side for name in _SIDED for side in ("Left", "Right")))))


def mirrored_expression(name: str) -> str:
    """The key that does the same on the other side of the face."""
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


def _both(**weights: float) -> dict[str, float]:
    """Weights by key, where a key that has two sides is named without them."""
    return {
        full: weight
        for name, weight in weights.items()
        for full in ((name,) if name in EXPRESSIONS else (f"{name}Left", f"{name}Right"))
    }


# The 15 mouth shapes of speech in Oculus' order and by its names.
VISEMES: Mapping[str, Mapping[str, float]] = {
    "viseme_sil": {},
    "viseme_PP": _both(mouthPress=0.5, mouthRollLower=0.3, mouthRollUpper=0.3),
    "viseme_FF": _both(jawOpen=0.08, mouthRollLower=0.6, mouthUpperUp=0.3),
    "viseme_TH": _both(jawOpen=0.15, mouthUpperUp=0.15, mouthLowerDown=0.15, tongueOut=0.4),
    "viseme_DD": _both(jawOpen=0.15, mouthUpperUp=0.15, mouthLowerDown=0.25),
    "viseme_kk": _both(jawOpen=0.2, mouthLowerDown=0.2, mouthStretch=0.15),
    "viseme_CH": _both(jawOpen=0.1, mouthFunnel=0.5),
    "viseme_SS": _both(jawOpen=0.05, mouthStretch=0.3, mouthLowerDown=0.3, mouthUpperUp=0.15),
    "viseme_nn": _both(jawOpen=0.12, mouthLowerDown=0.2, mouthUpperUp=0.1),
    "viseme_RR": _both(jawOpen=0.15, mouthFunnel=0.35),
    "viseme_aa": _both(jawOpen=0.5),
    "viseme_E": _both(jawOpen=0.25, mouthStretch=0.4),
    "viseme_I": _both(jawOpen=0.15, mouthSmile=0.4),
    "viseme_O": _both(jawOpen=0.35, mouthFunnel=0.6),
    "viseme_U": _both(jawOpen=0.1, mouthPucker=0.8),
}

MOODS: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": _both(mouthSmile=0.65, cheekSquint=0.5, eyeSquint=0.25),
    "laughing": _both(mouthSmile=0.8, cheekSquint=0.7, eyeSquint=0.5, jawOpen=0.3, browOuterUp=0.2),
    "sad": _both(browInnerUp=0.8, mouthFrown=0.6, mouthShrugLower=0.3, eyeLookDown=0.3, eyeBlink=0.15),
    "angry": _both(browDown=0.9, noseSneer=0.4, mouthPress=0.5, mouthFrown=0.3, eyeSquint=0.35),
    "surprised": _both(browInnerUp=0.8, browOuterUp=0.8, eyeWide=0.7, jawOpen=0.35),
    "afraid": _both(browInnerUp=0.9, browOuterUp=0.3, eyeWide=0.8, mouthStretch=0.5, jawOpen=0.15),
    "disgusted": _both(noseSneer=0.8, mouthUpperUp=0.4, browDown=0.5, mouthFrown=0.4, eyeSquint=0.3),
    "doubtful": {
        "browDownRight": 0.5, "browOuterUpLeft": 0.8, "mouthLeft": 0.3, "mouthPressLeft": 0.4, "mouthPressRight": 0.4,
    },
    "tired": _both(eyeBlink=0.45, browInnerUp=0.25, mouthFrown=0.2, jawOpen=0.04),
}  # fmt: skip


def movement(
    weights: NDArray[np.floating[Any]],
    starts: NDArray[np.integer[Any]],
    vertices: NDArray[np.integer[Any]],
    deltas: NDArray[np.floating[Any]],
    count: int,
) -> NDArray[np.float32]:
    """What an expression adds to a body at rest.

    Args:
        weights: (52,) of the keys, usually 0 to 1.
        starts: (53,) key k has the movements starts[k] to starts[k + 1].
        vertices: (N,) the vertex that moves.
        deltas: (N, 3) metres at weight 1, body frame.
        count: V, of the body's vertices.

    Returns:
        (V, 3) metres, body frame.
    """
    moved = np.zeros((count, 3), np.float32)
    for key in np.flatnonzero(weights):
        rows = slice(starts[key], starts[key + 1])
        moved[vertices[rows]] += np.float32(weights[key]) * deltas[rows].astype(np.float32)
    return moved
