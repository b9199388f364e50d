"""Build a Debian root folder with a real Blender, an X server without a screen, and a mouse.

`make test-ui` calls it: pip's bpy has no windows, and Blender's own downloads need libraries that a server lacks. Call
it yourself to have the root ready before the tests run.

    python tools/blender_root.py                  # Debian trixie with Blender 4.3
    python tools/blender_root.py --suite sid      # Debian sid with Blender 5.2

The root is built once in your cache folder and reused as long as the list of packages stays the same; it takes 1.5 GB
and about four minutes. Building needs Linux, root rights (for chroot) and Debian's package servers; if something is
missing, the message says what.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian trixie has Blender 4.3, sid has 5.2.
SUITES = ("trixie", "sid")
PACKAGES = (
    *(
        "blender",
        "python3-numpy",
        "python3-cattr",
        "python3-requests",
        "python3-zstandard",
    ),  # with what its extension system imports
    *("xvfb", "xauth", "libgl1-mesa-dri", "libegl1", "libgl1", "libglx-mesa0", "fonts-dejavu-core"),
    *("xdotool", "x11-apps", "imagemagick", "xclip"),
    *("python3-venv", "python3-pip"),
)


class RootError(Exception):
    """The root cannot be built here, and why."""


def cache_folder() -> Path:
    """Where the Makefile keeps its environments as well."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uvatar"


def root_folder(suite: str) -> Path:
    """Where the root of this suite and these packages is, or would be."""
    recipe = hashlib.sha256(" ".join((suite, *PACKAGES)).encode()).hexdigest()[:12]
    return cache_folder() / f"blender-root-{suite}-{recipe}"


def build(suite: str) -> Path:
    """The root's folder, built where it is not there yet. Raises RootError."""
    root = root_folder(suite)
    if (root / "complete").exists():
        return root
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise RootError(
            "a root with Blender is made by debootstrap and entered by chroot: that needs Linux and root rights"
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    if shutil.which("debootstrap") is None:
        if shutil.which("apt-get") is None:
            raise RootError("debootstrap is not installed")
        _run(root, ["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"])
    shutil.rmtree(root, ignore_errors=True)  # of a build that was broken off
    _run(root, ["debootstrap", "--variant=minbase", suite, str(root)])
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    inside = ["chroot", str(root)]
    # A mirror that lags some weeks behind is good enough here.
    _run(root, [*inside, "apt-get", "update", "-o", "Acquire::Check-Valid-Until=false"])
    _run(root, [*inside, "apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES])
    _run(root, [*inside, "apt-get", "clean"])
    (root / "complete").touch()
    return root


def _run(root: Path, command: list[str]) -> None:
    with open(root.with_suffix(".log"), "ab") as log:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        raise RootError(f"`{' '.join(command[:4])} …` failed: see {root.with_suffix('.log')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0], help="of Debian (default: %(default)s)")
    try:
        print(build(parser.parse_args().suite))
    except RootError as error:
        sys.exit(f"No root with Blender: {error}.")
