"""Procedural clothes: garments bounded by lines on the rest body, made of fabrics, worn over one another.

A garment is a signed distance to its borders (positive inside, metres on the rest body), a fabric, and a distance from
the skin. Seams, hems, plackets, pockets and prints are placed by the same signed distance. Evaluated at texels, a
garment gives a texture; evaluated at vertices, it gives its distance from the body. The available garments are defined
in `garments.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass
from uvatar_training.synthesis.anatomy import SurfacePoints, subset
from uvatar_training.synthesis.cuts import Cut, border_of, cut_of
from uvatar_training.synthesis.draws import Draw
from uvatar_training.synthesis.fabrics import Fabric, plain
from uvatar_training.synthesis.garment_book import GarmentBook, shipped_garments
from uvatar_training.synthesis.noise import fractal3
from uvatar_training.synthesis.trims import Trim, trim_of

EDGE = 0.002  # metres over which a hem fades in a texture


@dataclass(frozen=True)
class WornGarment:
    """A garment that somebody wears.

    Attributes:
        name: a readable name for reports.
        label: its class in label images.
        cut: signed distance to its borders.
        fabric: its colours.
        trims: seams, hems, buttons and prints, applied in this order.
        thickness: distance from the skin, metres.
        slack: additional distance where it hangs loose, metres.
        seed: of the random folds.
    """

    name: str
    label: ParseClass
    cut: Cut
    fabric: Fabric
    trims: tuple[Trim, ...] = ()
    thickness: float = 0.004
    slack: float = 0.0
    seed: int = 0

    def cover(self, points: SurfacePoints) -> NDArray[np.float32]:
        """How much (K,) 0..1 of the garment covers each point."""
        return np.clip(self.cut(points) / (2 * EDGE) + 0.5, 0, 1).astype(np.float32)

    def colour(self, points: SurfacePoints) -> NDArray[np.float32]:
        """Linear RGB (K, 3); meaningless at points that it does not cover."""
        border = self.cut(points)
        colour = self.fabric(points)
        for trim in self.trims:
            colour = trim(points, border, colour)
        return np.clip(colour, 0.002, 0.95).astype(np.float32)

    def offset(self, points: SurfacePoints) -> NDArray[np.float32]:
        """Distance (K,) from the skin, metres."""
        hang = np.clip(
            1 + 0.7 * fractal3(points.rest * np.array([1, 0.5, 1], np.float32), 0.09, np.random.default_rng(self.seed)),
            0,
            2,
        )
        inside = np.clip(self.cut(points) / 0.012, 0, 1)
        stand_off: NDArray[np.float32] = (inside * (self.thickness + self.slack * hang)).astype(np.float32)
        return stand_off


def random_outfit(
    rng: np.random.Generator, group: str, held_out: bool = False, book: GarmentBook | None = None
) -> list[WornGarment]:
    """A random outfit, innermost garment first, which always includes a top and a bottom, or a dress.

    Args:
        rng: source of all randomness.
        group: "male", "female" or "child".
        held_out: use the fabrics that are reserved for held-out people.
        book: available garments; by default those that ship with Uvatar.
    """
    tailor = _Tailor(book or shipped_garments(), rng, group, held_out)
    out = tailor.fill("socks")
    dress = tailor.fill("dress")
    if dress:
        out += dress
    else:
        bottom, top = tailor.fill("bottom"), tailor.fill("top")
        tucked = rng.random() < tailor.book.outfit["tucked"]
        out += [*top, *bottom] if tucked else [*bottom, *top]
        if tucked:
            out += tailor.fill("belt")
    return out + tailor.fill("over") + tailor.fill("shoes") + tailor.fill("gloves")


def random_hat(
    rng: np.random.Generator, group: str, held_out: bool = False, book: GarmentBook | None = None
) -> list[WornGarment]:
    """A hat or cap, which is worn over the hair."""
    return _Tailor(book or shipped_garments(), rng, group, held_out).fill("hat")


def paint_over(
    points: SurfacePoints, colour: NDArray[np.float32], garments: Sequence[WornGarment]
) -> NDArray[np.float32]:
    """The colours (K, 3), linear RGB, of an unclothed person with the garments painted over them."""
    for garment in garments:
        cover = garment.cover(points)
        here = np.flatnonzero(cover > 0)
        if len(here):
            part = subset(points, here)
            colour[here] += cover[here, None] * (garment.colour(part) - colour[here])
    return colour


def label_over(points: SurfacePoints, labels: NDArray[np.uint8], garments: Sequence[WornGarment]) -> NDArray[np.uint8]:
    """The classes (K,) of an unclothed person, with those of the garments that are worn over it."""
    labels = labels.copy()
    for garment in garments:
        labels[garment.cover(points) > 0.5] = garment.label
    return labels


def stand_off(points: SurfacePoints, garments: Sequence[WornGarment]) -> NDArray[np.float32]:
    """Distance (K,) of the outermost garment from the skin, metres."""
    total = np.zeros(len(points), np.float32)
    for garment in garments:
        total = np.maximum(total + garment.thickness * (garment.cover(points) > 0.5), garment.offset(points))
    return total


@dataclass(frozen=True)
class _Tailor:
    """Draws garments from a book for one person."""

    book: GarmentBook
    rng: np.random.Generator
    group: str
    held_out: bool

    def _draw(self) -> Draw:
        return Draw(self.rng, self.group, self.book.fabrics["held_out" if self.held_out else "train"])

    def fill(self, slot: str) -> list[WornGarment]:
        """The garments worn in a slot of the outfit: one or none."""
        entry = self.book.outfit[slot]
        if not self._draw().happens(entry):
            return []
        names, shares = list(entry["garments"]), np.array(list(entry["garments"].values()), float)
        name = names[0] if len(names) == 1 else str(self.rng.choice(names, p=shares / shares.sum()))
        return [self._sewn(self.book.garments[name])]

    def _sewn(self, garment: Mapping[str, Any]) -> WornGarment:
        draw = self._draw()
        for name, entry in garment["numbers"].items():
            draw.numbers[name] = draw.value(entry)
        cut = garment["cut"]
        everywhere, elsewhere = (
            [self._border(border, draw) for border in cut.get(where, ())] for where in ("everywhere", "off_the_arms")
        )
        fabrics: list[Fabric] = []
        trims: list[Trim] = []
        for part in garment["parts"]:
            if "fabric" in part:
                fabrics.append(draw.value({"fabric": part["fabric"]}))
            elif "colour" in part:
                fabrics.append(plain(draw.value(part["colour"])))
            else:
                trims += self._trims(part.get("first_of", [part]), draw)
        off = draw.values(garment["stand_off"])
        return WornGarment(
            str(draw.value(garment["name"])).format(**draw.numbers),
            ParseClass[garment["label"].upper()],
            cut_of(everywhere, elsewhere, cut["arms"] == "bare"),
            fabrics[0],
            tuple(trims),
            off["thickness"],
            float(off.get("slack", 0.0)),
            int(self.rng.integers(2**31)) if "slack" in off else 0,
        )

    def _border(self, border: Mapping[str, Mapping[str, Any]], draw: Draw) -> Cut:
        ((kind, values),) = border.items()
        return border_of(kind, draw.values({**self.book.borders[kind], **values}))

    def _trims(self, choices: Sequence[Mapping[str, Any]], draw: Draw) -> list[Trim]:
        """The first of the choices whose conditions hold, if any."""
        for choice in choices:
            if draw.happens(choice):
                kind = choice["trim"]
                own = {name: entry for name, entry in choice.items() if name in self.book.trims[kind]}
                return [trim_of(kind, draw.values({**self.book.trims[kind], **own}))]
        return []
