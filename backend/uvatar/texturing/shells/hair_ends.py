"""Where hair's mesh is transparent: between the strands at its ends, whose mesh would end like a cut board."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.shell import Hair
from uvatar.photos.colour import smoothstep
from uvatar.texturing.shells.texels import grid_places


@dataclass(frozen=True)
class HairEndSettings:
    """Tuned numbers of hair's ends, set while looking at ten heads.

    Attributes:
        share, most: of the length of hair, up to which strands are shorter than the mesh, and metres at most.
        widths: standard deviations of tufts and strands, metres.
        tuft: how much of the difference in length is that of tufts rather than strands.
        closed: mean distance of the last ring's points from its middle below which the mesh is closed there, and has no
            ends: metres.
        soft: metres along a strand over which it ends.
    """

    share: float = 0.12
    most: float = 0.045
    widths: tuple[float, float] = (0.006, 0.0012)
    tuft: float = 0.55
    closed: float = 0.01
    soft: float = 0.004


DEFAULT_SETTINGS = HairEndSettings()


def hair_opacity(hair: Hair, size: int, settings: HairEndSettings = DEFAULT_SETTINGS) -> NDArray[np.uint8]:
    """(size, size) 0..255, as the texture's alpha channel; row 0 at v = 1."""
    grid = hair.grid()
    if np.linalg.norm(grid[-1] - grid[-1].mean(0), axis=-1).mean() < settings.closed:
        return np.full((size, size), 255, np.uint8)
    left, length = _left(hair, size)
    reach = np.minimum(settings.share * length, settings.most)
    around = float(np.median(np.linalg.norm(np.roll(grid, -1, 1) - grid, axis=-1).sum(1)))
    shorter = _uneven(size, around, settings)
    shown = smoothstep(left - reach * shorter, -settings.soft, settings.soft)
    return np.asarray(np.round(255 * shown), np.uint8)


def _left(hair: Hair, size: int) -> tuple[Floats, Floats]:
    """(size, size) metres from each texel down to where the mesh ends, 0 where there is none, and those that there are
    from the top.
    """
    rows, columns = hair.outer - 1, hair.columns
    kept = np.zeros(rows * columns, bool)
    kept[hair.quads[:, 0]] = True
    kept = kept.reshape(rows, columns)
    tall = np.linalg.norm(np.diff(hair.grid(), axis=0), axis=-1)
    below, above = np.zeros((rows + 1, columns)), np.zeros((rows + 1, columns))
    for row in reversed(range(rows)):
        below[row] = np.where(kept[row], below[row + 1] + tall[row], 0)
    for row in range(rows):
        above[row + 1] = above[row] + tall[row]
    at = grid_places(hair, size)
    left, length = (_on_texels(values, at, hair.columns) for values in (below, above + below))
    return left, length


def _on_texels(values: Floats, at: tuple[NDArray[np.float32], NDArray[np.float32]], columns: int) -> Floats:
    """Values (R, C) at the texels' places in the grid."""
    first = columns // 4
    turned = np.concatenate([values[:, first:], values[:, : first + 1]], 1).astype(np.float32)
    return np.asarray(cv2.remap(turned, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _uneven(size: int, around: float, settings: HairEndSettings) -> Floats:
    """(1, size) by what share of the greatest difference the strands are shorter, 0..1, as a grid closed around."""
    generator = np.random.default_rng(0)
    total = np.zeros(size)
    for width, share in zip(settings.widths, (settings.tuft, 1 - settings.tuft), strict=True):
        texels = max(0.5, width / around * size)
        noise = np.tile(generator.normal(size=size), 3)[None].astype(np.float32)
        smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=texels, sigmaY=0.1))[0, size : 2 * size]
        # Ranks: as many strands of each length.
        total += share * np.argsort(np.argsort(smooth)) / max(size - 1, 1)
    return total[None]
