"""Surface and texel table of a body at one texture size, made once and passed to everything that textures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats, Integers, Scalar
from uvatar.texturing.layout.surface import Surface, build_surface
from uvatar.texturing.layout.texels import TexelTable, build_texel_table

SMALLEST, LARGEST = 64, 4096  # texels on a side of a person's texture


class TexturingError(ValueError):
    """The body or the views cannot be textured; the message says why."""


@dataclass(frozen=True)
class Atlas:
    """The body's surface and where its T texels lie.

    Attributes:
        body: the body model whose surface it is.
        surface: what holds at every size.
        table: the texels of one size.
    """

    body: BodyModel
    surface: Surface
    table: TexelTable

    @classmethod
    def of(cls, body: BodyModel, size: int) -> Atlas:
        """The body's atlas at (size, size) texels. Raises TexturingError if the body has no UV layout."""
        table = texels_of(body, size)
        return cls(body, build_surface(body.data), table)

    def resized(self, size: int) -> Atlas:
        """The same surface at (size, size) texels."""
        surface = self.surface
        if size == self.size:
            return self
        count = len(surface.template)
        return Atlas(self.body, surface, build_texel_table(surface.uv, surface.face_uv, surface.faces, count, size))

    @property
    def size(self) -> int:
        """Texels on a side."""
        return self.table.size

    def interpolate(self, vertex_values: Floats, texels: Integers | slice = slice(None)) -> Floats:
        """Values (V,) or (V, C) at the vertices -> (T,) or (T, C) at the chosen texels."""
        return self.table.interpolate(vertex_values, self.surface.faces, texels)

    def of_first_vertex(self, vertex_values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values (V,) that a triangle's corners share, such as its part -> (T,) at the texels."""
        values: NDArray[Scalar] = vertex_values[self.surface.faces[self.table.face, 0]]
        return values


def texels_of(body: BodyModel, size: int) -> TexelTable:
    """The body's texels at (size, size) alone. Raises TexturingError if the body has no UV layout."""
    data = body.data
    if not data.has_uv:
        raise TexturingError(f"The body '{data.name}' has no UV layout, so it cannot be textured.")
    return build_texel_table(data.uv, data.face_uv, data.faces, len(data.v_template), size)


class Atlases:
    """A body's atlases by size: each is made when it is first asked for; the latest few are kept.

    Threads may share it.
    """

    KEPT = 4  # a table of 4096 x 4096 texels takes some 400 MB

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        self._kept: OrderedDict[int, Atlas] = OrderedDict()
        self._lock = Lock()

    def at(self, size: int) -> Atlas:
        """The atlas at (size, size) texels.

        Raises TexturingError if the size is unusable or the body has no UV layout.
        """
        if not SMALLEST <= size <= LARGEST:
            raise TexturingError(f"The texture's size must be between {SMALLEST} and {LARGEST} pixels, not {size}.")
        with self._lock:
            atlas = self._kept.get(size)
            if atlas is None:
                others = next(iter(self._kept.values()), None)
                atlas = others.resized(size) if others else Atlas.of(self.body, size)
            self._kept[size] = atlas
            self._kept.move_to_end(size)
            if len(self._kept) > self.KEPT:
                self._kept.popitem(last=False)
            return atlas


__all__ = ["LARGEST", "SMALLEST", "Atlas", "Atlases", "TexturingError", "texels_of"]
