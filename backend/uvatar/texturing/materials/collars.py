"""Collars, which reach up the neck to where the head begins, and are as dark as hair or as pale as skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.texturing.layout.surface import Part, Surface
from uvatar.texturing.materials.labels import HAIR, SKIN, pieces
from uvatar.texturing.materials.parsed import ParsedVertices


@dataclass(frozen=True)
class CollarSettings:
    """Tuned numbers of collars, set while looking at the heads of 9 people.

    Attributes:
        nearer: part of the distance to skin and hair that the distance to the collar's colour may be.
        rounds: vertices that a collar goes up the neck at most, each about a centimetre.
        sure: probability from which a parser's word that it is skin or hair counts more; the same as of dark collars.
    """

    nearer: float = 0.7
    rounds: int = 12
    sure: float = 0.5


def label_dark_collars(labels: NDArray[np.int32], parsed: ParsedVertices | None, surface: Surface) -> None:
    """Give what was taken for hair to the garment that it touches, if it lies apart from the scalp: a dark collar is
    nearer to the hair's colour than to the skin's. A parser's word that it is hair counts more.
    """
    count, piece = pieces(labels, surface)
    of_hair = labels == HAIR
    own = np.flatnonzero(of_hair)
    if not len(own):
        return
    on_scalp = np.bincount(piece[own], surface.scalp[own], count) > 0
    told = np.zeros(count) if parsed is None else np.bincount(piece[own], parsed.hair[own], count)
    told = told / np.maximum(np.bincount(piece[own], minlength=count), 1)
    edges = surface.graph.tocoo()
    touching = of_hair[edges.row] & (labels[edges.col] > HAIR)
    row, garment = piece[edges.row[touching]], labels[edges.col[touching]]
    for one in np.unique(row):
        if not on_scalp[one] and told[one] < 0.5:
            labels[piece == one] = np.bincount(garment[row == one]).argmax()


def label_high_collars(
    labels: NDArray[np.int32],
    raw: Floats,
    head: NDArray[np.bool_],
    skin: Floats,
    parsed: ParsedVertices | None,
    surface: Surface,
    settings: CollarSettings,
) -> None:
    """Let the garments on neck and trunk go on up the neck above the chin, where their colours do.

    Args:
        labels: (V,) materials, changed in place.
        raw: (V, C) colours.
        head: (V,) what is seen of the head above the chin.
        skin: (C,) the skin's colour.
        parsed: what a parser sees, if there is one.
        surface: of the body.
        settings: tuned numbers.
    """
    neck = head & (surface.part == Part.HEAD) & ~surface.scalp & ~surface.face_front
    if parsed is not None:
        neck &= np.maximum(parsed.skin, parsed.hair) <= settings.sure
    others = [skin]
    for label, where in ((SKIN, surface.face_front), (HAIR, surface.scalp)):
        own = (labels == label) & where
        if own.any():
            others.append(np.median(raw[own], 0))
    away = np.min([np.linalg.norm(raw - other, axis=1) for other in others], axis=0)
    middle = {int(label): np.median(raw[labels == label], 0) for label in np.unique(labels[labels > HAIR])}
    edges = surface.graph.tocoo()
    for _ in range(settings.rounds):
        meeting = neck[edges.row] & (labels[edges.row] <= HAIR) & (labels[edges.col] > HAIR)
        row, col = edges.row[meeting], edges.col[meeting]
        if not len(row):
            return
        usual = np.stack([middle[int(label)] for label in labels[col]])
        near = np.minimum(np.linalg.norm(raw[row] - raw[col], axis=1), np.linalg.norm(raw[row] - usual, axis=1))
        like = near < settings.nearer * away[row]
        if not like.any():
            return
        labels[row[like]] = labels[col[like]]
