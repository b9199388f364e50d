"""The wheels and source distributions: what is in them, and that they run where nothing else of Uvatar is."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.environment import Environment
from tools.build_addon import stage
from uvatar.protocol.version import __version__
from uvatar.runtime import constraints

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"uvatar": ROOT, "uvatar_training": ROOT / "training", "uvatar_blender": ROOT / "blender_addon"}
APACHE = ("uvatar", "uvatar_training")
PROTOCOL = ROOT / "backend" / "uvatar" / "protocol"
# What `import uvatar` must not load: it is to cost next to nothing.
HEAVY = {"torch", "numpy", "scipy", "cv2", "PIL", "zmq", "rich", "typer"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distributions, and the wheels built from them. No network is used."""
    out = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS.values():
        _build("--outdir", str(out), str(folder))
    return out


def _build(*arguments: str) -> None:
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _wheel(built: Path, name: str) -> Path:
    return built / f"{name}-{__version__}-py3-none-any.whl"


def _files(path: Path) -> dict[str, bytes]:
    """The files of a wheel, or of a source distribution without its outer folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        opened = {member.name.partition("/")[2]: archive.extractfile(member) for member in members}
        return {name: file.read() for name, file in opened.items() if file is not None}


def _metadata(path: Path) -> Message:
    files = _files(path)
    name = next(name for name in files if name == "PKG-INFO" or name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(files[name].decode())


def test_everything_that_is_built_has_the_same_version(built: Path, tmp_path: Path) -> None:
    names = {f"{name}-{__version__}{end}" for name in FOLDERS for end in (".tar.gz", "-py3-none-any.whl")}
    assert {path.name for path in built.iterdir()} == names
    assert {_metadata(path)["Version"] for path in built.iterdir()} == {__version__}
    manifest = tomllib.loads((stage(tmp_path / "uvatar") / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    wanted = _metadata(_wheel(built, "uvatar_training")).get_all("Requires-Dist", [])
    assert f"uvatar[torch]=={__version__}" in wanted
    wanted = _metadata(_wheel(built, "uvatar")).get_all("Requires-Dist", [])
    assert f"uvatar-blender[bpy]=={__version__}; extra == 'blender'" in wanted
    base = {Requirement(line).name for line in wanted if "extra ==" not in line}
    assert "onnxruntime" in base and not base & {"torch", "torchvision", "smplx", "ray", "bpy", "pillow-heif"}


def test_twine_has_nothing_against_them(built: Path) -> None:
    command = [sys.executable, "-P", "-m", "twine", "check", "--strict", *map(str, sorted(built.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("PASSED") == 6, done.stdout + done.stderr


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_installs_one_package_with_all_that_an_index_shows(built: Path, name: str) -> None:
    files, metadata = _files(_wheel(built, name)), _metadata(_wheel(built, name))
    assert {path.split("/")[0] for path in files} == {name, f"{name}-{__version__}.dist-info"}
    assert (f"{name}/py.typed" in files) == (name in APACHE)
    assert metadata["License-Expression"] == ("Apache-2.0" if name in APACHE else "GPL-3.0-or-later")
    assert any("/licenses/" in path for path in files)
    assert metadata["Author"] == "Uvatar contributors" and metadata["Keywords"] and metadata.get_all("Classifier")
    addresses = dict(entry.split(", ") for entry in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Issues", "Changelog"} <= set(addresses)
    description = str(metadata.get_payload())
    assert description.count("](") == description.count("](https://"), "links that lead nowhere on an index's page"


@pytest.mark.parametrize("name", APACHE)
def test_nothing_under_the_gpl_is_in_an_apache_distribution(built: Path, name: str) -> None:
    for path in built.glob(f"{name}-*"):
        for inside, data in _files(path).items():
            assert "uvatar_blender" not in inside and "blender_addon" not in inside
            assert b"SPDX-License-Identifier: GPL" not in data and b"GNU GENERAL PUBLIC LICENSE" not in data, inside


def test_the_extension_carries_the_protocol_with_its_licence(built: Path, tmp_path: Path) -> None:
    wanted = {path.name: path.read_bytes() for path in (*PROTOCOL.glob("*.py"), ROOT / "LICENSE")}
    _build("--wheel", "--outdir", str(tmp_path), str(FOLDERS["uvatar_blender"]))
    (direct,) = tmp_path.iterdir()
    for path in (*built.glob("uvatar_blender-*"), direct):
        inside = {name: data for name, data in _files(path).items() if name.startswith("uvatar_blender/protocol/")}
        assert {name.rpartition("/")[2]: data for name, data in inside.items()} == wanted, path
    assert set(_files(direct)) == set(_files(_wheel(built, "uvatar_blender")))
    assert (ROOT / "training" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_they_run_where_nothing_else_of_uvatar_is(built: Path, tmp_path: Path) -> None:
    """First the backend alone, then the other two beside it."""
    place = Environment(tmp_path / "environment")
    place.install(_wheel(built, "uvatar"))
    program = "import sys, uvatar; print(uvatar.__file__, uvatar.__version__); print(*sys.modules)"
    first, loaded = place.run(place.python, "-P", "-c", program).splitlines()
    assert first == f"{place.packages / 'uvatar' / '__init__.py'} {__version__}"
    assert not HEAVY & {module.split(".")[0] for module in loaded.split()}
    assert "reconstruct" in place.program("uvatar", "--help")
    assert str(place.packages) in place.program("uvatar", "weights").replace("\n", "")
    portrait, out = ROOT / "samples" / "portrait.jpg", tmp_path / "avatars"
    try:
        said = place.program("uvatar", "reconstruct", portrait, "--fast", "--no-turntable", "--out", out)
        assert 'pip install "uvatar[blender]"' in said
        assert {"result.json", "texture.png", "avatar.glb", "avatar.html"} <= {
            path.name for path in out.glob("portrait_p*/*")
        }
        place.install(_wheel(built, "uvatar_training"), _wheel(built, "uvatar_blender"))
        assert "synthesize" in place.program("uvatar-train", "--help")
        found = place.run(place.python, "-P", "-c", "import uvatar_blender; print(uvatar_blender.__file__)")
        assert Path(found).parent == place.packages / "uvatar_blender"
        assert "--blend" in place.run(place.python, "-m", "uvatar_blender.headless", "--help")
        if find_spec("bpy") is not None:
            place.program("uvatar", "reconstruct", portrait, "--fast", "--no-turntable", "--out", out)
            assert {"avatar.blend", "avatar.glb"} <= {path.name for path in out.glob("portrait_p*/*")}
    finally:
        place.program("uvatar", "stop")


@pytest.mark.skipif(sys.platform == "win32", reason="packages are linked into the environment")
def test_without_pytorch_photos_become_avatars_and_little_is_downloaded(built: Path, tmp_path: Path) -> None:
    """In an environment that has what the plain list has, and nothing else."""
    listed = constraints.constraints_file()
    if listed is None:
        pytest.skip("no set was tested for this system and Python")
    wheel = _wheel(built, "uvatar")
    place = Environment(tmp_path / "environment", only=constraints.versions_in(listed))
    place.install(wheel)
    sizes = [int(size) for size in re.findall(r" # (\d+)$", listed.read_text(), re.MULTILINE)]
    assert sum(sizes) + wheel.stat().st_size < 350e6 and place.size() < 0.9e9
    missing = (
        "import importlib.util as u; print([n for n in ('torch', 'torchvision', 'smplx', 'bpy') if u.find_spec(n)])"
    )
    assert place.run(place.python, "-P", "-c", missing) == "[]"
    assert "libde265" in place.program("uvatar", "weights", "--licences")  # and nothing is under the GPL
    out = tmp_path / "avatars"
    try:
        place.program("uvatar", "reconstruct", ROOT / "samples" / "portrait.jpg", "--no-turntable", "--out", out)
        assert {"result.json", "texture.png", "avatar.glb", "avatar.html"} <= {
            path.name for path in out.glob("portrait_p*/*")
        }
    finally:
        place.program("uvatar", "stop")
