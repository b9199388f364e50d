"""How rough each material is, as a texture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from uvatar.protocol.surface_kinds import USUAL_ROUGHNESS, roughness_of

_SIDE = 256  # pixels: materials are large, and what is between two may be between their roughness


def roughness_texture(materials_png: bytes, names: Sequence[str]) -> bytes:
    """A PNG as glTF has it, roughness in green and no metal in blue; empty without a map of materials.

    Args:
        materials_png: the material of each texel as a grey value, 1 + its place in ``names``; 0 outside the body.
        names: of the materials, such as "lower 2".
    """
    if not materials_png:
        return b""
    values = np.full(256, USUAL_ROUGHNESS)
    for number, name in enumerate(names):
        values[number + 1] = roughness_of(name)
    with Image.open(io.BytesIO(materials_png)) as picture:
        materials = np.asarray(picture.convert("L"))
    green = Image.fromarray(np.round(255 * values[materials]).astype(np.uint8))
    green.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    empty = Image.new("L", green.size)
    data = io.BytesIO()
    Image.merge("RGB", (empty, green, empty)).save(data, "PNG")
    return data.getvalue()
