"""Writes the page that shows an avatar: one HTML file that holds everything, and fetches nothing."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from PIL import Image

from uvatar.gltf.avatar import glb
from uvatar.gltf.base_colour import base_colour
from uvatar.gltf.clips import figure_of
from uvatar.gltf.presets import Preset
from uvatar.protocol.parts import OPAQUE
from uvatar.protocol.version import __version__
from uvatar.viewer import PAGE
from uvatar.viewer.facts import data_address, facts_of, maps_of


@dataclass(frozen=True)
class Settings:
    """What the size of a page depends on.

    Attributes:
        quality: of textures and photo as JPEG, 0 to 100: from here on no difference was seen in close-ups.
        photo_side: pixels of the photo's longer side, what a large screen has room for beside the avatar.
        map_side: pixels of a map's side.
        level: of gzip: higher ones save less than 1 % and take longer.
    """

    quality: int = 88
    photo_side: int = 1100
    map_side: int = 1024
    level: int = 5


# Without the shape coefficients' morph targets, which would be a third of the page.
_PRESET = Preset("viewer", "The page that shows an avatar", PAGE)


def avatar_page(
    person: Mapping[str, Any],
    name: str,
    up: Sequence[float] | None = None,
    photo: bytes = b"",
    notes: Sequence[str] = (),
    settings: Settings | None = None,
) -> str:
    """The page of one person of a result.

    Args:
        person: with the arrays of its body (`uvatar.protocol.people.people_of`).
        name: of the avatar.
        up: (3,) against gravity in the camera's frame; None for a level camera.
        photo: JPEG or PNG; empty without one.
        notes: sentences about the avatar.
        settings: None for the usual ones.

    Raises:
        KeyError, TypeError, ValueError: the person is damaged.
        OSError: a picture cannot be decoded.
    """
    settings, light = settings or Settings(), bytes(person.get("light_png") or b"")
    facts = {
        **facts_of(person, up, figure_of(person), __version__, notes),
        "photo": _photo_address(photo, settings) if photo else None,
        "maps": maps_of(person, settings.map_side),
        "light": data_address(light, "image/png") if light and person["texture_png"] else None,
    }
    return page_of(name, facts, glb(_with_small_textures(person, settings), _PRESET, name), settings)


def page_of(name: str, facts: Mapping[str, Any], avatar: bytes, settings: Settings | None = None) -> str:
    """The page of an avatar's .glb file, and of facts about it, "photo" (an address or None) and "maps" among them;
    "light" (an address): what the file's texture is to be multiplied by to be as photographed.
    """
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(avatar, (settings or Settings()).level, mtime=0)
    return Template(_asset("page.html")).substitute(
        title=html.escape(name),
        generator=f"Uvatar {__version__}",
        style=_asset("page.css"),
        script=_asset("viewer.js"),
        facts=text.replace("<", "\\u003c"),  # nothing may look like the end of a script
        avatar=base64.b64encode(packed).decode(),
    )


@cache
def _asset(name: str) -> str:
    return files("uvatar.viewer").joinpath(name).read_text(encoding="utf-8")


def _with_small_textures(person: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """A person whose opaque textures are JPEG, the body's without the photo's light: the page has a studio's."""
    parts = [
        {**part, "texture": _as_jpeg(part["texture"], settings)}
        if part.get("texture") and part.get("alpha", OPAQUE) == OPAQUE
        else part
        for part in person.get("parts", ())
    ]
    body = {"texture_png": base_colour(person, even=True), "normals_png": person.get("normals_png") or b""}
    small = {name: _as_jpeg(picture, settings) if picture else b"" for name, picture in body.items()}
    return {**person, **small, "light_png": b"", "parts": parts}


def _as_jpeg(picture: bytes, settings: Settings) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        return _jpeg(image, settings)


def _photo_address(photo: bytes, settings: Settings) -> str:
    with Image.open(io.BytesIO(photo)) as image:
        image.thumbnail((settings.photo_side, settings.photo_side))
        return data_address(_jpeg(image, settings), "image/jpeg")


def _jpeg(image: Image.Image, settings: Settings) -> bytes:
    data = io.BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=settings.quality, subsampling=0)
    return data.getvalue()
