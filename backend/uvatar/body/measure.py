"""Lengths and girths of a body in centimetres, read off its rest pose the way a tailor would take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from uvatar.body.data import BodyData
from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import ELBOW_JOINTS, HAND_JOINTS, SHOULDER_JOINTS, WRIST_JOINTS, Joint
from uvatar.geometry.adjacency import triangle_edges

# Heights of the girths, as fractions of the way from the hip joints to the shoulder joints.
_CHEST_BAND, _WAIST_BAND, _HIP_BAND = (0.60, 0.70), (0.36, 0.46), (-0.15, 0.25)
_BAND_STEP = 0.01
_ARM_JOINTS = [*SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS, *HAND_JOINTS]


def measure(body: BodyModel | BodyData, betas: Floats) -> dict[str, float]:
    """Measurements of the unclothed body with these ``betas`` (10,), in centimetres.

    Keys: stature (crown to sole); chest and hip (largest girth of chest and seat), waist (mean girth of a band above
    the navel); inseam (crotch to sole); arm (shoulder joint over elbow to wrist joint); shoulder_width (between the
    shoulder joints, close to the distance of the acromions).  Girths are those of a tape: the outline's convex hull.
    """
    data = body.data if isinstance(body, BodyModel) else body
    betas = np.asarray(betas, np.float64)
    vertices = data.v_template + data.shapedirs @ betas
    joints = data.joint_template + data.joint_shapedirs @ betas
    floor = vertices[:, 1].min()
    low = (joints[Joint.LEFT_HIP, 1] + joints[Joint.RIGHT_HIP, 1]) / 2
    high = (joints[Joint.LEFT_SHOULDER, 1] + joints[Joint.RIGHT_SHOULDER, 1]) / 2
    edges = triangle_edges(data.faces[(data.weights[:, _ARM_JOINTS].sum(1) < 0.5)[data.faces].all(1)])

    def girths(band: tuple[float, float]) -> list[float]:
        heights = low + np.arange(band[0], band[1] + _BAND_STEP / 2, _BAND_STEP) * (high - low)
        levels = vertices[edges, 1]
        near = edges[(levels.min(1) <= heights[-1]) & (levels.max(1) >= heights[0])]
        return [_girth(vertices, near, height) for height in heights]

    middle = data.mirror == np.arange(len(vertices))
    below_chest = vertices[:, 1] < low + _CHEST_BAND[0] * (high - low)
    arms = [list(arm) for arm in zip(SHOULDER_JOINTS, ELBOW_JOINTS, WRIST_JOINTS, strict=True)]
    metres = {
        "stature": np.ptp(vertices[:, 1]),
        "chest": max(girths(_CHEST_BAND)),
        "waist": np.mean(girths(_WAIST_BAND)),
        "hip": max(girths(_HIP_BAND)),
        "inseam": vertices[middle & below_chest, 1].min() - floor,
        "arm": np.mean([_length(joints[arm]) for arm in arms]),
        "shoulder_width": np.linalg.norm(joints[Joint.LEFT_SHOULDER] - joints[Joint.RIGHT_SHOULDER]),
    }
    return {name: round(100 * float(value), 1) for name, value in metres.items()}


def girth(vertices: NDArray[np.float64], faces: NDArray[np.int32], height: float) -> float:
    """Perimeter of the convex hull of where the plane y = ``height`` cuts a mesh (V, 3), (F, 3).

    0 where it misses it.
    """
    return _girth(vertices, triangle_edges(faces), height)


def _girth(vertices: NDArray[np.float64], edges: Integers, height: float) -> float:
    """`girth` of the mesh with these edges (E, 2), of which those that are wholly above or below do not count."""
    above = vertices[:, 1] > height
    edges = edges[above[edges[:, 0]] != above[edges[:, 1]]]
    if len(edges) < 3:
        return 0.0
    start, end = vertices[edges[:, 0]], vertices[edges[:, 1]]
    share = ((height - start[:, 1]) / (end[:, 1] - start[:, 1]))[:, None]
    # In two dimensions qhull's area is the perimeter.
    return float(ConvexHull((start + share * (end - start))[:, [0, 2]]).area)


def _length(points: Floats) -> float:
    """Metres along a chain of points (N, 3)."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
