"""Setting the backend up, from a package index of the test's own: real environments, a stand-in for the backend."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blender_addon.core import pythons, setup
from blender_addon.core.backend_process import BackendProcess, environment_folder, find_command, is_complete
from blender_addon.core.problem import Remedy
from blender_addon.core.setup import Recipe, Setup, explain, log_tail, read_stamp

PATIENCE = 300.0


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
            archive.writestr(inside, text)
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
                    names = [path.name for path in index.folder.glob("*.whl") if path.name.split("-")[0] == parts[1]]
                    self._answer("".join(f'<a href="/files/{name}">{name}</a>' for name in names).encode(), bool(names))
                    return
                time.sleep(index.slow)
                self._answer((index.folder / parts[1]).read_bytes(), True)

            def _answer(self, body: bytes, found: bool) -> None:
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/octet-stream")
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
    """An index that has a backend which is no more than its name, with a "torch"; and the data folder set to the test's own."""
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
    backend = {"backend/__init__.py": "__version__ = '7.7'\n", "backend/pipeline.py": "import torch\n", "backend/__main__.py": main}
    wheel(packages, "uvatar", "7.7", backend, needs="torch")
    made = Index(packages)
    yield made
    made.close()


def recipe(index: Index, folder: Path | None = None, backend: str = "uvatar==7.7", needed: int = 1 << 20) -> Recipe:
    return Recipe(folder or environment_folder(), backend, index.address, needed)


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
def test_an_environment_is_made_found_started_and_removed(index) -> None:
    making = ended(Setup(recipe(index)))
    assert making.done and making.progress.fraction == 1.0, (making.problem, log_tail())
    folder = environment_folder()
    assert is_complete(folder) and read_stamp(folder)["version"] == "7.7"
    assert find_command("")[1:] == ["-P", "-m", "backend"] and Path(find_command("")[0]).is_relative_to(folder)
    assert find_command(str(folder)) == find_command("")
    backend = BackendProcess("")
    assert backend.start() is None
    until(lambda: not backend.running, "the stand-in has ended")
    assert (folder.parent / "logs" / "started-by-blender.log").read_text().startswith("served ['serve', '--exit-with-parent']")
    setup.remove(folder)
    assert not folder.exists()


@pytest.mark.slow
def test_an_update_that_fails_leaves_the_backend_that_works(index) -> None:
    assert ended(Setup(recipe(index))).done
    (index.folder / "torch-9-py3-none-any.whl").unlink()
    making = ended(Setup(recipe(index)))
    assert making.problem.message == "The package index does not have torch." and making.problem.remedy is Remedy.PREFERENCES
    assert is_complete(environment_folder()) and not environment_folder().with_name("environment.new").exists()


@pytest.mark.slow
def test_cancelled_in_the_middle_nothing_stays(index) -> None:
    index.slow = 60.0
    making = Setup(recipe(index))
    until(lambda: making.progress.message.startswith("Downloading"), "it downloads")
    begun = time.monotonic()
    making.cancel()
    assert time.monotonic() - begun < 0.1  # nobody waits for it
    ended(making)
    assert time.monotonic() - begun < 20 and not making.done and making.problem is None
    assert not environment_folder().exists() and not environment_folder().with_name("environment.new").exists()


@pytest.mark.slow
def test_without_a_network_it_says_so(index) -> None:
    index.close()
    making = ended(Setup(recipe(index)))
    assert making.problem.message == "The package index cannot be reached." and making.problem.remedy is Remedy.SETUP
    assert "Connection" in log_tail()


def test_a_full_disk_is_found_before_anything_is_fetched(index, tmp_path) -> None:
    making = ended(Setup(recipe(index, needed=1 << 60)))
    assert "GB free" in making.problem.message and making.problem.remedy is Remedy.PREFERENCES
    assert not environment_folder().with_name("environment.new").exists()


def test_somebody_elses_folder_is_left_alone(index, tmp_path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
    making = ended(Setup(recipe(index, tmp_path / "thesis")))
    assert "not Uvatar's" in making.problem.message and (tmp_path / "thesis" / "chapter1.txt").exists()
    with pytest.raises(ValueError, match="not Uvatar's"):
        setup.remove(tmp_path / "thesis")


def test_a_place_that_cannot_be_written(index, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    making = ended(Setup(recipe(index, tmp_path / "file" / "environment")))
    assert "cannot be set up" in making.problem.message and making.problem.remedy is Remedy.PREFERENCES


def test_no_python_and_no_uv(index, monkeypatch) -> None:
    monkeypatch.setattr(setup, "find_python", lambda: None)
    monkeypatch.setattr(setup, "find_uv", lambda: None)
    making = ended(Setup(recipe(index)))
    assert "No Python 3.11 or 3.12" in making.problem.message and "python.org" in making.problem.fix


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for uv is a shell script")
def test_uv_brings_a_python_where_there_is_none(index, tmp_path, monkeypatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho \"$@\" > '{tmp_path}/asked'\nfor last; do :; done\nexec '{sys.executable}' -m venv \"$last\"\n")
    uv.chmod(0o755)
    monkeypatch.setattr(setup, "find_python", lambda: None)
    monkeypatch.setattr(setup, "find_uv", lambda: str(uv))
    assert ended(Setup(recipe(index))).done
    assert (tmp_path / "asked").read_text().startswith("venv --allow-existing --seed --python >=3.11,<3.13 ")


def test_a_python_must_have_the_version_and_be_able_to_make_environments(tmp_path) -> None:
    assert pythons.find_python([str(tmp_path / "nothing"), sys.executable]) == sys.executable
    if sys.platform != "win32":
        crippled = tmp_path / "python3.12"
        crippled.write_text("#!/bin/sh\necho \"No module named 'ensurepip'\" >&2\nexit 1\n")  # as some systems ship it
        crippled.chmod(0o755)
        assert pythons.find_python([str(crippled)]) is None
    other = shutil.which("python3.13") or shutil.which("python3.14")
    if other:
        assert pythons.find_python([other]) is None


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "The disk is full.", Remedy.PREFERENCES),
        ("NewConnectionError('Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')",
         "The package index cannot be reached.", Remedy.SETUP),
        ("ERROR: No matching distribution found for torch>=2.11", "The package index does not have torch>=2.11.", Remedy.PREFERENCES),
        ("PermissionError: [Errno 13] Permission denied: '/srv/x'",
         "The folder cannot be written: permission is missing.", Remedy.PREFERENCES),
        ("ERROR: Something new", "The set-up failed: Something new", Remedy.LOG),
    ],
)  # fmt: skip
def test_last_words_are_explained(said: str, message: str, remedy: Remedy) -> None:
    problem = explain(["Collecting uvatar", said, ""])
    assert (problem.message, problem.remedy) == (message, remedy)


def test_progress_is_read_from_pips_lines(index) -> None:
    making = ended(Setup(recipe(index, needed=1 << 60)))  # any that has ended
    making._take_pip_line(f"Progress {setup.DOWNLOAD // 2} of {setup.DOWNLOAD // 2}")
    half = making.progress.fraction
    making._take_pip_line(f"Progress {setup.DOWNLOAD // 4} of {setup.DOWNLOAD // 2}")
    assert 0.3 < half < making.progress.fraction < 0.8 and "MB" in making.progress.message
    making._take_pip_line("Installing collected packages: torch, uvatar")
    assert making.progress.message == "Installing" and making.progress.fraction >= 0.8
