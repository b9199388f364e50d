"""The help that comes with the add-on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.build_addon import GUIDE_PAGES, write_guide


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    write_guide(folder)
    return folder


@pytest.mark.parametrize("name", GUIDE_PAGES)
def test_pages_are_whole_without_a_network(guide: Path, name: str) -> None:
    page = (guide / f"{name}.html").read_text(encoding="utf-8")
    assert "<h1>" in page and "<table>" in page
    for source in re.findall(r'src="([^"]+)"', page):
        assert (guide / source).is_file(), source
    for link in re.findall(r'href="([^"]+)"', page):
        assert link.startswith(("https:", "#")) or (guide / link.split("#")[0]).is_file(), link


def test_help_buttons_lead_to_sections_that_exist(guide: Path) -> None:
    places = [
        place
        for file in (Path(__file__).resolve().parents[2] / "blender_addon/uvatar_blender/ui").glob("*.py")
        for place in re.findall(r'guide = \("([^"]+)", "([^"]*)"\)', file.read_text(encoding="utf-8"))
    ]
    assert len(places) >= 6
    for page, section in places:
        html = (guide / f"{page}.html").read_text(encoding="utf-8")
        assert not section or f' id="{section}">' in html, (page, section)
    for name in GUIDE_PAGES:  # and so do the links in the pages
        for target, section in re.findall(
            r'href="([\w-]*\.html|)#([^"]+)"', (guide / f"{name}.html").read_text("utf-8")
        ):
            assert f' id="{section}">' in (guide / (target or f"{name}.html")).read_text(encoding="utf-8"), section


def test_there_is_nothing_else_in_it(guide: Path) -> None:
    shown = {
        source
        for page in guide.glob("*.html")
        for source in re.findall(r'src="([^"]+)"', page.read_text(encoding="utf-8"))
    }
    assert {str(path.relative_to(guide)) for path in guide.rglob("*") if path.is_file()} == shown | {
        f"{name}.html" for name in GUIDE_PAGES
    }
