"""How large people are made: by their faces, by what people are on average, and by typed heights before all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing, with_face
from uvatar.body import BodyModel, measure
from uvatar.data.fit import BodyParameters, Fit
from uvatar.fitting.chain import State
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.shape import ShapeSettings, unseen_proportions
from uvatar.fitting.sizes import likely_sizes


def fitted(parameters: BodyParameters, body: BodyModel, larger: float | None) -> Fit:
    person = person_of(body, parameters)
    person = person if larger is None else with_face(person, body, parameters, larger)
    return fit_people([person], CAMERA, fitting_model(), FitOptions(fast=True, silhouette=False))[0]


def child(tall: float, body: BodyModel) -> BodyParameters:
    model = fitting_model()
    betas = model.stature.changed(body.data.shape_prior["child"].mean[None].astype(float), np.array([tall]))[0]
    return standing(betas=betas)


def test_the_face_tells_how_tall_a_child_is(body: BodyModel) -> None:
    """A picture without a face leaves the fit with proportions alone; the same picture with one is better."""
    truth = child(1.2, body)
    without, known = fitted(truth, body, None), fitted(truth, body, 1.0)
    errors = [abs(measure(body, fit.body.betas)["stature"] - 120) for fit in (without, known)]
    assert known.group == "child" and errors[1] < 12 and errors[1] <= errors[0] + 1


@pytest.mark.parametrize("larger", [0.94, 1.0, 1.06])
def test_a_grown_up_whose_head_is_a_little_large_stays_one(larger: float, body: BodyModel) -> None:
    mean = (body.data.shape_prior["male"].mean + body.data.shape_prior["female"].mean) / 2
    fit = fitted(standing(betas=mean), body, larger)
    assert fit.group != "child"
    assert measure(body, fit.body.betas)["stature"] > 155


def test_a_face_as_large_beside_the_body_as_a_childs_makes_a_child(body: BodyModel) -> None:
    truth = child(1.3, body)
    assert fitted(truth, body, 1.1).group == "child"
    small = fitted(truth, body, 1.1), fitted(truth, body, 0.9)
    assert measure(body, small[0].body.betas)["stature"] < measure(body, small[1].body.betas)["stature"]


def test_grown_ups_are_drawn_towards_the_mean_and_look_the_same() -> None:
    model = fitting_model()
    groups = [group for group in model.groups for _ in range(2)]
    mean = model.stature.of(np.stack([group.mean for group in groups]))
    tall = mean + 0.1
    betas = model.stature.changed(np.stack([group.mean for group in groups]), tall)
    one = standing()
    bodies = replace(State.of([one] * len(groups)), betas=betas)
    heights = np.array([np.nan, 1.9] * 3)
    after = likely_sizes(bodies, groups, heights, model)
    for group, height, before, now, usual in zip(
        groups, heights, tall, model.stature.of(after.betas), mean, strict=True
    ):
        kept = group.name == "child" or np.isfinite(height)
        assert now == pytest.approx(before if kept else usual + 0.05, abs=1e-6)
    seen = [CAMERA.project(model.skeleton.pose(state).joints) for state in (bodies, after)]
    assert np.abs(seen[0] - seen[1]).max() < 4  # of 640 pixels: proportions change a little with size


@pytest.mark.parametrize(
    ("seen", "trunk", "legs", "hidden"),
    [
        ((0, -100), (0, -0.5, 0), (0, 0), 0),  # upright
        ((0, -100), (0, -0.5, 0), (1, 1), 1),  # legs unseen
        ((90, -100), (0.4, -0.5, 0), (0, 0), 1),  # lies across the picture
        ((0, -50), (0, -0.3, -0.6), (0, 0), 1),  # flies towards the camera
        ((0, 100), (0, 0.5, 0), (0, 0), 1),  # on the hands
    ],
)
def test_who_lies_or_is_foreshortened_is_no_child_by_proportions(
    seen: tuple[float, float], trunk: tuple[float, float, float], legs: tuple[float, float], hidden: float
) -> None:
    shares = unseen_proportions(np.array([seen]), np.array([trunk]), np.array([legs]), ShapeSettings())
    assert shares == pytest.approx([hidden])
