"""A real Blender with its window. Not part of the default tests, for it needs a Debian root of 1.5 GB:

`make test-ui` runs it.

UVATAR_UI_SUITE says from which Debian the Blender is: trixie (4.3) or sid (5.2).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blender_window.window import Window
from tools.blender_root import SUITES, RootError, build
from tools.build_addon import CONSTRAINTS
from tools.build_addon import build as build_addon

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
WORK = "/tmp/uvatar-ui"  # in the root
SAMPLE_PIPELINE = "tests.blender_addon.fake_pipeline:SamplePipeline"

_SKIPPED = "THE WINDOW WAS NOT TESTED: there is no real Blender."

collect_ignore_glob = [] if os.environ.get("UVATAR_UI") else ["test_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly when nothing was tested."""
    if any(_SKIPPED in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.section(_SKIPPED, sep="!", red=True, bold=True)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Window:
    """A Blender with the built zip installed and enabled."""
    try:
        root = build(os.environ.get("UVATAR_UI_SUITE", SUITES[0]))
    except RootError as error:
        pytest.skip(f"{_SKIPPED} {error}")
    shutil.rmtree(root / WORK.lstrip("/"), ignore_errors=True)
    window = Window(root, WORK, {"UVATAR_DATA": f"{WORK}/data"})
    window.install(build_addon(tmp_path_factory.mktemp("dist")))
    # From the zip with the backend, for what Set Up says of its download; the backend itself is not needed here.
    extension = window.inside(f"{WORK}/blender/extensions/user_default/uvatar")
    shutil.copytree(CONSTRAINTS, extension / "backend" / CONSTRAINTS.name)
    return window


@pytest.fixture
def window(installed: Window) -> Iterator[Window]:
    """Blender, just opened, with the tab Uvatar before it."""
    shutil.rmtree(installed.inside(f"{WORK}/data"), ignore_errors=True)
    shutil.rmtree(installed.inside(f"{WORK}/photos"), ignore_errors=True)
    installed.inside(f"{WORK}/photos").mkdir()
    installed.open()
    begin(installed)
    yield installed
    installed.close()


def begin(window: Window) -> None:
    """Name what tests ask for, and open the tab."""
    window.run(
        "import importlib, time\n"
        "def module(name): return importlib.import_module('bl_ext.user_default.uvatar.' + name)\n"
        "state, photos = module('ui.state'), module('ui.photos')\n"
        "def rigs(): return [thing.name for thing in bpy.data.objects if thing.type == 'ARMATURE']\n"
        "view = bpy.context.preferences.view\n"
        "view.use_save_prompt = False\n"
        "view.filebrowser_display_type = 'SCREEN'\n"
    )
    window.show_sidebar()


@pytest.fixture
def serve(window: Window) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a backend of this checkout that Blender finds by its data folder; with made-up results unless told
    otherwise.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def start(pipeline: str | None = SAMPLE_PIPELINE) -> subprocess.Popen[bytes]:
        packages = os.pathsep.join(str(folder) for folder in (ROOT, ROOT / "backend"))
        environment = {**os.environ, "UVATAR_DATA": str(window.inside(f"{WORK}/data")), "PYTHONPATH": packages}
        command = [
            sys.executable,
            "-m",
            "uvatar",
            "serve",
            "--exit-with-parent",
            *(["--pipeline", pipeline] if pipeline else []),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        processes.append(process)
        assert process.stdout and process.stdout.readline(), "the backend did not start"
        return process

    yield start
    for process in processes:
        assert process.stdin and process.stdout
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
