"""Generates two dental arches with gums: 14 rounded teeth a jaw, by the average sizes of human teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SIDES = 8  # corners of a tooth's cross-section
_INCISOR, _CANINE, _PREMOLAR, _MOLAR = range(4)
# From the middle to the back: kind, width along the arch, height of the crown and depth, millimetres (averages of
# adults, as textbooks of dental anatomy give them, rounded).
_UPPER = (
    (_INCISOR, 8.5, 10.2, 6.5), (_INCISOR, 6.6, 9.0, 5.8), (_CANINE, 7.5, 10.0, 7.4), (_PREMOLAR, 6.9, 8.4, 8.6),
    (_PREMOLAR, 6.7, 8.2, 8.6), (_MOLAR, 9.8, 7.4, 10.4), (_MOLAR, 9.0, 7.0, 10.2),
)  # fmt: skip
_LOWER = (
    (_INCISOR, 5.4, 8.6, 5.6), (_INCISOR, 5.8, 9.0, 6.0), (_CANINE, 6.8, 10.0, 7.2), (_PREMOLAR, 6.9, 8.4, 7.6),
    (_PREMOLAR, 7.0, 8.0, 8.0), (_MOLAR, 10.6, 7.4, 9.8), (_MOLAR, 10.0, 7.0, 9.6),
)  # fmt: skip
# Cross-sections from the gum to the edge: place along the crown, and width and depth as shares of the tooth's own.
_RINGS = {
    _INCISOR: ((-0.12, 0.74, 0.85), (0.35, 0.93, 0.92), (0.82, 1.0, 0.46), (1.0, 0.88, 0.2)),
    _CANINE: ((-0.12, 0.74, 0.85), (0.35, 0.95, 1.0), (0.78, 0.86, 0.62), (1.04, 0.3, 0.2)),
    _PREMOLAR: ((-0.12, 0.76, 0.86), (0.4, 0.97, 1.0), (0.85, 0.84, 0.8), (1.0, 0.5, 0.5)),
    _MOLAR: ((-0.12, 0.86, 0.9), (0.45, 0.98, 1.0), (0.88, 0.9, 0.86), (1.0, 0.66, 0.64)),
}


@dataclass(frozen=True)
class Arch:
    """Where a jaw's teeth stand: half an ellipse in a horizontal plane, body frame.

    Attributes:
        front: z of the teeth's front surface in the middle, metres.
        half_width, depth: semi-axes of the ellipse through the teeth's outer surfaces, metres.
        edge: y of the incisors' edges, metres.
        up: 1 where the crowns grow upward (the lower jaw), -1 where they hang.
    """

    front: float
    half_width: float
    depth: float
    edge: float
    up: int


@dataclass(frozen=True)
class Mesh:
    """A polygon mesh: vertices (V, 3) metres, quads (Q, 4), and a texture coordinate for each vertex (V, 2)."""

    vertices: Array
    quads: NDArray[np.int32]
    uv: Array


def joined(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    quads = np.concatenate([mesh.quads + start for mesh, start in zip(meshes, starts, strict=False)])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), quads, np.concatenate([mesh.uv for mesh in meshes]))


def jaw(arch: Arch) -> Mesh:
    """A jaw's teeth and its gum. Texture: teeth in u below .5, the gum above; v from the root or the palate, up."""
    sizes = _UPPER if arch.up < 0 else _LOWER
    path = _Path(arch)
    meshes, necks, place = [], [], 0.0
    for number, (kind, width, height, depth) in enumerate(sizes):
        size = np.array([width, height, depth]) / 1000
        middle = place + size[0] / 2
        drop = 0.0006 if number == 1 else 0.0  # lateral incisors are a little shorter
        for side in (1, -1):
            meshes.append(
                _tooth(arch, path, kind, size, side * middle, drop, 0.06 + 0.055 * number + 0.02 * (side < 0))
            )
        necks.append((middle, size[1], size[2]))
        place += size[0]
    return joined([*meshes, _gum(arch, path, necks, place)])


class _Path:
    """Points of an arch by their distance from its middle along it."""

    def __init__(self, arch: Arch) -> None:
        angle = np.linspace(-2.2, 2.2, 4001)
        self.x = arch.half_width * np.sin(angle)
        self.z = arch.front - arch.depth * (1 - np.cos(angle))
        steps = np.hypot(np.diff(self.x), np.diff(self.z))
        self.length = np.concatenate([[0.0], np.cumsum(steps)]) - steps.sum() / 2

    def at(self, distance: float) -> tuple[Array, Array, Array]:
        """The point (3,) at height 0, and the directions along the arch (to the person's left) and outward."""
        x, z = np.interp(distance, self.length, self.x), np.interp(distance, self.length, self.z)
        ahead = np.array(
            [np.interp(distance + 1e-4, self.length, self.x), np.interp(distance + 1e-4, self.length, self.z)]
        )
        along = ahead - (x, z)
        along /= np.linalg.norm(along)
        return np.array([x, 0, z]), np.array([along[0], 0, along[1]]), np.array([-along[1], 0, along[0]])


def _tooth(arch: Arch, path: _Path, kind: int, size: Array, distance: float, drop: float, u: float) -> Mesh:
    point, along, outward = path.at(distance)
    width, height, depth = size
    angles = (np.arange(_SIDES) + 0.5) * 2 * np.pi / _SIDES
    # A rounded rectangle: superellipse of exponent 3.
    across = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** (2 / 3)
    deep = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** (2 / 3)
    rings, uv = [], []
    for t, wide, thick in _RINGS[kind]:
        # The front surface is nearly upright, so thinner sections keep their front, but for a little rounding.
        lean = 0.0004 * (1 - np.cos(np.pi * t)) * (kind in (_INCISOR, _CANINE)) + 0.0006 * max(0.0, t - 0.6)
        centre = point - outward * (depth * (1 - thick * 0.5) - depth * (1 - thick) * 0.85 + lean)
        centre = centre + (0, arch.edge - arch.up * (height * (1 - t) + drop), 0)
        rings.append(centre + np.outer(across, along) * width * wide / 2 + np.outer(deep, outward) * depth * thick / 2)
        uv.append(np.stack([u + 0.02 * across, np.full(_SIDES, 0.06 + 0.86 * max(t, 0.0))], -1))
    count = len(rings)
    quads = [
        (_SIDES * r + k, _SIDES * r + (k + 1) % _SIDES, _SIDES * (r + 1) + (k + 1) % _SIDES, _SIDES * (r + 1) + k)
        for r in range(count - 1)
        for k in range(_SIDES)
    ]
    top = _SIDES * (count - 1)
    quads += [
        (top, top + 1, top + 6, top + 7),
        (top + 1, top + 2, top + 5, top + 6),
        (top + 2, top + 3, top + 4, top + 5),
    ]
    quads_array = np.array(quads, np.int32)
    # The rings' corners go from along to outward, which is clockwise seen from above.
    quads_array = quads_array[:, ::-1] if arch.up > 0 else quads_array
    return Mesh(np.concatenate(rings), quads_array, np.concatenate(uv))


def _gum(arch: Arch, path: _Path, necks: list[tuple[float, float, float]], end: float) -> Mesh:
    """A band around the necks, which comes further up the teeth between them than in their middle.

    Args:
        arch: of the teeth.
        path: of the arch.
        necks: middle along the arch, height and depth of each tooth, metres.
        end: of the last tooth along the arch, metres.
    """
    middles, heights, depths = np.array(necks).T
    between = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [end]])
    one_side = np.sort(np.concatenate([middles, between]))
    stations = np.concatenate([-one_side[:0:-1], one_side])
    rows, uv = [], []
    for distance in stations:
        point, _, outward = path.at(distance)
        near = abs(distance)
        height, depth = np.interp(near, middles, heights), np.interp(near, middles, depths)
        gap = float(np.abs(middles - near).min() > 1e-6)  # 1 between two teeth, 0 in the middle of one
        neck = arch.edge - arch.up * height * (0.96 - 0.2 * gap)
        outer = 0.0005 - 0.0011 * gap
        profile = (
            (outer, neck), (outer + 0.0006, neck - arch.up * 0.003), (-0.0006, neck - arch.up * 0.0085),
            (-depth * 1.05, neck - arch.up * 0.0075), (-depth * 1.02, neck + arch.up * 0.0002),
        )  # fmt: skip
        rows.append([point + outward * out + np.array([0, y, 0]) for out, y in profile])
        uv.append([(0.55 + 0.4 * near / end, v) for v in (0.95, 0.75, 0.3, 0.3, 0.9)])
    across = len(rows[0])
    quads = np.array(
        [
            (across * r + k, across * (r + 1) + k, across * (r + 1) + k + 1, across * r + k + 1)
            for r in range(len(rows) - 1)
            for k in range(across - 1)
        ],
        np.int32,
    )
    quads = quads if arch.up < 0 else quads[:, ::-1]
    return Mesh(np.array(rows).reshape(-1, 3), quads, np.array(uv).reshape(-1, 2))
