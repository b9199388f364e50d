"""Files of real avatars: close clothes, a skirt and a ponytail, and a child with a dress and long hair, from photos."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.gltf.test_glb import plain
from uvatar.engine.engine import Engine
from uvatar.files.given_photos import GivenPhoto
from uvatar.gltf.avatar import glb, lods
from uvatar.gltf.presets import LEVELS, PRESETS
from uvatar.protocol.expressions import EXPRESSIONS, VISEMES
from uvatar.protocol.options import Options

Read = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "samples"
GIRL = (470, 330, 790, 1180)  # of family.jpg: her with a margin; left, top, right, bottom, pixels
SIZE = 8_000_000  # bytes of a file with 52 keys and a texture of 1024 pixels
KINDS = {
    "close clothes": {"Body", "Teeth", "Tongue", "Lashes"},
    "skirt": {"Body", "Teeth", "Tongue", "Lashes", "Skirt", "Hair"},
    "child in a dress": {"Body", "Teeth", "Tongue", "Lashes", "Skirt", "Hair"},
}


def area(box: Sequence[float]) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


@pytest.fixture(scope="module")
def people(shared_photos: Path) -> dict[str, dict[str, Any]]:
    """A person of a result for each kind."""
    data = io.BytesIO()
    with Image.open(shared_photos / "family.jpg") as picture:
        picture.crop(GIRL).save(data, "PNG")
    photos: list[GivenPhoto] = [SAMPLES / "man.jpg", SAMPLES / "woman.jpg", ("girl.png", data.getvalue())]
    engine, found = Engine.load(threads=1), []
    for photo in photos:
        avatars = engine.reconstruct(photo, Options(texture_size=1024))
        found.append(max(avatars, key=lambda avatar: area(avatar.person["box"])))  # other children are in the crop
    return {kind: avatar.person for kind, avatar in zip(KINDS, found, strict=True)}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("name", list(PRESETS))
def test_every_file_is_valid_and_complete(people: dict[str, dict[str, Any]], read: Read, kind: str, name: str) -> None:
    preset = replace(PRESETS[name], clips=name != "vrm")
    data = glb(people[kind], preset, kind)
    answer = read(people[kind], preset, data=data, moment=None if preset.vrm else ("Walk", 0.4))
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
    assert set(answer["meshes"]) == KINDS[kind] and len(data) <= SIZE
    body = answer["meshes"]["Body"]
    assert set(EXPRESSIONS) <= set(body["targets"]) and body["textured"] and body["rough"] == "by texture"
    assert not preset.visemes or set(VISEMES) <= set(body["targets"])
    if preset.vrm:
        assert len(answer["vrm"]["bones"]) == 55 and answer["vrm"]["looks"]
        assert (answer["vrm"]["springs"] > 0) == ("Hair" in KINDS[kind])
    else:
        assert set(answer["clips"]) == {"Walk", "Idle", "Talk"}


@pytest.mark.parametrize("kind", list(KINDS))
def test_levels_of_detail_are_valid_and_smaller(people: dict[str, dict[str, Any]], read: Read, kind: str) -> None:
    preset = PRESETS["gltf"]
    sizes = [len(glb(people[kind], preset, kind))]
    for level, data in zip(LEVELS, lods(people[kind], preset, kind), strict=True):
        answer = read(people[kind], preset, data=data)
        assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
        assert answer["triangles"] <= level.triangles * 1.01
        sizes.append(len(data))
    assert sizes == sorted(sizes, reverse=True)


def test_the_child_is_one(people: dict[str, dict[str, Any]], read: Read) -> None:
    """Sizes are true: metres."""
    heads = {kind: read(people[kind], PRESETS["gltf"])["bones"]["head"][1] for kind in KINDS}
    assert 0.7 < heads["child in a dress"] < 1.3 < heads["skirt"] and heads["close clothes"] < 1.8
