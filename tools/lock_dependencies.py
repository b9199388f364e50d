"""Pin one version of every package, with its hashes, for all systems.

    python tools/lock_dependencies.py [--upgrade]

Writes ``requirements.lock`` for development and CI (Linux, Python 3.11, all three distributions with all extras), and
from its versions ``constraints/*.txt`` for users: one file for each system and Python, which README's commands, the
add-on's Set Up and ``uvatar doctor`` use. So all install what the tests have run on. A line is
``name==version --hash=sha256:… # bytes``, for pip's ``--require-hashes -r``; the bytes are those of the wheel to
download, by which Set Up tells how far it is. Needs the package index, and uv (in the ``dev`` extra).

Versions stay as they are unless a pyproject.toml forbids them; ``--upgrade`` takes the newest that they allow. Run it
after a change of the dependencies there; after an upgrade run all tests, ``make test-newest`` and ``make
self-test-values``.
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
# As uv names the systems. Its macOS is 13: what it chooses runs there and on newer ones.
SYSTEMS = {"linux": "x86_64-unknown-linux-gnu", "windows": "x86_64-pc-windows-msvc", "macos": "aarch64-apple-darwin"}
PYTHONS = ("3.11", "3.12")
PROJECTS = (ROOT, ROOT / "training", ROOT / "blender_addon")
USERS = "uvatar"
USERS_WITH_BLENDER = "uvatar[blender]"
EVERYTHING = ("uvatar[blender,smpl,ray,dev]", "uvatar-training")
# Where the common version has no wheel: torch 2.12 needs macOS 14.
FREE = {"macos": ("torch", "torchvision")}
# What pip refuses and uv takes: uv does not look at the upper bound of the Python that a package asks for (here below
# 3.11).
REFUSED = ("backports-strenum<1.3",)

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """One package as it is to be installed.

    Attributes:
        name: normalised.
        hashes: sha256 of every file that this system and Python can take.
        size: bytes of the largest of them.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    size: int


@cache
def projects() -> dict[str, dict[str, Any]]:
    """What the pyproject.toml of each of Uvatar's distributions says, by the distribution's name."""
    said = [tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for folder in PROJECTS]
    return {project["project"]["name"]: project for project in said}


def requirements(wanted: Iterable[str]) -> list[str]:
    """The requirements on other projects that the requirements ``wanted`` lead to.

    Uvatar's own distributions, which no index has yet, are replaced by what they need.
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
    """All packages that the requirements ``wanted`` need on a system and a Python.

    Args:
        versions: those that are settled.
        with_sources: whether source distributions may be taken, too; users have no compiler.

    Raises RuntimeError with uv's words where there is no answer.
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
    """A requirements file of ``pins``."""
    pins = list(pins)
    lines = [f"# {purpose}", "# Made by tools/lock_dependencies.py: change pyproject.toml and run that."]
    for pin in sorted(pins, key=lambda pin: pin.name):
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in pin.hashes)
        lines.append(f"{pin.name}=={pin.version} {hashes} # {pin.size}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.relative_to(ROOT)}: {len(pins)} packages, {sum(pin.size for pin in pins) / 1e6:.0f} MB")


def write_uv(version: str) -> None:
    """The wheels of uv, by which Set Up fetches a Python where there is none, for all systems."""
    pins = [pin for system in SYSTEMS for pin in resolve(system, "3.12", [f"uv=={version}"])]
    together = Pin(
        "uv", version, tuple(sorted({digest for pin in pins for digest in pin.hashes})), max(pin.size for pin in pins)
    )
    write(FOLDER / "uv.txt", [together], "What fetches a Python where a computer has none.")


def pinned(path: Path) -> dict[str, str]:
    """Versions by normalised name that a requirements file pins; nothing where it is not there."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in _PIN.findall(text)}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    settled = {} if parser.parse_args().upgrade else pinned(LOCK)
    everything = resolve("linux", "3.11", EVERYTHING, settled, with_sources=True)
    write(LOCK, everything, "For development and CI: Linux x86-64, Python 3.11, all extras.")
    versions = {pin.name: pin.version for pin in everything}
    FOLDER.mkdir(exist_ok=True)
    write_uv(versions["uv"])
    for system in SYSTEMS:
        settled = {name: version for name, version in versions.items() if name not in FREE.get(system, ())}
        for python in PYTHONS:
            name = f"{system}-py{python.replace('.', '')}"
            pins = resolve(system, python, [USERS], settled)
            write(FOLDER / f"{name}.txt", pins, f"The backend on {system}, Python {python}.")
            if python == "3.11":  # the only one of the two that bpy 4.5 runs on
                pins = resolve(system, python, [USERS_WITH_BLENDER], settled)
                write(
                    FOLDER / f"{name}-blender.txt",
                    pins,
                    f"The backend and Blender as a module (bpy) on {system}, Python {python}.",
                )


if __name__ == "__main__":
    main()
