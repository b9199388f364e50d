"""The page in a real browser, from the disk: what each control changes is seen in screenshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viewer.conftest import Visit
from uvatar.gltf.avatar import glb
from uvatar.gltf.clips import figure_of
from uvatar.gltf.presets import PRESETS
from uvatar.viewer.facts import facts_of
from uvatar.viewer.page import avatar_page, page_of

pytestmark = pytest.mark.slow

STAGE = (slice(60, 640), slice(0, 660))  # rows and columns of a screenshot that the panel does not cover
MOUTH = (slice(510, 590), slice(285, 385))  # in a view of the face

# Controls of which each changes the picture: the click before it, the control, and whether a second click undoes it.
CONTROLS = [
    ("#view-left", False), ("#view-back", False), ("#view-right", False), ("#view-front", False),
    ("label:has(#photo-beside)", True), ("label:has([value=flat])", False), ("label:has([value=studio])", False),
    ("label:has([value=t])", False), ("label:has([value=a])", False), ("label:has([value=relaxed])", False),
    ("label:has(#wireframe)", True), ("label:has(#skeleton)", True),
    ("label:has([value=photographed])", False), ("label:has([value=even])", False),
    ("label:has([value=source])", False), ("label:has([value=materials])", False), ("label:has([value=clay])", False),
    ("#view-face", False), ("#mood-laughing", False), ("#mood-surprised", False), ("#mood-neutral", False),
]  # fmt: skip


@pytest.fixture
def page(person: dict[str, Any], photo: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "an avatar's page.html"
    path.write_text(avatar_page(person, "Anna <&> p0", None, photo, ["A note."]), encoding="utf-8")
    return path


def test_each_control_changes_the_picture_and_nothing_is_fetched(page: Path, visit: Callable[..., Visit]) -> None:
    steps: list[dict[str, Any]] = [{"shot": "0"}]
    for number, (control, twice) in enumerate(CONTROLS):
        steps += [{"click": control}, {"wait": 60}, {"shot": f"{number + 1}"}]
        if twice:
            steps += [{"click": control}, {"wait": 60}, {"shot": f"{number + 1} undone"}]
    seen = visit(page, [*steps, {"read": "h1"}, {"read": "#legend"}])
    undone = ""
    for number, (control, twice) in enumerate(CONTROLS):
        assert seen.changed(f"{number}{undone}", f"{number + 1}", STAGE) > 1e-3, control
        undone = " undone" if twice else ""
        if twice:
            assert seen.changed(f"{number + 1} undone", f"{number + 1}", STAGE) > 1e-3, control
    assert not seen.complaints
    assert {address.split(":")[0] for address in seen.requests} <= {"file", "data", "blob"}
    assert sum(address.startswith("file:") for address in seen.requests) == 1  # the page itself
    assert seen.read["h1"] == "Anna <&> p0"


def test_it_walks_waves_and_talks(page: Path, visit: Callable[..., Visit]) -> None:
    moments = [0.0, 0.25, 0.5, 0.75]
    steps: list[dict[str, Any]] = [{"click": "label:has(#photo-beside)"}, {"click": "#view-front"}]
    for clip in ("walk", "wave"):
        steps.append({"click": f"label:has([value={clip}])"})
        for moment in moments:
            steps += [{"set": ["#moment", moment]}, {"wait": 60}, {"shot": f"{clip} {moment}"}]
    steps += [{"click": "#play"}, {"wait": 300}, {"shot": "plays"}, {"wait": 300}, {"shot": "plays on"}]
    steps += [
        {"click": "label:has([value=t])"},
        {"click": "#view-face"},
        {"click": "#mood-neutral"},
        {"shot": "silent"},
    ]
    steps += [{"click": "label:has(#talk)"}]
    for moment in np.linspace(0, 0.9, 10):
        steps += [{"set": ["#moment", float(moment)]}, {"wait": 60}, {"shot": f"says {moment:.1f}"}]
    seen = visit(page, steps)
    for clip in ("walk", "wave"):
        for one, other in zip(moments, [*moments[1:], moments[0]], strict=True):
            assert seen.changed(f"{clip} {one}", f"{clip} {other}", STAGE) > 1e-3, (clip, one)
    assert seen.changed("plays", "plays on", STAGE) > 1e-3
    # The inside of the mouth, and nothing else near it, is pale in this texture.
    pale = [int((seen.picture(f"says {moment:.1f}")[MOUTH].min(-1) > 150).sum()) for moment in np.linspace(0, 0.9, 10)]
    assert pale[0] < 5 and max(pale) > 200 and min(pale[1:]) < 0.2 * max(pale)  # it opens and closes
    assert not seen.complaints


def test_sliders_move_the_face_and_parts_can_be_hidden(page: Path, visit: Callable[..., Visit]) -> None:
    steps: list[dict[str, Any]] = [
        {"click": "label:has([value=t])"}, {"click": "#view-face"}, {"click": "#mood-neutral"}, {"shot": "still"},
        {"set": ["#key-jawOpen", 1]}, {"wait": 60}, {"shot": "open"},
        {"set": ["#key-jawOpen", 0]}, {"wait": 60}, {"shot": "closed"},
        {"set": ["#viseme-viseme_O", 1]}, {"wait": 60}, {"shot": "round"},
        {"click": "details:has(#parts) summary"}, {"click": "label:has(#part-body)"}, {"shot": "no body"},
    ]  # fmt: skip
    seen = visit(page, steps)
    assert seen.changed("still", "open", STAGE) > 1e-3 and seen.changed("still", "round", STAGE) > 1e-3
    assert seen.changed("still", "closed", STAGE) < 1e-4
    assert seen.changed("round", "no body", STAGE) > 0.05


def test_as_photographed_the_texture_is_that_of_the_photo(
    person: dict[str, Any], page: Path, tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    """With the light put back it looks as a page whose texture is shown as it is."""
    plain = tmp_path / "plain.html"
    plain.write_text(avatar_page({**person, "light_png": b""}, "Anna"), encoding="utf-8")
    still: list[dict[str, Any]] = [{"click": "label:has([value=t])"}, {"click": "label:has([value=flat])"},
                                   {"click": "#view-front"}]  # fmt: skip
    hidden = {"click": "label:has(#photo-beside)"}
    light = [{"shot": "even"}, {"click": "label:has([value=photographed])"}, {"wait": 200}, {"shot": "photographed"}]
    seen = visit(page, [hidden, *still, *light])
    even, photographed = (seen.picture(name) for name in ("even", "photographed"))
    other = visit(plain, [*still, {"read": "#panel"}, {"shot": "plain"}])
    wanted = other.picture("plain")[STAGE]
    off, before = (np.abs(wanted - picture[STAGE]).max(-1).mean() for picture in (photographed, even))
    assert before > 2 and off < 0.3 * before  # what is left is JPEG's
    assert "As photographed" not in other.read["#panel"] and not seen.complaints


def test_it_turns_by_mouse_keys_and_by_itself(page: Path, visit: Callable[..., Visit]) -> None:
    steps: list[dict[str, Any]] = [
        {"shot": "before"}, {"drag": [120, 0]}, {"wait": 500}, {"shot": "dragged"},
        {"keys": ["ArrowLeft", "ArrowLeft", "+"]}, {"wait": 500}, {"shot": "keys"},
        {"click": "label:has(#turntable)"}, {"wait": 400}, {"shot": "turning"}, {"wait": 400}, {"shot": "turned"},
    ]  # fmt: skip
    seen = visit(page, steps)
    shots = ["before", "dragged", "keys", "turning", "turned"]
    for one, other in pairwise(shots):
        assert seen.changed(one, other, STAGE) > 1e-3, other


def test_everything_is_reached_by_the_keyboard(page: Path, visit: Callable[..., Visit]) -> None:
    keys = ["Tab", "Enter"]  # the first is the button for light and dark
    seen = visit(page, [{"shot": "light"}, {"keys": keys}, {"shot": "dark"}])
    assert seen.picture("light").mean() - seen.picture("dark").mean() > 60


def test_it_fits_a_phone_and_is_dark_where_the_phone_is(page: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(page, [{"shot": "first"}, {"click": "label:has([value=walk])"}, {"wait": 300}, {"shot": "walks"},
                        {"read": "#panel"}], width=390, height=844, scheme="dark")  # fmt: skip
    assert seen.picture("first").mean() < 90
    assert seen.changed("first", "walks") > 1e-3 and "Turntable" in seen.read["#panel"]


def test_the_page_of_a_file_for_engines(person: dict[str, Any], tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Which has keys of the body's shape as well."""
    facts = {**facts_of(person, None, figure_of(person), "0", []), "photo": None, "maps": []}
    page = tmp_path / "avatar.html"
    page.write_text(page_of("Anna", facts, glb(person, PRESETS["gltf"], "Anna")), encoding="utf-8")
    steps: list[dict[str, Any]] = [
        {"shot": "first"}, {"click": "label:has([value=walk])"},
        {"set": ["#moment", 0.1]}, {"wait": 60}, {"shot": "step"},
        {"set": ["#moment", 0.4]}, {"wait": 60}, {"shot": "on"},
        {"click": "label:has([value=t])"}, {"click": "#view-face"}, {"shot": "face"}, {"click": "#mood-surprised"},
        {"shot": "surprised"}, {"click": "label:has(#talk)"},
        {"set": ["#moment", 0.1]}, {"wait": 60}, {"shot": "says"},
        {"set": ["#moment", 0.5]}, {"wait": 60}, {"shot": "more"},
    ]  # fmt: skip
    seen = visit(page, steps)
    assert not seen.complaints
    for one, other in pairwise(["first", "step", "on", "face", "surprised", "says", "more"]):
        assert seen.changed(one, other, STAGE) > 1e-3, other


def test_helper_bones_of_a_vrm_file_follow(person: dict[str, Any], tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """An arm that waves looks as with weights for joints alone; bones that stay behind tear the shoulder."""
    facts = {**facts_of(person, None, figure_of(person), "0", []), "photo": None, "maps": []}
    page, wave = tmp_path / "avatar.html", []
    for name in ("gltf", "vrm"):
        preset = replace(PRESETS[name], shape_sliders=False)
        page.write_text(page_of("Anna", facts, glb(person, preset, "Anna")), encoding="utf-8")
        steps = [{"click": "label:has([value=wave])"}, {"set": ["#moment", 0.3]}, {"wait": 100}, {"shot": name}]
        wave.append(visit(page, steps).picture(name)[STAGE])
    apart = (np.abs(wave[0] - wave[1]).max(-1) > 40).mean()
    assert apart < 2e-3  # .0034 without


def test_without_webgl_it_says_so_and_shows_the_photo(page: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(page, [{"read": "#message"}, {"read": "#panel"}, {"shot": "page"}], without3d=True)
    assert "WebGL" in seen.read["#message"] and "Confidence" in seen.read["#panel"]
    photo = seen.picture("page")[100:790, 20:360]
    assert photo.std() > 20  # the gradient
