"""The self-test: passes where avatars are right, and finds what makes them wrong; the packages that it names."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvatar.commands import doctor_checks
from uvatar.engine import self_test
from uvatar.engine.engine import Engine
from uvatar.engine.pipeline import Pipeline
from uvatar.engine.self_test import STAMP, TOLERANCE, Observed, SelfTestError, check, check_once, deviation, read_known
from uvatar.photos import sampling
from uvatar.runtime import constraints
from uvatar.runtime.constraints import Difference
from uvatar.service.worker import _load_error, load_pipeline

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(threads=2)


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Have the self-test observe this, or meet this exception, without any model."""

    def observe_instead(outcome: Any) -> None:
        def fake(_: Engine) -> Observed:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(self_test, "observe", fake)

    return observe_instead


def test_this_environment_makes_the_known_avatar(engine: Engine) -> None:
    """Fails after a change that is meant to change avatars: then `make self-test-values` writes the new ones."""
    found = check(engine)
    assert all(
        getattr(found, what) <= getattr(TOLERANCE, what) / 2 for what in ("landmarks", "vertices", "texture", "seen")
    ), found


def test_what_opencv_5_did_to_textures_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sampling.sampled
    monkeypatch.setattr("uvatar.photos.sampling.sampled", lambda *given: real(*given) * np.float32(np.nan))
    with pytest.raises(SelfTestError, match="self-test failed"):
        check(engine)


def _changed(**fields: Any) -> Observed:
    return replace(read_known(), **fields)


@pytest.mark.parametrize(
    "wrong",
    [
        _changed(texture=read_known().texture * 0),
        _changed(texture=255 - read_known().texture),
        _changed(texture=np.full_like(read_known().texture, np.nan)),
        _changed(seen=0.0001),
        _changed(landmarks=read_known().landmarks[:, ::-1]),
        _changed(landmarks=read_known().landmarks + np.float32(0.03)),
        _changed(landmarks=np.full_like(read_known().landmarks, np.nan)),
        _changed(vertices=read_known().vertices * [-1, 1, 1]),
        _changed(vertices=read_known().vertices * np.float32(1.05)),
        _changed(vertices=read_known().vertices + np.array([0, 0, np.inf], np.float32)),
        RuntimeError("Factor is exactly singular"),
        TypeError("remap() takes other arguments"),
        IndexError("nobody was found"),
    ],
)  # fmt: skip
def test_every_kind_of_wrong_avatar_fails(wrong: Any, observed: Callable[[Any], None], engine: Engine) -> None:
    observed(wrong)
    with pytest.raises(SelfTestError) as raised:
        check(engine)
    assert raised.value.code == "self-test-failed" and raised.value.fix


def test_small_differences_pass(observed: Callable[[Any], None], engine: Engine) -> None:
    known = read_known()
    observed(
        replace(known, vertices=known.vertices + np.float32(0.001), texture=known.texture + 1, seen=known.seen + 0.01)
    )
    assert 0 < check(engine).texture < TOLERANCE.texture
    assert deviation(known, known) == self_test.Deviation(0, 0, 0, 0)


def test_it_runs_once_for_each_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    runs = []
    monkeypatch.setattr(self_test, "observe", lambda _: runs.append(1) or read_known())
    check_once(engine, tmp_path)
    check_once(engine, tmp_path)
    assert len(runs) == 1 and json.loads((tmp_path / STAMP).read_text())["passed"]
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99" if name == "numpy" else real(name))
    check_once(engine, tmp_path)
    assert len(runs) == 2
    (tmp_path / STAMP).write_text("nonsense")
    check_once(engine, tmp_path)
    assert len(runs) == 3


def test_a_failure_is_not_remembered_as_passed(tmp_path: Path, observed: Callable[[Any], None], engine: Engine) -> None:
    observed(_changed(seen=0.0))
    for _ in range(2):
        with pytest.raises(SelfTestError):
            check_once(engine, tmp_path)
    assert not (tmp_path / STAMP).exists()


def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setattr(self_test, "observe", lambda _: read_known())
    (tmp_path / "file").touch()
    check_once(engine, tmp_path / "file")


def test_the_package_that_moved_is_named_first(
    monkeypatch: pytest.MonkeyPatch, observed: Callable[[Any], None], engine: Engine
) -> None:
    moved = [
        Difference("aaa", None, "1"),
        Difference("opencv-python-headless", "5.0.0.93", "4.11.0.86"),
        Difference("rich", "1", "2"),
    ]
    monkeypatch.setattr(constraints, "differences", lambda: moved)
    observed(_changed(seen=0.0))
    with pytest.raises(SelfTestError) as raised:
        check(engine)
    different = "differ from the tested ones: opencv-python-headless is 5.0.0.93, but 4.11.0.86 was tested"
    assert different in raised.value.fix
    assert "aaa is missing" in raised.value.fix


def test_the_model_process_says_it_in_the_self_tests_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setattr("uvatar.engine.pipeline.Pipeline", lambda threads, device, gpu: Pipeline(engine=engine))
    monkeypatch.setattr(self_test, "observe", lambda _: _changed(seen=0.0))
    with pytest.raises(SelfTestError) as raised:
        load_pipeline("uvatar.engine.pipeline:Pipeline", 2, tmp_path)
    assert _load_error(raised.value) is raised.value


def test_the_doctor_tells_a_failure(monkeypatch: pytest.MonkeyPatch, engine: Engine, tmp_path: Path) -> None:
    monkeypatch.setattr(Engine, "load", lambda device: engine)
    for seen, state in ((read_known().seen, doctor_checks.GOOD), (0.0, doctor_checks.PROBLEM)):
        monkeypatch.setattr(self_test, "observe", lambda _, seen=seen: _changed(seen=seen))
        [finding] = [
            finding for finding in doctor_checks.examine(tmp_path, self_test=True) if finding.subject == "Self-test"
        ]
        assert finding.state == state and bool(finding.fix) == (state == doctor_checks.PROBLEM)


@pytest.mark.parametrize("version", [(3, 11, 7), (3, 12, 1), (3, 13, 0)])
def test_the_doctor_advises_only_what_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr("uvatar.files.export.blender_command", lambda: None)
    monkeypatch.setattr(sys, "version_info", version)
    [finding] = doctor_checks._blender()
    newest = {(3, 11): "bpy==4.5.*", (3, 13): "bpy==5.2.*"}.get((version[0], version[1]))
    assert (f"pip install {newest}" in finding.fix) == (newest is not None) and "UVATAR_BLENDER" in finding.fix
