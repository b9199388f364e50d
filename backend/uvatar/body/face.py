"""The 52 expression keys of a body: sparse movements of its vertices at rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.protocol.expressions import EXPRESSIONS, movement


@dataclass(frozen=True)
class Face:
    """What each of `EXPRESSIONS` adds to the rest vertices at weight 1; N movements in all.

    Attributes:
        starts: (53,) key k has the movements starts[k] to starts[k + 1].
        vertices: (N,) the vertex that moves.
        deltas: (N, 3) metres, body frame.
    """

    starts: NDArray[np.int32]
    vertices: NDArray[np.uint16]
    deltas: NDArray[np.float16]

    def key(self, name: str) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """The vertices that a key moves, and by how much (N, 3), metres."""
        k = EXPRESSIONS.index(name)
        rows = slice(self.starts[k], self.starts[k + 1])
        return self.vertices[rows], self.deltas[rows].astype(np.float32)

    def movement(self, weights: Floats, count: int) -> NDArray[np.float32]:
        """What an expression adds to a body of ``count`` vertices.

        Args:
            weights: (52,) of the keys, usually 0 to 1.
            count: V.

        Returns:
            (V, 3) metres, body frame.
        """
        return movement(weights, self.starts, self.vertices, self.deltas, count)


def save_face(face: Face, path: Path) -> None:
    """Write the keys to an npz."""
    np.savez_compressed(
        path, names=np.array(EXPRESSIONS), starts=face.starts, vertices=face.vertices, deltas=face.deltas
    )


def load_face(path: Path) -> Face:
    """Read what `save_face` wrote.

    Raises:
        OSError, KeyError, ValueError: it cannot be read, or has other keys.
    """
    with np.load(path, allow_pickle=False) as file:
        names = tuple(str(name) for name in file["names"])
        face = Face(file["starts"], file["vertices"], file["deltas"])
    if names != EXPRESSIONS:
        raise ValueError("its keys are not the 52 that this version knows")
    if face.deltas.shape != (face.starts[-1], 3) or face.vertices.shape != face.deltas.shape[:1]:
        raise ValueError("its arrays do not belong together")
    return face
