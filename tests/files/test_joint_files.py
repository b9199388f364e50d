"""Files of joints in space: bodies come out posed and placed as the joints say; anything else is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.commands.reconstruct import pending_photos
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS, LANDMARK_NAMES, TRUNK, Landmark
from uvatar.files.joint_files import NEEDED, people_of_joints
from uvatar.mesh_predictor.result_file import GivenPeople, ResultFileError
from uvatar.protocol.options import checked_options

CAMERA = Camera(900.0, (320.0, 240.0), 640, 480)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def walking(x: float, depth: float) -> BodyParameters:
    """A person who walks, turned by half a radian, arms hanging and bent."""
    pose = np.zeros((23, 3), np.float32)
    pose[0], pose[1], pose[3], pose[4] = [-0.5, 0, 0], [0.3, 0, 0], [0.4, 0, 0], [0.7, 0, 0]
    pose[15], pose[16] = [0, -0.2, -1.2], [0, 0.2, 1.2]
    pose[17], pose[18] = [0, -0.8, 0], [0, 0.8, 0]
    turned = np.array([np.pi * np.cos(0.25), 0, np.pi * np.sin(0.25)], np.float32)
    return BodyParameters(np.zeros(10, np.float32), turned, pose, np.array([x, 0.1, depth], np.float32))


def content_of(bodies: list[BodyParameters], body: BodyModel, names: set[str] | None = None) -> dict[str, Any]:
    people = []
    for parameters in bodies:
        points = body.landmarks_of(parameters).astype(float)
        kept = {name: points[i].tolist() for i, name in enumerate(LANDMARK_NAMES) if names is None or name in names}
        people.append({"joints": kept})
    return {"focal_length": CAMERA.focal, "img_size": [CAMERA.width, CAMERA.height], "people": people}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("names", [None, {LANDMARK_NAMES[joint] for joint in NEEDED}])
def test_bodies_are_posed_and_placed_as_their_joints_say(
    names: set[str] | None, body: BodyModel, tmp_path: Path
) -> None:
    truth = [walking(-0.5, 4.0), walking(0.6, 6.0)]
    given = people_of_joints(write(tmp_path / "photo.json", content_of(truth, body, names)))
    numbers = json.loads(json.dumps(given.as_numbers()))
    checked_options({"given_people": [{"photo": "photo.jpg", **numbers}]})
    prediction = GivenPeople.from_numbers(numbers).prediction(CAMERA.width, CAMERA.height)
    got = prediction.bodies(body, CAMERA)
    for made, parameters, center in zip(got, truth, prediction.center, strict=True):
        points, expected = body.landmarks_of(made), body.landmarks_of(parameters)
        apart = np.linalg.norm(points - expected, axis=1)
        assert apart[NEEDED].max() < 0.08  # from some metres away; rest is the analytic pose's own error
        assert np.linalg.norm(CAMERA.project(expected[TRUNK]).mean(0) - center) < 1


def test_nose_and_ears_turn_the_head(body: BodyModel, tmp_path: Path) -> None:
    truth = walking(0.0, 4.0)
    truth.body_pose[Joint.HEAD - 1] = [0, 0.9, 0]
    few = {LANDMARK_NAMES[joint] for joint in NEEDED} | {"nose", "left_ear", "right_ear"}
    given = people_of_joints(write(tmp_path / "photo.json", content_of([truth], body, few)))
    prediction = GivenPeople.from_numbers(given.as_numbers()).prediction(CAMERA.width, CAMERA.height)
    ahead = [
        body.landmarks_of(parameters)[Landmark.NOSE] - body.landmarks_of(parameters)[EARS].mean(0)
        for parameters in (*prediction.bodies(body, CAMERA), truth)
    ]
    cosine = ahead[0] @ ahead[1] / np.linalg.norm(ahead[0]) / np.linalg.norm(ahead[1])
    assert cosine > np.cos(0.35)


def test_whoever_is_written_down_badly_is_refused(body: BodyModel, tmp_path: Path) -> None:
    def refused(change: dict[str, Any], why: str) -> None:
        path = write(tmp_path / "photo.json", {**content_of([walking(0, 4)], body), **change})
        with pytest.raises(ResultFileError, match=why):
            people_of_joints(path)

    joints = content_of([walking(0, 4)], body)["people"][0]["joints"]
    refused({"people": []}, "not a list of 1 to")
    refused({"people": [{"joints": {**joints, "left_knee": [0, 0, -1]}}]}, "behind the camera")
    refused({"people": [{"joints": {**joints, "left_knee": [0, 0, float("nan")]}}]}, "left_knee of person 1 is not 3")
    refused({"people": [{"joints": {**joints, "tail": [0, 0, 1]}}]}, "tail is not the name of a joint")
    refused({"people": [{"joints": {**joints, "left_knee": ["0", 0, 1]}}]}, "left_knee of person 1 is not 3 numbers")
    refused({"people": [{"joints": {k: v for k, v in joints.items() if k != "left_hip"}}]}, "person 1 lacks left_hip")
    refused({"focal_length": 0}, "focal_length is not 1 number from 1")
    refused({"img_size": [640]}, "img_size is not 2 numbers")
    refused({"people": ["me"]}, "cannot be used")


def test_a_file_that_is_no_json_or_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ResultFileError, match="is not JSON"):
        people_of_joints(tmp_path / "a.json")
    with pytest.raises(ResultFileError, match="cannot be read"):
        people_of_joints(tmp_path / "b.json")
    with pytest.raises(ResultFileError, match="cannot be used"):
        people_of_joints(write(tmp_path / "c.json", [1, 2]))


def test_the_command_finds_the_file_named_like_the_photo(body: BodyModel, tmp_path: Path) -> None:
    write(tmp_path / "me.json", content_of([walking(0, 4)], body))
    pending, failures = pending_photos([(Path("me.jpg"), 1), (Path("you.jpg"), 1)], tmp_path)
    assert [photo.path.name for photo in pending] == ["me.jpg"]
    assert [name for name, _ in failures] == ["you.jpg"]
    alone, _ = pending_photos([(Path("other.jpg"), 1)], tmp_path / "me.json")
    assert len(alone) == 1
