"""An empty virtual environment, into which a test installs wheels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

_WHOLE = 600.0  # seconds for a command; far more than any takes


class Environment:
    """A virtual environment that sees the packages Uvatar depends on, and nothing of the checkout.

    Args:
        only: normalised names of the packages that it sees; None for all that are installed here.
    """

    def __init__(self, folder: Path, only: Collection[str] | None = None) -> None:
        self.folder = folder
        self._data = folder.parent / "data"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self._programs, self.python = programs, programs / ("python.exe" if sys.platform == "win32" else "python")
        self.packages = Path(self.run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
        if only is None:
            # Plain lines: the .pth files in those folders, by which the checkout may be installed there, are not read.
            (self.packages / "dependencies.pth").write_text("".join(f"{place}\n" for place in _dependencies()))
        for name in only or ():
            self._link(metadata.distribution(name))

    def _link(self, distribution: metadata.Distribution) -> None:
        """Put a package that is installed here into the environment, without its programs."""
        for top in {path.parts[0] for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")}:
            if not (self.packages / top).exists():  # some packages share a folder
                (self.packages / top).symlink_to(Path(str(distribution.locate_file(top))))

    def size(self) -> int:
        """Bytes of everything that is installed, compiled modules left out."""
        folders = [Path(folder) for folder, *_ in os.walk(self.packages, followlinks=True)]
        files = (path for folder in folders if folder.name != "__pycache__" for path in folder.iterdir())
        return sum(path.stat().st_size for path in files if path.is_file())

    def install(self, *wheels: Path) -> None:
        """Install wheels, from nowhere else."""
        options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", *options, *map(str, wheels)]
        subprocess.run(command, check=True, env=self._variables())

    def program(self, name: str, *arguments: object) -> str:
        """What a program that was installed here says."""
        return self.run(self._programs / name, *arguments)

    def run(self, *command: object) -> str:
        """What a command says, with the folder around this environment as its own; it must end well."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder.parent,
            env=self._variables(),
            capture_output=True,
            text=True,
            timeout=_WHOLE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UVATAR_"))}
        return {**kept, "UVATAR_DATA": str(self._data), "COLUMNS": "200"}


def _dependencies() -> list[Path]:
    """The folders of this process's packages that hold what Uvatar depends on."""
    found = (find_spec(name) for name in ("numpy", "torch", "typer", "lightning_fabric", "bpy"))
    return sorted({Path(spec.origin).parents[1] for spec in found if spec is not None and spec.origin is not None})
