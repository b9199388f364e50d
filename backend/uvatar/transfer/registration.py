"""Registration of two body models, done once for a pair: then each person is transferred by look-up and algebra.

Both bodies have SMPL's skeleton, but other meshes, rest poses, joints and shape spaces. The target body is posed and
shaped until its surface lies on the source's mean body in the source's rest pose: first the joints, then closest points
with their normals, both ways (Besl and McKay 1992 with the point-to-plane distance of Chen and Medioni 1992, by
Gauss-Newton steps). What pose and shape cannot do is left to a smooth displacement of the vertices (as Amberg et al.
2007). Then every target vertex has an anchor on the source's surface.

Posed so, the target's vertices are an affine function of its betas, and their anchors are one of the source's: the
target betas that fit best follow from the source's by a matrix, and no person needs another registration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from uvatar.body import BodyError, BodyModel
from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import HAND_JOINTS, WRIST_JOINTS
from uvatar.fitting.chain import BETAS, ORIENT, POSE, TRANSL, UNKNOWNS, BodyPoints, BodySkeleton, Placed, State
from uvatar.geometry import rotations
from uvatar.geometry.adjacency import adjacency, bilaplacian, laplacian, triangle_edges
from uvatar.geometry.mesh import face_normals, vertex_normals
from uvatar.texturing.layout.atlas import Atlases
from uvatar.texturing.layout.texels import TexelTable
from uvatar.transfer.closest import ClosestPoints, exposed

_NO_BODY = (
    "The mesh of '{}' cannot be matched to the open body: it should be a person with horizontal arms, in metres, as in "
    "SMPL's own files."
)
_HANDS = [*WRIST_JOINTS, *HAND_JOINTS]


@dataclass(frozen=True)
class RegistrationSettings:
    """Tuned numbers of registration. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        joint_steps: of pose and shape that bring the joints together.
        reaches: of the rounds of closest points that follow: metres within which a closest point counts.
        source_stride, target_stride: one in so many vertices looks for its closest point, which saves time.
        joint_weight: of the joints against the surface: low, because the two bodies' joints are defined differently by
            some centimetres.
        pose_cost, beta_cost: of one squared radian and one squared beta, square metres of mean squared distance: 3 mm
            and 0.7 mm.
        wraps: the displacement's rounds: stiffness, and metres within which a closest point counts.
        stretching: stiffness against stretching, as a share of that against bending.
        hand_weight: of closest points on hands, whose fingers no joint moves.
        back_weight: of the source's closest points on the target against the target's on the source.
        largest_distance: metres between the two surfaces, on average: what is further away is not a body like SMPL's.
        inverse_damping: of target betas back to source betas, where one body's shape space has no counterpart in the
            other's.
    """

    joint_steps: int = 6
    reaches: tuple[float, ...] = (0.10, 0.08, 0.06, 0.05, 0.04, 0.04, 0.03, 0.03)
    source_stride: int = 6
    target_stride: int = 3
    joint_weight: float = 0.02
    pose_cost: float = 1e-5
    beta_cost: float = 5e-7
    wraps: tuple[tuple[float, float], ...] = ((10.0, 0.03), (3.0, 0.02), (1.0, 0.015), (0.3, 0.01))
    stretching: float = 0.001
    hand_weight: float = 0.1
    back_weight: float = 0.5
    largest_distance: float = 0.02
    inverse_damping: float = 0.01


DEFAULT_SETTINGS = RegistrationSettings()


@dataclass(frozen=True, eq=False)
class Registration:
    """Two bodies in agreement; V target vertices, S source vertices.

    Attributes:
        source, target: the bodies.
        rotations: (24, 3, 3) of the target's joints, body axes, that bring its rest pose to the source's.
        anchors: (V, S) csr: the source's vertices -> places on its surface that belong to the target's vertices.
        anchor_offsets: (V, 3) from these places to the target's vertices, metres, in the source's rest pose.
        shape, shape_shift: (10, 10), (10,): target betas = shape @ source betas + shape_shift.
        wrapped: (V, 3) the target's vertices around the source's mean body, in its rest pose.
        weight: (V,) share of the surface around each target vertex; they sum to 1.
        outside: (F,) the source's triangles that are seen from outside: not the inside of the mouth, nor the backs of
            the eyeballs.
        look_ups: by size of texture, the texels and their places in the source's texture, for the most recent sizes
            (`uvatar.transfer.texture`).
        settings: tuned numbers.
    """

    source: BodyModel
    target: BodyModel
    rotations: NDArray[np.float64]
    anchors: sparse.csr_matrix
    anchor_offsets: NDArray[np.float64]
    shape: NDArray[np.float64]
    shape_shift: NDArray[np.float64]
    wrapped: NDArray[np.float64]
    weight: NDArray[np.float64]
    outside: NDArray[np.bool_]
    look_ups: dict[int, tuple[TexelTable, NDArray[np.float32]]] = field(default_factory=dict, repr=False)
    settings: RegistrationSettings = DEFAULT_SETTINGS

    @cached_property
    def target_atlases(self) -> Atlases:
        """The target's surface and texels, by the texture's size."""
        return Atlases(self.target)

    def target_betas(self, betas: Floats) -> NDArray[np.float64]:
        """Betas of the source (10,) -> of the target (10,)."""
        return self.shape @ betas + self.shape_shift

    def source_betas(self, betas: Floats) -> NDArray[np.float32]:
        """Betas of the target (10,) -> of the source (10,), the smallest of those that explain them."""
        system = self.shape.T @ self.shape + self.settings.inverse_damping * np.eye(len(self.shape))
        return np.linalg.solve(system, self.shape.T @ (betas - self.shape_shift)).astype(np.float32)


def register(source: BodyModel, target: BodyModel, settings: RegistrationSettings = DEFAULT_SETTINGS) -> Registration:
    """Register the target body to the source body. Takes a few seconds.

    Raises BodyError if the target is not a person of about this size in about this rest pose.
    """
    try:
        registration = _register(source, target, settings)
    except (np.linalg.LinAlgError, RuntimeError, ValueError) as error:
        raise BodyError(_NO_BODY.format(target.data.name)) from error
    if (
        not registration.weight @ np.linalg.norm(registration.anchor_offsets, axis=1) < settings.largest_distance
    ):  # nor NaN
        raise BodyError(_NO_BODY.format(target.data.name))
    return registration


def _register(source: BodyModel, target: BodyModel, settings: RegistrationSettings) -> Registration:
    ours, theirs = source.data, target.data
    skin = _Skin.of(ours)
    weight = _weights(theirs)
    state = _aligned(ours, theirs, skin, weight, settings)
    posed = skeleton_of(theirs).pose(state)
    placed = posed.place(points_of(theirs, state))
    wrapped = _wrapped(placed.positions[0], theirs, skin, settings)
    places = skin.mesh.closest(wrapped, vertex_normals(wrapped, theirs.faces))
    anchors = places.rows(ours.faces, len(ours.v_template))
    anchor_offsets = wrapped - anchors @ ours.v_template
    shape, shift = _shape_matrix(placed, anchors, anchor_offsets, ours, weight, settings)
    return Registration(
        source, target, posed.rotations[0], anchors, anchor_offsets, shape, shift, wrapped, weight, skin.outside,
        settings=settings,
    )  # fmt: skip


@dataclass(frozen=True)
class _Skin:
    """The source's mean body at rest, as far as it is seen.

    Attributes:
        outside: (F,) the triangles that are seen.
        mesh: to find closest points on.
        vertices, normals: (N, 3), (N, 3) of the vertices that are seen.
    """

    outside: NDArray[np.bool_]
    mesh: ClosestPoints
    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]

    @classmethod
    def of(cls, data: BodyData) -> _Skin:
        outside = exposed(data.v_template, data.faces)
        seen = np.unique(data.faces[outside])
        points, normals = data.v_template[seen], vertex_normals(data.v_template, data.faces)[seen]
        return cls(
            outside,
            ClosestPoints(data.v_template, data.faces, outside),
            points.astype(np.float64),
            normals.astype(np.float64),
        )


def skeleton_of(data: BodyData) -> BodySkeleton:
    """The body's joints, for derivatives."""
    joints = data.joint_template.astype(np.float64), data.joint_shapedirs.astype(np.float64)
    return BodySkeleton(*joints, tuple(int(parent) for parent in data.parents))


def points_of(data: BodyData, state: State, chosen: slice | Integers = slice(None)) -> BodyPoints:
    """The chosen vertices of one body (B = 1) in its rest pose, with what its pose blend shapes add in this pose."""
    template = data.v_template[chosen].astype(np.float64)
    if data.posedirs is not None:
        local = np.concatenate([rotations.exp(state.pose[0]), np.broadcast_to(np.eye(3), (2, 3, 3))])
        template = template + data.posedirs[chosen] @ (local - np.eye(3)).ravel()
    return BodyPoints(template, data.shapedirs[chosen].astype(np.float64), data.weights[chosen].astype(np.float64))


def _weights(data: BodyData) -> NDArray[np.float64]:
    """Share (V,) of the surface around each vertex."""
    areas = np.linalg.norm(face_normals(data.v_template.astype(np.float64), data.faces), axis=1)
    weight = np.bincount(data.faces.ravel(), np.repeat(areas, 3), len(data.v_template))
    normalised: NDArray[np.float64] = weight / weight.sum()
    return normalised


def _aligned(ours: BodyData, theirs: BodyData, skin: _Skin, weight: Floats, settings: RegistrationSettings) -> State:
    """The target's pose, shape and position on the source's mean body."""
    state = State(np.eye(3)[None], np.zeros((1, 21, 3)), np.zeros((1, 10)), np.zeros((1, 3)))
    skeleton = skeleton_of(theirs)
    goal = ours.joint_template.astype(np.float64)
    for _ in range(settings.joint_steps):
        state = state.stepped(_step(state, [_joint_terms(skeleton, state, goal, 1.0)], settings))
    chosen = np.arange(len(theirs.v_template))[:: settings.target_stride]
    points, normals = (array[:: settings.source_stride] for array in (skin.vertices, skin.normals))
    for reach in settings.reaches:
        vertices = skeleton.pose(state).place(points_of(theirs, state)).positions[0]
        own = vertex_normals(vertices, theirs.faces).astype(np.float64)
        there = skin.mesh.closest(vertices[chosen], own[chosen])
        to = skin.mesh.at(there)
        forth = _plane_terms(
            state, skeleton, theirs, chosen, to, own[chosen], weight[chosen] * (there.distance < reach)
        )
        back = ClosestPoints(vertices, theirs.faces).closest(points, normals)
        corner = theirs.faces[back.face, back.barycentric.argmax(1)]
        here = _plane_terms(state, skeleton, theirs, corner, points, normals, (back.distance < reach).astype(float))
        joints = _joint_terms(skeleton, state, goal, settings.joint_weight)
        state = state.stepped(_step(state, [forth, here, joints], settings))
    return state


_Terms = tuple[Floats, Floats]  # J^T J (79, 79) and J^T r (79,) of weights that sum to 1


def _plane_terms(
    state: State, skeleton: BodySkeleton, data: BodyData, index: Integers, goal: Floats, normals: Floats, weight: Floats
) -> _Terms:
    """Draw vertices ``index`` (N,) to the planes through ``goal`` (N, 3) with ``normals`` (N, 3)."""
    used = weight > 0
    index, goal, normals, weight = index[used], goal[used], normals[used], weight[used] / max(weight.sum(), 1e-12)
    placed = skeleton.pose(state).place(points_of(data, state, index))
    rows = placed.derivative(normals[None])[0]
    residual = ((placed.positions[0] - goal) * normals).sum(1)
    return rows.T @ (rows * weight[:, None]), rows.T @ (weight * residual)


def _joint_terms(skeleton: BodySkeleton, state: State, goal: Floats, weight: float) -> _Terms:
    joints = BodyPoints(skeleton.template, skeleton.shapedirs, np.eye(len(goal)))
    placed = skeleton.pose(state).place(joints)
    rows = placed.derivative()[0].reshape(-1, UNKNOWNS)
    residual = (placed.positions[0] - goal).ravel()
    return weight / len(goal) * (rows.T @ rows), weight / len(goal) * (rows.T @ residual)


def _step(state: State, terms: list[_Terms], settings: RegistrationSettings) -> NDArray[np.float64]:
    """(1, 79) Gauss-Newton step; pose and betas are drawn to zero."""
    cost, value = np.zeros(UNKNOWNS), np.zeros(UNKNOWNS)
    cost[ORIENT] = cost[POSE] = settings.pose_cost
    cost[BETAS], cost[TRANSL] = settings.beta_cost, 1e-12
    value[ORIENT], value[POSE], value[BETAS] = rotations.log(state.orient)[0], state.pose.ravel(), state.betas[0]
    system = np.sum([term[0] for term in terms], axis=0) + np.diag(cost)
    return -np.linalg.solve(system, np.sum([term[1] for term in terms], axis=0) + cost * value)[None]


def _wrapped(vertices: Floats, theirs: BodyData, skin: _Skin, settings: RegistrationSettings) -> NDArray[np.float64]:
    """The target's posed vertices (V, 3), smoothly displaced onto the source's surface; hands, whose fingers no joint
    moves, are displaced less.
    """
    count = len(vertices)
    graph = adjacency(triangle_edges(theirs.faces), count)
    stretching, bending = laplacian(graph), bilaplacian(graph)
    hands = theirs.weights[:, _HANDS].sum(1)
    trust = 1 - (1 - settings.hand_weight) * hands
    wrapped = vertices
    for stiffness, reach in settings.wraps:
        there = skin.mesh.closest(wrapped, vertex_normals(wrapped, theirs.faces))
        known = trust * (there.distance < reach)
        mesh = ClosestPoints(wrapped, theirs.faces)
        back = mesh.closest(skin.vertices, skin.normals)
        rows = back.rows(theirs.faces, count)
        known_back = (rows @ trust) * (back.distance < reach) * settings.back_weight
        pull = rows.T @ sparse.diags(known_back)
        system = sparse.diags(known) + pull @ rows + stiffness * (bending + settings.stretching * stretching)
        towards = known[:, None] * (skin.mesh.at(there) - vertices) + pull @ (skin.vertices - rows @ vertices)
        wrapped = vertices + splu(system.tocsc()).solve(towards)
    return wrapped


def _shape_matrix(
    placed: Placed,
    anchors: sparse.csr_matrix,
    anchor_offsets: Floats,
    ours: BodyData,
    weight: Floats,
    settings: RegistrationSettings,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Betas of the target as an affine function, matrix (10, 10) and shift (10,), of the source's: least squares over
    the surface, drawn slightly to zero.
    """
    count = len(anchor_offsets)
    by_beta = placed.derivative()[0, ..., BETAS]
    base = placed.positions[0] - by_beta @ placed.posed.state.betas[0]
    place = np.broadcast_to(np.eye(3), (count, 3, 3))
    rows = np.concatenate([by_beta, place], -1).reshape(3 * count, 13)
    goal = (anchors @ ours.v_template + anchor_offsets - base).reshape(-1, 1)
    goal_by_beta = (anchors @ ours.shapedirs.reshape(len(ours.v_template), -1)).reshape(3 * count, 10)
    weighted = rows * np.repeat(weight, 3)[:, None]
    system = weighted.T @ rows + np.diag([settings.beta_cost] * 10 + [0.0] * 3)
    solved = np.linalg.solve(system, weighted.T @ np.concatenate([goal_by_beta, goal], 1))
    return solved[:10, :10], solved[:10, 10]
