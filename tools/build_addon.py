# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Blender extension: python tools/build_addon.py [--out dist]

The add-on's folder with the one file that it shares with the backend (Apache-2.0, which GPL-3.0 may include), zipped and
validated by Blender's own tool, which the bpy wheel brings along: no Blender program is needed.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "blender_addon"
SHARED = ROOT / "backend" / "wire.py"


def stage(folder: Path) -> Path:
    """Copy the extension's files to ``folder``, which is replaced; returns it."""
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    shutil.copy(SHARED, folder / "core" / SHARED.name)
    return folder


def build(out: Path) -> Path:
    """Stage, zip and validate; the zip's path. Raises RuntimeError with the tool's words where it does not like something."""
    out.mkdir(parents=True, exist_ok=True)
    staged = stage(ROOT / "build" / "addon" / "uvatar")
    version = tomllib.loads((SOURCE / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    zipped = out / f"uvatar-{version}.zip"
    _extension_tool("build", "--source-dir", str(staged), "--output-filepath", str(zipped))
    _extension_tool("validate", str(zipped))
    return zipped


def _extension_tool(*arguments: str) -> None:
    found = importlib.util.find_spec("bpy")
    if found is None or found.origin is None:
        raise RuntimeError("bpy is not installed: pip install uvatar[blender]")
    tools = sorted(Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    done = subprocess.run([sys.executable, str(tools[-1]), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"blender_ext.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    path = build(parser.parse_args().out)
    print(f"{path} ({path.stat().st_size / 1024:.0f} KB)")
