"""Runs the tests that need Blender's Python module, each file in a process and a Blender resource folder of its own.

Another Blender's Python can be chosen: UVATAR_BPY_PYTHON=/path/to/python with bpy, numpy, scipy, pillow, pyzmq and
pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.blender_addon.conftest import IN_BLENDER

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.name for path in (Path(__file__).parent / "in_blender").glob("test_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_in_blender(file: str, tmp_path: Path) -> None:
    chosen = os.environ.get("UVATAR_BPY_PYTHON")
    if not chosen and find_spec("bpy") is None:
        pytest.skip("bpy is not installed: nothing that needs Blender is tested")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        IN_BLENDER: "1",
        "UVATAR_BACKEND_PYTHON": sys.executable,
        "BLENDER_USER_RESOURCES": str(tmp_path / "blender"),
        "UVATAR_DATA": str(tmp_path / "data"),
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in (".", "backend", "blender_addon")),
    }
    options = ["-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [chosen or sys.executable, "-m", "pytest", *options, f"tests/blender_addon/in_blender/{file}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580)
    print(done.stdout[-20_000:])
    crash = done.stderr.find("Fatal Python error")  # the stack is at its beginning, modules' names are at its end
    stderr = done.stderr[-3000:] if crash < 0 else done.stderr[crash : crash + 6000]
    assert done.returncode == 0, done.stdout[-8000:] + stderr
