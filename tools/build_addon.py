# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Blender extension as a .zip that you can drag into Blender. `make addon` builds both kinds.

    python tools/build_addon.py                   # dist/uvatar-VERSION.zip: Set Up downloads the backend
    python tools/build_addon.py --with-backend    # dist/uvatar-VERSION-with-backend.zip: it is in the zip

The extension's folder is zipped with a copy of the protocol (Apache-2.0, which GPL-3.0 may include) and the manifest,
and validated with Blender's own tool, which is part of the bpy package, so no Blender program is needed. With
--with-backend, the wheels of ``uvatar`` (with all weights) and ``uvatar-blender`` are built and included, and so are
the lists of tested packages. Set Up then needs a package index only for the packages that the backend depends on.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt

from uvatar.protocol.version import __version__

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = ROOT / "blender_addon"
SOURCE = DISTRIBUTION / "uvatar_blender"
MANIFEST = "blender_manifest.toml"
DOCS = ROOT / "docs"
GUIDE_PAGES = ("artist-guide", "addon", "motion", "smpl-body")
_GUIDE_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em "
    ".6em;text-align:left;vertical-align:top}"
    "code{background:#f2f2f2;padding:0 .2em}pre{background:#f2f2f2;padding:.6em;overflow:auto}"
)
CONSTRAINTS = ROOT / "constraints"  # the packages that the backend was tested with


def stage(folder: Path) -> Path:
    """Copy the extension's files to ``folder``, which is replaced, and write its manifest; returns it."""
    if folder.exists():
        shutil.rmtree(folder)
    runpy.run_path(str(DISTRIBUTION / "copy_protocol.py"), run_name="__main__")
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    manifest = (DISTRIBUTION / MANIFEST).read_text(encoding="utf-8").replace("{version}", __version__)
    (folder / MANIFEST).write_text(manifest, encoding="utf-8", newline="\n")
    write_guide(folder / "guide")
    return folder


def build(out: Path, with_backend: bool = False) -> Path:
    """Stage, zip and validate; the zip's path.

    Raises RuntimeError with the tool's words where it does not like something.
    """
    out.mkdir(parents=True, exist_ok=True)
    staged = stage(ROOT / "build" / "addon" / "uvatar")
    if with_backend:
        build_wheels(staged / "backend")
        shutil.copytree(
            CONSTRAINTS, staged / "backend" / CONSTRAINTS.name, ignore=shutil.ignore_patterns("*-blender.txt")
        )
    zipped = out / f"uvatar-{__version__}{'-with-backend' if with_backend else ''}.zip"
    _extension_tool("build", "--source-dir", str(staged), "--output-filepath", str(zipped))
    _extension_tool("validate", str(zipped))
    return zipped


def write_guide(folder: Path) -> None:
    """Write the add-on's help to ``folder``: the artist's guide and what it leads to, as pages that a browser shows
    from the disk.

    Links to pages that are not shipped become plain text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in GUIDE_PAGES:
        html = MarkdownIt("commonmark").enable("table").render((DOCS / f"{name}.md").read_text(encoding="utf-8"))
        html = re.sub(r'<a href="(?!https?:)([^"#]*)(#[^"]*)?">(.*?)</a>', _guide_link, html)
        html = re.sub(r"<h([23])>(.*?)</h\1>", _with_anchor, html)
        for picture in re.findall(r'src="(images/[^"]+)"', html):
            (folder / "images").mkdir(exist_ok=True)
            shutil.copy(DOCS / picture, folder / picture)
        title = re.search(r"<h1>(.*?)</h1>", html)
        head = f'<meta charset="utf-8"><title>{title[1] if title else name}</title><style>{_GUIDE_STYLE}</style>'
        (folder / f"{name}.html").write_text(f'<!doctype html><html lang="en">{head}{html}</html>', encoding="utf-8")


def _with_anchor(found: re.Match[str]) -> str:
    """Give a heading the anchor that links to sections have: its words, as on code hosts."""
    words = re.sub(r"<[^>]+>|[^\w -]", "", found[2].lower()).replace(" ", "-")
    return f'<h{found[1]} id="{words}">{found[2]}</h{found[1]}>'


def _guide_link(found: re.Match[str]) -> str:
    page, section, text = found[1], found[2] or "", found[3]
    name = page.removesuffix(".md")
    return f'<a href="{name}.html{section}">{text}</a>' if name in GUIDE_PAGES else str(text)


def build_wheels(out: Path) -> None:
    """Build the wheels that `core.setup` installs: the backend's and the extension's.

    Raises RuntimeError with pip's words.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(out), str(ROOT), str(DISTRIBUTION)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip wheel failed:\n{done.stdout}{done.stderr}")


def _extension_tool(*arguments: str) -> None:
    found = importlib.util.find_spec("bpy")
    if found is None or found.origin is None:
        raise RuntimeError("bpy is not installed: pip install uvatar[blender]")
    tools = sorted(Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    done = subprocess.run([sys.executable, str(tools[-1]), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"blender_ext.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zip (default: dist)")
    parser.add_argument("--with-backend", action="store_true", help="include the backend's wheels")
    arguments = parser.parse_args()
    path = build(arguments.out, arguments.with_backend)
    print(f"{path} ({path.stat().st_size / 1024:.0f} KB)")
