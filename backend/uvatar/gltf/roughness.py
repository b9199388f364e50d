"""How rough each material is, as a texture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from uvatar.gltf.document import ROUGHNESS


@dataclass(frozen=True)
class Settings:
    """Roughness, 0 (polished) to 1, chosen by eye in the light of a studio.

    Attributes:
        of: by the first word of a material's name; what is not named has the material's usual one.
        side: pixels of the texture: materials are large, and what is between two may be between their roughness.
    """

    of: Mapping[str, float] = field(
        default_factory=lambda: {
            "skin": 0.55,
            "hair": 0.5,
            "upper": 0.9,
            "outer": 0.85,
            "lower": 0.9,
            "shoes": 0.45,
            "gloves": 0.7,
            "headwear": 0.9,
        }
    )
    side: int = 256


def roughness_texture(materials_png: bytes, names: Sequence[str], settings: Settings | None = None) -> bytes:
    """A PNG as glTF has it, roughness in green and no metal in blue; empty without a map of materials.

    Args:
        materials_png: the material of each texel as a grey value, 1 + its place in ``names``; 0 outside the body.
        names: of the materials, such as "lower 2".
        settings: None for the usual ones.
    """
    if not materials_png:
        return b""
    settings = settings or Settings()
    values = np.full(256, ROUGHNESS)
    for number, name in enumerate(names):
        values[number + 1] = settings.of.get(name.split()[0], ROUGHNESS)
    with Image.open(io.BytesIO(materials_png)) as picture:
        materials = np.asarray(picture.convert("L"))
    green = Image.fromarray(np.round(255 * values[materials]).astype(np.uint8))
    green.thumbnail((settings.side, settings.side), Image.Resampling.BOX)
    empty = Image.new("L", green.size)
    data = io.BytesIO()
    Image.merge("RGB", (empty, green, empty)).save(data, "PNG")
    return data.getvalue()
