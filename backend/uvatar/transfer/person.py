"""Carries one fitted person over to another body: the same surface in the photo, as far as that body can form it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.joints import WRIST_JOINTS
from uvatar.fitting.chain import ORIENT, POSE, POSED, TRANSL, UNKNOWNS, State
from uvatar.fitting.solver import only
from uvatar.geometry import rotations
from uvatar.transfer.registration import Registration, points_of, skeleton_of

_STEPS = 5  # of Gauss-Newton; how many are needed is not recorded
_STRIDE = 3  # every third vertex refines the pose, which saves time
_POSE_COST = 1e-6  # square metres per squared radian: keeps the twist of a limb that the surface does not show


@dataclass(frozen=True)
class Carried:
    """A person on the other body.

    Attributes:
        fit: of the other body; what was known of the fit to the photo (errors, confidence, notes) is kept.
        distance_mean, distance_p95: metres between the two dressed surfaces at corresponding places, as posed in the
            photo.
    """

    fit: Fit
    distance_mean: float
    distance_p95: float


def carry_over(fit: Fit, registration: Registration) -> Carried:
    """Carry a person's pose, shape and clothes over from the registration's source body to its target body.

    The betas are those that come closest to the person's undressed form. The joints rotate as the person's do,
    corrected for the other rest pose, and are then refined until the surfaces coincide in the photo. A dressed person's
    offsets are whatever lies between the undressed target and the dressed person at rest: the clothes, and what the
    betas cannot express of the form. An undressed person's offsets stay zero. The target has neither fingers nor
    expression keys: both bodies are compared with straight fingers and a neutral face.

    Raises numpy.linalg.LinAlgError if the pose has no solution.
    """
    fit = replace(fit, body=replace(fit.body, hand_pose=None, jaw_pose=None, eye_pose=None, expression=None))
    source, target = registration.source, registration.target
    betas = registration.target_betas(fit.body.betas.astype(np.float64))
    state = _posed_alike(fit.body, betas, registration)
    body = _parameters(state, fit.body, registration)
    offsets = _offsets(fit, betas, registration) if fit.offsets.any() else np.zeros_like(target.data.v_template)
    goal = _goal(source.posed(fit.body, fit.offsets)[0], _source_rotations(fit.body, source.data), registration)
    apart = np.linalg.norm(target.posed(body, offsets)[0] - goal, axis=1)
    return Carried(
        replace(fit, body=body, offsets=offsets), float(apart @ registration.weight), float(np.percentile(apart, 95))
    )


def _posed_alike(body: BodyParameters, betas: Floats, registration: Registration) -> State:
    """The target in the photo's pose: Gauss-Newton steps over pose and position from the source's rotations."""
    target = registration.target.data
    world = _source_rotations(body, registration.source.data)
    goal = _goal(registration.source.posed(body)[0], world, registration)
    state = _state(world @ registration.rotations, betas, target)
    skeleton = skeleton_of(target)
    chosen = np.arange(len(goal))[::_STRIDE]
    weight = registration.weight[chosen] / registration.weight[chosen].sum()
    first = skeleton.pose(state).place(points_of(target, state, chosen)).positions[0]
    state = replace(state, transl=(weight @ (goal[chosen] - first))[None])
    start = state.pose
    free = np.flatnonzero(only(ORIENT, POSE, TRANSL))
    cost, away = np.zeros(UNKNOWNS), np.zeros(UNKNOWNS)
    cost[ORIENT] = cost[POSE] = _POSE_COST
    for _ in range(_STEPS):
        placed = skeleton.pose(state).place(points_of(target, state, chosen))
        rows = placed.derivative()[0].reshape(-1, UNKNOWNS)[:, free]
        weighted = rows * np.repeat(weight, 3)[:, None]
        away[POSE] = (state.pose - start).ravel()
        gradient = weighted.T @ (placed.positions[0] - goal[chosen]).ravel() + (cost * away)[free]
        step = np.zeros((1, UNKNOWNS))
        step[0, free] = -np.linalg.solve(weighted.T @ rows + np.diag(cost[free]), gradient)
        state = state.stepped(step)
    return state


def _state(world: Floats, betas: Floats, data: BodyData) -> State:
    """A body at the origin with straight hands; ``world`` (24, 3, 3): the rotations of its joints in its frame."""
    local = np.stack([world[k] if k == 0 else world[data.parents[k]].T @ world[k] for k in range(POSED)])
    return State(local[None, 0], rotations.log(local[1:])[None], betas[None], np.zeros((1, 3)))


def _parameters(state: State, body: BodyParameters, registration: Registration) -> BodyParameters:
    """SMPL's parameters. The hands' own joints, about which a surface without finger joints says nothing, rotate as
    they did.
    """
    wrists = registration.rotations[WRIST_JOINTS]
    own = rotations.exp(body.body_pose[POSED - 1 :].astype(np.float64))
    hands = rotations.log(np.swapaxes(wrists, 1, 2) @ own @ wrists)
    pose = np.concatenate([rotations.log(rotations.exp(state.pose[0])), hands])
    orient = rotations.log(state.orient)[0]
    return BodyParameters(*(array.astype(np.float32) for array in (state.betas[0], orient, pose, state.transl[0])))


def _source_rotations(body: BodyParameters, data: BodyData) -> NDArray[np.float64]:
    """Rotation (24, 3, 3) of every joint in the camera frame."""
    local = rotations.exp(np.concatenate([body.global_orient[None], body.body_pose]).astype(np.float64))
    world = [local[0]]
    for k in range(1, len(local)):
        world.append(world[data.parents[k]] @ local[k])
    return np.stack(world)


def _goal(source_vertices: Floats, world: Floats, registration: Registration) -> NDArray[np.float64]:
    """Where (V, 3), metres, the target's vertices belong: at their anchors on the source's posed surface, moved by
    ``registration.hover``, which rotates with the joints.
    """
    blend = np.einsum("vk,kij->vij", registration.target.data.weights, world, optimize=True)
    goal: NDArray[np.float64] = registration.anchors @ source_vertices + np.einsum(
        "vij,vj->vi", blend, registration.hover
    )
    return goal


def _offsets(fit: Fit, betas: Floats, registration: Registration) -> NDArray[np.float32]:
    """Offsets (V, 3), metres, from the undressed target at rest to the dressed person, compared in the source's rest
    pose, in which nothing is bent.
    """
    ours, target = registration.source.data, registration.target.data
    state = _state(registration.rotations, betas, target)
    placed = skeleton_of(target).pose(state).place(points_of(target, state))
    naked = ours.v_template + ours.shapedirs @ fit.body.betas
    between = registration.anchors @ naked + registration.hover - placed.positions[0]
    between += registration.anchors @ fit.offsets - registration.weight @ between
    return np.linalg.solve(placed.blend[0], between[..., None])[..., 0].astype(np.float32)
