"""People in, bodies out: the order in which the solver is given its evidence.

1. Every start of every person (the landmarks' own, the pose lifter's, others that are given), with every group's shape,
   is placed and fitted to the landmarks: wide robust functions first, so that no limb is lost, then narrow ones. The
   landmarks' own goes on, and beside it the best other one if that explains landmarks and prior clearly better.
2. Their outlines are drawn to the mask, with pairs of points made anew before each step; the best one goes on.
3. Whoever stands is made upright where the photo does not tell (`uvatar.fitting.upright`).
4. The body that is left of each person follows landmarks and outline closely, its shape held and what bears weight on
   the ground.
5. Whoever's legs are not in the photo stands on them.
6. Several people who stand are made larger or smaller, and so farther away or nearer, until they stand on one ground.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.gravity import GravityEvidence
from uvatar.data.joints import Joint
from uvatar.data.landmarks import HIPS, SHOULDERS
from uvatar.data.person import Person
from uvatar.data.progress import StageProgress
from uvatar.data.start import Start
from uvatar.fitting.chain import BETAS, ORIENT, TRANSL, UNKNOWNS, State
from uvatar.fitting.gravity import stances_and_gravity
from uvatar.fitting.hypotheses import Hypotheses
from uvatar.fitting.objective import Objective
from uvatar.fitting.observations import Observations, world_landmarks
from uvatar.fitting.parameters import parameters_of
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.report import quality
from uvatar.fitting.settings import DEFAULT_SETTINGS, FittingSettings
from uvatar.fitting.shape import PERHAPS_CHILD_NOTE, ShapeGroup, unseen_proportions
from uvatar.fitting.sizes import likely_sizes
from uvatar.fitting.solver import minimise, only
from uvatar.fitting.standing import stood_up
from uvatar.fitting.starts import LANDMARKS, landmark_start
from uvatar.fitting.terms import LandmarkTerm, Term
from uvatar.fitting.terms.base import Stage, project
from uvatar.fitting.terms.face_size import FaceSizeTerm
from uvatar.fitting.upright import on_one_ground, straightened


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes:
        fast: fewer steps, for a first look.
        silhouette: also fit the outline to the mask.
        betas: (10,) the shape where it is known already (another photo of the person), else None.
        heights: metres of each person, None or left out where they are not known; without effect where the shape is.
        only: names of the starts that are tried, None for all there are.
    """

    fast: bool = False
    silhouette: bool = True
    betas: NDArray[np.float32] | None = None
    heights: Sequence[float | None] = ()
    only: frozenset[str] | None = None


DEFAULT_OPTIONS = FitOptions()
Report = Callable[[float], None]  # with the fraction of a stage that is done, 0..1
# Fractions of the time after which the first two stages and the third are done.
_LANDMARKS_DONE, _OUTLINE_DONE = 0.4, 0.9


def fit_people(
    people: Sequence[Person],
    camera: Camera,
    model: FittingModel,
    options: FitOptions = DEFAULT_OPTIONS,
    starts: Sequence[Sequence[Start]] | None = None,
    report: StageProgress | None = None,
    settings: FittingSettings = DEFAULT_SETTINGS,
    gravity: GravityEvidence | None = None,
) -> list[Fit]:
    """Fit the body model to all people of a photo at once.

    Args:
        people: what perception found.
        camera: the photo's camera; it does not move.
        model: the body, prepared by `uvatar.fitting.prepared.prepare_fitting`.
        options: how to fit.
        starts: further starts per person beside the landmarks' own.
        report: called with the fraction done (0..1) and a message after every step.
        settings: tuned numbers.
        gravity: what the photo says about the vertical besides its people. None fits everybody alone; otherwise
            whoever stands is made upright about the vertical that all of them share, on one ground.

    Returns:
        One `Fit` per person, in order, its ``offsets`` zero (clothing is another stage).
    """
    if not people:
        return []
    report = report or (lambda fraction, message: None)
    problem = _Problem.of(people, camera, model, options, settings)
    hypotheses = _first_hypotheses(problem, starts or [[] for _ in people])
    hypotheses = _pose_from_landmarks(
        problem, hypotheses, _stage_report(report, 0.0, _LANDMARKS_DONE, "Posing from landmarks")
    )
    if options.silhouette:
        hypotheses = _fit_outline(
            problem, hypotheses, _stage_report(report, _LANDMARKS_DONE, _OUTLINE_DONE, "Fitting the outline")
        )
    hypotheses, open_age = hypotheses.decided(problem.faces, settings.shapes)
    if options.betas is None:
        likely = likely_sizes(hypotheses.state, hypotheses.groups, problem.observed.heights, model)
        hypotheses = replace(hypotheses, state=likely)
    if gravity is not None:
        hypotheses = _upright(problem, hypotheses, gravity)
    details = _stage_report(report, _OUTLINE_DONE, 1.0, "Fitting the details")
    hypotheses = _fit_closely(problem, hypotheses, gravity, details)
    if gravity is not None:
        if problem.observed.unseen_legs.min(1).any():
            hypotheses = _stood_up(problem, hypotheses, gravity)
        # The last steps have moved feet, but little: the bodies are as large as they should be.
        hypotheses = _on_one_ground(problem, hypotheses, gravity)
    return _results(problem, hypotheses, open_age)


def _stage_report(report: StageProgress, start: float, end: float, message: str) -> Report:
    """The report of a stage that lasts from ``start`` to ``end`` of the whole, 0..1."""
    return lambda fraction: report(start + (end - start) * fraction, message)


def _part_report(report: Report, start: float, end: float) -> Report:
    """The report of a part that lasts from ``start`` to ``end`` of a stage, 0..1."""
    return lambda fraction: report(start + (end - start) * fraction)


@dataclass(frozen=True)
class _Problem:
    """The people of a call, what is known of each, and what they share.

    Attributes:
        observed: a row for each person.
        terms: likewise.
        groups: of people that are tried.
    """

    observed: Observations
    terms: list[Term]
    groups: Sequence[ShapeGroup]
    options: FitOptions
    settings: FittingSettings

    @classmethod
    def of(
        cls,
        people: Sequence[Person],
        camera: Camera,
        model: FittingModel,
        options: FitOptions,
        settings: FittingSettings,
    ) -> _Problem:
        observed = Observations.of(people, camera, model, options.silhouette, options.heights)
        known = options.betas
        groups = model.groups if known is None else [ShapeGroup("all", known.astype(float), np.eye(len(known)))]
        terms = [term for make in settings.terms if (term := make(observed)) is not None]
        return cls(observed, terms, groups, options, settings)

    @property
    def faces(self) -> NDArray[np.float64]:
        """(N,) 0..1, how well the size of each person's face is known."""
        for term in self.terms:
            if isinstance(term, FaceSizeTerm):
                return term.weights
        return np.zeros(len(self.observed.people))

    def objective(self, hypotheses: Hypotheses) -> Objective:
        """What the hypotheses should agree with, a row for each."""
        terms = [term.rows(hypotheses.owners).in_groups(hypotheses.groups) for term in self.terms]
        fixed = self.options.betas is not None
        return Objective(self.observed.camera, self.observed.model, terms, fixed)

    def minimised(
        self,
        objective: Objective,
        state: State,
        steps: int,
        damping: Floats | None = None,
        free: NDArray[np.bool_] | None = None,
        report: Report | None = None,
    ) -> tuple[State, NDArray[np.float64]]:
        """`minimise` with the settings of this call: the bodies and the damping."""
        state, _, damping = minimise(objective, state, steps, damping, free, self.settings.solver, report)
        return state, damping


def _first_hypotheses(problem: _Problem, further: Sequence[Sequence[Start]]) -> Hypotheses:
    """Every start of every person with every group's mean shape."""
    observed, options = problem.observed, problem.options
    table = [
        (number, start, group)
        for number, person in enumerate(observed.people)
        for start in [
            landmark_start(
                world_landmarks(person, observed.camera),
                observed.model.landmarks.template,
                settings=problem.settings.starts,
            ),
            *(Start("lifter", lifted.orient, lifted.pose) for lifted in observed.lifted[number : number + 1]),
            *further[number],
        ]
        if options.only is None or start.name in options.only
        for group in problem.groups
    ]
    owners, starts, groups = zip(*table, strict=True)
    state = State(
        np.stack([start.orient for start in starts]),
        np.stack([start.pose for start in starts]),
        np.stack([group.mean for group in groups]),
        np.zeros((len(table), 3)),
    )
    costs = np.array([group.cost for group in groups])
    return Hypotheses(np.array(owners), list(starts), list(groups), state, costs)


def _pose_from_landmarks(problem: _Problem, hypotheses: Hypotheses, report: Report) -> Hypotheses:
    """Fit all hypotheses to the landmarks. The landmarks' own of each person and group goes on, and the best other one
    if it is clearly better; what is far behind does not.
    """
    settings, objective = problem.settings, problem.objective(hypotheses)
    search, narrow = objective.at(Stage.SEARCH), objective.at(Stage.LANDMARKS)
    steps = [settings.place_steps, settings.search_steps, settings.landmark_steps]
    steps = [count // (2 if problem.options.fast else 1) for count in steps]
    ends = np.cumsum([0, *steps]) / sum(steps)
    reports = [_part_report(report, float(start), float(end)) for start, end in itertools.pairwise(ends)]
    state = _placed(search, hypotheses.state)
    free = only(ORIENT, BETAS, TRANSL)
    state, _ = problem.minimised(search, state, steps[0], free=free, report=reports[0])
    state, damping = problem.minimised(search, state, steps[1], report=reports[1])
    state, _ = problem.minimised(narrow, state, steps[2], damping, report=reports[2])
    fitted = _with_costs(problem, narrow, hypotheses, state)
    best = fitted.best(lambda owner, start, group: (owner, group, start == LANDMARKS), within=settings.far_behind)
    return best.clearly_better_than(LANDMARKS, settings.clearly_better)


def _placed(objective: Objective, state: State) -> State:
    """The bodies where their landmarks are seen, if there is a term for these."""
    points = objective.bodies(state).landmarks.positions
    for term in objective.terms:
        if isinstance(term, LandmarkTerm):
            return replace(state, transl=term.translations(points, objective.camera))
    return state


def _fit_outline(problem: _Problem, hypotheses: Hypotheses, report: Report) -> Hypotheses:
    """Draw the outlines of all hypotheses to their masks."""
    objective = problem.objective(hypotheses).at(Stage.OUTLINE)
    steps = problem.settings.outline_steps[problem.options.fast]
    objective, state = _paired_steps(problem, objective, hypotheses.state, steps, report)
    return _with_costs(problem, objective, hypotheses, state)


def _upright(problem: _Problem, hypotheses: Hypotheses, evidence: GravityEvidence) -> Hypotheses:
    """One body for each person, made upright where the photo does not tell, and put where the photo shows it."""
    seen = problem.observed
    stances, gravity = stances_and_gravity(seen.people, hypotheses.state, seen.camera, seen.model, evidence)
    if not any(stance.upright for stance in stances):
        return hypotheses
    straight = straightened(hypotheses.state, stances, gravity, seen.model.skeleton)
    hypotheses = _on_one_ground(problem, replace(hypotheses, state=straight), evidence)
    objective = problem.objective(hypotheses).at(Stage.LANDMARKS)
    state, _ = problem.minimised(objective, hypotheses.state, problem.settings.upright_steps, free=only(TRANSL))
    return replace(hypotheses, state=state)


def _on_one_ground(problem: _Problem, hypotheses: Hypotheses, evidence: GravityEvidence) -> Hypotheses:
    """The bodies of those who stand larger and farther away, or the reverse, so that they stand on one ground."""
    if problem.options.betas is not None or len(hypotheses.owners) < 2:
        return hypotheses
    seen, bodies, children = problem.observed, hypotheses.state, hypotheses.of_children
    stances, gravity = stances_and_gravity(seen.people, bodies, seen.camera, seen.model, evidence)
    return replace(hypotheses, state=on_one_ground(bodies, stances, gravity, seen.model, seen.heights, children))


def _stood_up(problem: _Problem, hypotheses: Hypotheses, evidence: GravityEvidence) -> Hypotheses:
    """The bodies with those standing whose legs the photo does not show."""
    seen, bodies = problem.observed, hypotheses.state
    _, gravity = stances_and_gravity(seen.people, bodies, seen.camera, seen.model, evidence)
    return replace(hypotheses, state=stood_up(bodies, seen.unseen_legs, np.array(gravity.up), seen.model.skeleton))


def _fit_closely(
    problem: _Problem, hypotheses: Hypotheses, evidence: GravityEvidence | None, report: Report
) -> Hypotheses:
    """The last steps: close to the picture, true to the shape and the directions in space found so far."""
    objective = problem.objective(hypotheses).at(Stage.CLOSE).held(hypotheses.state)
    if evidence is not None:
        seen = problem.observed
        known = stances_and_gravity(seen.people, hypotheses.state, seen.camera, seen.model, evidence)
        objective = objective.on_ground(*known)
    steps = problem.settings.close_steps[problem.options.fast]
    _, state = _paired_steps(problem, objective, hypotheses.state, steps, report)
    return replace(hypotheses, state=state)


def _paired_steps(
    problem: _Problem, objective: Objective, state: State, steps: int, report: Report
) -> tuple[Objective, State]:
    """Take steps with body points and mask pixels paired anew before each; the objective is paired after the last."""
    damping = None
    for number in range(steps):
        objective = objective.paired(state)
        state, damping = problem.minimised(objective, state, 1, damping)
        report((number + 1) / steps)
    return objective.paired(state), state


def _with_costs(problem: _Problem, objective: Objective, hypotheses: Hypotheses, state: State) -> Hypotheses:
    """The fitted hypotheses with their costs, nats: Laplace's approximation of minus the log probability of the
    evidence.

    Without the Hessian's determinant, a group as various as children could never win against one as uniform as men.
    """
    costs, _, hessian = objective.linearised(state)
    width = 0.5 * np.linalg.slogdet(hessian + 1e-6 * np.eye(UNKNOWNS))[1]
    # Children are told by their proportions, so these must be seen.
    seen, owners = problem.observed, hypotheses.owners
    joints = seen.model.skeleton.pose(state).joints
    hidden = unseen_proportions(
        (seen.landmarks[:, SHOULDERS, :2].mean(1) - seen.landmarks[:, HIPS, :2].mean(1))[owners],
        joints[:, Joint.NECK] - joints[:, Joint.PELVIS],
        seen.unseen_legs[owners],
        problem.settings.shapes,
    )
    group_costs = np.array([group.cost for group in hypotheses.groups])
    group_costs = group_costs + problem.settings.shapes.unseen_child_cost * hypotheses.of_children * hidden
    return replace(hypotheses, state=state, costs=costs + width + group_costs)


def _results(problem: _Problem, hypotheses: Hypotheses, open_age: Collection[int]) -> list[Fit]:
    """What was found, with what to know about it; ``open_age``: the people who may be children, and may not."""
    observed, state = problem.observed, hypotheses.state
    model = observed.model
    pixels, _ = project(model.skeleton.pose(state).place(model.landmarks).positions, observed.camera)
    fits = []
    for i, (person, parameters) in enumerate(zip(observed.people, parameters_of(state, observed), strict=True)):
        judged = quality(person, pixels[i], observed.camera, hypotheses.groups[i], problem.settings.report)
        fits.append(
            Fit(
                parameters,
                np.zeros((model.vertices, 3), np.float32),
                judged.landmark_error_median,
                judged.landmark_error_p95,
                judged.confidence,
                hypotheses.starts[i].name,
                (*judged.notes, *([PERHAPS_CHILD_NOTE] if i in open_age else [])),
                hypotheses.groups[i].name,
                float(hypotheses.costs[i]),
            )
        )
    return fits
