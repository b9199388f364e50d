"""Rest poses against linear blend skinning, measurements against the backend's, pictures against Pillow.

Without Blender.
"""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.blender_addon.sample import encoded, gradient, posed_vertices, sample_result
from uvatar.body import load_open_body, measure
from uvatar_blender.core import measurements
from uvatar_blender.core.pictures import picture_size
from uvatar_blender.core.rest_pose import A_POSE_DROP, RestPose, back_to_t, in_rest_pose
from uvatar_blender.core.result import parse_result


@pytest.fixture(scope="module")
def person() -> dict[str, Any]:
    return sample_result()["people"][0]


def a_posed(person: dict[str, Any], betas: NDArray[Any]) -> NDArray[Any]:
    """The A as LBS makes it of the T, body frame."""
    pose = np.zeros((24, 3))
    pose[16, 2], pose[17, 2] = -A_POSE_DROP, A_POSE_DROP
    return posed_vertices({**person, "betas": betas, "pose": pose, "transl": np.zeros(3)})


@pytest.mark.parametrize("seed", [0, 1])
def test_the_a_is_the_posed_t_for_all_betas(person: dict[str, Any], seed: int) -> None:
    (avatar,) = parse_result({**sample_result(), "people": [person]}).people
    modelled = in_rest_pose(avatar, RestPose.A)
    betas = np.random.default_rng(seed).normal(0, 2, 10).astype(np.float32)
    made = modelled.template + modelled.shapedirs @ betas + modelled.offsets
    assert np.abs(made - a_posed(person, betas)).max() < 1e-5
    assert np.array_equal(modelled.pose, avatar.pose)  # stays relative to the T


def test_correctives_of_the_a_are_built_in(person: dict[str, Any]) -> None:
    posedirs = np.random.default_rng(3).normal(0, 0.01, (len(person["template"]), 3, 207)).astype(np.float32)
    (avatar,) = parse_result({**sample_result(), "people": [{**person, "posedirs": posedirs}]}).people
    modelled = in_rest_pose(avatar, RestPose.A)
    turn = np.zeros((23, 3, 3))
    for joint, sign in ((16, -1), (17, 1)):
        angle = sign * A_POSE_DROP
        turn[joint - 1, :2, :2] = [[np.cos(angle) - 1, -np.sin(angle)], [np.sin(angle), np.cos(angle) - 1]]
    corrected = copy.copy(person)
    corrected["template"] = person["template"] + posedirs @ turn.reshape(207)
    made = modelled.template + modelled.shapedirs @ avatar.betas + modelled.offsets
    assert np.abs(made - a_posed(corrected, person["betas"])).max() < 1e-4


def test_back_to_the_t(person: dict[str, Any]) -> None:
    (avatar,) = parse_result({**sample_result(), "people": [person]}).people
    modelled = in_rest_pose(avatar, RestPose.A)
    vertices, joints = back_to_t(
        modelled.rest_vertices(), modelled.joints(), RestPose.A, avatar.parents, avatar.skin_joints, avatar.skin_weights
    )
    assert np.abs(vertices - avatar.rest_vertices()).max() < 1e-4 and np.abs(joints - avatar.joints()).max() < 1e-5


def test_measurements_are_the_backends() -> None:
    body = load_open_body(Path(__file__).resolve().parents[2] / "weights" / "open_body.npz")
    data = body.data
    assert data.quads is not None
    edges = np.unique(np.sort(np.stack([data.quads, np.roll(data.quads, -1, 1)], -1).reshape(-1, 2), 1), axis=0)
    tape = measurements.make_tape(data.v_template, edges, data.weights[:, measurements.arm_joints(24)].sum(1))
    for seed in range(3):
        betas = np.random.default_rng(seed).normal(0, 1.5, 10)
        shaped = data.v_template + data.shapedirs @ betas, data.joint_template + data.joint_shapedirs @ betas
        own, theirs = measurements.measure(*shaped, tape), measure(body, betas)
        assert own.keys() == theirs.keys()
        assert all(abs(own[name] - theirs[name]) <= 0.2 for name in own), (own, theirs)


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_pictures_are_known_by_their_headers(format: str, options: dict[str, Any]) -> None:
    data = io.BytesIO()
    Image.fromarray(gradient(48)[:30]).save(data, format, **options)
    whole = data.getvalue()
    assert picture_size(whole) == (48, 30)
    with pytest.raises(ValueError, match=r"truncated|damaged"):
        picture_size(whole[: len(whole) // 2])


def test_a_changed_byte_of_a_png_is_found() -> None:
    data = bytearray(encoded(gradient(32)))
    data[len(data) // 2] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        picture_size(bytes(data))
    with pytest.raises(ValueError, match="neither"):
        picture_size(b"GIF89a")
