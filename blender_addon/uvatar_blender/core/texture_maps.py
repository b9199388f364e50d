# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that come with a texture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextureMaps:
    """Pictures by the body's texture coordinates; each is empty where the backend did not make it.

    Attributes:
        materials_png: per texel 0, or 1 + the index into ``material_names``.
        material_names: such as "skin".
        light_png: the photo's light in the texture (`protocol.even_light`).
        normals_png: normal map of the folds, in tangent space with v up.
    """

    materials_png: bytes = b""
    material_names: tuple[str, ...] = ()
    light_png: bytes = b""
    normals_png: bytes = b""


NO_MAPS = TextureMaps()
