"""`uvatar weights --licences`: whose everything is that comes with Uvatar, and that nothing of it is under the GPL."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from uvatar.commands import licences
from uvatar.commands.cli import make_app
from uvatar.commands.licences import UNKNOWN, Licensed
from uvatar.runtime.weights import weights_folder

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints"
# Packages whose wheels have libraries under the GPL, though they themselves do not.
WITH_GPL_INSIDE = {"pillow-heif", "pyav", "av", "imageio-ffmpeg"}


def distribution(name: str, *requires: str, files: tuple[str, ...] = (), **fields: str) -> metadata.Distribution:
    """An installed package with these requirements, files and lines of metadata (``_`` for ``-``)."""
    lines = "".join(f"{field.replace('_', '-')}: {value}\n" for field, value in fields.items())
    lines += "".join(f"Requires-Dist: {line}\n" for line in requires)
    extras = sorted({extra for line in requires for extra in re.findall(r'extra == "(\w+)"', line)})
    lines += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    record = "".join(f"{file},,\n" for file in files)
    texts = {"METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: 1\n{lines}", "RECORD": record}

    class Made(metadata.Distribution):
        def read_text(self, filename: str) -> str | None:
            return texts.get(filename)

        def locate_file(self, path: Any) -> Any:
            return SimpleNamespace(exists=lambda: True) if str(path) in files else Path("/nowhere", str(path))

    return Made()


@pytest.fixture(scope="module")
def found() -> list[Licensed]:
    return licences.parts(weights_folder())


def test_every_weight_and_package_has_a_licence(found: list[Licensed]) -> None:
    for part in found:
        assert part.licence != UNKNOWN and not part.licence.startswith("see "), part
    weights = {path.relative_to(weights_folder()).as_posix() for path in weights_folder().rglob("*")}
    assert {part.name for part in found if part.kind == "weights"} <= weights
    assert {"numpy", "onnxruntime", "opencv-python-headless"} <= {part.name for part in found if part.kind == "package"}


def test_the_libraries_in_wheels_are_named(found: list[Licensed]) -> None:
    named = {(part.origin, part.name): part for part in found if part.kind == "library"}
    assert named["opencv-python-headless", "FFmpeg"].licence == "LGPL-2.1-or-later"
    assert named["pi_heif", "libde265"].licence == "LGPL-3.0-or-later"
    assert all(part.files for part in named.values())


def test_nothing_that_is_loaded_is_under_the_gpl(found: list[Licensed]) -> None:
    assert licences.gpl(found) == []


def test_no_list_has_a_package_with_gpl_code_inside() -> None:
    for path in CONSTRAINTS.glob("*.txt"):
        assert not WITH_GPL_INSIDE & set(re.findall(r"^([a-z0-9-]+)==", path.read_text(), re.MULTILINE)), path


def test_a_gpl_library_in_a_wheel_is_found() -> None:
    wheel = distribution("pillow-heif", files=("pillow_heif.libs/libx265-4883ecb5.so.217", "pillow_heif/a.py"))
    assert [part.licence for part in licences.libraries(wheel)] == ["GPL-2.0-or-later"]
    assert licences.gpl(licences.libraries(wheel))


@pytest.mark.parametrize(
    ("licence", "is_gpl"),
    [
        ("GPL-2.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("MIT AND GPL-3.0-only", True),
        ("MIT OR GPL-2.0-only", False),
        ("LGPL-3.0-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("Apache-2.0", False),
    ],
)
def test_what_counts_as_the_gpl(licence: str, is_gpl: bool) -> None:
    assert Licensed("package", "any", licence).is_gpl == is_gpl


def test_blender_runs_apart() -> None:
    module = Licensed("package", "bpy", "GPL-3.0-or-later", origin="blender")
    inside = Licensed("library", "x264 or x265", "GPL-2.0-or-later", origin="bpy")
    assert licences.gpl([module, inside]) == []
    assert licences.gpl([Licensed("package", "bpy", "GPL-3.0-or-later", origin="base")])


def test_packages_are_followed_through_extras_and_stand_ins() -> None:
    there = {
        "uvatar": distribution(
            "uvatar", "onnxruntime", 'uvatar-blender[bpy]; extra == "blender"', 'pytest; extra == "dev"', "absent"
        ),
        "onnxruntime-gpu": distribution("onnxruntime-gpu", "numpy", License_Expression="MIT"),
        "numpy": distribution("numpy", Classifier="License :: OSI Approved :: BSD License"),
        "uvatar-blender": distribution("uvatar-blender", 'bpy; extra == "bpy"'),
        "bpy": distribution("bpy", License="GPL-3.0"),
        "pytest": distribution("pytest"),
    }

    def find(name: str) -> metadata.Distribution:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    named = {item.metadata["Name"]: origin for item, origin in licences.packages(find=find)}
    assert named == {
        "uvatar": "base",
        "onnxruntime-gpu": "base",
        "numpy": "base",
        "uvatar-blender": "blender",
        "bpy": "blender",
    }
    said = {item.metadata["Name"]: licences.package(item, "").licence for item, _ in licences.packages(find=find)}
    assert (said["onnxruntime-gpu"], said["numpy"], said["bpy"]) == ("MIT", "BSD License", "GPL-3.0")


def test_the_command_prints_tables_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [
        Licensed("weights", "a.npz", "CC0 1.0"),
        Licensed("package", "numpy", "BSD", "2.0", "base", ("LICENSE.txt",)),
    ]
    monkeypatch.setattr(licences, "parts", lambda folder: some)
    said = CliRunner().invoke(make_app(), ["weights", "--licences"])
    assert said.exit_code == 0 and "a.npz" in said.output and "numpy" in said.output
    said = CliRunner().invoke(make_app(), ["weights", "--licences", "--json"])
    assert [part["licence"] for part in json.loads(said.output)] == ["CC0 1.0", "BSD"]
    monkeypatch.setattr(licences, "parts", lambda folder: [Licensed("package", "x", "GPL-3.0-only", "1", "base")])
    assert CliRunner().invoke(make_app(), ["weights", "--licences"]).exit_code == 1
