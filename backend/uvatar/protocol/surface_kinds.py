"""How surfaces of the kinds that clothes, skin and hair are look, wherever an avatar goes: glTF and Blender."""

from __future__ import annotations

# Roughness, 0 (polished) to 1, by the first word of a material's name ("lower 2" is a "lower"): common values of
# physically based materials, looked at in the light of a studio.
ROUGHNESS = {
    "skin": 0.5,
    "hair": 0.5,
    "upper": 0.85,
    "outer": 0.8,
    "lower": 0.85,
    "shoes": 0.45,
    "gloves": 0.65,
    "headwear": 0.85,
    "eyes": 0.1,  # the clear, wet cornea
}
USUAL_ROUGHNESS = 0.6  # between skin and cloth, where they are not told apart


def roughness_of(name: str) -> float:
    """The roughness of a material by its name, such as "lower 2"."""
    return ROUGHNESS.get(name.partition(" ")[0], USUAL_ROUGHNESS)
