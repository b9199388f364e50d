"""Materials corrected by a parser of the photo: skin, hair or cloth, where it is sure.

Colours draw sharper borders than a parser does, but they mistake beige clothes for skin and shaded skin for clothes. So
pieces of a material keep their borders, and the parser says what they are; only a piece that it sees divided into skin
and cloth, each of some size, is divided where the parser does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.parsing import BARE, CLOTH, ParseClass, Parsing
from uvatar.parsing.lookup import probability_at
from uvatar.texturing.layout.surface import Surface
from uvatar.texturing.materials.labels import HAIR, SKIN, pieces


@dataclass(frozen=True)
class ParsedSettings:
    """Tuned numbers of using a parser, set while looking at 54 people in photos and measuring 24 rendered ones; of the
    values tried around them, these tell skin and cloth best.

    Attributes:
        rounds: in which probabilities are averaged with the neighbours' on the mesh: a parser sees some centimetres.
        sure: probability from which it is sure.
        least_sure: share of a piece's area in which it must be sure, of one or the other.
        whole: share of what is sure of a piece from which all of the piece is that.
        divided: square metres of the smaller part from which a piece is divided.
    """

    rounds: int = 4
    sure: float = 0.75
    least_sure: float = 0.3
    whole: float = 0.8
    divided: float = 0.006


DEFAULT_SETTINGS = ParsedSettings()


@dataclass(frozen=True)
class ParsedVertices:
    """What a parser sees at the vertices: probabilities (V,) of skin, hair and cloth, 0 where the photo shows none."""

    skin: NDArray[np.float32]
    hair: NDArray[np.float32]
    cloth: NDArray[np.float32]

    @classmethod
    def of(
        cls, parsing: Parsing, pixels: Floats, seen: NDArray[np.bool_], surface: Surface, settings: ParsedSettings
    ) -> ParsedVertices:
        """Look up the vertices that are seen at ``pixels`` (V, 2) of the photo."""
        graph = surface.graph[seen][:, seen]
        degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1e-9)
        values = np.stack(
            [probability_at(parsing, pixels[seen], kind) for kind in (BARE, (ParseClass.HAIR,), CLOTH)], 1
        )
        for _ in range(settings.rounds):
            values = (values + (graph @ values) / degree[:, None]) / 2
        whole = np.zeros((len(seen), 3), np.float32)
        whole[seen] = values
        return cls(*np.ascontiguousarray(whole.T))


def corrected(
    labels: NDArray[np.int32], parsed: ParsedVertices, surface: Surface, settings: ParsedSettings = DEFAULT_SETTINGS
) -> NDArray[np.int32]:
    """The materials (V,) of clothes and bare limbs, of which the parser says what they are.

    What was taken for skin and is cloth becomes one garment more; what was taken for a garment and is skin becomes
    skin. The head above the chin is left to `corrected_head`.
    """
    result = labels.copy()
    sure_skin, sure_cloth = parsed.skin > settings.sure, parsed.cloth > settings.sure
    count, piece = pieces(labels, surface)
    seen = piece >= 0
    area, of_skin, of_cloth = (
        np.bincount(piece[seen], (surface.vertex_area * chosen)[seen], count)
        for chosen in (seen, sure_skin, sure_cloth)
    )
    garment = max(int(labels.max(initial=HAIR)), HAIR) + 1
    for one in np.flatnonzero(area > 0):
        known = of_skin[one] + of_cloth[one]
        if known < settings.least_sure * area[one]:
            continue
        own = piece == one
        skin = bool((labels[own] == SKIN).all())
        wrong_area = of_cloth[one] if skin else of_skin[one]
        if wrong_area >= settings.whole * known:
            result[own & ~(sure_skin if skin else sure_cloth)] = garment if skin else SKIN
        elif wrong_area > settings.divided and known - wrong_area > settings.divided:
            more = parsed.cloth > parsed.skin if skin else parsed.skin > parsed.cloth
            result[own & more] = garment if skin else SKIN
    return result


def corrected_head(
    labels: NDArray[np.int32], head: NDArray[np.bool_], parsed: ParsedVertices, settings: ParsedSettings
) -> None:
    """Change in place which of the head's seen vertices, ``head`` (V,), are hair and which skin."""
    labels[head & (parsed.hair > settings.sure)] = HAIR
    labels[head & (parsed.skin > settings.sure)] = SKIN


def bare_hand(parsed: ParsedVertices, hand: NDArray[np.bool_], settings: ParsedSettings) -> bool | None:
    """Whether a hand's seen vertices, ``hand`` (V,), are bare; None where the parser does not tell."""
    skin, cloth = float(parsed.skin[hand].mean()), float(parsed.cloth[hand].mean())
    return skin > cloth if max(skin, cloth) > settings.sure else None
