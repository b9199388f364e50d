"""Where the points of MediaPipe's face mesh lie on a body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats
from uvatar.runtime.weights import WeightsError

FILE = "face_correspondence.npz"


@dataclass(frozen=True)
class FaceCorrespondence:
    """Where MediaPipe's face mesh points lie on a body.

    Attributes:
        index: (K,) points of the 478.
        vertices: (K, 3) corners of the triangle that each lies on.
        barycentric: (K, 3) weights of these.
    """

    index: NDArray[np.int32]
    vertices: NDArray[np.int32]
    barycentric: NDArray[np.float32]

    def at(self, vertex_values: Floats) -> Floats:
        """Values (V, C) at the vertices -> (K, C) at the points."""
        values: Floats = np.einsum("kc,kcd->kd", self.barycentric, vertex_values[self.vertices])
        return values


def load_correspondence(path: Path, body: BodyModel) -> FaceCorrespondence | None:
    """Read a correspondence file; None if it belongs to another body than this one.

    Raises WeightsError if it is missing.
    """
    if not path.is_file():
        raise WeightsError(f"{path.name} is missing from {path.parent}. Install Uvatar again.")
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["body"]) != body.data.name or int(stored["vertex_count"]) != len(body.data.v_template):
            return None
        return FaceCorrespondence(stored["index"], stored["vertices"], stored["barycentric"])
