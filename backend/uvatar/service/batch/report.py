"""The report of a batch: one page with a thumbnail of every avatar and the reason for every failure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from uvatar.files.avatar_folders import THUMBNAILS, is_avatar_name
from uvatar.protocol.atomic_files import write_atomically
from uvatar.protocol.photo_lists import shown
from uvatar.service.batch.record import PhotoOutcome
from uvatar.viewer import PAGE

REPORT = "report.html"
SIDE = 240  # pixels of a thumbnail's longer side

_STYLE = """
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 90rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; height: 220px; object-fit: contain; background: #8882; border-radius: 6px }
figcaption { font-size: 13px; overflow-wrap: anywhere }
"""


def write_report(out: Path, outcomes: Iterable[PhotoOutcome], photos: int) -> Path:
    """Write the page, and the thumbnails that do not exist yet.

    Args:
        out: the batch's output folder.
        outcomes: the photos' outcomes so far.
        photos: number of photos of the whole batch.

    Returns:
        the path of the page.

    Raises:
        OSError: a file cannot be written.
    """
    everything = sorted(outcomes, key=lambda outcome: outcome.key)
    done, failed = [o for o in everything if o.done], [o for o in everything if not o.done]
    cards = [_card(out, outcome, number, folder) for outcome in done for number, folder in enumerate(outcome.folders)]
    rows = [
        f"<tr><td>{escape(shown(o.key))}</td><td>{escape(o.code)}</td><td>{escape(o.reason)}</td></tr>" for o in failed
    ]
    kinds = ", ".join(f"{escape(code)} {count}" for code, count in Counter(o.code for o in failed).most_common())
    left = photos - len(everything)
    summary = (
        f"{photos} photos: {len(done)} with {len(cards)} avatars, {len(failed)} failed{f' ({kinds})' if kinds else ''}"
    )
    table = "<h2>Failures</h2><table><tr><th>Photo</th><th>Kind</th><th>Reason</th></tr>" + "".join(rows) + "</table>"
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Uvatar batch</title>
<style>{_STYLE}</style>
<h1>Uvatar batch</h1>
<p>{summary}{f", {left} not done yet" if left else ""}.</p>
{_timings(done)}
{table if rows else ""}
<h2>Avatars</h2>
<main>{"".join(cards)}</main>
</html>
"""
    write_atomically(out / REPORT, [page.encode("utf-8", "replace")])
    _delete_other_thumbnails(out, {folder for outcome in done for folder in outcome.folders})
    return out / REPORT


def _timings(done: Sequence[PhotoOutcome]) -> str:
    """Median seconds of each stage."""
    stages = {stage: None for outcome in done for stage in outcome.seconds}
    if not stages:
        return ""
    medians = {stage: statistics.median(o.seconds[stage] for o in done if stage in o.seconds) for stage in stages}
    cells = "".join(f"<tr><td>{escape(stage)}</td><td>{seconds:.2f} s</td></tr>" for stage, seconds in medians.items())
    total = statistics.median(sum(o.seconds.values()) for o in done)
    return f"<h2>Time per photo (median)</h2><table>{cells}<tr><th>together</th><th>{total:.2f} s</th></tr></table>"


def _card(out: Path, outcome: PhotoOutcome, number: int, folder: str) -> str:
    person = outcome.people[number] if number < len(outcome.people) else {}
    words = [f"{name.replace('_', ' ')} {value:.1%}" for name, value in person.items() if value is not None]
    picture = _thumbnail(out, folder)
    image = f'<img loading="lazy" src="{quote(picture)}" alt="">' if picture else ""
    title = f"<b>{escape(shown(outcome.key))}</b>, person {number}"
    caption = f"<figcaption>{title}<br>{escape(', '.join(words))}</figcaption>"
    page = PAGE if (out / folder / PAGE).is_file() else ""
    return f'<figure><a href="{quote(folder)}/{page}">{image}</a>{caption}</figure>\n'


def _delete_other_thumbnails(out: Path, folders: Collection[str]) -> None:
    """Delete the thumbnails of avatars that no longer exist."""
    for path in (out / THUMBNAILS).glob("*.jpg"):
        if is_avatar_name(path.stem) and path.stem not in folders:
            with suppress(OSError):
                path.unlink()


def _thumbnail(out: Path, folder: str) -> str | None:
    """A small copy of the avatar's overlay, relative to the report; None if there is none."""
    source, target = out / folder / "overlay.jpg", out / THUMBNAILS / f"{folder}.jpg"
    with suppress(OSError, ValueError):
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            target.parent.mkdir(exist_ok=True)
            with Image.open(source) as picture:
                picture.thumbnail((SIDE, SIDE))
                picture.convert("RGB").save(target, "JPEG", quality=80)
        return f"{THUMBNAILS}/{folder}.jpg"
    return None
