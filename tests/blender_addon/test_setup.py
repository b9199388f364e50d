"""Setting the backend up, from a package index of the test's own: real environments, a stand-in for the backend."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from uvatar_blender.core import pythons, setup
from uvatar_blender.core.backend_process import (
    BackendProcess,
    environment_folder,
    find_command,
    is_complete,
    outdated_version,
)
from uvatar_blender.core.environment_stamp import read_stamp, remove_environment, write_stamp
from uvatar_blender.core.packages import Packages, PackageSet, packages_for
from uvatar_blender.core.problem import Remedy
from uvatar_blender.core.setup import Setup, SetupOptions, log_tail
from uvatar_blender.core.setup_errors import explain

PATIENCE = 300.0
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints"


def wheel(folder: Path, name: str, version: str, files: dict[str, str], needs: str = "") -> Path:
    """A wheel with these files."""
    info = f"{name}-{version}.dist-info"
    requirement = f"Requires-Dist: {needs}\n" if needs else ""
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirement}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text.encode())}\n"
        for path, text in files.items()
    )
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in (files | {f"{info}/RECORD": record + f"{info}/RECORD,,\n"}).items():
            entry = zipfile.ZipInfo(inside)
            entry.external_attr = (
                0o100755 if "/scripts/" in inside else 0o100644
            ) << 16  # as in real wheels: programs can be run
            archive.writestr(entry, text)
    return path


class Index:
    """A package index on this computer; ``slow``: seconds that every file takes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.slow = folder, 0.0
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = self.path.strip("/").split("/")
                if parts[0] == "simple":
                    names = [
                        path.name
                        for path in index.folder.glob("*.whl")
                        if path.name.split("-")[0].replace("_", "-") == parts[1]
                    ]
                    self._answer("".join(f'<a href="/files/{name}">{name}</a>' for name in names).encode(), bool(names))
                    return
                time.sleep(index.slow)
                self._answer((index.folder / parts[1]).read_bytes(), True)

            def _answer(self, body: bytes, found: bool) -> None:
                self.send_response(200 if found else 404)
                self.send_header(
                    "Content-Type", "text/html" if self.path.startswith("/simple") else "application/octet-stream"
                )
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/simple/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that has a backend which is no more than its name, with a "torch"; and the data folder set to the test's
    own.
    """
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # no index but the test's own
    # What the set-up asks of pip itself is satisfied by the one that the environment begins with.
    monkeypatch.setattr(setup, "PIP", "pip>=20")
    monkeypatch.setattr(setup, "PROGRESS_BAR", ())
    monkeypatch.setattr(pythons, "_candidates", lambda: iter([sys.executable]))
    packages = tmp_path / "packages"
    packages.mkdir()
    wheel(packages, "torch", "9", {"torch.py": "big = '" + "x" * 300_000 + "'\n"})
    main = "import sys; print('served', sys.argv[1:])\n"
    tried = "import torch; print('version', '7.7')\n"
    backend = {
        "uvatar/__init__.py": "",
        "uvatar/engine/__init__.py": "",
        "uvatar/engine/self_test.py": tried,
        "uvatar/__main__.py": main,
    }
    wheel(packages, "uvatar", "7.7", backend, needs="torch")
    made = Index(packages)
    yield made
    made.close()


def options(
    index: Index,
    folder: Path | None = None,
    backend: str = "uvatar==7.7",
    needed: int = 1 << 20,
    tested: Path | None = None,
) -> SetupOptions:
    return SetupOptions(folder or environment_folder(), backend, index.address, needed, tested)


def list_of_packages(index: Index, folder: Path, digest: str = "") -> Path:
    """A folder with the list of tested packages for this system and Python: torch 9, with its own hash or another."""
    tag = subprocess.run(
        [sys.executable, "-c", pythons.TAG_PROGRAM], capture_output=True, text=True, check=True
    ).stdout.strip()
    machine, _, python = tag.rpartition("-")
    torch = (index.folder / "torch-9-py3-none-any.whl").read_bytes()
    line = f"torch==9 --hash=sha256:{digest or hashlib.sha256(torch).hexdigest()} # {len(torch)}\n"
    folder.mkdir()
    (folder / f"{machine.split('-')[0]}-{python}.txt").write_text("# tested\n" + line)
    return folder


def ended(making: Setup) -> Setup:
    making.wait(PATIENCE)
    assert not making.running
    return making


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


@pytest.mark.slow
def test_an_environment_is_made_found_started_and_removed(index: Index) -> None:
    making = ended(Setup(options(index)))
    assert making.done and making.progress.fraction == 1.0, (making.problem, log_tail())
    folder = environment_folder()
    stamp = read_stamp(folder)
    assert is_complete(folder) and stamp is not None and stamp["version"] == "7.7"
    assert find_command("")[1:] == ["-P", "-m", "uvatar"] and Path(find_command("")[0]).is_relative_to(folder)
    assert find_command(str(folder)) == find_command("")
    backend = BackendProcess("")
    assert backend.start() is None
    until(lambda: not backend.running, "the stand-in has ended")
    assert (
        (folder.parent / "logs" / "started-by-blender.log")
        .read_text()
        .startswith("served ['serve', '--exit-with-parent']")
    )
    remove_environment(folder)
    assert not folder.exists()


@pytest.mark.slow
def test_an_update_that_fails_leaves_the_backend_that_works(index: Index) -> None:
    assert ended(Setup(options(index))).done
    (index.folder / "torch-9-py3-none-any.whl").unlink()
    making = ended(Setup(options(index)))
    assert (
        making.problem.message == "The package index does not have torch."
        and making.problem.remedy is Remedy.PREFERENCES
    )
    assert is_complete(environment_folder()) and not environment_folder().with_name("environment.new").exists()


@pytest.mark.slow
def test_an_environment_of_an_older_add_on_is_replaced_with_the_extension_beside_the_backend(index: Index) -> None:
    """Version 0.1 had the backend in a module of another name."""
    folder = environment_folder()
    (folder / "lib" / "python3.11" / "site-packages" / "backend").mkdir(parents=True)
    write_stamp(folder, {"complete": True, "version": "0.1.0"})
    wheel(index.folder, "uvatar_blender", "7.7", {"uvatar_blender/__init__.py": ""})
    making = ended(Setup(replace(options(index), extension="uvatar-blender==7.7")))
    assert making.done, (making.problem, log_tail())
    assert find_command("")[1:] == ["-P", "-m", "uvatar"] and not outdated_version(folder)
    assert not list(folder.glob("lib/*/site-packages/backend"))
    assert list(folder.glob("**/site-packages/uvatar_blender/__init__.py"))


@pytest.mark.slow
@pytest.mark.parametrize("offline", [False, True])
def test_the_parser_is_downloaded_where_it_is_wanted(index: Index, offline: bool) -> None:
    """A failed download is told, and the backend is set up all the same."""
    files = {
        "uvatar/__init__.py": "",
        "uvatar/engine/__init__.py": "",
        "uvatar/engine/self_test.py": "print('version', '7.8')\n",
        "uvatar/__main__.py": f"import sys; print('asked', sys.argv[1:]); sys.exit({int(offline)})\n",
    }
    wheel(index.folder, "uvatar", "7.8", files)
    making = ended(Setup(replace(options(index, backend="uvatar==7.8"), parser=True)))
    assert making.done, (making.problem, log_tail())
    assert "asked ['weights', '--download-parser']" in log_tail()
    assert ("could not be downloaded" in making.progress.message) == offline
    assert is_complete(environment_folder())


@pytest.mark.slow
def test_cancelled_in_the_middle_nothing_stays(index: Index) -> None:
    index.slow = 2 * PATIENCE  # it ends only if the download is broken off
    making = Setup(options(index))
    until(lambda: making.progress.message.startswith("Downloading"), "it downloads")
    making.cancel()
    ended(making)
    assert not making.done and making.problem is None
    assert not environment_folder().exists() and not environment_folder().with_name("environment.new").exists()


@pytest.mark.slow
def test_without_a_network_it_says_so(index: Index) -> None:
    index.close()
    making = ended(Setup(options(index)))
    assert making.problem.message == "The package index cannot be reached." and making.problem.remedy is Remedy.SETUP
    assert "Connection" in log_tail()


def test_a_full_disk_is_found_before_anything_is_fetched(index: Index, tmp_path: Path) -> None:
    making = ended(Setup(options(index, needed=1 << 60)))
    assert "GB free" in making.problem.message and making.problem.remedy is Remedy.PREFERENCES
    assert not environment_folder().with_name("environment.new").exists()


def test_somebody_elses_folder_is_left_alone(index: Index, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
    making = ended(Setup(options(index, tmp_path / "thesis")))
    assert "does not belong to Uvatar" in making.problem.message and (tmp_path / "thesis" / "chapter1.txt").exists()
    with pytest.raises(ValueError, match="does not belong to Uvatar"):
        remove_environment(tmp_path / "thesis")


def test_a_place_that_cannot_be_written(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    making = ended(Setup(options(index, tmp_path / "file" / "environment")))
    assert "cannot be set up" in making.problem.message and making.problem.remedy is Remedy.PREFERENCES


def test_a_python_without_pip_is_told_too(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "find_python", lambda: None)
    monkeypatch.setattr(setup, "find_uv", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    making = ended(Setup(options(index)))
    assert "No Python 3.11 to 3.13" in making.problem.message and "has no pip" in making.problem.message
    assert "python.org" in making.problem.fix


@pytest.mark.slow
def test_the_packages_for_are_installed_and_no_newer_ones(index: Index, tmp_path: Path) -> None:
    wheel(index.folder, "torch", "10", {"torch.py": ""})
    making = ended(Setup(options(index, tested=list_of_packages(index, tmp_path / "constraints"))))
    assert making.done, (making.problem, log_tail())
    assert list(environment_folder().glob("**/torch-9.dist-info")) and not list(
        environment_folder().glob("**/torch-10.dist-info")
    )


@pytest.mark.slow
def test_a_file_that_is_not_the_tested_one_is_refused(index: Index, tmp_path: Path) -> None:
    making = ended(Setup(options(index, tested=list_of_packages(index, tmp_path / "constraints", digest="0" * 64))))
    assert making.problem is not None and "the one Uvatar was tested with" in making.problem.message, log_tail()
    assert not environment_folder().exists()


@pytest.mark.slow
def test_a_backend_that_makes_wrong_avatars_is_not_set_up(index: Index) -> None:
    failing = (
        "print('version 7.8'); print('The self-test failed: the texture is black.'); print('numpy is 3'); raise "
        "SystemExit(1)\n"
    )
    wheel(
        index.folder,
        "uvatar",
        "7.8",
        {"uvatar/__init__.py": "", "uvatar/engine/__init__.py": "", "uvatar/engine/self_test.py": failing},
    )
    making = ended(Setup(options(index, backend="uvatar==7.8")))
    assert (
        making.problem.message == "The self-test failed: the texture is black." and making.problem.remedy is Remedy.LOG
    )
    assert not environment_folder().exists() and "numpy is 3" in log_tail()


def uv_of_the_test(tmp_path: Path) -> str:
    """A stand-in for uv: notes what it is asked and where it is to put Python, and makes an environment of this
    Python.
    """
    notes = (
        f"echo \"$@\" > '{tmp_path}/asked'\necho \"$UV_PYTHON_INSTALL_DIR\" > '{tmp_path}/place'\n"
        'mkdir -p "$UV_PYTHON_INSTALL_DIR"\n'
    )
    return f"#!/bin/sh\n{notes}for last; do :; done\nexec '{sys.executable}' -m venv \"$last\"\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for uv is a shell script")
@pytest.mark.parametrize("from_index", [False, True])
def test_uv_brings_a_python_where_there_is_none(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_index: bool
) -> None:
    """The one on this computer, else one from the package index, fetched by Blender's own pip."""
    uv = tmp_path / "uv"
    uv.write_text(uv_of_the_test(tmp_path))
    uv.chmod(0o755)
    monkeypatch.setattr(setup, "find_python", lambda: None)
    monkeypatch.setattr(setup, "find_uv", lambda: None if from_index else str(uv))
    wheel(index.folder, "uv", "1", {"uv-1.data/scripts/uv": uv_of_the_test(tmp_path)})
    making = ended(Setup(options(index)))
    assert making.done, (making.problem, log_tail())
    assert (tmp_path / "asked").read_text().startswith("venv --allow-existing --seed --python >=3.11,<3.14 ")
    python = Path((tmp_path / "place").read_text().strip())
    assert python == pythons.fetched_python_folder(environment_folder()) and python.is_dir()
    remove_environment(environment_folder())
    assert not python.exists()


@pytest.mark.slow
def test_a_python_that_cannot_be_fetched_is_said_with_what_to_do(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "find_python", lambda: None)
    monkeypatch.setattr(setup, "find_uv", lambda: None)
    making = ended(Setup(options(index)))  # this index has no uv
    assert (
        making.problem.message.startswith("No Python 3.11 to 3.13 was found")
        and "does not have uv" in making.problem.message
    )
    assert "python.org" in making.problem.fix and not environment_folder().with_name("environment.new").exists()


def test_a_python_must_have_the_version_and_be_able_to_make_environments(tmp_path: Path) -> None:
    assert pythons.find_python([str(tmp_path / "nothing"), sys.executable]) == sys.executable
    if sys.platform != "win32":
        crippled = tmp_path / "python3.12"
        crippled.write_text("#!/bin/sh\necho \"No module named 'ensurepip'\" >&2\nexit 1\n")  # as some systems ship it
        crippled.chmod(0o755)
        assert pythons.find_python([str(crippled)]) is None
    other = shutil.which("python3.14") or shutil.which("python3.10")
    if other:
        assert pythons.find_python([other]) is None


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "The disk is full.",
            Remedy.PREFERENCES,
        ),
        (
            "NewConnectionError('Failed to establish a new connection: [Errno -3] '"
            "'Temporary failure in name resolution')",
            "The package index cannot be reached.",
            Remedy.SETUP,
        ),
        (
            "ERROR: No matching distribution found for torch>=2.11",
            "The package index does not have torch>=2.11.",
            Remedy.PREFERENCES,
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/srv/x'",
            "The folder cannot be written: permission denied.",
            Remedy.PREFERENCES,
        ),
        ("error: Failed to download cpython-3.12: error sending request for url", "The download failed.", Remedy.SETUP),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "The package index delivered a file that differs from the one Uvatar was tested with.",
            Remedy.PREFERENCES,
        ),
        ("ERROR: Something new", "The set-up failed: Something new", Remedy.LOG),
    ],
)
def test_last_words_are_explained(said: str, message: str, remedy: Remedy) -> None:
    problem = explain(["Collecting uvatar", said, ""])
    assert (problem.message, problem.remedy) == (message, remedy)


def test_progress_is_of_what_is_really_downloaded_and_installed(index: Index, tmp_path: Path) -> None:
    making = ended(Setup(options(index, needed=1 << 60)))  # any that has ended
    making._packages = Packages(None, {"torch": 900_000_000, "numpy": 100_000_000})
    making._take_pip_line("Progress 450000000 of 900000000")
    half = making.progress.fraction
    assert making.progress.message == "Downloading: 450 of 1000 MB"
    making._take_pip_line("Progress 900000000 of 900000000")
    making._take_pip_line("Progress 100000000 of 100000000")
    assert half < making.progress.fraction and making.progress.message == "Downloading: 1000 of 1000 MB"
    making._take_pip_line("Installing collected packages: numpy, torch")
    assert making.progress.message == "Installing"
    begun, site = making.progress.fraction, making._work / "lib" / "python3.12" / "site-packages"
    (site / "numpy-2.dist-info").mkdir(parents=True)
    (site / "numpy-2.dist-info" / "RECORD").touch()
    making._look_at_installed()
    assert making.progress.message == "Installing: 1 of 2 packages" and begun < making.progress.fraction < begun + 0.05


def test_progress_does_not_end_early_where_the_size_is_not_known(index: Index) -> None:
    making = ended(Setup(options(index, needed=1 << 60)))
    for _ in range(30):
        making._take_pip_line("Progress 200000000 of 200000000")
    assert making.progress.fraction < 0.7 and making.progress.message == "Downloading: 6000 MB"


@pytest.mark.slow
def test_pytorch_is_added_and_taken_away_again(index: Index, tmp_path: Path) -> None:
    """From the lists, and where there is none from what the index has."""
    light = {"uvatar/__init__.py": "", "uvatar/__main__.py": "", "uvatar/engine/__init__.py": ""}
    tried = {"uvatar/engine/self_test.py": "print('version', '7.9')\n"}
    wheel(index.folder, "uvatar", "7.9", light | tried, needs='torch; extra == "torch"\nProvides-Extra: torch')
    lists = list_of_packages(index, tmp_path / "constraints")
    (listed,) = lists.iterdir()
    listed.rename(listed.with_name(f"{listed.stem}-torch.txt"))
    listed.write_text("# tested\n")
    folder = environment_folder()
    for tested in (lists, None):
        for choice in (PackageSet.LIGHT, PackageSet.TORCH, PackageSet.LIGHT):
            making = ended(Setup(replace(options(index, backend="uvatar==7.9", tested=tested), choice=choice)))
            assert making.done, (making.problem, log_tail())
            assert bool(list(folder.glob("**/torch-9.dist-info"))) == (choice is PackageSet.TORCH)
            assert (read_stamp(folder) or {})["packages"] == choice.value


def test_a_wheel_is_installed_with_its_extra(tmp_path: Path) -> None:
    assert setup._with_extra("uvatar==1.0", "[torch]") == "uvatar[torch]==1.0"
    assert setup._with_extra("/a/uvatar-1.0-py3-none-any.whl", "[torch]") == "/a/uvatar-1.0-py3-none-any.whl[torch]"
    assert setup._with_extra("uvatar==1.0", "") == "uvatar==1.0"


@pytest.mark.parametrize("system", ["linux-x86_64", "windows-amd64", "macos-arm64"])
@pytest.mark.parametrize("python", ["py311", "py312", "py313"])
@pytest.mark.parametrize("choice", list(PackageSet))
def test_the_lists_that_are_shipped_are_read_whole(system: str, python: str, choice: PackageSet) -> None:
    found = packages_for(CONSTRAINTS, f"{system}-{python}\n", choice)
    assert found is not None and found.path is not None
    pins = [line for line in found.path.read_text().splitlines() if line and not line.startswith("#")]
    assert len(found.sizes) == len(pins) > 25 and 100e6 < found.total < (250e6 if choice is PackageSet.LIGHT else 4e9)
    assert {"onnxruntime", "opencv-python-headless", "ai-edge-litert"} <= set(found.sizes)
    assert ("torch" in found.sizes) == (choice is PackageSet.TORCH)


def test_a_system_that_was_not_tested_has_no_list() -> None:
    for tag in ("linux-aarch64-py312", "macos-x86_64-py311", "linux-x86_64-py314", "", "nonsense"):
        assert packages_for(CONSTRAINTS, tag) is None
    assert packages_for(None, "linux-x86_64-py312") is None
