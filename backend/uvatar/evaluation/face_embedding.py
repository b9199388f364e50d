"""Faces as vectors that lie near each other if they are of the same person: dlib's network (King 2017).

The network and its weights (CC0) come with the extra ``uvatar[likeness]`` and are used in evaluation alone. Faces are
aligned by points of Uvatar's own face model: of dlib's two landmark models, the one with 68 points is not for
commercial use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.face import FaceLandmark
from uvatar.protocol.errors import Code, UvatarError

SAME_PERSON = 0.6  # distance up to which dlib takes two faces for the same person's
# The corners of the eyes and the base of the nose, in the order in which dlib has its five points.
ALIGNED_BY = [
    FaceLandmark.LEFT_EYE_OUTER, FaceLandmark.LEFT_EYE_INNER,
    FaceLandmark.RIGHT_EYE_OUTER, FaceLandmark.RIGHT_EYE_INNER,
    FaceLandmark.NOSE_BASE,
]  # fmt: skip

# A picture (H, W, 3) uint8 sRGB, and the places (5, 2) of `ALIGNED_BY` in its pixels -> (128,).
Embedding = Callable[[NDArray[np.uint8], Floats], NDArray[np.float64]]

_WEIGHTS = ("face_recognition_models", Path("models", "dlib_face_recognition_resnet_model_v1.dat"))


def load_embedding() -> Embedding:
    """The network. Raises UvatarError if the extra is not installed."""
    package, file = _WEIGHTS
    # found, not imported: the package asks for a module that newer setuptools no longer have
    spec = find_spec(package)
    try:
        import dlib
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        raise UvatarError(
            "The face embedding is not installed.", Code.NO_WEIGHTS,
            'Install it with: python -m pip install "uvatar[likeness]"',
        )  # fmt: skip
    network = dlib.face_recognition_model_v1(str(Path(spec.origin).parent / file))

    def embedding(picture: NDArray[np.uint8], points: Floats) -> NDArray[np.float64]:
        height, width = picture.shape[:2]
        corners = dlib.points([dlib.point(*(round(float(value)) for value in point)) for point in points])
        face = dlib.full_object_detection(dlib.rectangle(0, 0, width - 1, height - 1), corners)
        return np.array(network.compute_face_descriptor(np.ascontiguousarray(picture), face))

    return embedding
