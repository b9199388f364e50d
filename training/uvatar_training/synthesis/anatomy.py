"""Points of the open body's surface in the rest pose, with the properties that painting and dressing need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import JOINT_NAMES
from uvatar.data.landmarks import LANDMARK_NAMES
from uvatar.geometry.mesh import vertex_normals
from uvatar.texturing.layout.texels import TexelTable, build_texel_table

_HEAD = ("neck", "head")
_ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "hand"))
_LEGS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "foot"))


@dataclass(frozen=True)
class Places:
    """Positions of the rest body's joints and landmarks.

    Attributes:
        joint, landmark: name -> (3,) metres.
        floor, crown: heights (y) of the lowest and the highest point, metres.
    """

    joint: Mapping[str, NDArray[np.float64]]
    landmark: Mapping[str, NDArray[np.float64]]
    floor: float
    crown: float


@dataclass(frozen=True)
class SurfacePoints:
    """K points of the rest body's surface (texels or vertices).

    Attributes:
        rest: (K, 3) metres, x to the person's left, y up, z forward, arms along x.
        normal: (K, 3) unit.
        head, arm, leg: (K,) 0..1, share of the skinning weights of head and neck, of the arms and of the legs; the rest
            belongs to the trunk.
        around: (K,) metres round the limb or trunk from its front, for patterns that close on themselves.
        along: (K,) metres along the limb or up the trunk.
        part: (K,) the body or one of the eyes.
        places: joints and landmarks of the whole body.
    """

    rest: NDArray[np.float32]
    normal: NDArray[np.float32]
    head: NDArray[np.float32]
    arm: NDArray[np.float32]
    leg: NDArray[np.float32]
    around: NDArray[np.float32]
    along: NDArray[np.float32]
    part: NDArray[np.uint8]
    places: Places

    def __len__(self) -> int:
        return len(self.rest)

    @property
    def trunk(self) -> NDArray[np.float32]:
        """(K,) 0..1, share of the skinning weights that belongs to neither head nor limbs."""
        return 1 - self.head - self.arm - self.leg


def places_of(body: BodyData) -> Places:
    """The positions of the rest body's joints and landmarks."""
    return Places(
        dict(zip(JOINT_NAMES, body.joint_template.astype(np.float64), strict=True)),
        dict(zip(LANDMARK_NAMES, body.landmark_template.astype(np.float64), strict=True)),
        float(body.v_template[:, 1].min()),
        float(body.v_template[:, 1].max()),
    )


def vertex_points(body: BodyData) -> SurfacePoints:
    """The body's vertices as points."""
    return _points(body, body.v_template, vertex_normals(body.v_template, body.faces), body.weights, body.part)


def texel_points(body: BodyData, table: TexelTable) -> SurfacePoints:
    """The centres of the texels of ``table`` as points."""
    normal = table.interpolate(vertex_normals(body.v_template, body.faces), body.faces)
    corner = body.faces[table.face, 0]
    rest, weights = table.interpolate(body.v_template, body.faces), table.interpolate(body.weights, body.faces)
    return _points(body, rest, normal, weights, body.part[corner])


def subset(points: SurfacePoints, rows: Integers) -> SurfacePoints:
    """The points with indices ``rows``."""
    return SurfacePoints(**{name: value if name == "places" else value[rows] for name, value in vars(points).items()})


@dataclass(frozen=True)
class Canvas:
    """A body to be painted: its texels at one size, and the same surface at its vertices.

    Attributes:
        body: the body.
        table: its texels at the texture's size.
        texels, vertices: the same surface as points, sampled at the texels and at the vertices.
    """

    body: BodyData
    table: TexelTable
    texels: SurfacePoints
    vertices: SurfacePoints

    @classmethod
    def of(cls, body: BodyData, size: int) -> Canvas:
        """The canvas for textures of ``size`` texels a side; takes half a second at 512."""
        table = build_texel_table(body.uv, body.face_uv, body.faces, len(body.v_template), size)
        return cls(body, table, texel_points(body, table), vertex_points(body))


def _points(body: BodyData, rest: Floats, normal: Floats, weights: Floats, part: NDArray[np.uint8]) -> SurfacePoints:
    places = places_of(body)
    rest = np.asarray(rest, np.float32)

    def share(names: tuple[str, ...]) -> NDArray[np.float32]:
        shares: NDArray[np.float32] = weights[:, [JOINT_NAMES.index(name) for name in names]].sum(1).astype(np.float32)
        return shares

    head, arm, leg = share(_HEAD), share(_ARMS), share(_LEGS)
    x, y, z = rest.T
    shoulder, hip = places.joint["left_shoulder"], places.joint["left_hip"]
    on_arm, on_leg = arm > 0.5, leg > 0.5
    side = np.sign(x)
    angle = np.where(
        on_arm,
        np.arctan2(z - shoulder[2], y - shoulder[1]),
        np.where(on_leg, np.arctan2((x - side * hip[0]) * side, z - hip[2]), np.arctan2(x, z - shoulder[2])),
    )
    radius = np.where(on_arm, 0.045, np.where(on_leg, 0.075, 0.15))
    along = np.where(on_arm, np.abs(x), y)
    return SurfacePoints(
        rest,
        np.asarray(normal, np.float32),
        head,
        arm,
        leg,
        (angle * radius).astype(np.float32),
        along.astype(np.float32),
        part,
        places,
    )
