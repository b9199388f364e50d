"""Linear blend skinning of a few points, with its exact derivatives: what each Gauss-Newton step needs.

Forward and derivatives follow from X_p = sum_k w_pk (G_k (x_p - j_k) + t_k). A small rotation omega of joint j (in
camera axes) moves the point by omega x sum over k below j of w_pk (G_k (x_p - j_k) + t_k - t_j); so a point's
derivative is a lever arm per joint, and no automatic differentiation is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import ELBOW_JOINTS, POSED_JOINTS, WRIST_JOINTS
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit

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
    def of(cls, bodies: Sequence[BodyParameters]) -> State:
        """Fitted bodies."""
        orient, pose, betas, transl = (
            np.stack([np.asarray(getattr(body, name), float) for body in bodies])
            for name in ("global_orient", "body_pose", "betas", "transl")
        )
        return cls(rotations.exp(orient), pose[:, : POSED - 1], betas, transl)

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

    @cached_property
    def ancestors(self) -> NDArray[np.float64]:
        """(24, 24) one where joint k (row) is joint j (column) or hangs on it."""
        table = np.eye(24)
        for k in range(1, 24):
            table[k] += table[self.parents[k]]
        return table

    @cached_property
    def levels(self) -> list[tuple[Integers, Integers]]:
        """The joints that are equally many steps away from the root, without the root itself, and their parents."""
        depth = self.ancestors.sum(1).astype(int)
        levels = [np.flatnonzero(depth == level) for level in range(2, depth.max() + 1)]
        return [(joints, np.array(self.parents)[joints]) for joints in levels]

    @cached_property
    def bones(self) -> tuple[NDArray[np.float64], Integers]:
        """(24, 24) takes the joints at rest to their offsets from their parents, and the index (24,) of the joint whose
        rotation turns each offset, the root's own for the root, which nothing turns.
        """
        parents = np.maximum(self.parents, 0)
        offsets = np.eye(24) - np.eye(24)[parents]
        offsets[0, 0] = 1
        return offsets, parents

    def pose(self, state: State) -> PosedSkeleton:
        """Put the joints in place."""
        rest = _shaped(self.template, self.shapedirs, state.betas)
        local = rotations.exp(state.pose)
        rotation = np.empty((len(rest), 24, 3, 3))
        rotation[:, 0] = state.orient
        for joints, parents in self.levels:
            posed = joints < POSED
            rotation[:, joints] = rotation[:, parents]
            if posed.any():
                rotation[:, joints[posed]] = rotation[:, parents[posed]] @ local[:, joints[posed] - 1]
        offsets, parents = self.bones
        steps = offsets @ rest
        steps[:, 1:] = (rotation[:, parents[1:]] @ steps[:, 1:, :, None])[..., 0]
        steps[:, 0] += state.transl
        return PosedSkeleton(self, state, rotation, rest, self.ancestors @ steps)

    def turned(self, bodies: State, rotation: Floats) -> State:
        """The bodies whose joints have these rotations (B, 24, 3, 3), camera frame; the pelvis stays where it is."""
        parents = np.array(self.parents[1:POSED])
        local = np.swapaxes(rotation[:, parents], -1, -2) @ rotation[:, 1:POSED]
        return replace(bodies, orient=rotation[:, 0], pose=rotations.log(local))


@dataclass(frozen=True)
class PosedSkeleton:
    """A posed skeleton: `place` skins points with it. Made by `BodySkeleton.pose`.

    Attributes:
        skeleton: that was posed.
        state: what it was posed with.
        rotations: (B, 24, 3, 3) of each joint in camera axes.
        rest, joints: (B, 24, 3) joints at rest and posed, metres.
    """

    skeleton: BodySkeleton
    state: State
    rotations: Floats
    rest: Floats
    joints: Floats

    @property
    def forearms(self) -> Floats:
        """(B, 2, 3) unit directions from the elbows to the wrists, left then right, camera axes."""
        return unit(self.joints[:, WRIST_JOINTS] - self.joints[:, ELBOW_JOINTS])

    @cached_property
    def axes(self) -> Floats:
        """(B, 22, 3, 3) columns are the rotation vectors, in camera axes, that the components of a joint's rotation
        vector cause.
        """
        axes = np.empty((len(self.rest), POSED, 3, 3))
        axes[:, 0] = np.eye(3)
        parents = np.array(self.skeleton.parents[1:POSED])
        axes[:, 1:] = self.rotations[:, parents] @ rotations.left_jacobian(self.state.pose)
        return axes

    @cached_property
    def shift_by_beta(self) -> Floats:
        """(B, 24, 30) derivative of what skinning adds to a joint's rotated points, metres per beta."""
        shapedirs = self.skeleton.shapedirs
        offsets, parents = self.skeleton.bones
        steps = np.tensordot(offsets, shapedirs, 1)
        moved = np.empty((len(self.rest), 24, 3, 10))
        moved[:, 0] = steps[0]
        moved[:, 1:] = self.rotations[:, parents[1:]] @ steps[1:]
        joints_by_beta = self.skeleton.ancestors @ moved.reshape(-1, 24, 30)
        by_beta: Floats = joints_by_beta - (self.rotations @ shapedirs).reshape(-1, 24, 30)
        return by_beta

    def place(self, points: BodyPoints) -> Placed:
        """Skin the points: positions in the camera frame."""
        rest = _shaped(points.template, points.shapedirs, self.state.betas)
        shift = self.joints - (self.rotations @ self.rest[..., None])[..., 0]
        blend = (points.weights @ self.rotations.reshape(-1, 24, 9)).reshape(*rest.shape[:2], 3, 3)
        positions = np.einsum("bpij,bpj->bpi", blend, rest) + points.weights @ shift
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
        lever, axes, by_beta = self._levers(), self.posed.axes, self._by_beta()
        if direction is None:
            out = np.zeros((*self.rest.shape[:2], 3, UNKNOWNS))
            x, y, z = np.repeat(lever.transpose(2, 0, 3, 1), 3, axis=-1)  # (B, P, 66) each
            u, v, w = axes.transpose(2, 0, 1, 3).reshape(3, -1, 1, POSED * 3)
            rotated = out[..., : POSED * 3]
            rotated[:, :, 0], rotated[:, :, 1], rotated[:, :, 2] = v * z - w * y, w * x - u * z, u * y - v * x
            out[..., BETAS] = by_beta
            out[..., TRANSL] = np.eye(3)
            return out
        rows = np.empty((*self.rest.shape[:2], UNKNOWNS))
        (x, y, z), (u, v, w) = np.moveaxis(lever, 2, 0), np.moveaxis(direction, 2, 0)[:, :, None]
        moment = np.stack([y * w - z * v, z * u - x * w, x * v - y * u], 2)  # (B, 22, 3, P)
        rotated = (axes.swapaxes(2, 3) @ moment).reshape(len(rows), POSED * 3, -1)
        rows[..., : POSED * 3] = rotated.swapaxes(1, 2)
        rows[..., BETAS] = sum(direction[..., axis, None] * by_beta[..., axis, :] for axis in range(3))
        rows[..., TRANSL] = direction
        return rows

    def _levers(self) -> Floats:
        """(B, 22, 3, P) from each joint to each point, weighted by how far the point rotates with the joint, metres."""
        posed, count = self.posed, len(self.rest)
        weights, below = self.points.weights.swapaxes(-1, -2), posed.skeleton.ancestors[:, :POSED].T
        # Each joint's share of a point: w_pk (G_k x_p + shift_k); summed over the joints below j, less their weight
        # times joint j.
        share = (posed.rotations.reshape(count, 72, 3) @ self.rest.swapaxes(1, 2)).reshape(count, 24, 3, -1)
        share += self.shift[..., None]
        share *= weights[..., None, :]
        lever: Floats = (below @ share.reshape(count, 24, -1)).reshape(count, POSED, 3, -1)
        lever -= (below @ weights)[..., None, :] * posed.joints[:, :POSED, :, None]
        return lever

    def _by_beta(self) -> Floats:
        """(B, P, 3, 10) how the positions move with the betas."""
        moved = self.points.weights @ self.posed.shift_by_beta
        return self.blend @ self.points.shapedirs + moved.reshape(*self.rest.shape[:2], 3, 10)


def _shaped(template: Floats, shapedirs: Floats, betas: Floats) -> Floats:
    """Points at rest (B, P, 3) of bodies with these betas (B, 10); the points may be shared or per body."""
    if shapedirs.ndim == 4:
        moved: Floats = shapedirs.reshape(len(betas), -1, 10) @ betas[..., None]
        return template + moved.reshape(template.shape)
    moved = betas @ shapedirs.reshape(-1, 10).T
    return template + moved.reshape(-1, *template.shape)
