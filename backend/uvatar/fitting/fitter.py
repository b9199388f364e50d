"""People in, bodies out: the order in which the solver is given its evidence.

1. Every start of every person (the landmarks' own, the pose lifter's, others that are given), with every group's shape,
   is placed and fitted to the landmarks: wide robust functions first, so that no limb is lost, then narrow ones. The
   one that explains landmarks and prior best goes on.
2. Its outline is drawn to the mask, with pairs of points made anew before each step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BODY, BodyData, BodyModel
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.fitting import evidence as seen
from uvatar.fitting.chain import BETAS, ORIENT, TRANSL, UNKNOWNS, Points, Skeleton, State
from uvatar.fitting.lifter import Lifted
from uvatar.fitting.models import PoseModels
from uvatar.fitting.prior import PosePrior
from uvatar.fitting.report import quality
from uvatar.fitting.residuals import Evidence, Objective, OutlinePairs, Widths, bone_directions, project
from uvatar.fitting.shape import PERHAPS_CHILD_NOTE, SURELY_CHILD, UNSEEN_CHILD_COST, ShapeGroup, shape_groups
from uvatar.fitting.silhouette import MaskField
from uvatar.fitting.solver import minimise, only
from uvatar.fitting.starts import Start, landmark_start
from uvatar.geometry import rotations

FAR_BEHIND = 8.0  # nats after the landmarks from which a shape group is not tried on the outline
OUTLINE_POINTS = 1000
OUTLINE_WEIGHT = 40.0  # landmarks that the whole outline counts for, each of its two sides
WIDE = Widths(landmark_width=0.2, bone=0.15, prior=1.0)
NARROW = Widths(landmark_width=0.06)
FINAL = Widths(landmark_width=0.06, outline=0.005)
# The last steps follow the landmarks closely, with shape and directions in space held near what was found: they would
# fit noise.
CLOSE = replace(FINAL, landmark=0.0015, bone=0.025)
SHAPE_SLACK = 0.06  # betas that the last steps may move a shape by


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes:
        fast: fewer steps, for a first look.
        silhouette: also fit the outline to the mask.
        betas: (10,) the shape where it is known already (another photo of the person), else None.
        only: names of the starts that are tried, None for all there are.
    """

    fast: bool = False
    silhouette: bool = True
    betas: NDArray[np.float32] | None = None
    only: frozenset[str] | None = None


Progress = Callable[[float, str], None]


def fit_people(
    people: Sequence[Person],
    camera: Camera,
    body: BodyModel,
    models: PoseModels,
    options: FitOptions | None = None,
    starts: Sequence[Sequence[Start]] | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Fit the body model to all people of a photo at once.

    Args:
        people: what perception found.
        camera: the photo's camera; it does not move.
        models: the pose prior and, where it is installed, the lifter.
        starts: further starts per person beside the landmarks' own.
        progress: called with the fraction done (0..1) and a message.

    Returns one `Fit` per person, in order, its ``offsets`` zero (clothing is another stage).
    """
    if not people:
        return []
    options = options or FitOptions()
    report = progress or (lambda fraction, message: None)
    problem = _Problem.of(people, body, camera, models, options)
    report(0.0, "Posing from landmarks")
    guesses = _first_guesses(problem, starts or [[] for _ in people])
    guesses = _pose_from_landmarks(problem, guesses)
    if options.silhouette:
        report(0.4, "Fitting the outline")
        guesses = _fit_outline(problem, guesses)
    guesses, open_age = _decided(guesses)
    guesses = _polished(problem, guesses)
    report(1.0, "Fitted")
    return _results(problem, guesses, open_age)


@dataclass(frozen=True)
class _Guesses:
    """Hypotheses, any number per person, in no order that matters.

    Attributes:
        owners: (G,) index of the person.
        starts: the start each came from.
        groups: the shape group of each.
        state: (G, ...) the bodies.
        costs: (G,) nats.
    """

    owners: NDArray[np.int64]
    starts: list[Start]
    groups: list[ShapeGroup]
    state: State
    costs: NDArray[np.float64]

    def rows(self, index: NDArray) -> _Guesses:
        """The guesses ``index``."""
        return _Guesses(
            self.owners[index],
            [self.starts[i] for i in index],
            [self.groups[i] for i in index],
            self.state.rows(index),
            self.costs[index],
        )

    def best(self, key: Callable[[int, str, str], Hashable], within: float = np.inf) -> _Guesses:
        """The cheapest guess of each key (owner, start's name, group's name), if it is ``within`` so many nats of its
        owner's cheapest.
        """
        least: dict[int, float] = {}
        chosen: dict[Hashable, int] = {}
        for i in np.argsort(self.costs):
            owner = int(self.owners[i])
            if self.costs[i] <= least.setdefault(owner, self.costs[i]) + within:
                chosen.setdefault(key(owner, self.starts[i].name, self.groups[i].name), int(i))
        return self.rows(np.array(sorted(chosen.values(), key=lambda i: self.owners[i])))


@dataclass(frozen=True)
class _Problem:
    """The people of a call, what is known of each, and what they share.

    Attributes:
        lifted: what the pose lifter says of each of ``people``; empty where its weights are not installed.
        evidence: a row for each of ``people``.
    """

    people: Sequence[Person]
    lifted: list[Lifted]
    evidence: Evidence
    camera: Camera
    skeleton: Skeleton
    landmarks: Points
    outline: Points
    prior: PosePrior
    groups: list[ShapeGroup]
    vertices: int
    options: FitOptions

    @classmethod
    def of(
        cls, people: Sequence[Person], body: BodyModel, camera: Camera, models: PoseModels, options: FitOptions
    ) -> _Problem:
        data, lifter, prior = body.data, models.lifter, models.prior
        lifted = [lifter.lift(person, camera) for person in people] if lifter else []
        skeleton = Skeleton(
            data.joint_template.astype(float), data.joint_shapedirs.astype(float), tuple(int(p) for p in data.parents)
        )
        landmarks = Points(
            *(a.astype(float) for a in (data.landmark_template, data.landmark_shapedirs, data.landmark_weights))
        )
        evidence = seen.gather(people, camera)
        if lifted:
            evidence = seen.with_lifted(evidence, _lifted_bones(lifted, skeleton, landmarks))
        known = options.betas
        groups = shape_groups(data) if known is None else [ShapeGroup("all", known.astype(float), np.eye(len(known)))]
        outline = _outline_points(data)
        return cls(
            people, lifted, evidence, camera, skeleton, landmarks, outline, prior, groups, len(data.v_template), options
        )

    def objective(self, guesses: _Guesses, widths: Widths) -> Objective:
        """What the guesses should agree with, a row for each."""
        evidence = self.evidence.rows(guesses.owners)
        mean = np.stack([group.mean for group in guesses.groups])
        whitener = np.stack([group.whitener for group in guesses.groups])
        fixed = np.full(len(mean), self.options.betas is not None)
        evidence = replace(evidence, betas_mean=mean, betas_whitener=whitener, betas_fixed=fixed)
        return Objective(self.camera, self.skeleton, self.landmarks, self.prior, evidence, widths)


def _first_guesses(problem: _Problem, further: Sequence[Sequence[Start]]) -> _Guesses:
    """Every start of every person with every group's mean shape."""
    table = [
        (number, start, group)
        for number, person in enumerate(problem.people)
        for start in [
            _analytic(problem, person),
            *(_learned(lifted) for lifted in problem.lifted[number : number + 1]),
            *further[number],
        ]
        if problem.options.only is None or start.name in problem.options.only
        for group in problem.groups
    ]
    owners, starts, groups = zip(*table, strict=True)
    fixed = problem.options.betas
    betas = np.stack([group.mean if fixed is None else fixed.astype(float) for group in groups])
    state = State(
        np.stack([s.orient for s in starts]), np.stack([s.pose for s in starts]), betas, np.zeros((len(table), 3))
    )
    return _Guesses(np.array(owners), list(starts), list(groups), state, np.array([group.cost for group in groups]))


def _pose_from_landmarks(problem: _Problem, guesses: _Guesses) -> _Guesses:
    """Fit all guesses to the landmarks; per person and group the best start goes on, unless its group is far behind."""
    objective = problem.objective(guesses, WIDE)
    steps = 2 if problem.options.fast else 1
    state = _placed(objective, guesses.state)
    state, _, _ = minimise(objective, state, 6 // steps, free=only(ORIENT, BETAS, TRANSL))
    state, _, damping = minimise(objective, state, 10 // steps)
    objective = replace(objective, widths=NARROW)
    state, _, _ = minimise(objective, state, 12 // steps, damping)
    return _judged(objective, guesses, state).best(lambda owner, start, group: (owner, group), within=FAR_BEHIND)


def _analytic(problem: _Problem, person: Person) -> Start:
    return landmark_start(seen.world_landmarks(person, problem.camera), problem.landmarks.template)


def _learned(lifted: Lifted) -> Start:
    return Start("lifter", lifted.orient, lifted.pose)


def _lifted_bones(lifted: Sequence[Lifted], skeleton: Skeleton, landmarks: Points) -> NDArray[np.float64]:
    """(B, N, 3) directions of the `BONES` of the lifted bodies, camera axes."""
    orient, pose, betas = (np.stack([getattr(one, name) for one in lifted]) for name in ("orient", "pose", "betas"))
    return bone_directions(
        skeleton.pose(State(orient, pose, betas, np.zeros((len(lifted), 3)))).place(landmarks).positions
    )


def _placed(objective: Objective, state: State) -> State:
    """Translation that puts the landmarks nearest to where they are seen: linear in the rays' own equations."""
    camera, evidence = objective.camera, objective.evidence
    points = objective.skeleton.pose(state).place(objective.landmarks).positions
    ray = (evidence.landmarks - np.asarray(camera.center)) / camera.focal
    weight = evidence.landmark_weights[..., None]
    # x + tx = ray_x (z + tz): rows (1, 0, -ray_x), right side ray_x z - x, and the same for y.
    right = ray * points[..., 2:] - points[..., :2]
    total = weight.sum(1)[:, 0]
    mean_ray, mean_right = (weight * ray).sum(1) / total[:, None], (weight * right).sum(1) / total[:, None]
    depth = -(weight * (ray - mean_ray[:, None]) * (right - mean_right[:, None])).sum((1, 2))
    depth = depth / np.maximum((weight * (ray - mean_ray[:, None]) ** 2).sum((1, 2)), 1e-12)
    depth = np.maximum(depth, 0.5)
    return replace(state, transl=np.concatenate([mean_right + mean_ray * depth[:, None], depth[:, None]], 1))


def _fit_outline(problem: _Problem, guesses: _Guesses) -> _Guesses:
    """Draw the outlines of all guesses to their masks."""
    objective = problem.objective(guesses, FINAL)
    objective, state = _drawn(problem, guesses, objective, 5 if problem.options.fast else 12)
    return _judged(objective, guesses, state)


def _decided(guesses: _Guesses) -> tuple[_Guesses, set[int]]:
    """The cheapest guess of each person, a child's only where it is so by far; and the people who may be children all
    the same.
    """
    child = _of_children(guesses)
    grown_up: dict[int, float] = {}
    for owner, cost in zip(guesses.owners[~child].tolist(), guesses.costs[~child].tolist(), strict=True):
        grown_up[owner] = min(cost, grown_up.get(owner, np.inf))
    cheapest = guesses.best(lambda owner, start, group: owner)
    open_age = {
        int(owner)
        for owner, cost, young in zip(cheapest.owners, cheapest.costs, _of_children(cheapest), strict=True)
        if young and grown_up.get(int(owner), np.inf) < cost * (1 + SURELY_CHILD)
    }
    kept = np.flatnonzero(~(child & np.isin(guesses.owners, list(open_age))))
    return guesses.rows(kept).best(lambda owner, start, group: owner), open_age


def _of_children(guesses: _Guesses) -> NDArray[np.bool_]:
    """(G,) which guesses are of the group of children."""
    return np.array([group.name == "child" for group in guesses.groups])


def _polished(problem: _Problem, guesses: _Guesses) -> _Guesses:
    """The last steps: close to the landmarks within the photo, true to the shape and the directions found so far in
    space.
    """
    found = guesses.state
    directions = bone_directions(problem.skeleton.pose(found).place(problem.landmarks).positions)
    objective = problem.objective(guesses, CLOSE)
    evidence = replace(
        objective.evidence,
        bones=directions,
        bone_weights=np.ones(directions.shape[:2]),
        betas_mean=found.betas,
        betas_whitener=np.tile(np.eye(10) / SHAPE_SLACK, (len(found.betas), 1, 1)),
    )
    _, state = _drawn(problem, guesses, replace(objective, evidence=evidence), 3 if problem.options.fast else 5)
    return replace(guesses, state=state)


def _drawn(problem: _Problem, guesses: _Guesses, objective: Objective, steps: int) -> tuple[Objective, State]:
    """Steps towards landmarks and mask, body points and mask pixels paired anew before each (iterated closest
    points).
    """
    state, damping = guesses.state, None
    if not problem.options.silhouette:
        state, _, _ = minimise(objective, state, steps)
        return objective, state
    masks = [MaskField.of(person, problem.camera.width, problem.camera.height) for person in problem.people]
    fields = [masks[owner] for owner in guesses.owners]
    for _ in range(steps):
        objective = replace(objective, outline=_paired(problem, fields, state))
        state, _, damping = minimise(objective, state, 1, damping)
    return replace(objective, outline=_paired(problem, fields, state)), state


def _judged(objective: Objective, guesses: _Guesses, state: State) -> _Guesses:
    """The guesses, fitted, with what each costs: Laplace's approximation of minus the log probability of the evidence.

    Without the Hessian's determinant, a group as various as children could never win against one as uniform as men.
    """
    costs, _, hessian = objective.linearised(state)
    width = 0.5 * np.linalg.slogdet(hessian + 1e-6 * np.eye(UNKNOWNS))[1]
    return replace(guesses, state=state, costs=costs + width + _group_costs(objective, guesses))


def _group_costs(objective: Objective, guesses: _Guesses) -> NDArray[np.float64]:
    """(G,) nats that each guess's group costs by itself: children are told by their proportions, so their legs must be
    seen.
    """
    unseen = objective.evidence.unseen_legs.mean(1)
    return np.array([group.cost for group in guesses.groups]) + UNSEEN_CHILD_COST * _of_children(guesses) * unseen


def _paired(problem: _Problem, fields: Sequence[MaskField | None], state: State) -> OutlinePairs:
    pixels, _ = project(problem.skeleton.pose(state).place(problem.outline).positions, problem.camera)
    pairs = [field.match(points) if field else None for field, points in zip(fields, pixels, strict=True)]
    size = max((len(pair[0]) for pair in pairs if pair), default=1)
    empty = (np.zeros(size, int), np.zeros((size, 2)), np.zeros((size, 2)), np.zeros(size))
    padded = [tuple(_padded(array, size) for array in pair) if pair else empty for pair in pairs]
    index, targets, normals, weights = (np.stack(arrays) for arrays in zip(*padded, strict=True))
    return OutlinePairs(problem.outline.chosen(index), targets, normals, weights * OUTLINE_WEIGHT)


def _padded(array: NDArray, size: int) -> NDArray:
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])


def _outline_points(data: BodyData) -> Points:
    """Vertices spread evenly over the body's surface: what is compared with the mask."""
    corners = data.v_template[data.faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    share = np.bincount(data.faces.reshape(-1), np.repeat(area, 3), len(data.v_template)) * (data.part == BODY)
    rng = np.random.default_rng(0)
    index = rng.choice(len(share), min(OUTLINE_POINTS, int((share > 0).sum())), replace=False, p=share / share.sum())
    return Points(*(a[index].astype(float) for a in (data.v_template, data.shapedirs, data.weights)))


def _results(problem: _Problem, guesses: _Guesses, open_age: Collection[int]) -> list[Fit]:
    """What was found, with what to know about it; ``open_age``: the people who may be children, and may not."""
    state = guesses.state
    pixels, _ = project(problem.skeleton.pose(state).place(problem.landmarks).positions, problem.camera)
    orient = rotations.log(state.orient)
    fits = []
    for i, person in enumerate(problem.people):
        judged = quality(person, pixels[i], problem.camera, guesses.groups[i])
        parameters = BodyParameters(
            betas=state.betas[i].astype(np.float32),
            global_orient=orient[i].astype(np.float32),
            body_pose=np.concatenate([state.pose[i], np.zeros((2, 3))]).astype(np.float32),
            transl=state.transl[i].astype(np.float32),
        )
        fits.append(
            Fit(
                parameters,
                np.zeros((problem.vertices, 3), np.float32),
                judged.landmark_error_median,
                judged.landmark_error_p95,
                judged.confidence,
                guesses.starts[i].name,
                (*judged.notes, *([PERHAPS_CHILD_NOTE] if i in open_age else [])),
                guesses.groups[i].name,
                float(guesses.costs[i]),
            )
        )
    return fits
