"""Who is the one person of several photos: by looks alone, in tables, and on rendered people whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.people import person_of
from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.engine.choice import DEFAULT_SETTINGS, Candidate, Choice, choose_views, facing
from uvatar.engine.likeness import Appearance, appearance, unlikeness
from uvatar.engine.same_person import of_one_age
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.rendering import Paint, photograph, random_light
from uvatar.evaluation.sitters import HEIGHT, WIDTH, random_sitter

SHIRTS = {
    "red": (40.0, 50.0, 30.0),
    "blue": (40.0, 10.0, -45.0),
    "green": (40.0, -40.0, 30.0),
    "crimson": (41.0, 56.0, 35.0),
}
FRONT, BACK = np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0])
POSES = load_poses()
NAMES = dict(enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg")))


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def look(colour: str, seen: int = 400) -> Appearance:
    """Somebody whose clothes are all of one colour, with a face of the same colour as everybody's."""
    colours = np.tile(np.array(SHIRTS[colour], np.float32), (11, 9, 1))
    colours[-1] = (60, 15, 18)
    return Appearance(colours, np.full(11, seen))


def photos(
    *people: str, heights: dict[str, float] | None = None, way: dict[str, NDArray[Any]] | None = None
) -> list[Candidate]:
    """Sightings of photos, each given as the colours of its people from left to right; numbers follow their heights."""
    candidates = []
    for photo, colours in enumerate(people):
        placed = [(name, place, (heights or {}).get(name, 400.0)) for place, name in enumerate(colours.split())]
        for number, (name, place, height) in enumerate(sorted(placed, key=lambda item: -item[2])):
            person = person_at(100.0 * place, height)
            candidates.append(Candidate(photo, number, person, look(name), (way or {}).get(name, FRONT)))
    return candidates


def person_at(x: float, height: float) -> Person:
    marks = np.zeros((33, 3), np.float32)
    box = np.array([x, 0, x + 80, height], np.float32)
    return Person(box, 0.9, marks, marks, (0, 0, 1, 1), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))


def chosen(choice: Choice, candidates: list[Candidate]) -> list[tuple[int, int]]:
    """(photo, place from the left) of the views."""
    return [(view.photo, round(float(view.person.box[0]) / 100)) for view in choice.views]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("red blue", "red"), [(0, 0), (1, 0)]),
        (("blue red", "red"), [(0, 1), (1, 0)]),
        (("red", "blue red green"), [(0, 0), (1, 1)]),
        (("blue red", "red green", "green red"), [(0, 1), (1, 0), (2, 1)]),
        (("blue red", "green red", "red"), [(0, 1), (1, 1), (2, 0)]),
    ],
)
def test_the_one_who_is_in_all_photos_is_chosen(given: tuple[str, ...], expected: list[tuple[int, int]]) -> None:
    candidates = photos(*given)
    choice = choose_views(candidates, NAMES)
    assert chosen(choice, candidates) == expected and not choice.left_out and not choice.separate
    crowded = [NAMES[i] for i, people in enumerate(given) if " " in people]
    assert [note.split(" ")[0] for note in choice.notes] == crowded and all("was used" in note for note in choice.notes)


def test_of_two_who_are_in_all_photos_the_most_prominent_one_is_chosen_and_it_is_said() -> None:
    for tall in ("red", "crimson"):
        choice = choose_views(candidates := photos("red crimson", "crimson red", heights={tall: 600.0}), NAMES)
        place = ["red", "crimson"].index(tall)
        assert chosen(choice, candidates) == [(0, place), (1, 1 - place)]
        assert sum("Others in" in note and "look very similar" in note for note in choice.notes) == 2


def test_looks_count_more_than_prominence() -> None:
    candidates = photos("blue red", "red", heights={"blue": 1600.0, "red": 400.0})
    assert chosen(choose_views(candidates, NAMES), candidates) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("given", "kept", "left_out"),
    [
        (("red", "blue"), [(0, 0)], {1}),
        (("red", "blue", "red"), [(0, 0), (2, 0)], {1}),
        (("blue", "red", "red green"), [(1, 0), (2, 0)], {0}),
        (("red", "blue green", "red", "red"), [(0, 0), (2, 0), (3, 0)], {1}),
    ],
)
def test_a_photo_of_others_is_left_out_by_name(
    given: tuple[str, ...], kept: list[tuple[int, int]], left_out: set[int]
) -> None:
    candidates = photos(*given)
    choice = choose_views(candidates, NAMES)
    assert chosen(choice, candidates) == kept and set(choice.left_out) == left_out
    for index, why in choice.left_out.items():
        assert (
            why.startswith(f"Nobody in {NAMES[index]} looks like the person in {NAMES[kept[0][0]]}")
            and "make a separate avatar" in why
        )
        assert any(note.startswith(f"{NAMES[index]} was left out") for note in choice.notes)


def test_one_photo_with_several_views() -> None:
    way = {"red": FRONT, "crimson": BACK}
    candidates = photos("red crimson", way=way)
    choice = choose_views(candidates, NAMES)
    assert chosen(choice, candidates) == [(0, 0), (0, 1)] and not choice.separate
    assert choice.notes == ("2 views of one person in a.jpg became one avatar.",)
    candidates = photos("red blue crimson", way=way, heights={"blue": 600.0})
    choice = choose_views(candidates, NAMES)
    assert (
        sorted(chosen(choice, candidates)) == [(0, 0), (0, 2)]
        and "One more in a.jpg looked different and was left out." in choice.notes
    )


def test_several_who_are_dressed_alike_and_face_the_same_way_may_be_several_people() -> None:
    choice = choose_views(photos("red red red"), NAMES)
    assert (
        len(choice.views) == 3
        and "Check that they show one person rather than several people dressed alike." in choice.notes
    )


@pytest.mark.parametrize("given", ["red", "red blue", "red blue green"])
def test_one_photo_of_different_people_is_an_ordinary_one(given: str) -> None:
    choice = choose_views(photos(given), NAMES)
    assert choice.separate and len(choice.views) == len(given.split())
    assert bool(choice.notes) == (len(choice.views) > 1) and all("look different" in note for note in choice.notes)


def test_people_of_whom_nothing_is_seen_in_common_are_believed_to_be_one() -> None:
    legs, bust = look("red"), look("blue")
    legs, bust = (
        replace(legs, pixels=np.array([0, 0, 0, *[400] * 8])),
        replace(bust, pixels=np.array([400] * 3 + [0] * 8)),
    )
    assert np.isnan(unlikeness(legs, [bust])).all()
    pair = photos("red", "blue")
    choice = choose_views([replace(pair[0], appearance=legs), replace(pair[1], appearance=bust)], NAMES)
    assert len(choice.views) == 2 and sum("check that it is the same person" in note for note in choice.notes) == 2


def seen(body: BodyModel, paint: Paint, parameters: BodyParameters, rng: np.random.Generator) -> Appearance:
    """Somebody before the camera of a random sitter, in new light and at a new place."""
    sitter = random_sitter("x", POSES[rng.integers(len(POSES))], body, rng)
    parameters = replace(sitter.body, betas=parameters.betas)
    wall = np.full((HEIGHT, WIDTH, 3), rng.integers(40, 220, 3), np.uint8)
    picture, _ = photograph(body.posed(parameters)[0], body.data, paint, sitter.camera, random_light(rng), wall, rng)
    fit = Fit(parameters, np.zeros_like(body.data.v_template), 0.0, 0.0, 1.0)
    return appearance(
        Photo(picture, None, "", "x"), person_of(body, parameters, sitter.camera), sitter.camera, fit, body
    )


def test_rendered_people_look_like_themselves_from_all_sides_and_unlike_others(body: BodyModel) -> None:
    rng = np.random.default_rng(3)
    views = []
    for _ in range(4):
        shape = random_sitter("x", POSES[0], body, rng).body
        paint = random_outfit(body.data, rng)
        views.append([seen(body, paint, shape, rng) for _ in range(2)])
    apart = np.array([unlikeness(one[0], [other[1] for other in views]) for one in views])
    assert np.diag(apart).max() < DEFAULT_SETTINGS.unlike
    assert (apart.argmin(0) == np.arange(4)).all() and (apart.argmin(1) == np.arange(4)).all()
    assert np.mean(apart[~np.eye(4, dtype=bool)] >= DEFAULT_SETTINGS.unlike) > 0.7


def test_facing() -> None:
    turned = BodyParameters(
        *(np.array(values, np.float32) for values in (np.zeros(10), [np.pi, 0, 0], np.zeros((23, 3)), np.zeros(3)))
    )
    np.testing.assert_allclose(facing(turned), FRONT, atol=1e-6)  # y up to y down, and towards the camera


def test_a_child_in_one_view_and_a_grown_up_in_another_are_not_averaged() -> None:
    parameters = BodyParameters(*(np.zeros(shape, np.float32) for shape in (10, 3, (23, 3), 3)))
    child, grown_up, unsure = (
        Fit(parameters, np.zeros((1, 3), np.float32), 0, 0, confidence, group=group)
        for confidence, group in ((0.9, "child"), (0.6, "adult"), (0.5, "female"))
    )
    assert of_one_age([child, grown_up]) == [child]
    assert of_one_age([child, grown_up, unsure]) == [grown_up, unsure]
