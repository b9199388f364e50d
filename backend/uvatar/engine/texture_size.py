"""The size of a texture by what the photos hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from uvatar.data.view import View
from uvatar.geometry.mesh import unit, vertex_normals
from uvatar.protocol.options import AUTO_SIZE, Options
from uvatar.texturing.seen.projection import texel_footprints

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


@dataclass(frozen=True)
class Settings:
    """Numbers of the automatic size.

    Attributes:
        sizes: texels on a side, the smallest that is enough.
        pixels: of the photo per texel's width that are enough: finer texels repeat what coarser ones show. A
            portrait's usual texel is the face's, half as wide as those of its clothes; so less than 1.25, which was
            enough while they were more alike.
        facing: cosine between normal and line of sight from which the photo shows a triangle well.
    """

    sizes: tuple[int, ...] = (1024, 2048, 4096)
    pixels: float = 1.0
    facing: float = 0.5


def with_texture_size(views: Sequence[View], options: Options, engine: Engine) -> Options:
    """The options with a texture size in texels: where it is to be automatic, by the views of a person."""
    if options.texture_size != AUTO_SIZE:
        return options
    return replace(options, texture_size=enough_texels(max(_pixels_per_texel(view, engine) for view in views)))


def enough_texels(pixels: float, settings: Settings | None = None) -> int:
    """Texels on a side for a photo that has so many pixels per texel's width at the smallest size."""
    settings = settings or Settings()
    smallest, *_, largest = settings.sizes
    enough = (size for size in settings.sizes if pixels * smallest / size <= settings.pixels)
    return next(enough, largest)


def _pixels_per_texel(view: View, engine: Engine, settings: Settings | None = None) -> float:
    """The usual width, pixels of the photo, of a texel at the smallest size where the photo shows the person well."""
    settings = settings or Settings()
    smallest = settings.sizes[0]
    surface = engine.atlases.at(smallest).surface
    vertices, _ = engine.body.posed(view.fit.body, view.fit.offsets)
    cosine = -(vertex_normals(vertices, surface.faces) * unit(vertices)).sum(1)
    pixels = view.camera.project(vertices)
    inside = ((pixels >= 0) & (pixels <= (view.camera.width, view.camera.height))).all(1)
    shown = (inside & (cosine > settings.facing))[surface.faces].all(1)
    return float(np.median(texel_footprints(pixels, surface, smallest)[shown])) if shown.any() else 0.0
