"""Pin one version of every package, with its hashes, for all systems. `make lock` calls it.

You need it after changing dependencies in a pyproject.toml, and to move to newer versions:

    python tools/lock_dependencies.py                 # keeps the versions that a pyproject.toml still allows
    python tools/lock_dependencies.py --upgrade       # takes the newest versions that are allowed

After an upgrade, run all tests, ``make test-newest`` and ``make self-test-values``. It needs a package index, and uv
(which the ``dev`` extra installs).

It writes ``requirements.lock`` for development and CI (Linux, Python 3.11, all three distributions with all extras),
and with these versions ``constraints/*.txt`` for users: one file for each system and Python version, which README's
commands, the add-on's Set Up, ``make demo`` and ``uvatar doctor`` use. Everyone therefore installs the tested versions.
The plain list is the backend without PyTorch; the others, named in `LISTS`, have more. A line is
``name==version --hash=sha256:… # bytes``, for pip's ``--require-hashes -r``; the number of bytes is the size of the
wheel to download, from which Set Up computes its progress.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
FOLDER = ROOT / "constraints"
# uv's names of the systems. For macOS, uv assumes version 13: the selected wheels run there and on newer versions.
SYSTEMS = {"linux": "x86_64-unknown-linux-gnu", "windows": "x86_64-pc-windows-msvc", "macos": "aarch64-apple-darwin"}
PYTHONS = ("3.11", "3.12", "3.13")
PROJECTS = (ROOT, ROOT / "training", ROOT / "blender_addon")
EVERYTHING = ("uvatar[blender,likeness,ray,smpl,torch,dev]", "uvatar-training")
# Packages whose common version has no wheel: torch 2.12 and onnxruntime 1.24 need macOS 14, NumPy 1.26 supports Python
# up to 3.12, and each release of bpy supports a single Python version.
FREE_ON_SYSTEM = {"macos": ("torch", "torchvision", "onnxruntime")}
FREE_ON_PYTHON = {"3.13": ("numpy", "bpy")}
# Versions that uv accepts but pip rejects: uv ignores the upper bound of a package's required Python (here below 3.11).
REFUSED = ("backports-strenum<1.3",)

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """A kind of list.

    Attributes:
        ending: of the file name.
        about: description of its contents, for the file's first line.
        extra: the extra of ``uvatar`` that it includes.
        runtime: the package that replaces ``onnxruntime``; both cannot be installed together.
        systems: the systems for which it exists.
        pythons: the Python versions for which it exists.
    """

    ending: str
    about: str
    extra: str = ""
    runtime: str = ""
    systems: tuple[str, ...] = tuple(SYSTEMS)
    pythons: tuple[str, ...] = PYTHONS


LISTS = (
    Kind("-blender", "The backend and Blender as a module (bpy)", extra="blender", pythons=("3.11", "3.13")),
    Kind("", "The backend"),
    Kind("-torch", "The backend with PyTorch", extra="torch"),
    Kind("-cuda", "The backend for NVIDIA's GPUs", runtime="onnxruntime-gpu[cuda,cudnn]", systems=("linux", "windows")),
    Kind("-directml", "The backend for every vendor's GPU", runtime="onnxruntime-directml", systems=("windows",)),
)


@dataclass(frozen=True)
class Pin:
    """A package to be installed.

    Attributes:
        name: normalised.
        version: the only version allowed.
        hashes: sha256 of every file that this system and Python version can use.
        size: of the largest of these files, bytes.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    size: int


@cache
def projects() -> dict[str, dict[str, Any]]:
    """The content of the pyproject.toml of each of Uvatar's distributions, by the distribution's name."""
    said = [tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for folder in PROJECTS]
    return {project["project"]["name"]: project for project in said}


def requirements(wanted: Iterable[str]) -> list[str]:
    """The requirements ``wanted``, with Uvatar's own distributions replaced by their requirements.

    They are replaced because no package index has them yet.
    """
    return list(dict.fromkeys(line for requirement in wanted for line in _replaced(requirement)))


def _replaced(requirement: str) -> Iterator[str]:
    parsed = Requirement(requirement.replace("{version}", "0"))
    project = projects().get(canonicalize_name(parsed.name))
    if project is None:
        yield requirement
        return
    declared = project["project"]
    hook = project["tool"]["hatch"].get("metadata", {}).get("hooks", {}).get("custom", {})
    needed = [*declared.get("dependencies", ()), *hook.get("dependencies", ())]
    extras = {**declared.get("optional-dependencies", {}), **hook.get("optional-dependencies", {})}
    for line in [*needed, *(line for extra in sorted(parsed.extras) for line in extras[extra])]:
        yield from _replaced(line)


def resolve(
    system: str,
    python: str,
    wanted: Iterable[str],
    versions: Mapping[str, str] | None = None,
    with_sources: bool = False,
) -> list[Pin]:
    """All packages that requirements need on a system with a Python version.

    Args:
        system: one of `SYSTEMS`.
        python: the Python version, such as "3.11".
        wanted: the requirements.
        versions: versions that are already fixed, by the packages' names.
        with_sources: whether to allow source distributions, too; users may have no compiler.

    Raises:
        RuntimeError: the requirements cannot be met; the message is uv's.
    """
    with tempfile.TemporaryDirectory() as folder:
        settled, answer, source = (Path(folder, name) for name in ("settled.txt", "pylock.toml", "wanted.in"))
        source.write_text("".join(f"{line}\n" for line in requirements(wanted)), encoding="utf-8")
        bounds = [*REFUSED, *(f"{name}=={version}" for name, version in (versions or {}).items())]
        settled.write_text("".join(f"{bound}\n" for bound in bounds), encoding="utf-8")
        command = [sys.executable, "-m", "uv", "--no-config", "pip", "compile", "--quiet", "--format", "pylock.toml"]
        command += [] if with_sources else ["--only-binary", ":all:"]
        command += ["--python-platform", SYSTEMS[system], "--python-version", python, "--constraint", str(settled)]
        done = subprocess.run([*command, "--output-file", str(answer), str(source)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"No set of packages for {system}, Python {python}:\n{done.stderr}")
        packages = tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]
    return [_pin(package) for package in packages]


def _pin(package: Mapping[str, Any]) -> Pin:
    files = package.get("wheels") or [package["sdist"]]
    hashes = tuple(sorted(file["hashes"]["sha256"] for file in files))
    return Pin(package["name"], package["version"], hashes, max(file["size"] for file in files))


def write(path: Path, pins: Iterable[Pin], purpose: str) -> None:
    """Write ``pins`` to a requirements file, with ``purpose`` in its head."""
    pins = list(pins)
    lines = [f"# {purpose}", "# Made by tools/lock_dependencies.py: change pyproject.toml and run that."]
    for pin in sorted(pins, key=lambda pin: pin.name):
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in pin.hashes)
        lines.append(f"{pin.name}=={pin.version} {hashes} # {pin.size}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.relative_to(ROOT)}: {len(pins)} packages, {sum(pin.size for pin in pins) / 1e6:.0f} MB")


def write_uv(version: str) -> None:
    """Write the list of uv's wheels for all systems, with which Set Up installs Python if there is none."""
    pins = [pin for system in SYSTEMS for pin in resolve(system, "3.12", [f"uv=={version}"])]
    together = Pin(
        "uv", version, tuple(sorted({digest for pin in pins for digest in pin.hashes})), max(pin.size for pin in pins)
    )
    write(FOLDER / "uv.txt", [together], "What fetches a Python where a computer has none.")


def pinned(path: Path) -> dict[str, str]:
    """The versions in a requirements file by normalised name; empty if the file does not exist."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in _PIN.findall(text)}


def write_lists(system: str, python: str, versions: Mapping[str, str], upgrade: bool) -> None:
    """Write all lists for a system and a Python version.

    Args:
        system: one of `SYSTEMS`.
        python: the Python version.
        versions: versions in ``requirements.lock``, by the packages' names.
        upgrade: use the newest versions of packages that are not fixed here, instead of those in the existing lists.
    """
    free = {*FREE_ON_SYSTEM.get(system, ()), *FREE_ON_PYTHON.get(python, ())}
    settled = {name: version for name, version in versions.items() if name not in free}
    for kind in LISTS:
        if system not in kind.systems or python not in kind.pythons:
            continue
        path = FOLDER / f"{system}-py{python.replace('.', '')}{kind.ending}.txt"
        wanted = requirements([f"uvatar[{kind.extra}]" if kind.extra else "uvatar"])
        if kind.runtime:
            wanted = [kind.runtime if Requirement(line).name == "onnxruntime" else line for line in wanted]
        known = {} if upgrade else pinned(path)
        pins = resolve(system, python, wanted, {**known, **settled})
        settled = {**{pin.name: pin.version for pin in pins}, **settled}  # for the same versions in the next list
        write(path, pins, f"{kind.about} on {system}, Python {python}.")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    upgrade = parser.parse_args().upgrade
    everything = resolve("linux", "3.11", EVERYTHING, {} if upgrade else pinned(LOCK), with_sources=True)
    write(LOCK, everything, "For development and CI: Linux x86-64, Python 3.11, all extras.")
    versions = {pin.name: pin.version for pin in everything}
    FOLDER.mkdir(exist_ok=True)
    write_uv(versions["uv"])
    for system in SYSTEMS:
        for python in PYTHONS:
            write_lists(system, python, versions, upgrade)


if __name__ == "__main__":
    main()
