"""Surface and texel table of a body at one texture size, made once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from uvatar.body import BodyModel
from uvatar.texturing.surface import Surface, build_surface
from uvatar.texturing.texels import TexelTable, build_texel_table


class TexturingError(ValueError):
    """The body or the views cannot be textured; the message says why."""


@dataclass(frozen=True)
class Atlas:
    """The body's surface and where its texels lie."""

    surface: Surface
    table: TexelTable


@lru_cache(maxsize=4)
def atlas_of(body: BodyModel, size: int) -> Atlas:
    """The body's atlas at (size, size) texels.

    Raises TexturingError where the body has no UV layout.
    """
    surface = _surface_of(body)
    return Atlas(surface, build_texel_table(surface.uv, surface.face_uv, surface.faces, len(surface.template), size))


@lru_cache(maxsize=4)
def _surface_of(body: BodyModel) -> Surface:
    data = body.data
    if not data.has_uv:
        raise TexturingError(f"The body '{data.name}' has no UV layout, so it cannot be textured.")
    return build_surface(data)
