"""The tuned numbers of fitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from uvatar.fitting.observations import Observations
from uvatar.fitting.report import ReportSettings
from uvatar.fitting.shape import ShapeSettings
from uvatar.fitting.solver import SolverSettings
from uvatar.fitting.starts import StartSettings
from uvatar.fitting.terms import TERMS, Term


@dataclass(frozen=True)
class FittingSettings:
    """Tuned numbers of fitting; those of a term are in its own file.

    How the numbers of steps were chosen is not recorded; in the prototype of the fit, half as many were enough for easy
    poses and lost hard ones.

    Attributes:
        terms: what makes each term of the observations.
        shapes: of the choice between groups of people.
        starts: of the starts' poses.
        solver: of the single steps.
        report: of the judgement.
        place_steps, search_steps, landmark_steps: of the first stage, place and shape alone; of the first stage, all;
            of the second. Half as many when fast.
        outline_steps, close_steps: of the last two stages: (by default, when fast). With the ground to be followed too,
            seven close steps are as near to the landmarks as five were without it.
        upright_steps: between these two, of the place alone, after bodies were made upright.
        clearly_better: nats after the landmarks by which another start must be better than the landmarks' own to go on
            to the outline beside it. Of 71 people in real photos 11 have such a start; the end of the fit is lower by
            more than a nat for 9 and higher for none. When the better one alone went on, it was lower for 9 and higher
            for 3; without the limit, for 9 and 8, for where both are as good the landmarks' own often ends better.
        far_behind: nats after the landmarks from which a shape group is not tried on the outline, which saves time. How
            it was chosen is not recorded.
    """

    terms: tuple[Callable[[Observations], Term | None], ...] = tuple(term.of for term in TERMS)
    shapes: ShapeSettings = field(default_factory=ShapeSettings)
    starts: StartSettings = field(default_factory=StartSettings)
    solver: SolverSettings = field(default_factory=SolverSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    place_steps: int = 6
    search_steps: int = 10
    landmark_steps: int = 12
    outline_steps: tuple[int, int] = (12, 5)
    close_steps: tuple[int, int] = (7, 3)
    upright_steps: int = 3
    clearly_better: float = 0.25
    far_behind: float = 8.0


DEFAULT_SETTINGS = FittingSettings()
