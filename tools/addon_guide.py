"""The add-on's help: the artist's guide and what it leads to, as pages that a browser shows from the disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("artist-guide", "addon", "smpl-body")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
    "code{background:#f2f2f2;padding:0 .2em}pre{background:#f2f2f2;padding:.6em;overflow:auto}"
)


def write_guide(folder: Path) -> None:
    """Write the pages, and the pictures that are on them, to ``folder``. Links to pages that are not shipped become plain text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        html = MarkdownIt("commonmark").enable("table").render((DOCS / f"{name}.md").read_text(encoding="utf-8"))
        html = re.sub(r'<a href="(?!https?:)([^"#]*)(#[^"]*)?">(.*?)</a>', _link, html)
        for picture in re.findall(r'src="(images/[^"]+)"', html):
            (folder / "images").mkdir(exist_ok=True)
            shutil.copy(DOCS / picture, folder / picture)
        title = re.search(r"<h1>(.*?)</h1>", html)
        head = f'<meta charset="utf-8"><title>{title[1] if title else name}</title><style>{_STYLE}</style>'
        (folder / f"{name}.html").write_text(f'<!doctype html><html lang="en">{head}{html}</html>', encoding="utf-8")


def _link(found: re.Match[str]) -> str:
    page, section, text = found[1], found[2] or "", found[3]
    name = page.removesuffix(".md")
    return f'<a href="{name}.html{section}">{text}</a>' if name in PAGES else str(text)
