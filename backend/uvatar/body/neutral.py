"""A mannequin's anatomy instead of a nude's: chest without nipples, belly without navel, seat without cleft.

Avatars of people who did not undress for the photo show their body where its clothes are turned off, and through thin
layers. So the form is bridged there from what is around it, in the template and in every direction of shape by the same
weights, and thus for every shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from uvatar.body.data import BODY, BodyData, regress_joints
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import HIP_JOINTS, Joint
from uvatar.geometry.adjacency import triangle_edges


@dataclass(frozen=True)
class NeutralSettings:
    """Where the form is bridged; metres of the open body's template, chosen while looking at it.

    Attributes:
        detail: vertices whose middle is a nipple's or the navel's place: those of the finest quads.
        crotch: half the width of what is bridged between the legs.
        breast: distances from the middle between which nipples are.
        nipple, navel: radius around them.
        seat: half the width of the cleft.
        seat_above, seat_below: reach over the pelvis joint and below the hip joints.
        behind: distance behind the pelvis joint from which on the seat is.
    """

    detail: int = 12
    crotch: float = 0.024
    breast: tuple[float, float] = (0.04, 0.15)
    nipple: float = 0.027
    navel: float = 0.024
    seat: float = 0.036
    seat_above: float = 0.075
    seat_below: float = 0.1
    behind: float = 0.0


DEFAULT_SETTINGS = NeutralSettings()


def neutral(data: BodyData, settings: NeutralSettings = DEFAULT_SETTINGS) -> BodyData:
    """The body with neutral anatomy; its landmarks stay, and its joints move with what they are regressed from."""
    shapes = np.concatenate([data.v_template[..., None], data.shapedirs], 2).astype(np.float64)
    edges = triangle_edges(data.faces)
    region = _region(data, edges, settings)
    if not region.any() or region.all():
        return data
    flat = shapes.reshape(len(shapes), -1)
    flat[region] = _bridged(flat, region, data.v_template.astype(np.float64), data.faces)
    shapes = flat.reshape(shapes.shape)
    # Quads are halved along one diagonal, which is not the other side's.
    shapes[region] = 0.5 * (shapes + shapes[data.mirror] * np.array([-1.0, 1.0, 1.0])[:, None])[region]
    changed = shapes.astype(np.float32)
    template, directions = changed[..., 0], np.ascontiguousarray(changed[..., 1:])
    joints, joint_directions = regress_joints(data.J_regressor, template, directions)
    rig = data.rig
    if rig is not None:
        own, own_directions = regress_joints(rig.J_regressor, template, directions)
        rig = replace(rig, joint_template=own, joint_shapedirs=own_directions)
    return replace(
        data,
        v_template=template,
        shapedirs=directions,
        joint_template=joints,
        joint_shapedirs=joint_directions,
        rig=rig,
    )


def _region(data: BodyData, edges: Integers, settings: NeutralSettings) -> NDArray[np.bool_]:
    """(V,) what is bridged."""
    rest, joints = data.v_template.astype(np.float64), data.joint_template
    skin = data.part == BODY
    side = np.abs(rest[:, 0])
    # The mesh is finest where there is most detail.
    length = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1)
    corners, lengths = edges.ravel(), np.repeat(length, 2)
    fineness = np.bincount(corners, lengths, len(rest)) / np.maximum(np.bincount(corners, minlength=len(rest)), 1)
    low, high = joints[Joint.SPINE2][1] - 0.05, joints[Joint.NECK][1] - 0.1
    chest = skin & (side > settings.breast[0]) & (side < settings.breast[1]) & (rest[:, 1] > low) & (rest[:, 1] < high)
    region = np.zeros(len(rest), bool)
    for half in (chest & (rest[:, 0] > 0), chest & (rest[:, 0] < 0)):
        region |= skin & _around(rest, half, fineness, settings.nipple, settings.detail)
    pelvis = joints[Joint.PELVIS]
    belly = skin & (side < 0.02) & (rest[:, 2] > pelvis[2]) & (np.abs(rest[:, 1] - pelvis[1] - 0.05) < 0.1)
    region |= skin & _around(rest, belly, fineness, settings.navel, settings.detail)
    hips = joints[HIP_JOINTS][:, 1].mean()
    between = np.abs(rest[:, 1] - hips + 0.07) < 0.04
    region |= skin & (side < settings.crotch) & (rest[:, 2] > pelvis[2] + 0.04) & between
    seat = skin & (side < settings.seat) & (rest[:, 2] < pelvis[2] - settings.behind)
    seat &= rest[:, 1] < pelvis[1] + settings.seat_above
    seat &= rest[:, 1] > hips - settings.seat_below
    bridged: NDArray[np.bool_] = region | seat
    return bridged


def _around(rest: Floats, chosen: NDArray[np.bool_], edges: Floats, radius: float, count: int) -> NDArray[np.bool_]:
    """(V,) vertices around the middle of those chosen ones that have the shortest edges (V,)."""
    place = np.flatnonzero(chosen)
    if len(place) < count:
        return np.zeros(len(rest), bool)
    middle = rest[place[np.argsort(edges[place])[:count]]].mean(0)
    near: NDArray[np.bool_] = np.linalg.norm(rest - middle, axis=1) < radius
    return near


def _bridged(values: Floats, region: NDArray[np.bool_], rest: Floats, faces: Integers) -> NDArray[np.float64]:
    """Values (N, K) of the region's vertices, bent across it from the values (V, K) around it like a thin plate.

    The plate is that of Botsch and Kobbelt 2004, "An intuitive framework for real-time freeform modeling", with
    cotangents for weights, so that it does not depend on how fine the mesh is.
    """
    count = len(rest)
    stiffness, area = sparse.csr_matrix((count, count)), np.full(count, 1e-12)
    for corner in range(3):
        a, b, c = (faces[:, (corner + step) % 3] for step in range(3))
        one, other = rest[b] - rest[a], rest[c] - rest[a]
        doubled = np.linalg.norm(np.cross(one, other), axis=1)
        weight = np.clip((one * other).sum(1) / np.maximum(doubled, 1e-12), 0.05, 20) / 2
        stiffness = stiffness + sparse.csr_matrix((weight, (b, c)), (count, count))
        area += np.bincount(a, doubled / 6, count)
    stiffness = stiffness + stiffness.T
    stiffness = (sparse.diags(np.asarray(stiffness.sum(1)).ravel()) - stiffness).tocsr()
    plate = (stiffness @ sparse.diags(1 / area) @ stiffness).tocsr()
    inner, outer = np.flatnonzero(region), np.flatnonzero(~region)
    solved: NDArray[np.float64] = splu(plate[inner][:, inner].tocsc()).solve(-(plate[inner][:, outer] @ values[outer]))
    return solved
