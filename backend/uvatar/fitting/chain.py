"""Linear blend skinning of a few points, with its exact derivatives: what each Gauss-Newton step needs.

Forward and derivatives follow from X_p = sum_k w_pk (G_k (x_p - j_k) + t_k). A small rotation omega of joint j (in
camera axes) moves the point by omega x sum over k below j of w_pk (G_k (x_p - j_k) + t_k - t_j); so a point's
derivative is a lever arm per joint, and no automatic differentiation is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import POSED_JOINTS
from uvatar.geometry import rotations

POSED = POSED_JOINTS
# Order of the unknowns: global rotation, body pose, shape, translation.
ORIENT, POSE, BETAS, TRANSL = slice(0, 3), slice(3, 66), slice(66, 76), slice(76, 79)
UNKNOWNS = 79


@dataclass(frozen=True)
class State:
    """Bodies being fitted, one per row.

    Attributes:
        orient: (B, 3, 3) rotation of the pelvis, camera frame.
        pose: (B, 21, 3) axis-angle of joints 1..21, radians.
        betas: (B, 10).
        transl: (B, 3) metres.
    """

    orient: NDArray[np.float64]
    pose: NDArray[np.float64]
    betas: NDArray[np.float64]
    transl: NDArray[np.float64]

    def stepped(self, step: Floats) -> State:
        """Moved by a step (B, 79): the orientation is multiplied from the left, all else is added."""
        return State(
            rotations.exp(step[:, ORIENT]) @ self.orient,
            self.pose + step[:, POSE].reshape(-1, 21, 3),
            self.betas + step[:, BETAS],
            self.transl + step[:, TRANSL],
        )

    def where(self, chosen: NDArray[np.bool_], other: State) -> State:
        """Rows of this state where ``chosen`` (B,) is true, of ``other`` elsewhere."""

        def pick(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(chosen.reshape(-1, *[1] * (mine.ndim - 1)), mine, theirs)

        return State(*(pick(a, b) for a, b in zip(self.arrays, other.arrays, strict=True)))

    def rows(self, index: Integers) -> State:
        """The bodies ``index``, in that order."""
        return State(*(array[index] for array in self.arrays))

    @property
    def arrays(self) -> tuple[NDArray[np.float64], ...]:
        """The four arrays."""
        return self.orient, self.pose, self.betas, self.transl

    @classmethod
    def stacked(cls, states: list[State]) -> State:
        """All bodies of several states in one."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*(s.arrays for s in states), strict=True)))


@dataclass(frozen=True)
class BodyPoints:
    """Points on the rest body that bend with it; shared by all bodies, or (B, ...) one set per body.

    Attributes:
        template: (P, 3) metres.
        shapedirs: (P, 3, 10) metres per beta.
        weights: (P, 24) skinning weights.
    """

    template: NDArray[np.float64]
    shapedirs: NDArray[np.float64]
    weights: NDArray[np.float64]

    def chosen(self, index: Integers) -> BodyPoints:
        """The points ``index`` (any shape, say (B, M)), one axis per axis of ``index``."""
        return BodyPoints(self.template[index], self.shapedirs[index], self.weights[index])


@dataclass(frozen=True)
class BodySkeleton:
    """Rest joints of a body model, and how shape moves them.

    Attributes:
        template: (24, 3) metres.
        shapedirs: (24, 3, 10).
        parents: (24,) index of the parent, negative for the root.
    """

    template: NDArray[np.float64]
    shapedirs: NDArray[np.float64]
    parents: tuple[int, ...]

    def below(self) -> NDArray[np.float64]:
        """(24, 22) one where joint k (row) rotates with joint j (column)."""
        table = np.eye(24)
        for k in range(1, 24):
            table[k] += table[self.parents[k]]
        return table[:, :POSED]

    def pose(self, state: State) -> PosedSkeleton:
        """Put the joints in place, with the derivatives that all points share."""
        rest = _shaped(self.template, self.shapedirs, state.betas)
        count = len(state.betas)
        local = rotations.exp(state.pose)
        rotation = np.empty((count, 24, 3, 3))
        place = np.empty((count, 24, 3))
        place_by_beta = np.empty((count, 24, 3, 10))
        axes = np.empty((count, POSED, 3, 3))
        rotation[:, 0], axes[:, 0] = state.orient, np.eye(3)
        place[:, 0] = rest[:, 0] + state.transl
        place_by_beta[:, 0] = self.shapedirs[0]
        for k in range(1, 24):
            parent = self.parents[k]
            rotation[:, k] = rotation[:, parent] @ local[:, k - 1] if k < POSED else rotation[:, parent]
            place[:, k] = place[:, parent] + np.einsum("bij,bj->bi", rotation[:, parent], rest[:, k] - rest[:, parent])
            place_by_beta[:, k] = place_by_beta[:, parent] + rotation[:, parent] @ (
                self.shapedirs[k] - self.shapedirs[parent]
            )
        parents = np.array(self.parents[1:POSED])
        axes[:, 1:] = rotation[:, parents] @ rotations.left_jacobian(state.pose)
        return PosedSkeleton(state, rotation, rest, place, place_by_beta, axes, self.shapedirs, self.below())


@dataclass(frozen=True)
class PosedSkeleton:
    """A posed skeleton: `place` skins points with it. Made by `BodySkeleton.pose`.

    Attributes:
        state: what it was posed with.
        rotations: (B, 24, 3, 3) of each joint in camera axes.
        rest, joints: (B, 24, 3) joints at rest and posed, metres.
        joints_by_beta: (B, 24, 3, 10).
        axes: (B, 22, 3, 3) columns are the rotation vectors, in camera axes, that the components of a joint's rotation
            vector cause.
        joint_shapedirs: (24, 3, 10) how the betas move the joints at rest, metres per beta.
        below: (24, 22) one where joint k (row) rotates with joint j (column).
    """

    state: State
    rotations: Floats
    rest: Floats
    joints: Floats
    joints_by_beta: Floats
    axes: Floats
    joint_shapedirs: Floats
    below: Floats

    def place(self, points: BodyPoints) -> Placed:
        """Skin the points: positions in the camera frame."""
        rest = _shaped(points.template, points.shapedirs, self.state.betas)
        shift = self.joints - np.einsum("bkij,bkj->bki", self.rotations, self.rest)
        weights = np.broadcast_to(points.weights, (*rest.shape[:2], 24))
        blend = (weights @ self.rotations.reshape(-1, 24, 9)).reshape(*rest.shape[:2], 3, 3)
        positions = np.einsum("bpij,bpj->bpi", blend, rest) + weights @ shift
        return Placed(self, points, rest, shift, blend, positions)


@dataclass(frozen=True)
class Placed:
    """Skinned points.

    Attributes:
        positions: (B, P, 3) metres, camera frame.
    """

    posed: PosedSkeleton
    points: BodyPoints
    rest: Floats
    shift: Floats
    blend: Floats
    positions: Floats

    def derivative(self, direction: Floats | None = None) -> Floats:
        """How the positions move with the unknowns.

        ``direction`` None gives the whole derivative (B, P, 3, 79); with (B, P, 3) it gives that of the positions'
        component along it, (B, P, 79), at a third of the cost.
        """
        posed, weights = self.posed, np.broadcast_to(self.points.weights, (*self.rest.shape[:2], 24))
        # Each joint's share of a point: w_pk (G_k x_p + shift_k); summed over the joints below j, less their weight
        # times joint j.
        share = np.einsum("bkij,bpj->bpki", posed.rotations, self.rest, optimize=True) + self.shift[:, None]
        share *= weights[..., None]
        lever = np.einsum("kj,bpki->bpji", posed.below, share, optimize=True)
        lever -= (weights @ posed.below)[..., None] * posed.joints[:, None, :POSED]
        shape_shift = posed.joints_by_beta - posed.rotations @ posed.joint_shapedirs
        by_beta = self.blend @ self.points.shapedirs + (weights @ shape_shift.reshape(-1, 24, 30)).reshape(
            *self.rest.shape[:2], 3, 10
        )
        if direction is None:
            out = np.zeros((*self.rest.shape[:2], 3, UNKNOWNS))
            by_rotation = np.einsum("bpjik,bjkl->bpijl", -rotations.skew(lever), posed.axes, optimize=True)
            out[..., : POSED * 3] = by_rotation.reshape(*by_rotation.shape[:3], POSED * 3)
            out[..., BETAS] = by_beta
            out[..., TRANSL] = np.eye(3)
            return out
        rows = np.empty((*self.rest.shape[:2], UNKNOWNS))
        moment = np.cross(lever, direction[:, :, None])
        rows[..., : POSED * 3] = np.einsum("bpjk,bjkl->bpjl", moment, posed.axes, optimize=True).reshape(
            *rows.shape[:2], POSED * 3
        )
        rows[..., BETAS] = np.einsum("bpi,bpil->bpl", direction, by_beta)
        rows[..., TRANSL] = direction
        return rows


def _shaped(template: Floats, shapedirs: Floats, betas: Floats) -> Floats:
    """Points at rest (B, P, 3) of bodies with these betas (B, 10); the points may be shared or per body."""
    moved = (
        np.einsum("bpil,bl->bpi", shapedirs, betas) if shapedirs.ndim == 4 else np.tensordot(betas, shapedirs, (1, 2))
    )
    return template + moved
