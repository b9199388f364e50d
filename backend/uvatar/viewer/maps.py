"""Maps of an avatar's texture as pictures in readable colours."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from uvatar.data.labels import LABEL_COLOURS

# (R, G, B), sRGB, of what is not on the body, then of the materials in their order; more than ten begin anew. Told
# apart by colour-blind eyes as well (Tol 2021, "muted").
MATERIAL_COLOURS = (
    (221, 221, 221), (204, 102, 119), (51, 34, 136), (221, 204, 119), (17, 119, 51), (136, 204, 238), (136, 34, 85),
    (68, 170, 153), (153, 153, 51), (170, 68, 153), (102, 102, 102),
)  # fmt: skip


def coloured(png: bytes, colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    """A map with values as grey in readable colours: a palette picture whose indices are the values.

    Values without a colour get the last one.
    """
    with Image.open(io.BytesIO(png)) as grey:
        values = np.asarray(grey.convert("L"))
    picture = Image.fromarray(np.minimum(values, len(colours) - 1), mode="P")
    picture.putpalette([channel for colour in colours for channel in colour])
    return picture


def coloured_labels(source_png: bytes) -> Image.Image:
    """The source map (`uvatar.data.labels.Label`) in readable colours."""
    return coloured(source_png, LABEL_COLOURS)


def material_colours(count: int) -> list[tuple[int, int, int]]:
    """The colours of a map of ``count`` materials, with that of value 0 first."""
    empty, *cycle = MATERIAL_COLOURS
    return [empty, *(cycle[number % len(cycle)] for number in range(count))]
