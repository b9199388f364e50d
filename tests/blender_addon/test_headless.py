"""A Blender whose Python is another than the backend's: what it imports is its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.blender_addon.sample import sample_result
from uvatar.files import export
from uvatar.protocol import framing

ROOT = Path(__file__).resolve().parents[2]
# What `blender --background ... --python script -- arguments` does, with a Python that has bpy. Like Blender's own
# Python it does not look at PYTHONPATH, unless it is told to.
LAUNCHER = """#!{python}{isolated}
import runpy, sys
script = sys.argv[sys.argv.index("--python") + 1]
assert sys.argv[1] == "--background" and "--" in sys.argv
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The site-packages of an environment of another Python: the add-on, the backend, and a numpy that this Python
    cannot load.
    """
    site = tmp_path / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "blender_addon" / "uvatar_blender", site / "uvatar_blender", ignore=ignored)
    for package in ("numpy", "mathutils"):
        (site / package).mkdir()
        (site / package / "__init__.py").write_text("raise ImportError('this is the package of another Python')\n")
    return site


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Blender is a script that begins with #!")
@pytest.mark.parametrize("isolated", [" -I", ""])
def test_a_wheel_beside_a_blender_of_another_python_writes_all_files(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: str
) -> None:
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("bpy is not installed: nothing that needs Blender is tested")
    blender = tmp_path / "bin" / "blender"
    blender.parent.mkdir()
    blender.write_text(LAUNCHER.format(python=sys.executable, isolated=isolated))
    blender.chmod(0o755)
    monkeypatch.setenv("UVATAR_BLENDER", str(blender))
    monkeypatch.setenv("PYTHONPATH", str(wheel))
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: SimpleNamespace(origin=str(wheel / name / "__init__.py")) if name != "bpy" else None,
    )
    command = export.blender_command()
    assert (
        command is not None and command[0] == str(blender) and str(wheel / "uvatar_blender" / "headless.py") in command
    )
    (person,) = export.Exporter(tmp_path / "out", command).write(framing.unpack(framing.pack(sample_result())))
    assert person.problem is None
    assert "avatar.blend" in {path.name for path in person.folder.iterdir()}
