"""Long hair of VRM files swings in `@pixiv/three-vrm`: it lags behind a head that turns, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.gltf.test_glb import plain
from tests.parts import made_part
from uvatar.gltf.avatar import glb
from uvatar.gltf.presets import PRESETS
from uvatar.gltf.spring_bones import springs_of
from uvatar.gltf.surface import body_at_rest, part_at_rest
from uvatar.protocol.parts import Part, part_entry
from uvatar.protocol.rig import RIG_NAMES

Read = Callable[..., dict[str, Any]]
HEAD = RIG_NAMES.index("head")
COLUMNS, ROWS = 32, 16


def hair(head: NDArray[np.float64], length: float) -> Part:
    """A tube around the head, which hangs so many metres below its joint."""
    angles = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    heights = np.linspace(0.12, -length, ROWS)
    places = [(0.11 * np.sin(angle), height, 0.13 * np.cos(angle) - 0.01) for height in heights for angle in angles]
    corners = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    right = np.roll(corners, -1, 1)
    faces = np.stack([corners[:-1], corners[1:], right[1:], right[:-1]], -1).reshape(-1, 4).astype(np.int32)
    count = len(places)
    return replace(
        made_part("Hair"),
        vertices=(np.array(places) + head).astype(np.float32),
        faces=faces,
        face_uv=np.zeros_like(faces),
        skin_joints=np.tile(np.array([HEAD, 0, 0, 0], np.uint8), (count, 1)),
        skin_weights=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        shapedirs=None,
        keys=None,
        alpha="opaque",
    )


@pytest.fixture(scope="module")
def smooth(person: dict[str, Any]) -> dict[str, Any]:
    return {**person, "offsets": np.zeros_like(person["offsets"])}


def with_hair(person: dict[str, Any], length: float) -> dict[str, Any]:
    _, skeleton = body_at_rest(person, False)
    return {**person, "parts": [part_entry(hair(skeleton.heads[HEAD] + (0, skeleton.ground, 0), length))]}


def turned(degrees: float) -> dict[str, list[float]]:
    return {"head": [0.0, float(np.radians(degrees)), 0.0]}


def test_hair_lags_comes_back_and_stays_near(smooth: dict[str, Any], read: Read) -> None:
    long = with_hair(smooth, 0.3)
    motion = [
        *[turned(0)] * 90,
        *[turned(60 * (step + 1) / 12) for step in range(12)],
        *[turned(60)] * 90,
        *[turned(60 * (11 - step) / 12) for step in range(12)],
        *[turned(0)] * 150,
    ]
    tips = [(ROWS - 1) * COLUMNS + column for column in range(0, COLUMNS, 4)]
    crown = [column for column in range(0, COLUMNS, 4)]
    answer = read(long, PRESETS["vrm"], "Hair", None, None, [*tips, *crown], motion=motion)
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
    assert answer["vrm"]["springs"] >= 8
    moved = np.array(answer["moved"])
    ends, top = moved[:, : len(tips)], moved[:, len(tips) :]
    rest, _ = ends[89], top[89]
    head = np.array(answer["bones"]["head"])
    rigid = Rotation.from_euler("y", 60, degrees=True).apply(rest - head) + head
    assert np.linalg.norm(np.diff(ends[80:90], axis=0), axis=-1).max() < 5e-4  # it hangs still
    lag = np.linalg.norm(ends[101] - rigid, axis=-1)
    assert lag.max() > 0.02, "it does not lag behind the head"
    assert np.abs(top[101] - (Rotation.from_euler("y", 60, degrees=True).apply(top[89] - head) + head)).max() < 1e-3
    assert np.linalg.norm(ends[-1] - rest, axis=-1).max() < 0.02, "it does not come back"
    assert np.linalg.norm(ends - ends.mean(1, keepdims=True), axis=-1).max() < 0.4  # it does not fly apart


def test_hair_hangs_down_from_a_bowed_head(smooth: dict[str, Any], read: Read) -> None:
    long = with_hair(smooth, 0.3)
    back = [(ROWS - 1) * COLUMNS + COLUMNS // 2]
    bowed = {"head": [float(np.radians(50)), 0.0, 0.0]}
    answer = read(long, PRESETS["vrm"], "Hair", None, None, back, motion=[*[turned(0)] * 60, *[bowed] * 120])
    rest, end = np.array(answer["moved"][59][0]), np.array(answer["moved"][-1][0])
    head = np.array(answer["bones"]["head"])
    rigid = Rotation.from_euler("x", 50, degrees=True).apply(rest - head) + head
    assert end[1] < rigid[1] - 0.02


def test_what_is_short_or_missing_does_not_swing(smooth: dict[str, Any]) -> None:
    body, skeleton = body_at_rest(smooth, False)
    for length, swings in ((0.05, False), (0.25, True)):
        surface = part_at_rest(hair(skeleton.heads[HEAD] + (0, skeleton.ground, 0), length), skeleton.ground, ())
        assert (springs_of("Hair", surface, body, skeleton, 55) is not None) == swings
        assert springs_of("Skirt", surface, body, skeleton, 55) is None
    assert b"VRMC_springBone" not in glb(smooth, PRESETS["vrm"], "Anna")
    assert b"VRMC_springBone" not in glb(with_hair(smooth, 0.3), PRESETS["gltf"], "Anna")
    assert b"VRMC_springBone" in glb(with_hair(smooth, 0.3), PRESETS["vrm"], "Anna")


def test_weights_are_whole_and_no_chain_rests_in_the_body(smooth: dict[str, Any]) -> None:
    body, skeleton = body_at_rest(smooth, False)
    surface = part_at_rest(hair(skeleton.heads[HEAD] + (0, skeleton.ground, 0), 0.3), skeleton.ground, ())
    springs = springs_of("Hair", surface, body, skeleton, 60)
    assert springs is not None
    for chain in range(len(springs.angles)):
        for bone in springs.bones[chain * springs.length + 1 : (chain + 1) * springs.length]:
            for collider in springs.colliders:
                along = collider.end - collider.begin
                share = np.clip((bone.head - collider.begin) @ along / max(float(along @ along), 1e-9), 0, 1)
                distance = np.linalg.norm(bone.head - collider.begin - share * along)
                assert distance >= collider.radius
