"""The lists of tested packages, and how this installation compares with them."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import lock_dependencies
from tools.lock_dependencies import FREE_ON_PYTHON, FREE_ON_SYSTEM, LISTS, PYTHONS, SYSTEMS, Kind
from uvatar.commands import doctor_checks
from uvatar.runtime import constraints

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "constraints"
SETS = [
    pytest.param(system, python, kind, id=f"{system}-{python}{kind.ending}")
    for system in SYSTEMS
    for python in PYTHONS
    for kind in LISTS
    if system in kind.systems and python in kind.pythons
]
PLATFORMS = {"linux": ("linux", "Linux"), "windows": ("win32", "Windows"), "macos": ("darwin", "Darwin")}
# What only developers and trainers need, and what an artist should not have to download.
NOT_LIGHT = {"torch", "torchvision", "triton", "bpy", "ray", "smplx", "pytest", "uv", "onnx", "pandas"}
LARGEST_LIGHT = 230e6  # bytes; with Uvatar's own wheel of 80 MB it stays below 350 MB


def _path(system: str, python: str, kind: Kind) -> Path:
    return FOLDER / f"{system}-py{python.replace('.', '')}{kind.ending}.txt"


def _pins(path: Path) -> dict[str, str]:
    return constraints.versions_in(path)


def _sizes(path: Path) -> list[int]:
    return [int(size) for size in re.findall(r" # (\d+)$", path.read_text(), re.MULTILINE)]


def test_there_is_a_list_for_every_system_and_python() -> None:
    wanted = {_path(*case.values).name for case in SETS}  # type: ignore[arg-type]
    assert {path.name for path in FOLDER.iterdir()} == wanted | {"uv.txt"}


@pytest.mark.parametrize(("system", "python", "kind"), SETS)
def test_a_set_has_all_that_uvatar_needs_within_its_bounds_and_by_hash(system: str, python: str, kind: Kind) -> None:
    path = _path(system, python, kind)
    text, pins = path.read_text(), _pins(path)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(pins) and all("--hash=sha256:" in line and re.search(r" # \d+$", line) for line in lines)
    assert "://" not in text
    needed = lock_dependencies.requirements([f"uvatar[{kind.extra}]"])
    place = {"python_version": python, "sys_platform": PLATFORMS[system][0], "platform_system": PLATFORMS[system][1]}
    wanted = [line for line in map(Requirement, needed) if line.marker is None or line.marker.evaluate(place)]
    if kind.runtime:
        wanted = [line for line in wanted if line.name != "onnxruntime"]
        assert Requirement(kind.runtime).name in pins and "onnxruntime" not in pins
    for requirement in wanted:
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert ("bpy" in pins) == (kind.extra == "blender") and ("torch" in pins) == (kind.extra == "torch")


@pytest.mark.parametrize(("system", "python", "kind"), SETS)
def test_users_get_the_versions_that_the_tests_run_on(system: str, python: str, kind: Kind) -> None:
    locked = _pins(ROOT / "requirements.lock")
    pins = _pins(_path(system, python, kind))
    other = {package for package, version in pins.items() if locked.get(package, version) != version}
    assert other <= {*FREE_ON_SYSTEM.get(system, ()), *FREE_ON_PYTHON.get(python, ())}
    plain = _pins(_path(system, python, next(kind for kind in LISTS if not kind.ending)))
    assert {name: plain[name] for name in pins if name in plain} == {name: pins[name] for name in pins if name in plain}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_plain_list_is_light(system: str, python: str) -> None:
    path = _path(system, python, next(kind for kind in LISTS if not kind.ending))
    assert not NOT_LIGHT & set(_pins(path)) and not any(name.startswith("nvidia-") for name in _pins(path))
    assert sum(_sizes(path)) < LARGEST_LIGHT


def _versions(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str | None]) -> None:
    """Make packages appear to have these versions; None: not installed. All others are as in the plain list."""
    path = constraints.constraints_file()
    if path is None:
        pytest.skip("no set was tested for this system and Python")
    versions: dict[str, str | None] = {**_pins(path), "torch": None, **changed}

    def version(name: str) -> str:
        found = versions.get(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)


def test_what_is_installed_is_compared_with_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, {"numpy": "9.9", "embreex": None})
    found = {difference.name: difference for difference in constraints.differences()}
    assert set(found) == {"numpy", "embreex"}
    assert found["numpy"].installed == "9.9" and found["embreex"].installed is None


def test_pytorch_is_compared_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = constraints.constraints_file("-torch")
    if path is None:
        pytest.skip("no set was tested for this system and Python")
    pins = _pins(path)
    _versions(monkeypatch, {**pins, "torch": f"{pins['torch']}+cpu"})
    assert constraints.differences() == []
    _versions(monkeypatch, {**pins, "torch": "1.0"})
    assert [difference.name for difference in constraints.differences()] == ["torch"]


@pytest.mark.parametrize("runtime", ["onnxruntime-gpu", "onnxruntime-directml"])
def test_another_onnx_runtime_takes_the_place_of_the_plain_one(monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    path = constraints.constraints_file("-cuda" if runtime == "onnxruntime-gpu" else "-directml")
    _versions(monkeypatch, {**(_pins(path) if path else {runtime: "1.0"}), "onnxruntime": None})
    named = {difference.name for difference in constraints.differences()}
    assert named == set()
    [finding] = doctor_checks._runtimes()
    assert finding.state == doctor_checks.GOOD and finding.words == runtime


def test_two_onnx_runtimes_at_once_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions(monkeypatch, {"onnxruntime-gpu": "1.31.1"})
    [finding] = doctor_checks._runtimes()
    assert finding.state == doctor_checks.WARNING and "pip uninstall onnxruntime onnxruntime-gpu" in finding.fix
    _versions(monkeypatch, {"onnxruntime": None})
    [finding] = doctor_checks._runtimes()
    assert finding.state == doctor_checks.PROBLEM


def test_a_gpu_that_is_not_used_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_nvidia_gpus", lambda: ["NVIDIA RTX 4090"])
    [finding] = doctor_checks._processors(None)
    assert finding.state == doctor_checks.WARNING and "NVIDIA RTX 4090" in finding.words
    assert "onnxruntime-gpu" in finding.fix
    [finding] = doctor_checks._processors("cpu")  # as was asked for
    assert finding.state == doctor_checks.GOOD and not finding.fix


def test_a_system_without_a_set_has_no_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert constraints.constraints_file() is None and constraints.differences() == []
