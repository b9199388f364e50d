"""The body's base colour: as photographed, or without the photo's light, for engines that have lights of their own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from uvatar.photos.encoding import encode_png
from uvatar.protocol.even_light import evenly_lit


def base_colour(person: Mapping[str, Any], even: bool) -> bytes:
    """The body's texture as PNG.

    Args:
        person: of a result.
        even: without the photo's light, where the result has that; those of older versions have not.
    """
    texture, light = bytes(person["texture_png"]), bytes(person.get("light_png") or b"")
    return _even(texture, light) if even and texture and light else texture


@lru_cache(maxsize=2)  # the files of one person are written one after the other
def _even(texture: bytes, light: bytes) -> bytes:
    with Image.open(io.BytesIO(texture)) as picture, Image.open(io.BytesIO(light)) as grey:
        return encode_png(evenly_lit(np.asarray(picture.convert("RGB")), np.asarray(grey.convert("L"))))
