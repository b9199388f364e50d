"""Corrections by hand in the option ``given_people``."""

from __future__ import annotations

from typing import Any

import pytest

from uvatar.protocol.given_people import PINNABLE, estimates, rows_of
from uvatar.protocol.options import checked_options, declared

PIN = [10.0, 20.0, 110.0, 320.0, 15, 60.5, 200]
ESTIMATE = {
    "photo": "b.jpg", "thetas": [[0.0] * 72], "camera": [[0.9, 0, 0]], "betas": [[0.0] * 10], "confidence": [[1.0]],
    "center": [[1.0, 2.0]], "betas_of": "smpl", "center_in": "photo",
}  # fmt: skip


def test_corrections_are_accepted_beside_estimates() -> None:
    given: list[dict[str, Any]] = [
        {"photo": "a.jpg", "pins": [PIN, [*PIN[:4], 25, 1, 2]]},
        ESTIMATE,
        {"photo": "c.jpg", "pins": []},
    ]
    assert checked_options({"given_people": given})["given_people"] == given
    assert estimates(given) == [ESTIMATE] and estimates(given[:1]) is None and estimates(None) is None
    assert (
        rows_of(given, "a.jpg", "pins") == given[0]["pins"]
        and rows_of(given, "b.jpg", "pins") == rows_of(None, "a.jpg", "strokes") == []
    )


@pytest.mark.parametrize(
    "pins",
    [None, 5, [5], [PIN[:6]], [[*PIN, 1]], [[*PIN[:4], 0, 1, 2]], [[*PIN[:4], 15.5, 1, 2]], [[*PIN[:5], "1", 2]],
     [[*PIN[:5], float("nan"), 2]], [[*PIN[:5], True, 2]], [PIN] * 1001],
)  # fmt: skip
def test_what_is_no_correction_is_refused(pins: Any) -> None:
    assert not declared()["given_people"].accepts([{"photo": "a.jpg", "pins": pins}])
    assert not declared()["given_people"].accepts([{"photo": 3, "pins": [PIN]}])


CHOSEN = [3, 10.0, 20.0, 110.0, 320.0, 0]
STROKE = [*PIN[:4], 1, 12.5, 40.0, 50.0, 60, 70.5]


def test_people_are_chosen_and_masks_painted_beside_pins() -> None:
    given = [{"photo": "a.jpg", "pins": [PIN], "chosen": [CHOSEN, [0, *CHOSEN[1:5], 172.5]], "strokes": [STROKE]}]
    assert checked_options({"given_people": given})["given_people"] == given and estimates(given) is None
    for what in ("pins", "chosen", "strokes"):
        assert rows_of(given, "a.jpg", what) == given[0][what] and rows_of(given, "b.jpg", what) == []


@pytest.mark.parametrize(
    "chosen",
    [None, 5, [], [5], [CHOSEN[:5]], [[*CHOSEN, 1]], [[0.5, *CHOSEN[1:]]], [[-1, *CHOSEN[1:]]], [[256, *CHOSEN[1:]]],
     [[True, *CHOSEN[1:]]], [[*CHOSEN[:5], 5]], [[*CHOSEN[:5], 400]], [[*CHOSEN[:5], -1]], [CHOSEN, CHOSEN],
     [[*CHOSEN[:4], float("inf"), 0]], [[n, *CHOSEN[1:]] for n in range(257)]],
)  # fmt: skip
def test_who_cannot_be_chosen_is_refused(chosen: Any) -> None:
    assert not declared()["given_people"].accepts([{"photo": "a.jpg", "chosen": chosen}])


@pytest.mark.parametrize(
    "strokes",
    [None, 5, [5], [STROKE[:6]], [STROKE[:7]], [STROKE[:9]], [[*STROKE[:4], 2, *STROKE[5:]]],
     [[*STROKE[:5], 0, *STROKE[6:]]], [[*STROKE[:5], -3, *STROKE[6:]]], [[*STROKE[:5], "9", *STROKE[6:]]],
     [[*STROKE[:6], float("nan"), 1]], [STROKE] * 501, [[*STROKE[:6], *[1.0] * 10_002]],
     [[*STROKE[:6], *[1.0] * 5_002]] * 2],
)  # fmt: skip
def test_what_is_no_stroke_is_refused(strokes: Any) -> None:
    assert not declared()["given_people"].accepts([{"photo": "a.jpg", "strokes": strokes}])


def test_nothing_else_is_said_by_hand() -> None:
    photos: list[Any] = [
        {"photo": "a.jpg"},
        {"pins": []},
        {"photo": "a.jpg", "paint": []},
        {"photo": "a.jpg", "pins": [], 5: 1},
    ]
    for photo in photos:
        assert not declared()["given_people"].accepts([photo])
    assert declared()["given_people"].accepts([{"photo": name, "pins": [PIN]} for name in ("a.jpg", "b.jpg")])
    assert not declared()["given_people"].accepts([{"photo": "a.jpg", "pins": [PIN]}] * 2)


def test_what_can_be_corrected_are_the_joints_of_the_limbs() -> None:
    from uvatar.data.landmarks import Landmark

    assert {Landmark(number).name.split("_", 1)[1] for number in PINNABLE} == {
        "SHOULDER", "ELBOW", "WRIST", "HIP", "KNEE", "ANKLE", "FOOT_INDEX",
    }  # fmt: skip
