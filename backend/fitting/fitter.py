"""People in, bodies out: the order in which the solver is given its evidence.

1. Every start of every person, with every group's shape, is placed and fitted to the landmarks: wide robust functions first,
   so that no limb is lost, then narrow ones. The one that explains landmarks and prior best goes on.
2. Its outline is drawn to the mask, with pairs of points made anew before each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.body import BODY, BodyData, BodyModel
from backend.camera import Camera
from backend.fitting import evidence as seen
from backend.fitting import rotations
from backend.fitting.chain import BETAS, ORIENT, POSE, TRANSL, Points, Skeleton, State
from backend.fitting.fit import BodyParameters, Fit
from backend.fitting.prior import PosePrior
from backend.fitting.residuals import Objective, OutlinePairs, Widths, project
from backend.fitting.shape import ShapeGroup, shape_groups
from backend.fitting.silhouette import MaskField
from backend.fitting.solver import minimise, only
from backend.fitting.starts import Start, landmark_start
from backend.perception.person import Person

OUTLINE_POINTS = 1000
OUTLINE_WEIGHT = 40.0  # landmarks that the whole outline counts for, each of its two sides
WIDE = Widths(landmark_width=0.2, bone=0.15, prior=1.0)
NARROW = Widths(landmark_width=0.06)
FINAL = Widths(landmark_width=0.06, outline=0.005)


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes:
        fast: fewer steps, for a first look.
        silhouette: also fit the outline to the mask.
        betas: (10,) the shape where it is known already (another photo of the person), else None.
    """

    fast: bool = False
    silhouette: bool = True
    betas: NDArray[np.float32] | None = None


Progress = Callable[[float, str], None]


def fit_people(
    people: Sequence[Person],
    camera: Camera,
    body: BodyModel,
    options: FitOptions | None = None,
    starts: Sequence[Sequence[Start]] | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Fit the body model to all people of a photo at once.

    Args:
        people: what perception found.
        camera: the photo's camera; it does not move.
        starts: further starts per person beside the landmarks' own.
        progress: called with the fraction done (0..1) and a message.

    Returns one `Fit` per person, in order, its ``offsets`` zero (clothing is another stage).
    """
    if not people:
        return []
    options = options or FitOptions()
    report = progress or (lambda fraction, message: None)
    problem = _Problem.of(body.data, camera, options)
    report(0.0, "Posing from landmarks")
    names, groups, state = _pose_from_landmarks(problem, people, starts or [[] for _ in people])
    report(0.5, "Fitting the outline")
    objective = problem.objective(people, groups, NARROW)
    if options.silhouette:
        state = _fit_outline(problem, objective, people, state)
    report(1.0, "Fitted")
    return _results(problem, people, objective, state, names)


@dataclass(frozen=True)
class _Problem:
    """What all people of a call share."""

    camera: Camera
    skeleton: Skeleton
    landmarks: Points
    outline: Points
    prior: PosePrior
    groups: list[ShapeGroup]
    vertices: int
    options: FitOptions

    @classmethod
    def of(cls, data: BodyData, camera: Camera, options: FitOptions) -> _Problem:
        skeleton = Skeleton(data.joint_template.astype(float), data.joint_shapedirs.astype(float), tuple(int(p) for p in data.parents))
        landmarks = Points(*(a.astype(float) for a in (data.landmark_template, data.landmark_shapedirs, data.landmark_weights)))
        return cls(camera, skeleton, landmarks, _outline_points(data), PosePrior.load(), shape_groups(data), len(data.v_template), options)

    def objective(self, people: Sequence[Person], groups: Sequence[ShapeGroup], widths: Widths) -> Objective:
        evidence = seen.gather(people, groups, self.camera, self.options.betas)
        return Objective(self.camera, self.skeleton, self.landmarks, self.prior, evidence, widths)


def _pose_from_landmarks(
    problem: _Problem, people: Sequence[Person], further: Sequence[Sequence[Start]]
) -> tuple[list[str], list[ShapeGroup], State]:
    """The best hypothesis of every person after the landmark stages: name of its start, its shape group, its body."""
    owners: list[int] = []
    chosen: list[Start] = []
    groups: list[ShapeGroup] = []
    for number, person in enumerate(people):
        for start in [_analytic(problem, person), *further[number]]:
            for group in problem.groups:
                owners.append(number)
                chosen.append(start)
                groups.append(group)
    objective = problem.objective([people[i] for i in owners], groups, WIDE)
    betas = objective.evidence.betas_mean if problem.options.betas is None else np.tile(problem.options.betas.astype(float), (len(owners), 1))
    state = State(np.stack([s.orient for s in chosen]), np.stack([s.pose for s in chosen]), betas, np.zeros((len(owners), 3)))
    state = _placed(objective, state)
    steps = 2 if problem.options.fast else 1
    state, _, _ = minimise(objective, state, 6 // steps, free=only(ORIENT, BETAS, TRANSL))
    state, _, damping = minimise(objective, state, 10 // steps)
    state, cost, _ = minimise(replace(objective, widths=NARROW), state, 12 // steps, damping)
    cost = cost + np.array([group.cost for group in groups])
    owner = np.array(owners)
    best = [int(np.flatnonzero(owner == i)[cost[owner == i].argmin()]) for i in range(len(people))]
    return [chosen[i].name for i in best], [groups[i] for i in best], state.rows(np.array(best))


def _analytic(problem: _Problem, person: Person) -> Start:
    return landmark_start(seen.world_landmarks(person, problem.camera), problem.landmarks.template)


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


def _fit_outline(problem: _Problem, objective: Objective, people: Sequence[Person], state: State) -> State:
    camera = problem.camera
    fields = [MaskField.of(person, camera.width, camera.height) for person in people]
    damping = None
    for _ in range(6 if problem.options.fast else 14):
        positions = problem.skeleton.pose(state).place(problem.outline).positions
        pixels, _ = project(positions, camera)
        outline = _paired(problem, fields, pixels)
        state, _, damping = minimise(replace(objective, widths=FINAL, outline=outline), state, 1, damping)
    return state


def _paired(problem: _Problem, fields: Sequence[MaskField | None], pixels: NDArray) -> OutlinePairs:
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


def _results(problem: _Problem, people: Sequence[Person], objective: Objective, state: State, names: Sequence[str]) -> list[Fit]:
    pixels, _ = project(problem.skeleton.pose(state).place(problem.landmarks).positions, problem.camera)
    orient = rotations.log(state.orient)
    fits = []
    for i, person in enumerate(people):
        visible = person.landmarks[:, 2] > seen.SEEN
        errors = np.linalg.norm(pixels[i] - person.landmarks[:, :2], axis=-1)[visible] / seen.box_side(person)
        median, p95 = (float(np.percentile(errors, q)) for q in (50, 95)) if visible.any() else (1.0, 1.0)
        parameters = BodyParameters(
            betas=state.betas[i].astype(np.float32),
            global_orient=orient[i].astype(np.float32),
            body_pose=np.concatenate([state.pose[i], np.zeros((2, 3))]).astype(np.float32),
            transl=state.transl[i].astype(np.float32),
        )
        confidence = float(person.landmarks[:, 2].mean() * np.exp(-((median / 0.03) ** 2)))
        fits.append(Fit(parameters, np.zeros((problem.vertices, 3), np.float32), median, p95, confidence, names[i]))
    return fits


__all__ = ["POSE", "FitOptions", "fit_people"]
