"""The pose of a hand from its landmarks: where the palm points, and the angles of the fingers' joints.

Palm and fingers are solved together by damped Gauss-Newton steps, a batch of hands at once. Evidence is the bones'
directions in space and the landmarks in the picture, whose scale and place are free; in addition, fingers are drawn to
how people mostly hold them, and kept within the limits of their joints.

Hands are solved twice. What the hand model is known to get wrong about the first pose is undone by
`uvatar.fitting.hand_correction`; the second pose keeps near to that, and to the landmarks in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.hands import HandLandmark
from uvatar.data.person import Hand
from uvatar.fitting.hand_correction import HandCorrection, inputs
from uvatar.fitting.hand_skeleton import ANGLES, FINGER_LANDMARKS, HandSkeleton
from uvatar.geometry import rotations
from uvatar.protocol.rig import ABDUCTION, FLEXION_1, FLEXION_2, FLEXION_3, finger_angles

_FINGERS = len(FINGER_LANDMARKS)
_POSE = slice(3, 3 + _FINGERS * ANGLES)
_SCALE = _POSE.stop
_UNKNOWNS = _SCALE + 3  # turn 3, angles 25, logarithm of the scale, place in the picture 2
# The residuals: directions of 20 bones, places of 5 x 5 points, 25 angles, 4 last joints, and the palm's 9 entries.
_DIRECTIONS, _PICTURE, _PRIOR, _COUPLING, _TURN = (
    slice(0, 60), slice(60, 110), slice(110, 135), slice(135, 139), slice(139, 148),
)  # fmt: skip
_FROM_WRIST = np.insert(FINGER_LANDMARKS, 0, HandLandmark.WRIST, axis=1)  # (5, 5)
_ROWS = _TURN.stop


def _degrees(finger: tuple[float, ...], thumb: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return (*[finger] * (_FINGERS - 1), thumb)


@dataclass(frozen=True)
class HandSettings:
    """Tuned numbers of the solver; angles in degrees, (flexion, abduction, twist, second, third) of each finger.

    Attributes:
        steps: Gauss-Newton steps, at most.
        least_gain: share of the cost that a step must take away from one of the hands for another to follow.
        damping: share of the Hessian's diagonal added to it at first; a good step divides it by 4, a bad one multiplies
            it by 8.
        tip: weight of a finger's last bone's direction beside the others', whose is 1.
        thumb: weight of the thumb's joint beside the knuckles in the first guess of the palm.
        picture: weight of the landmarks in the picture, in units of the palm's length.
        spread: standard deviation of the angles around those of a relaxed hand.
        prior: weight of the deviation from the relaxed hand in standard deviations.
        coupled, coupling: a finger's last joint bends this share of what its second does, with this standard deviation.
        turn, turn_weight: standard deviation and weight of the palm's turn away from the first guess.
        corrected_prior, corrected_spread: the prior's weight, and the standard deviation of all angles but the fingers'
            abduction, which has half of it, around the corrected ones. Of 0.2 and 0.4 the one with smaller errors of
            joints on rendered hands that the correction was not fitted to; fingertips hardly differ.
    """

    steps: int = 12
    least_gain: float = 0.003
    damping: float = 1e-2
    tip: float = 0.8
    thumb: float = 0.3
    picture: float = 3.0
    spread: tuple[tuple[float, ...], ...] = _degrees((35, 7, 1, 40, 25), (15, 12, 15, 25, 30))
    prior: float = 0.2
    coupled: float = 0.6
    coupling: float = 15.0
    turn: float = 20.0
    turn_weight: float = 0.3
    corrected_prior: float = 0.4
    corrected_spread: float = 15.0

    def around_correction(self) -> HandSettings:
        """Those of the second solution."""
        wide = self.corrected_spread
        spread = _degrees((wide, wide / 2, 1, wide, wide), (wide,) * ANGLES)
        return replace(self, prior=self.corrected_prior, spread=spread, coupling=np.inf)


DEFAULT_SETTINGS = HandSettings()


@dataclass(frozen=True)
class HandPose:
    """A solved hand.

    Attributes:
        palm: (3, 3) rotation of the hand, from the body's axes at rest to the axes of a camera that looks at the hand.
        angles: (5, 5) radians, as `uvatar.fitting.hand_skeleton` has them; of the mirror image for a right hand.
        pose: (15, 3) axis-angle of the finger joints against their parents, body axes at rest; SMPL-X's order.
        picture_error: root mean square distance of the landmarks in the picture, in units of the palm's length; it and
            the next one are those of the first solution, which nothing but the landmarks has led.
        cost: what the solver made small.
        extent: the longer side of the landmarks' box, pixels.
    """

    palm: NDArray[np.float64]
    angles: NDArray[np.float64]
    pose: NDArray[np.float64]
    picture_error: float
    cost: float
    extent: float


@dataclass(frozen=True)
class _Evidence:
    """What is seen of B hands, all as left ones.

    Attributes:
        directions: (B, 20, 3) unit directions of the bones: from the wrist to the fingers, then along each finger.
        pixels: (B, 21, 2).
        places: (B, 5, 5, 2) of the wrist and each finger's points, in ``unit``.
        unit: (B,) pixels that count as the palm's length.
        start: (B, 3, 3) first guess of the palm.
        expected: (B, 5, 5) angles that the fingers are drawn to.
    """

    directions: NDArray[np.float64]
    pixels: NDArray[np.float64]
    places: NDArray[np.float64]
    unit: NDArray[np.float64]
    start: NDArray[np.float64]
    expected: NDArray[np.float64]


@dataclass(frozen=True)
class _State:
    turn: NDArray[np.float64]
    angles: NDArray[np.float64]
    scale: NDArray[np.float64]
    place: NDArray[np.float64]


def solve_hands(
    hands: Sequence[Hand],
    left: Sequence[bool],
    skeleton: HandSkeleton,
    correction: HandCorrection | None = None,
    settings: HandSettings = DEFAULT_SETTINGS,
) -> list[tuple[HandPose, HandPose]]:
    """The poses of hands.

    A flat hand and its mirror image in depth look the same, so each hand is solved twice.

    Args:
        hands: their landmarks.
        left: whether each is a left one.
        skeleton: a left hand at rest.
        correction: of the hand model's errors; without it, poses are those of the landmarks as they are.
        settings: tuned numbers.

    Returns:
        For each hand the pose that its landmarks in space say, and the one with their depth reversed.
    """
    if not hands:
        return []
    sides = np.where(np.repeat(left, 2), 1.0, -1.0)
    pixels = np.repeat(np.stack([hand.points for hand in hands]).astype(float), 2, axis=0)
    world = np.repeat(np.stack([hand.world for hand in hands]).astype(float), 2, axis=0)
    extent = np.ptp(pixels, axis=1).max(1)
    pixels[..., 0] *= sides[:, None]
    world[..., 0] *= sides[:, None]
    world[1::2, :, 2] *= -1
    evidence = _evidence(world, pixels, extent, skeleton, settings)
    state, cost = _solved(evidence, _first_angles(evidence, skeleton), skeleton, settings)
    errors = _errors(evidence, state, skeleton)
    if correction is not None:
        near = _corrected(evidence, state, world, skeleton, correction)
        state, _ = _solved(near, near.expected, skeleton, settings.around_correction())
    poses = []
    for i, side in enumerate(sides):
        mirror = np.array([side, 1.0, 1.0])
        palm, pose = state.turn[i] * mirror[:, None] * mirror, skeleton.pose(state.angles[i], side > 0)
        measures = (float(measure[i]) for measure in (errors, cost, extent))
        poses.append(HandPose(palm, state.angles[i], pose, *measures))
    return list(zip(poses[::2], poses[1::2], strict=True))


def _evidence(
    world: Floats, pixels: Floats, extent: Floats, skeleton: HandSkeleton, settings: HandSettings
) -> _Evidence:
    fingers = world[:, FINGER_LANDMARKS]
    wrist = world[:, HandLandmark.WRIST][:, None, None]
    bones = np.diff(np.concatenate([np.broadcast_to(wrist, (*fingers.shape[:2], 1, 3)), fingers], 2), axis=2)
    directions = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    palm = np.linalg.norm(pixels[:, HandLandmark.MIDDLE_MCP] - pixels[:, HandLandmark.WRIST], axis=-1)
    weights = np.ones(_FINGERS)
    weights[-1] = settings.thumb
    spread = np.einsum("f,bfi,fj->bij", weights, fingers[:, :, 0] - wrist[:, 0], skeleton.points[:, 0])
    left, _, right = np.linalg.svd(spread)
    right[:, 2] *= np.linalg.det(left @ right)[:, None]
    unit = np.maximum(palm, extent / 2)
    places = pixels[:, _FROM_WRIST] / unit[:, None, None, None]
    relaxed = np.broadcast_to(finger_angles("relaxed"), (len(world), _FINGERS, ANGLES))
    return _Evidence(directions, pixels, places, unit, left @ right, relaxed)


def _corrected(
    evidence: _Evidence, state: _State, world: Floats, skeleton: HandSkeleton, correction: HandCorrection
) -> _Evidence:
    """The picture, and in place of what else the landmarks say, what that means by the correction."""
    places = evidence.pixels / evidence.unit[:, None, None]
    angles, turned = correction(inputs(state.angles, state.turn, world, places))
    angles = np.clip(angles, skeleton.low, skeleton.high)
    palm = state.turn @ rotations.exp(turned)
    points, _ = skeleton.posed(angles)
    bones = np.diff(points, axis=2, prepend=0.0) @ palm.transpose(0, 2, 1)[:, None]
    return replace(evidence, directions=bones / skeleton.lengths[..., None], start=palm, expected=angles)


def _solved(
    evidence: _Evidence, angles: Floats, skeleton: HandSkeleton, settings: HandSettings
) -> tuple[_State, NDArray[np.float64]]:
    """The best poses found from these ``angles`` (B, 5, 5) and the first guess of the palms, and their costs (B,)."""
    count = len(evidence.pixels)
    state = _State(evidence.start, angles, np.ones(count), np.zeros((count, 2)))
    state = _registered(state, evidence, skeleton)
    damping = np.full(count, settings.damping)
    values, jacobian = _residuals(state, evidence, skeleton, settings)
    cost = 0.5 * (values**2).sum(1)
    low, high = skeleton.low.reshape(-1), skeleton.high.reshape(-1)
    for _ in range(settings.steps):
        transposed = jacobian.transpose(0, 2, 1)
        gradient, hessian = (transposed @ values[..., None])[..., 0], transposed @ jacobian
        now = state.angles.reshape(count, -1)
        held = np.zeros((count, _UNKNOWNS), bool)
        slope = gradient[:, _POSE]
        held[:, _POSE] = ((now <= low) & (slope > 0)) | ((now >= high) & (slope < 0)) | (low == high)
        step = _step(gradient, hessian, damping, held)
        trial = _State(
            rotations.exp(step[:, :3]) @ state.turn,
            np.clip(state.angles + step[:, _POSE].reshape(state.angles.shape), skeleton.low, skeleton.high),
            state.scale * np.exp(np.clip(step[:, _SCALE], -1, 1)),
            state.place + step[:, _SCALE + 1 :],
        )
        trial_values, trial_jacobian = _residuals(trial, evidence, skeleton, settings)
        trial_cost = 0.5 * (trial_values**2).sum(1)
        better = trial_cost < cost
        gain = np.where(better, cost - trial_cost, np.inf)
        state = _State(*(
            np.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)
            for new, old in zip(
                (trial.turn, trial.angles, trial.scale, trial.place),
                (state.turn, state.angles, state.scale, state.place), strict=True,
            )
        ))  # fmt: skip
        cost = np.where(better, trial_cost, cost)
        values = np.where(better[:, None], trial_values, values)
        jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)
        damping = np.clip(np.where(better, damping / 4, damping * 8), 1e-6, 1e4)
        if (gain < settings.least_gain * cost).all():
            break
    return state, cost


def _step(gradient: Floats, hessian: Floats, damping: Floats, held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The damped step (B, U); 0 where ``held``."""
    system = np.where(held[:, :, None] | held[:, None], 0.0, hessian)
    diagonal = np.einsum("bii->bi", hessian)
    np.einsum("bii->bi", system)[:] = np.where(held, 1.0, diagonal * (1 + damping[:, None]) + 1e-6)
    step: NDArray[np.float64] = -np.linalg.solve(system, np.where(held, 0.0, gradient)[..., None])[..., 0]
    return step


def _first_angles(evidence: _Evidence, skeleton: HandSkeleton) -> NDArray[np.float64]:
    """(B, 5, 5) read off the bones' directions in the frame of the palm's first guess."""
    local = np.einsum("bij,bfki->bfkj", evidence.start, evidence.directions[:, :, 1:])
    frame = np.stack([skeleton.along, skeleton.abduction], 1)
    forward, up = np.einsum("bfkj,fcj->cbfk", local, frame)
    side = np.einsum("bfkj,fj->bfk", local, skeleton.flexion)
    bones = np.diff(skeleton.points, axis=1)
    rest_forward, rest_up = np.einsum("fkj,fcj->cfk", bones, frame)
    absolute = np.arctan2(up, forward) - np.arctan2(rest_up, rest_forward)
    absolute = (absolute + np.pi / 2) % (2 * np.pi) - np.pi / 2  # -90..270: fingers curl far one way only
    angles = np.zeros((len(local), _FINGERS, ANGLES))
    angles[..., FLEXION_1] = absolute[..., 0]
    angles[..., ABDUCTION] = -np.arcsin(np.clip(side[..., 0], -1, 1))
    angles[..., FLEXION_2], angles[..., FLEXION_3] = np.diff(absolute, axis=-1).transpose(2, 0, 1)
    return np.clip(angles, skeleton.low, skeleton.high)


def _registered(state: _State, evidence: _Evidence, skeleton: HandSkeleton) -> _State:
    """With the scale and place that bring the points nearest to the picture's."""
    points, _ = skeleton.posed(state.angles)
    flat = np.einsum("bij,bfkj->bfki", state.turn[:, :2], points)
    mine = np.zeros((len(flat), len(HandLandmark), 2))
    mine[:, FINGER_LANDMARKS] = flat
    mean, target = mine.mean(1), evidence.pixels.mean(1)
    mine, seen = mine - mean[:, None], evidence.pixels - target[:, None]
    scale = np.maximum((mine * seen).sum((1, 2)), 1e-6 * evidence.unit) / np.maximum((mine**2).sum((1, 2)), 1e-12)
    scale = np.maximum(scale, evidence.unit)  # the palm is at most 1 m long
    return _State(state.turn, state.angles, scale, (target - scale[:, None] * mean) / evidence.unit[:, None])


def _residuals(
    state: _State, evidence: _Evidence, skeleton: HandSkeleton, settings: HandSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Residuals (B, R) and their Jacobian (B, R, U)."""
    count = len(state.angles)
    points, own = skeleton.posed(state.angles)
    points = points @ state.turn.transpose(0, 2, 1)[:, None]
    own = state.turn[:, None, None] @ own
    # From the wrist, which stays, along each finger: how its points move with turn and angles.
    whole = np.concatenate([np.zeros_like(points[:, :, :1]), points], 2)
    moved = np.zeros((count, _FINGERS, 5, 3, _POSE.stop))
    moved[:, :, 1:, :, :3] = -rotations.skew(points)
    for finger in range(_FINGERS):
        first = 3 + finger * ANGLES
        moved[:, finger, 1:, :, first : first + ANGLES] = own[:, finger]

    values, jacobian = np.zeros((count, _ROWS)), np.zeros((count, _ROWS, _UNKNOWNS))
    bones = whole[:, :, 1:] - whole[:, :, :-1]
    weight = np.array([1, 1, 1, settings.tip])[:, None] / skeleton.lengths[..., None]
    values[:, _DIRECTIONS] = (weight * (bones - evidence.directions * skeleton.lengths[..., None])).reshape(count, -1)
    by_bone = (moved[:, :, 1:] - moved[:, :, :-1]) * weight[..., None]
    jacobian[:, _DIRECTIONS, : _POSE.stop] = by_bone.reshape(count, -1, _POSE.stop)

    # The wrist is there once for each finger.
    share = settings.picture * np.array([_FINGERS**-0.5, 1, 1, 1, 1])[:, None]
    flat = whole[..., :2] * (state.scale / evidence.unit)[:, None, None, None]
    apart = share * (flat + state.place[:, None, None] - evidence.places)
    values[:, _PICTURE] = apart.reshape(count, -1)
    by_place = np.empty((count, _FINGERS, 5, 2, _UNKNOWNS))
    by_place[..., : _POSE.stop] = moved[..., :2, :] * (state.scale / evidence.unit)[:, None, None, None, None]
    by_place[..., _SCALE] = flat
    by_place[..., _SCALE + 1 :] = np.eye(2)
    jacobian[:, _PICTURE] = (by_place * share[..., None]).reshape(count, -1, _UNKNOWNS)

    _add_prior(values, jacobian, state, evidence, settings)
    # The difference of two rotations' entries is, over the root of 2, twice the sine of half the angle between them.
    turn = settings.turn_weight / np.radians(settings.turn) / np.sqrt(2)
    values[:, _TURN] = turn * (state.turn - evidence.start).transpose(0, 2, 1).reshape(count, -1)
    jacobian[:, _TURN, :3] = -turn * rotations.skew(state.turn.transpose(0, 2, 1)).reshape(count, -1, 3)
    return values, jacobian


def _add_prior(values: Floats, jacobian: Floats, state: _State, evidence: _Evidence, settings: HandSettings) -> None:
    """How far the angles are from those expected, and the last joints from following the second ones."""
    count, number = len(values), _FINGERS * ANGLES
    weight = settings.prior / np.radians(settings.spread)
    values[:, _PRIOR] = ((state.angles - evidence.expected) * weight).reshape(count, -1)
    jacobian[:, np.arange(_PRIOR.start, _PRIOR.stop), 3 + np.arange(number)] = weight.reshape(-1)
    coupling = settings.prior / np.radians(settings.coupling)
    followed = state.angles[:, :-1, FLEXION_3] - settings.coupled * state.angles[:, :-1, FLEXION_2]
    values[:, _COUPLING] = followed * coupling
    rows, first = np.arange(_COUPLING.start, _COUPLING.stop), 3 + ANGLES * np.arange(_FINGERS - 1)
    jacobian[:, rows, first + FLEXION_3] = coupling
    jacobian[:, rows, first + FLEXION_2] = -settings.coupled * coupling


def _errors(evidence: _Evidence, state: _State, skeleton: HandSkeleton) -> NDArray[np.float64]:
    """(B,) root mean square distance in the picture, in ``unit``."""
    points, _ = skeleton.posed(state.angles)
    points = np.einsum("bij,bfkj->bfki", state.turn, points)
    placed = np.zeros((len(points), len(HandLandmark), 2))
    placed[:, FINGER_LANDMARKS] = points[..., :2]
    placed = placed * (state.scale / evidence.unit)[:, None, None] + state.place[:, None]
    apart = placed - evidence.pixels / evidence.unit[:, None, None]
    error: NDArray[np.float64] = np.sqrt((apart**2).sum(-1).mean(1))
    return error
