"""The self-test: passes where avatars are right, and finds what makes them wrong; the packages that it names."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools import lock_dependencies
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
SETS = [
    f"{system}-{python}" for system in ("linux", "windows", "macos") for python in ("py311", "py312", "py311-blender")
]


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
    monkeypatch.setattr(Engine, "load", lambda: engine)
    for seen, state in ((read_known().seen, doctor_checks.GOOD), (0.0, doctor_checks.PROBLEM)):
        monkeypatch.setattr(self_test, "observe", lambda _, seen=seen: _changed(seen=seen))
        [finding] = [
            finding for finding in doctor_checks.examine(tmp_path, self_test=True) if finding.subject == "Self-test"
        ]
        assert finding.state == state and bool(finding.fix) == (state == doctor_checks.PROBLEM)


@pytest.mark.parametrize("version", [(3, 11, 7), (3, 12, 1)])
def test_the_doctor_advises_only_what_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr("uvatar.files.export.blender_command", lambda: None)
    monkeypatch.setattr(sys, "version_info", version)
    [finding] = doctor_checks._blender()
    assert ("pip install bpy" in finding.fix) == (version[:2] == (3, 11)) and "UVATAR_BLENDER" in finding.fix


# -- the tested packages
# ----------------------------------------------------------------------------------------------------


def _pins(path: Path) -> dict[str, str]:
    return constraints.versions_in(path)


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_all_that_uvatar_needs_within_its_bounds_and_by_hash(name: str) -> None:
    from packaging.requirements import Requirement

    path = ROOT / "constraints" / f"{name}.txt"
    text, pins = path.read_text(), _pins(path)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(pins) and all("--hash=sha256:" in line and re.search(r" # \d+$", line) for line in lines)
    assert "://" not in text
    needed = lock_dependencies.requirements(["uvatar[blender]" if "blender" in name else "uvatar"])
    assert any("bpy" in requirement for requirement in needed) == ("blender" in name)
    for requirement in map(Requirement, needed):
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert ("bpy" in pins) == ("blender" in name)


@pytest.mark.parametrize("name", SETS)
def test_users_get_the_versions_that_the_tests_run_on(name: str) -> None:
    locked = _pins(ROOT / "requirements.lock")
    other = {
        package
        for package, version in _pins(ROOT / "constraints" / f"{name}.txt").items()
        if locked.get(package, version) != version
    }
    assert other <= ({"torch", "torchvision"} if name.startswith("macos") else set())


def test_what_is_installed_is_compared_with_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    path = constraints.constraints_file()
    if path is None:
        pytest.skip("no set was tested for this system and Python")
    real = metadata.version
    versions = {"numpy": "9.9", "torch": f"{_pins(path)['torch']}+cpu", "scipy": _pins(path)["scipy"]}

    def version(name: str) -> str:
        if name == "embreex":
            raise metadata.PackageNotFoundError
        return versions.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {difference.name: difference for difference in constraints.differences()}
    assert found["numpy"].installed == "9.9" and found["embreex"].installed is None
    assert "torch" not in found and "scipy" not in found


def test_a_system_without_a_set_has_no_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert constraints.constraints_file() is None and constraints.differences() == []
