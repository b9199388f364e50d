"""`evaluate starts`: which starts are tried, and what the table says of where their fits end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import Fit
from uvatar.data.start import Start
from uvatar.evaluation.starts import WAYS, Ends, summary
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.starts import LANDMARKS
from uvatar.geometry import rotations


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def test_only_the_named_starts_are_tried_and_a_better_one_ends_lower(body: BodyModel) -> None:
    truth = standing()
    person = person_of(body, truth)
    # The landmarks in space are of someone else, facing away: only the other start is right.
    misled = replace(person, world_landmarks=person.world_landmarks * np.array([-1, 1, -1], np.float32))
    start = Start("learned", rotations.exp(truth.global_orient.astype(float)), truth.body_pose[:21].astype(float))

    def fitted(*names: str) -> Fit:
        return fit_people([misled], CAMERA, fitting_model(), FitOptions(only=frozenset(names)), [[start]])[0]

    alone, learned, both = fitted(LANDMARKS), fitted("learned"), fitted(LANDMARKS, "learned")
    assert (alone.start, learned.start, both.start) == (LANDMARKS, "learned", "learned")
    assert both.cost == pytest.approx(learned.cost) and both.cost < alone.cost - 1


def test_the_summary_counts_against_landmarks_alone() -> None:
    others = len(WAYS) - 2
    ends = [
        Ends("a", 0, (100.0, 90.0, *[100.5] * others), (LANDMARKS, "lifter", *[LANDMARKS] * others)),
        Ends("b", 0, (50.0, 56.0, *[50.0] * others), (LANDMARKS, "lifter", *[LANDMARKS] * others)),
    ]
    first, second, third, *_ = summary(ends)
    assert (first["lower"], first["higher"], first["won by another"]) == (0, 0, 0)
    assert (second["lower"], second["higher"], second["won by another"]) == (1, 1, 2)
    assert second["mean change (nats)"] == pytest.approx(-2.0) and second["best (nats)"] == pytest.approx(-10.0)
    assert (third["lower"], third["higher"]) == (0, 0)  # half a nat is nothing
