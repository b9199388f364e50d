"""Dresses one person: the texture, and the distance of clothes and hair from the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BODY
from uvatar.data.arrays import Floats
from uvatar.photos.colour import srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar_training.synthesis.anatomy import Canvas, SurfacePoints
from uvatar_training.synthesis.noise import fractal3
from uvatar_training.synthesis.outfits import WornGarment, paint_over, random_outfit, stand_off
from uvatar_training.synthesis.skin import Looks, hair_cover, paint_hair, paint_skin, random_looks
from uvatar_training.synthesis.wardrobe import Wardrobe, WardrobeLayer

BAKED_SHARE = 0.45  # share of people whose clothes come from the wardrobe, if there is one
SKIN_SHARE = 0.5
_WAIST = -0.16  # height at which outfits are divided into tops and bottoms, metres on the rest body


@dataclass(frozen=True)
class Dressed:
    """A person's visible surface.

    Attributes:
        texture: (N, N, 3) sRGB in the body's UV, gutters filled.
        stand_off: (V,) metres from the rest body's skin to clothes and hair, along its normals.
        offsets: (V, 3) the same distances as vectors, metres.
    """

    texture: NDArray[np.uint8]
    stand_off: NDArray[np.float32]
    offsets: NDArray[np.float32]


def dress(canvas: Canvas, group: str, wardrobe: Wardrobe, rng: np.random.Generator, held_out: bool = False) -> Dressed:
    """Dress a random "male", "female" or "child"; takes about 0.3 s at 512 texels.

    Args:
        canvas: the body at the texture's size.
        group: "male", "female" or "child".
        wardrobe: baked clothes; with an empty one, all clothes are procedural.
        rng: source of all randomness.
        held_out: use fabrics that do not occur in training.
    """
    looks = random_looks(rng, group)
    garments = random_outfit(rng, group, held_out)
    baked = rng.random() < BAKED_SHARE and bool(wardrobe.layers)
    colour = _skin(canvas, looks, wardrobe, group, rng)
    off = np.zeros(len(canvas.vertices), np.float32)
    if baked:
        # A baked outfit replaces the procedural one; top and bottom often come from two different outfits.
        first, second = (wardrobe.choose("outfit", group, rng) for _ in range(2))
        shoes = wardrobe.choose("shoes", group, rng) if rng.random() < 0.8 else None
        garments = [garment for garment in garments if garment.name in (("socks",) if shoes else ("socks", "shoes"))]
        colour, off = _procedural(canvas, colour, off, garments)
        if first is not None:
            for layer, side in ((first, 1), (second or first, -1)) if rng.random() < 0.5 else ((first, 0),):
                colour, off = _wear(canvas, colour, off, layer, rng, 0.006, rng.choice([0.0, 0.006, 0.012]), side=side)
        if shoes is not None:
            colour, off = _wear(canvas, colour, off, shoes, rng, 0.008, 0.0)
    else:
        colour, off = _procedural(canvas, colour, off, garments)
    style = wardrobe.choose("hair", group, rng) if rng.random() < 0.35 and looks.style != "bald" else None
    if style is not None:
        colour, off = _wear(canvas, colour, off, style, rng, 0.012, 0.01, hue=False, tint=looks.hair)
    else:
        cover = hair_cover(canvas.texels, looks)[:, None]
        colour = colour + cover * (paint_hair(canvas.texels, looks) - colour)
        off = np.maximum(off, looks.volume * hair_cover(canvas.vertices, looks) * _locks(canvas.vertices, looks))
    texture = canvas.table.picture(srgb_from_linear(colour))
    return Dressed(texture, off.astype(np.float32), (off[:, None] * canvas.vertices.normal).astype(np.float32))


def _procedural(
    canvas: Canvas, colour: Floats, off: NDArray[np.float32], garments: Sequence[WornGarment]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return paint_over(canvas.texels, colour, garments), np.maximum(off, stand_off(canvas.vertices, garments))


def _skin(
    canvas: Canvas, looks: Looks, wardrobe: Wardrobe, group: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    painted = paint_skin(canvas.texels, looks)
    layer = wardrobe.choose("skin", group, rng)
    if layer is None or rng.random() >= SKIN_SHARE:
        return painted
    # A photographed skin in this person's tone. The eyes have separate islands in the open body's UV layout.
    skin = layer.recoloured(np.random.default_rng(0), hue=False).reshape(-1, 3)[canvas.table.pixel]
    body = canvas.texels.part == BODY
    tone = np.median(skin[body], 0)
    return np.where(body[:, None], np.clip(skin * (0.4 + 0.6 * looks.tone / tone), 0.002, 0.95), painted).astype(
        np.float32
    )


def _wear(
    canvas: Canvas,
    colour: Floats,
    off: NDArray[np.float32],
    layer: WardrobeLayer,
    rng: np.random.Generator,
    thickness: float,
    slack: float,
    side: int = 0,
    hue: bool = True,
    tint: Floats | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put on a baked layer: all of it, or only the part above (``side`` 1) or below (-1) the waist."""

    def part(points: SurfacePoints) -> NDArray[np.float32]:
        height = np.where(points.arm > 0.5, 1.0, points.rest[:, 1] - _WAIST)
        return (
            np.ones(len(points), np.float32)
            if not side
            else np.clip(side * height / 0.004 + 0.5, 0, 1).astype(np.float32)
        )

    paint = layer.recoloured(rng, hue).reshape(-1, 3)[canvas.table.pixel]
    if tint is not None:
        paint = paint / max(float(paint.mean()), 1e-3) * tint
    cover = layer.cover()
    texel_cover = cover.reshape(-1)[canvas.table.pixel] * part(canvas.texels)
    colour = colour + texel_cover[:, None] * (np.clip(paint, 0.002, 0.95) - colour)
    body = canvas.body
    corner = np.zeros(len(canvas.vertices), np.int64)
    corner[body.faces.ravel()] = body.face_uv.ravel()
    uv = body.uv[corner]
    vertex_cover = bilinear(cover, np.stack([uv[:, 0], 1 - uv[:, 1]], 1) * cover.shape[0]) * part(canvas.vertices)
    hang = np.clip(1 + 0.7 * fractal3(canvas.vertices.rest, 0.09, rng), 0, 2)
    return colour.astype(np.float32), np.maximum(off, vertex_cover * (thickness + slack * hang)).astype(np.float32)


def _locks(points: SurfacePoints, looks: Looks) -> NDArray[np.float32]:
    return np.clip(1 + 0.4 * fractal3(points.rest, 0.03, np.random.default_rng(looks.seed + 3)), 0.3, 2)
