"""What the add-on believes of a result."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from tests.blender_addon.sample import joints, rest_vertices, sample_result, with_body_once, with_fingers
from uvatar_blender.core.result import ResultError, parse_result
from uvatar_blender.protocol.expressions import EXPRESSIONS
from uvatar_blender.protocol.rig import RIG_NAMES


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return sample_result()


def test_a_whole_result_is_taken_as_it_is(result: dict[str, Any]) -> None:
    parsed = parse_result(result)
    (avatar,) = parsed.people
    person = result["people"][0]
    assert np.allclose(avatar.rest_vertices(), rest_vertices(person), atol=1e-6)
    assert np.allclose(avatar.joints(), joints(person), atol=1e-6)
    assert avatar.sole_height() == pytest.approx(rest_vertices(person)[:, 1].min(), abs=1e-6)
    assert parsed.camera.center == (160.0, 185.0) and parsed.digest == "d1"
    assert avatar.facts["measurements"] == {"stature": 171.3}


def test_what_is_said_of_the_photo_is_not_said_of_each_person() -> None:
    result = sample_result(people=2)
    parsed = parse_result({**result, "notes": ["About the photo."]})
    assert parsed.notes == ("About the photo.",)
    assert [person.facts["notes"] for person in parsed.people] == [person["notes"] for person in result["people"]]
    with pytest.raises(ResultError, match="damaged"):
        parse_result({**result, "notes": 5})


def changed(result: dict[str, Any], **entries: Any) -> dict[str, Any]:
    broken = copy.copy(result)
    broken["people"] = [{**result["people"][0], **entries}]
    return broken


BREAKAGES: dict[str, dict[str, Any]] = {
    "a face beyond the vertices": {"quads": np.full((5, 4), 10**6, np.int32), "quad_uv": np.zeros((5, 4), np.int32)},
    "a negative face": {"quads": np.full((5, 4), -1, np.int32), "quad_uv": np.zeros((5, 4), np.int32)},
    "faces that are not whole numbers": {"quads": np.zeros((5, 4), np.float32), "quad_uv": np.zeros((5, 4), np.int32)},
    "a texture index beyond the table": {"uv": np.zeros((1, 2), np.float32)},
    "NaN": {"betas": np.full(10, np.nan, np.float32)},
    "too few betas": {"betas": np.zeros(9, np.float32)},
    "a pose of another skeleton": {"pose": np.zeros((22, 3), np.float32)},
    "no vertices": {"template": np.zeros((0, 3), np.float32)},
    "offsets of another body": {"offsets": np.zeros((6890, 3), np.float32)},
    "a weight for joint 24": {"skin_joints": np.full((13492, 4), 24, np.uint8)},
    "a cycle of parents": {"parents": [-1, 2, 1, *range(21)]},
    "two roots": {"parents": [-1, -1, *range(22)]},
    "the same name twice": {"joint_names": ["pelvis"] * 24},
    "a text for an array": {"template": "template"},
    "nothing": {"joint_template": None},
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_damage_is_refused_in_one_sentence(result: dict[str, Any], what: str) -> None:
    with pytest.raises(ResultError, match="damaged") as raised:
        parse_result(changed(result, **BREAKAGES[what]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["photo", "camera", "people"])
def test_missing_parts_are_refused(result: dict[str, Any], key: str) -> None:
    with pytest.raises(ResultError, match="damaged"):
        parse_result({name: value for name, value in result.items() if name != key})


def test_another_format_says_what_to_do(result: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match="update"):
        parse_result({**result, "schema": 3})


def test_results_of_before_the_body_was_sent_once_still_open() -> None:
    stored = sample_result(people=2)
    assert stored["schema"] == 1 and "body" not in stored
    before, now = parse_result(stored), parse_result(with_body_once(stored))
    assert len(now.people) == 2 and with_body_once(stored)["people"][1].keys() & {"template", "uv", "parents"} == set()
    for one, other in zip(before.people, now.people, strict=True):
        for key, value in vars(one).items():
            if key != "regressor":
                np.testing.assert_array_equal(value, getattr(other, key))


def test_fingers_and_expressions_are_read() -> None:
    (person,) = parse_result(with_fingers(sample_result())).people
    assert person.joint_names == RIG_NAMES
    assert person.pose.shape == (55, 3)
    assert np.abs(person.pose[25:]).max() > 0.1
    assert person.face is not None
    assert person.face.names == EXPRESSIONS


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("rig", {"joint_names": []}),
        ("rig", {"parents": [0] * 55}),
        ("rig", {"skin_joints": np.full((13492, 4), 55, np.uint8)}),
        ("rig", {"finger_axes": np.zeros((5, 3), np.float32)}),
        ("face", {"names": ["sneeze"] * 52}),
        ("face", {"starts": np.zeros(53, np.int32)}),
        ("face", {"vertices": np.full(47925, 60000, np.uint16)}),
        ("face", {"deltas": np.full((47925, 3), np.nan, np.float16)}),
    ],
)
def test_damaged_fingers_and_expressions_are_refused(part: str, change: dict[str, Any]) -> None:
    result = with_fingers(sample_result())
    result["body"] = {**result["body"], part: {**result["body"][part], **change}}
    with pytest.raises(ResultError):
        parse_result(result)


@pytest.mark.parametrize("key", ["hand_pose", "jaw_pose", "eye_pose", "expression"])
def test_damaged_poses_of_fingers_and_face_are_refused(key: str) -> None:
    result = with_fingers(sample_result())
    result["people"][0] = {**result["people"][0], key: np.full((200, 3), np.nan, np.float32)}
    with pytest.raises(ResultError):
        parse_result(result)
