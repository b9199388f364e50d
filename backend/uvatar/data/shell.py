"""A mesh of its own over a person's body, made of rings around it: a skirt, or long hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats


@dataclass(frozen=True)
class Shell:
    """Rings of R rows and C columns around the body, in the photo's pose.

    Attributes:
        vertices: (R * C, 3) metres, camera frame, row by row from the top; within a row round the body, so that the
            columns at a quarter of a turn and at three are behind and before it, seen from the camera.
        quads: (Q, 4) int32, counter-clockwise from outside.
        uv: (R * (C + 1), 2), origin bottom-left, v up.
        quad_uv: (Q, 4) int32 into ``uv``.
        weights: (R * C, 24) of SMPL's joints; rows sum to 1.
        columns: C.
        outer: rows of the outside; the others are its inner side.
        pixels: uint8 of the person's window in the photo, 255 where the shell is, and not the body: the body there is
            not seen.
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
        """Vertices (V, 3), camera frame, and triangles (F, 3) of a body and the shell."""
        return np.concatenate([vertices, self.vertices]), np.concatenate([faces, self.triangles + len(vertices)])

    def grid(self) -> Floats:
        """(outer, C, 3) the outside's vertices."""
        rings: Floats = self.vertices.reshape(-1, self.columns, 3)[: self.outer]
        return rings


@dataclass(frozen=True)
class Skirt(Shell):
    """A skirt, the lower part of a dress, or that of a long coat: from waist to hem around both legs, open at both
    ends. Its pixels have a margin and are without arms, and without what an open coat shows inside.

    Attributes:
        opening: of a coat that is open in front, the first row of it and the columns of its edges; there are no quads
            between these. None where it is closed.
    """

    opening: tuple[int, int, int] | None = None
    NAME: ClassVar[str] = "Skirt"  # of the part of an avatar


@dataclass(frozen=True)
class Hair(Shell):
    """Long hair: a cap over the skull that goes on as a curtain, open before the face and below; or a ponytail or
    a bun, a tube behind the head. Quads are left out where there is none. Its pixels have a margin.

    Attributes:
        shown: uint8 of the person's window, 255 where hair is.
        loose: the same of ``pixels`` that are not before the bare head: what hair hides of neck and trunk.
        as_seen: whether the mesh is where the photo shows hair; if not, it is a hairstyle that somebody has chosen, and
            ``shown`` tells its colour alone.
    """

    shown: NDArray[np.uint8]
    loose: NDArray[np.uint8]
    as_seen: bool = True
    NAME: ClassVar[str] = "Hair"  # of the part of an avatar
