"""Masks that are painted by hand: what is painted on is the person's, what is painted off is not; the fit follows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.landmarks import Landmark
from uvatar.data.person import Person
from uvatar.engine.brush import brushed
from uvatar.engine.finish import outline_iou
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.perception.masks import DOUBT
from uvatar.protocol.given_people import are_people

SIZE = CAMERA.width, CAMERA.height


def stroke(person: Person, adds: bool, radius: float, *places: tuple[float, float]) -> list[float]:
    row = [*map(float, person.box), int(adds), radius, *(float(side) for place in places for side in place)]
    assert are_people([{"photo": "a.jpg", "strokes": [row]}])
    return row


def whole(person: Person, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    full = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    x0, y0, x1, y1 = person.window
    full[y0:y1, x0:x1] = mask
    return full


def test_a_dab_is_a_disc_and_a_line_has_round_ends(body: BodyModel) -> None:
    person = person_of(body, standing())
    x, y = person.landmarks[Landmark.NOSE, :2]
    empty = replace(person, mask=np.zeros_like(person.mask))
    for places in ([(x, y)], [(x, y), (x + 40, y)]):
        (painted,) = brushed([empty], [stroke(person, True, 10, *places)], SIZE)
        least, most = (np.pi * radius**2 + 2 * radius * 40 * (len(places) - 1) for radius in (9.5, 11))
        assert least < whole(painted, painted.mask).sum() / 255 < most
        rows, columns = np.nonzero(whole(painted, painted.mask) > 127)
        assert columns.mean() + 0.5 == pytest.approx(np.mean([place[0] for place in places]), abs=0.6)
        assert rows.mean() + 0.5 == pytest.approx(y, abs=0.6)


def test_painting_beside_the_window_makes_it_larger(body: BodyModel) -> None:
    person = person_of(body, standing())
    x0, y0, x1, y1 = person.window
    place = (x1 + 20.0, (y0 + y1) / 2)
    (painted,) = brushed([person], [stroke(person, True, 5, place)], SIZE)
    assert painted.window[0] == x0 and x1 + 20 < painted.window[2] <= x1 + 28
    full = whole(painted, painted.mask)
    assert full[int(place[1]), int(place[0])] == 255
    assert np.array_equal(full[y0:y1, x0:x1], person.mask)  # nothing else has changed
    assert painted.unbrushed == (person.window, person.mask)
    (off,) = brushed([person], [stroke(person, False, 5, place)], SIZE)
    assert off.window == person.window and np.array_equal(off.mask, person.mask)


def test_strokes_count_in_their_order_and_only_for_their_person(body: BodyModel) -> None:
    person = person_of(body, standing())
    x, y = person.landmarks[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP], :2].mean(0)
    both = [stroke(person, False, 15, (x, y)), stroke(person, True, 5, (x, y))]
    (painted,) = brushed([person], both, SIZE)
    full = whole(painted, painted.mask)
    assert full[int(y), int(x)] == 255 and full[int(y), int(x) + 10] == 0
    (painted,) = brushed([person], both[::-1], SIZE)
    assert whole(painted, painted.mask)[int(y), int(x)] == 0
    elsewhere = [[9000.0, 9000.0, 9100.0, 9100.0, *both[0][4:]]]
    assert brushed([person], elsewhere, SIZE)[0] is person and brushed([], elsewhere, SIZE) == []


def test_what_is_painted_on_one_person_is_nobody_elses(body: BodyModel) -> None:
    one = person_of(body, standing())
    other = replace(one, box=one.box + (0.6 * (one.box[2] - one.box[0]), 0, 0.6 * (one.box[2] - one.box[0]), 0))
    other = replace(other, others=np.zeros_like(one.mask))
    x, y = one.landmarks[Landmark.LEFT_HIP, :2]
    first, second = brushed([one, other], [stroke(one, True, 8, (x, y))], SIZE)
    row, column = int(y), int(x)
    assert whole(first, first.mask)[row, column] == 255 and whole(first, first.others)[row, column] == 0
    assert whole(second, second.mask)[row, column] == 0 and whole(second, second.others)[row, column] == 255
    assert second.unbrushed is None


def test_each_of_two_people_has_what_is_painted_onto_them(body: BodyModel) -> None:
    one = person_of(body, standing())
    along = 0.6 * (one.box[2] - one.box[0])
    other = replace(one, box=one.box + (along, 0, along, 0), others=np.zeros_like(one.mask))
    places = [one.landmarks[which, :2] for which in (Landmark.LEFT_HIP, Landmark.LEFT_SHOULDER)]
    strokes = [stroke(person, True, 8, tuple(place)) for person, place in zip((one, other), places, strict=True)]
    for order in (strokes, strokes[::-1]):
        first, second = (whole(person, person.mask) for person in brushed([one, other], order, SIZE))
        (x, y), (x2, y2) = ((int(side) for side in place) for place in places)
        assert (first[y, x], second[y, x]) == (255, 0) and (first[y2, x2], second[y2, x2]) == (0, 255)
    shared = [strokes[0], [*strokes[1][:6], *strokes[0][6:]]]  # both paint the same pixels: the first one has them
    first, second = (whole(person, person.mask) for person in brushed([one, other], shared, SIZE))
    assert (first[y, x], second[y, x]) == (255, 0)


def test_hostile_strokes_are_bounded(body: BodyModel) -> None:
    person = person_of(body, standing())
    box = [float(side) for side in person.box]
    wild = np.random.default_rng(0).uniform(-1e9, 1e9, 10_000).tolist()
    begun = time.perf_counter()
    (painted,) = brushed([person], [[*box, 1, 1e9, *wild]], SIZE)
    assert time.perf_counter() - begun < 20
    side = person.side
    for (low, high), (least, most) in zip(
        ((painted.window[0], painted.window[2]), (painted.window[1], painted.window[3])),
        ((person.box[0], person.box[2]), (person.box[1], person.box[3])),
        strict=True,
    ):
        assert low >= max(least - side / 2 - 1, 0) and high <= most + side / 2 + 1
    assert painted.window[2] <= SIZE[0] and painted.window[3] <= SIZE[1]


def test_landmarks_on_what_is_painted_are_trusted_again(body: BodyModel) -> None:
    person = person_of(body, standing())
    arm = [Landmark.LEFT_WRIST, Landmark.LEFT_PINKY, Landmark.LEFT_INDEX, Landmark.LEFT_THUMB]
    places = person.landmarks[arm, :2]
    strokes = [stroke(person, False, 25, *map(tuple, places))]
    (without,) = brushed([person], strokes, SIZE)
    assert np.allclose(without.landmarks[arm, 2], DOUBT * person.landmarks[arm, 2])
    doubted = replace(without, unbrushed=None)
    (again,) = brushed([doubted], [stroke(person, True, 25, *map(tuple, places))], SIZE)
    assert np.allclose(again.landmarks[arm, 2], person.landmarks[arm, 2])


def test_the_body_follows_the_painted_outline(body: BodyModel) -> None:
    """A mask that shows a slim person as a stout one, as a bag or a neighbour would: painted off, the body is slim."""
    person = person_of(body, standing())
    hips, shoulders = (
        person.landmarks[[*pair], :2].mean(0)
        for pair in ((Landmark.LEFT_HIP, Landmark.RIGHT_HIP), (Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER))
    )
    right = float(person.landmarks[Landmark.LEFT_HIP, 0])
    places = [(right + 45.0, float(hips[1]) - 10), (right + 45.0, float(shoulders[1]) + 40)]
    (wrong,) = brushed([person], [stroke(person, True, 40, *places)], SIZE)
    wrong = replace(wrong, unbrushed=None)
    full = whole(person, person.mask)
    assert np.count_nonzero((whole(wrong, wrong.mask) > 127) & (full < 128)) > 1500
    strokes = [stroke(person, False, 42, *places), *_repaired(person, full)]
    (right_again,) = brushed([wrong], strokes, SIZE)
    ious = []
    for seen in (wrong, right_again):
        (fit,) = fit_people([seen], CAMERA, fitting_model(), FitOptions(fast=True))
        vertices = body.posed(fit.body, fit.offsets)[0]
        ious.append(outline_iou(person, vertices, body.data.faces, CAMERA))
    assert ious[1] > 0.9 and ious[1] > ious[0] + 0.01


def _repaired(person: Person, full: NDArray[np.uint8]) -> list[list[float]]:
    """Strokes that paint the true mask again, row by row."""
    rows = []
    for y in range(0, SIZE[1], 6):
        columns = np.flatnonzero(full[y] > 127)
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            if len(run) > 6:
                rows.append(stroke(person, True, 3, (run[0] + 3.0, y + 0.5), (run[-1] - 2.0, y + 0.5)))
    return rows[:450]
