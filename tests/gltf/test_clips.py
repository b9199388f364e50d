"""The sample clips, and the animations of files for engines: three.js plays them as they were computed."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.deformation import skinned, transforms
from tests.gltf.test_glb import plain
from uvatar.gltf.avatar import glb
from uvatar.gltf.clips import Figure, Played, figure_of, played
from uvatar.gltf.presets import PRESETS, chosen_presets
from uvatar.gltf.surface import Skeleton, body_at_rest
from uvatar.protocol.clips import Clip
from uvatar.protocol.gait import RATE
from uvatar.protocol.rig import RIG_NAMES, RIG_PARENTS

Read = Callable[..., dict[str, Any]]
ANKLES = [RIG_NAMES.index(f"{side}_ankle") for side in ("left", "right")]


@pytest.fixture(scope="module")
def smooth(person: dict[str, Any]) -> dict[str, Any]:
    return {**person, "offsets": np.zeros_like(person["offsets"])}


def at(pose: NDArray[np.float64]) -> dict[str, tuple[float, float, float]]:
    return {name: tuple(np.degrees(vector)) for name, vector in zip(RIG_NAMES, pose, strict=True)}


def places(figure: Figure, moves: Played) -> NDArray[np.float64]:
    """(F, 55, 3) the joints on each frame."""
    skeleton, rows = Skeleton(figure.heads, RIG_PARENTS, 0.0), []
    for pose, shift in zip(moves.poses, moves.pelvis, strict=True):
        world, where = transforms(skeleton, at(pose))
        rows.append(np.einsum("jab,jb->ja", world, figure.heads) + where + shift)
    return np.array(rows)


@pytest.mark.parametrize("clip", list(Clip))
def test_clips_repeat_without_a_jump(smooth: dict[str, Any], clip: Clip) -> None:
    moves = played(clip, figure_of(smooth))
    steps = np.abs(np.diff(moves.poses, axis=0)).max((0, 2))
    assert (np.abs(moves.poses[-1] - moves.poses[0]).max(1) < 1e-6 + 0.01 * steps).all()
    assert np.abs(moves.pelvis[-1] - moves.pelvis[0]).max() < 1e-9
    for key, values in moves.weights.items():
        assert abs(values[-1] - values[0]) < 1e-6 and 0 <= values.min() <= values.max() <= 1, key


@pytest.mark.parametrize("stature", [-3.0, 0.0, 3.0])
def test_feet_stay_on_the_ground(smooth: dict[str, Any], stature: float) -> None:
    betas = np.zeros(10, np.float32)
    betas[0] = stature
    figure = figure_of({**smooth, "betas": betas})
    walk = places(figure, played(Clip.WALK, figure))
    rest = figure.heads[ANKLES, 1].mean()
    heights = walk[:, ANKLES, 1]
    assert heights.min() > rest - 0.03 and heights.min(1).max() < rest + 0.08  # one of them is always down
    idle = places(figure, played(Clip.IDLE, figure))
    assert np.ptp(idle[:, ANKLES], axis=0).max() < 1e-3


def test_a_file_with_clips_is_valid_and_plays_in_three_js(smooth: dict[str, Any], read: Read) -> None:
    preset, rpm, vrm = chosen_presets(["gltf", "ready-player-me", "vrm"], clips=True)
    figure = figure_of(smooth)
    surface, skeleton = body_at_rest(smooth, True)
    chosen = np.arange(0, len(surface.positions), 50)
    for clip, frame in ((Clip.WALK, 11), (Clip.TALK, 62)):
        moves = played(clip, figure)
        moment = (clip.value.capitalize(), frame / RATE)
        answer = read(smooth, preset, "Body", None, None, chosen.tolist(), moment=moment)
        assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
        assert set(answer["clips"]) == {"Walk", "Idle", "Talk"}
        assert answer["clips"][moment[0]]["duration"] == pytest.approx(moves.seconds[-1], abs=1e-5)
        positions = surface.positions.astype(float)
        for key, values in moves.weights.items():
            assert answer["influences"][key] == pytest.approx(values[frame], abs=1e-4), key
            positions[surface.movements[key].vertices] += values[frame] * surface.movements[key].deltas
        moving = type(surface)(**{**vars(surface), "positions": positions})
        expected = skinned(moving, *transforms(skeleton, at(moves.poses[frame]))) + moves.pelvis[frame]
        assert np.abs(np.array(answer["vertices"]) - expected[chosen]).max() < 2e-4
    assert set(read(smooth, rpm)["clips"]) == {"Walk", "Idle", "Talk"}
    assert not vrm.clips and not PRESETS["gltf"].clips
    moves = played(Clip.TALK, figure)
    frame = int(moves.weights["jawOpen"].argmax())
    spoken = read(smooth, preset, "Teeth", None, None, [0], moment=("Talk", frame / RATE))["influences"]
    assert spoken["jawOpen"] == pytest.approx(moves.weights["jawOpen"][frame], abs=1e-4) and spoken["jawOpen"] > 0.3


def test_clips_are_small_and_those_of_a_plain_body_work(smooth: dict[str, Any], read: Read) -> None:
    [preset] = chosen_presets(["gltf"], clips=True)
    assert len(glb(smooth, preset, "a")) - len(glb(smooth, PRESETS["gltf"], "a")) < 600_000
    bare = {key: value for key, value in smooth.items() if key not in ("rig", "face", "parts")} | {"texture_png": b""}
    answer = read(bare, preset, moment=("Idle", 1.0))
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and set(answer["clips"])
    data = glb(bare, preset, "a")
    (length,) = struct.unpack_from("<I", data, 12)
    content = json.loads(data[20 : 20 + length])
    assert not any(
        channel["target"]["path"] == "weights" for one in content["animations"] for channel in one["channels"]
    )
