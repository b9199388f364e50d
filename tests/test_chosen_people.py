"""Finding the people of a photo first, and making an avatar only of one of them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from uvatar.data.parsing import ParseClass
from uvatar.data.person import Person
from uvatar.data.progress import ignore_progress
from uvatar.engine.detect import detect
from uvatar.engine.engine import Engine
from uvatar.engine.pipeline import Pipeline
from uvatar.engine.timing import Stopwatch
from uvatar.parsing.parsers import PersonPicture
from uvatar.protocol.options import DEFAULT_OPTIONS

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
NAME = "both.png"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(engine=Engine.load(threads=1))


@pytest.fixture(scope="module")
def both() -> bytes:
    """A man on the left and a woman on the right."""
    picture = Image.new("RGB", (900, 600), "white")
    for place, name in enumerate(("man.jpg", "woman.jpg")):
        with Image.open(SAMPLES / name) as one:
            half = one.convert("RGB").resize((round(one.width * 600 / one.height), 600))
        picture.paste(half, (225 + 450 * place - half.width // 2, 0))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def results(call: Any, *arguments: Any) -> dict[int, dict[str, Any]]:
    done: dict[int, dict[str, Any]] = {}
    call(*arguments, ignore_progress, done.__setitem__)
    return done


def test_only_the_chosen_person_is_made(pipeline: Pipeline, both: bytes) -> None:
    nothing = io.BytesIO()
    Image.new("RGB", (300, 200), "white").save(nothing, "PNG")
    found = results(pipeline.find_people, [(NAME, both), ("empty.png", nothing.getvalue()), ("no.png", b"x")])
    assert [bool(found[n]["errors"]) for n in range(3)] == [False, True, True] and not found[0]["people"]
    people = found[0]["found"]["people"]
    assert len(people) == 2 and all(person["likely"] and person["likelihood"] > 0.6 for person in people)
    photo = found[0]["found"]["photo"]
    assert (photo["name"], photo["width"], photo["height"]) == (NAME, 900, 600)
    assert Image.open(io.BytesIO(photo["jpeg"])).size == (640, 427)
    number = max((0, 1), key=lambda n: people[n]["box"][0])  # the woman, on the right
    given = [{"photo": NAME, "chosen": [[number, *people[number]["box"], 150.0]]}]
    options = {"fast": True, "texture_size": 512, "given_people": given}
    (result,) = results(pipeline.reconstruct, [(NAME, both)], options).values()
    (person,) = result["people"]
    assert person["id"] == f"p{number}" and person["box"] == people[number]["box"] and result["notes"] == []
    assert abs(person["measurements"]["stature"] - 150) < 2
    x0, y0, x1, y1 = person["mask"]["window"]
    pixels = person["mask"]["pixels"]
    assert (
        x0 > 450 and max(pixels.shape) <= 384 and abs((x1 - x0) / (y1 - y0) - pixels.shape[1] / pixels.shape[0]) < 0.02
    )
    assert 0.15 < (pixels > 127).mean() < 0.8
    # Painted on, the avatar's texture is of other pixels, and the mask is told as it was before.
    box = people[number]["box"]
    middle = (box[0] + box[2]) / 2
    stroke = [*box, 0, 30.0, middle, box[1] + 0.3 * (box[3] - box[1]), middle, box[1] + 0.5 * (box[3] - box[1])]
    painted = {**options, "given_people": [{**given[0], "strokes": [stroke]}]}
    (result,) = results(pipeline.reconstruct, [(NAME, both)], painted).values()
    (again,) = result["people"]
    assert (again["mask"]["pixels"] == pixels).all() and again["mask"]["window"] == person["mask"]["window"]
    assert again["metrics"]["texels_seen"] < person["metrics"]["texels_seen"]


class NothingButBackground:
    """A parser that takes everything around the limbs for background."""

    classes = (ParseClass.BACKGROUND,)

    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        return np.ones((64, 64, 1), np.float32)


def test_strokes_win_over_what_a_parser_takes_for_background(pipeline: Pipeline, both: bytes) -> None:
    engine = replace(pipeline.engine, parser=NothingButBackground())

    def people(engine: Engine, *strokes: list[float]) -> list[Person]:
        options = replace(DEFAULT_OPTIONS, given_people=[{"photo": NAME, "strokes": list(strokes)}] if strokes else [])
        found = detect((NAME, both), engine, options, ignore_progress, Stopwatch()).people
        return sorted(found, key=lambda person: float(person.box[0]))

    def mask(person: Person) -> NDArray[np.bool_]:
        return person.whole_mask((600, 900))

    found, parsed = people(replace(engine, parser=None)), people(engine)
    for before, after in zip(found, parsed, strict=True):
        assert not (mask(after) & ~mask(before)).any() and 0.2 < mask(after).sum() / mask(before).sum() < 0.95
    rows, columns = np.nonzero(mask(found[0]) & ~mask(parsed[0]))
    x, y = float(columns[len(rows) // 2]) + 0.5, float(rows[len(rows) // 2]) + 0.5
    painted, other = people(engine, [*map(float, parsed[0].box), 1, 6.0, x, y])
    assert mask(painted)[int(y), int(x)] and painted.parsing is None, "the parser is given what is painted"
    assert (mask(other) == mask(parsed[1])).all()


def test_somebody_who_is_not_there_cannot_be_chosen(pipeline: Pipeline, both: bytes) -> None:
    options = {"fast": True, "given_people": [{"photo": NAME, "chosen": [[0, 1.0, 1.0, 20.0, 20.0, 0]]}]}
    (result,) = results(pipeline.reconstruct, [(NAME, both)], options).values()
    assert not result["people"] and "Find its people again" in result["errors"][0]["message"]


def test_whoever_is_not_found_again_is_told(pipeline: Pipeline, both: bytes) -> None:
    (found,) = results(pipeline.find_people, [(NAME, both)]).values()
    box = found["found"]["people"][0]["box"]
    chosen = [[0, *box, 0], [1, 1.0, 1.0, 20.0, 20.0, 0]]
    options = {"fast": True, "texture_size": 512, "given_people": [{"photo": NAME, "chosen": chosen}]}
    (result,) = results(pipeline.reconstruct, [(NAME, both)], options).values()
    assert [person["id"] for person in result["people"]] == ["p0"]
    assert result["notes"] == ["Not found again: 1 of the people chosen in the photo. Find its people once more."]
