"""A skirt, the lower part of a dress, or that of a long coat, as a mesh beside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats

SKIRT = "Skirt"  # name of the part of an avatar


@dataclass(frozen=True)
class Skirt:
    """Rings of R rows and C columns from waist to hem around both legs, open at both ends, in the photo's pose.

    Attributes:
        vertices: (R * C, 3) metres, camera frame, row by row from the top; within a row round the body, so that the
            columns at a quarter of a turn and at three are behind and before it, seen from the camera.
        quads: (Q, 4) int32, counter-clockwise from outside.
        uv: (R * (C + 1), 2), origin bottom-left, v up.
        quad_uv: (Q, 4) int32 into ``uv``.
        weights: (R * C, 24) of SMPL's joints; rows sum to 1.
        columns: C.
        outer: rows of the outside; the others are the hem's inner side.
        pixels: uint8 of the person's window in the photo, 255 where the skirt is, with a margin and without arms: the
            body there is not seen.
    """

    vertices: NDArray[np.float32]
    quads: NDArray[np.int32]
    uv: NDArray[np.float32]
    quad_uv: NDArray[np.int32]
    weights: NDArray[np.float32]
    columns: int
    outer: int
    pixels: NDArray[np.uint8]

    @property
    def triangles(self) -> NDArray[np.int32]:
        """(2Q, 3) the halves of the quads."""
        return self.quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)

    def joined_to(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Vertices (V, 3), camera frame, and triangles (F, 3) of a body and the skirt."""
        return np.concatenate([vertices, self.vertices]), np.concatenate([faces, self.triangles + len(vertices)])

    def grid(self) -> Floats:
        """(outer, C, 3) the outside's vertices."""
        rings: Floats = self.vertices.reshape(-1, self.columns, 3)[: self.outer]
        return rings
