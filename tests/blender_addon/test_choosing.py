"""People chosen before avatars are made, and masks painted by hand: what the add-on keeps and sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blender_addon.fake_pipeline import CROWD, found
from tests.blender_addon.sample import ellipse
from uvatar.protocol.options import declared
from uvatar_blender.core.any_result import parse_any
from uvatar_blender.core.choices import Choice, chosen_rows, given_people, height_of_one, told_apart
from uvatar_blender.core.found_people import FoundPeople, named, overlap
from uvatar_blender.core.hand_corrections import Corrections, PhotoEdit, of_person
from uvatar_blender.core.mask_brush import MaskBrush, rows_of, strokes_of
from uvatar_blender.core.person_mask import parse_mask, restored, stored
from uvatar_blender.core.photo_pins import Pins
from uvatar_blender.core.result import ResultError

BOX = [20.0, 60.0, 110.0, 390.0]
MASK = {"window": [60, 40, 240, 390], "pixels": ellipse(175, 90)}


def test_found_people_are_read() -> None:
    people = parse_any(found("me.jpg", CROWD))
    assert isinstance(people, FoundPeople) and (people.name, people.width, people.height) == ("me.jpg", 300, 400)
    assert [list(person.box) for person in people.people] == CROWD
    assert [person.likely for person in people.people] == [True, True, False]


@pytest.mark.parametrize(
    "change",
    [{"people": None}, {"people": [{}]}, {"people": [{"box": [1, 2, 3], "likely": True}]},
     {"people": [{"box": [5, 2, 5, 9], "likely": True}]},
     {"people": [{"box": [1, 2, float("nan"), 9], "likely": True}]},
     {"people": [{"box": [-9, 2, -5, 9], "likely": True}]},
     {"people": [{"box": [301, 2, 320, 9], "likely": True}]},
     {"photo": {}}, {"people": [{"box": [1, 2, 3, 4], "likely": True}] * 257}],
)  # fmt: skip
def test_damaged_people_are_refused(change: dict[str, Any]) -> None:
    result = found("me.jpg", CROWD)
    with pytest.raises(ResultError, match="damaged"):
        parse_any({**result, "found": {**result["found"], **change}})
    for damaged in ({"width": -1}, {"width": float("inf")}, {"jpeg": 10**15}, {"jpeg": "x"}):
        photo = {**result["found"]["photo"], **damaged}
        with pytest.raises(ResultError, match="damaged"):
            parse_any({**result, "found": {**result["found"], "photo": photo}})


def test_the_people_who_are_switched_on_are_told_to_the_job() -> None:
    boxes = [tuple(box) for box in CROWD]
    people = [Choice(boxes[0], False), Choice(boxes[1], True, 181.0), Choice(boxes[2])]  # type: ignore[arg-type]
    assert chosen_rows(people) == [[1, *CROWD[1], 181.0], [2, *CROWD[2], 0.0]]
    given = given_people({Path("a/b\x01.jpg"): people, Path("c.jpg"): people[:1]})
    assert given == [{"photo": "b\ufffd.jpg", "chosen": chosen_rows(people)}]
    assert declared()["given_people"].accepts(given) and given_people({}) is None
    assert given_people({Path("a/1.jpg"): people, Path("b/1.jpg"): people, Path("c.jpg"): people[:1]}) is None
    assert height_of_one(people) == "181" and height_of_one(people[:1]) == height_of_one([]) == ""


def test_photos_of_the_same_name_are_in_jobs_of_their_own() -> None:
    photos = [Path("a/1.jpg"), Path("a/2.jpg"), Path("b/1.jpg"), Path("b/3.jpg"), Path("c/1.jpg")]
    assert told_apart(photos) == [[photos[0], photos[1], photos[3]], [photos[2]], [photos[4]]]


def test_a_person_is_known_by_the_box() -> None:
    people = [(box, name) for box, name in zip(CROWD, ("Ann", "", "Cem"), strict=True)]
    assert named([box + 2 for box in CROWD[0]], people) == "Ann" and named(CROWD[1], people) == ""
    assert named([0, 0, 5, 5], people) == named(CROWD[0], []) == ""
    assert overlap(CROWD[0], CROWD[0]) == 1 and overlap(CROWD[0], CROWD[2]) == 0
    assert overlap([0, 0, 2, 2], [1, 0, 3, 2]) == pytest.approx(1 / 3)


def test_a_mask_is_kept_as_text() -> None:
    mask = parse_mask(MASK)
    text = json.dumps(stored(mask))
    again = restored(text)
    assert again is not None and again.window == mask.window == (60, 40, 240, 390)
    assert np.array_equal(again.pixels, mask.pixels) and mask.pixels.any() and len(text) < 3000


@pytest.mark.parametrize("text", ["", "5", "null", "{}", '{"window": [0, 0, 5, 5], "size": [9999, 9999], "bits": ""}',
                                  '{"window": [0, 0, 5, 5], "size": [8, 8], "bits": "x"}',
                                  '{"window": [0, 0, 5, 5], "size": [Infinity, 8], "bits": ""}',
                                  '{"window": [5, 0, 5, 5], "size": [8, 8], "bits": "eJxjYGBgAAAABAAB"}'])  # fmt: skip
def test_damaged_masks_are_no_masks(text: str) -> None:
    assert restored(text) is None
    for damaged in ({**MASK, "pixels": ellipse(600, 3)}, {**MASK, "window": [0, 0, 0, 4]}, {**MASK, "pixels": "x"}):
        with pytest.raises((ValueError, TypeError)):
            parse_mask(damaged)


def brush() -> MaskBrush:
    return MaskBrush.of(parse_mask(MASK), 300, 400)


def shares(mask: MaskBrush, *places: tuple[float, float]) -> list[float]:
    """What is shown at places of the photo."""
    left, top, right, bottom = mask.window
    rows, columns = mask.shown.shape
    return [
        float(mask.shown[int((y - top) / (bottom - top) * rows), int((x - left) / (right - left) * columns)])
        for x, y in places
    ]


def test_the_canvas_reaches_beyond_the_mask_and_stays_in_the_photo() -> None:
    mask = brush()
    assert mask.window == (0, 0, 300, 400)
    assert shares(mask, (150, 215), (63, 215), (237, 215), (62, 44), (20, 215), (280, 10)) == [1, 1, 1, 0, 0, 0]
    inside = np.pi / 4 * 180 * 350 / (300 * 400)
    assert mask.shown.mean() == pytest.approx(inside, rel=0.02)


def test_strokes_are_painted_undone_and_sent() -> None:
    mask = brush()
    before = mask.shown.copy()
    mask.begin(True, 10, (270, 300))
    mask.extend((271, 300))  # too near to make a difference
    mask.extend((270, 360))
    mask.begin(False, 12, (150, 215))
    assert shares(mask, (270, 330), (270, 366), (284, 330), (150, 215), (150, 222), (150, 235)) == [1, 1, 0, 0, 0, 1]
    rows = rows_of(mask.strokes, BOX)
    assert rows == [[*BOX, 1, 10, 270, 300, 270, 360], [*BOX, 0, 12, 150, 215]]
    assert declared()["given_people"].accepts([{"photo": "a.jpg", "strokes": rows}])
    painted = mask.shown.copy()
    mask.undo()
    assert len(mask.strokes) == 1 and shares(mask, (150, 215), (270, 330)) == [1, 1]
    mask.put([])
    assert np.array_equal(mask.shown, before)
    mask.put(strokes_of(rows))
    assert np.abs(mask.shown - painted).max() < 1e-6
    for _ in range(600):
        if not mask.full:
            mask.begin(True, 5, (1.0, 1.0))
    assert declared()["given_people"].accepts([{"photo": "a.jpg", "strokes": rows_of(mask.strokes, BOX)}])


def edit(before: Corrections | None = None) -> PhotoEdit:
    return PhotoEdit.of(Pins({15: (0.5, 0.5), 25: (0.4, 0.8)}), brush(), before or Corrections(), 300, 400)


def test_joints_and_mask_have_one_history() -> None:
    one = edit()
    assert not one.can_undo and not one.changed(BOX, 300, 400)
    one.pins.catch(15)
    one.pins.move(15, (0.6, 0.6))
    one.dragged()
    assert one.mask is not None
    one.mask.begin(True, 9, (10, 10))
    one.painted()
    sent = one.rows(BOX, 300, 400)
    assert sent.pins == [[*BOX, 15, 180, 240]] and sent.strokes == [[*BOX, 1, 9, 10, 10]]
    one.undo()
    assert one.mask.strokes == [] and one.pins.moved == [15] and one.changed(BOX, 300, 400)
    one.undo()
    assert one.pins.moved == [] and not one.changed(BOX, 300, 400) and not one.can_undo
    one.undo()


def test_corrections_are_kept_gone_on_from_and_reset() -> None:
    kept = Corrections([[*BOX, 15, 180.0, 240.0]], [[*BOX, 0, 9.0, 10.0, 10.0]], 172.0)
    assert Corrections.read(kept.text()) == kept
    one = edit(kept)
    assert one.pins.places[15] == (0.6, 0.6) and one.pins.moved == [15] and not one.changed(BOX, 300, 400)
    assert one.mask is not None and shares(one.mask, (10, 10)) == [0]
    assert one.rows(BOX, 300, 400) == kept
    one.reset()
    assert one.rows(BOX, 300, 400) == Corrections([], [], 172.0) and one.changed(BOX, 300, 400)
    assert one.pins.places == edit().pins.places  # where they are without corrections
    for height in (1.0, 999.0, float("inf"), float("nan")):  # the backend would refuse these
        assert Corrections.read(Corrections([], [], height).text()).height == 0


@pytest.mark.parametrize("text", ["", "5", "{}", '{"pins": [5], "strokes": [], "height": 0}',
                                  '{"pins": [], "strokes": [[1, 2]], "height": 0}',
                                  '{"pins": [], "strokes": [], "height": "x"}'])  # fmt: skip
def test_damaged_corrections_are_none(text: str) -> None:
    assert Corrections.read(text) == Corrections()


def test_a_job_says_what_was_corrected_of_a_person() -> None:
    pin, stroke = [*BOX, 15, 1.0, 2.0], [*BOX, 1, 9.0, 10.0, 10.0]
    given = [
        {"photo": "b.jpg", "chosen": [[2, *BOX, 0.0]], "pins": [pin]},
        {"photo": "a.jpg", "chosen": [[2, *BOX, 172.0], [1, *CROWD[1], 0.0]], "pins": [pin], "strokes": [stroke]},
    ]
    assert of_person(given, "a.jpg", 2) == Corrections([pin], [stroke], 172.0)
    assert (
        of_person(given, "a.jpg", 1) is None
        and of_person(given, "c.jpg", 2) is None
        and of_person([], "a.jpg", 2) is None
    )
