"""Dresses one person: the texture, and the distance of clothes and hair from the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BODY
from uvatar.data.arrays import Floats
from uvatar.data.parsing import ParseClass
from uvatar.photos.colour import srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar_training.synthesis.anatomy import Canvas, SurfacePoints
from uvatar_training.synthesis.attachments import HairMesh, Tube
from uvatar_training.synthesis.draws import Draw
from uvatar_training.synthesis.garment_book import shipped_garments
from uvatar_training.synthesis.noise import fractal3
from uvatar_training.synthesis.outfits import (
    WornGarment,
    label_over,
    paint_over,
    random_hat,
    random_outfit,
    stand_off,
)
from uvatar_training.synthesis.skin import Looks, hair_cover, paint_hair, paint_skin, random_looks, skin_labels
from uvatar_training.synthesis.wardrobe import Wardrobe, WardrobeLayer

BAKED_SHARE = 0.45  # share of people whose clothes come from the wardrobe, if there is one
SKIN_SHARE = 0.5
SKIRT_SHARE, COAT_SHARE = 0.3, 0.3  # of women and children, and of jackets
HAIR_MESH_SHARE, HAT_SHARE = 0.7, 0.12
_WAIST = -0.16  # height at which outfits are divided into tops and bottoms, metres on the rest body


@dataclass(frozen=True)
class Dressed:
    """A person's visible surface.

    Attributes:
        texture: (N, N, 3) sRGB in the body's UV, gutters filled.
        stand_off: (V,) metres from the rest body's skin to clothes and hair, along its normals.
        offsets: (V, 3) the same distances as vectors, metres.
        labels: (N, N) uint8 classes (`uvatar.data.parsing.ParseClass`) in the body's UV, gutters filled.
        pieces: what is worn as meshes of their own.
    """

    texture: NDArray[np.uint8]
    stand_off: NDArray[np.float32]
    offsets: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pieces: tuple[Tube | HairMesh, ...] = ()


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
    tubes = random_tubes(canvas, garments, group, rng, held_out)
    if any(tube.label == ParseClass.SKIRT for tube in tubes):
        garments = [garment for garment in garments if garment.label != ParseClass.LOWER]
    baked = rng.random() < BAKED_SHARE and bool(wardrobe.layers) and not tubes
    person = _Surface(
        _skin(canvas, looks, wardrobe, group, rng),
        np.zeros(len(canvas.vertices), np.float32),
        skin_labels(canvas.texels),
    )
    if baked:
        # A baked outfit replaces the procedural one; top and bottom often come from two different outfits.
        first, second = (wardrobe.choose("outfit", group, rng) for _ in range(2))
        shoes = wardrobe.choose("shoes", group, rng) if rng.random() < 0.8 else None
        garments = [garment for garment in garments if garment.name in (("socks",) if shoes else ("socks", "shoes"))]
        person = _procedural(canvas, person, garments)
        if first is not None:
            for layer, side in ((first, 1), (second or first, -1)) if rng.random() < 0.5 else ((first, 0),):
                person = _wear(canvas, person, layer, rng, 0.006, rng.choice([0.0, 0.006, 0.012]), side=side)
        if shoes is not None:
            person = _wear(canvas, person, shoes, rng, 0.008, 0.0)
    else:
        person = _procedural(canvas, person, garments)
    pieces: list[Tube | HairMesh] = list(tubes)
    style = wardrobe.choose("hair", group, rng) if rng.random() < 0.45 and looks.style != "bald" else None
    if style is not None:
        person = _wear(canvas, person, style, rng, 0.012, 0.01, hue=False, tint=looks.hair)
        if style.mesh is not None and rng.random() < HAIR_MESH_SHARE:
            strands = style.mesh.colours / max(float(style.mesh.colours.mean()), 1e-3) * looks.hair
            pieces.append(replace(style.mesh, colours=np.clip(strands, 0.002, 0.95).astype(np.float32)))
    else:
        person = _painted_hair(canvas, person, looks)
    if rng.random() < HAT_SHARE:
        person = _procedural(canvas, person, random_hat(rng, group, held_out))
        pieces = [piece for piece in pieces if isinstance(piece, Tube) or rng.random() < 0.3]
    texture = canvas.table.picture(srgb_from_linear(person.colour))
    offsets = (person.off[:, None] * canvas.vertices.normal).astype(np.float32)
    labels = canvas.table.picture(person.labels)
    return Dressed(texture, person.off.astype(np.float32), offsets, labels, tuple(pieces))


@dataclass(frozen=True)
class _Surface:
    """A person while it is dressed: linear RGB (T, 3), distance from the skin (V,), classes (T,)."""

    colour: NDArray[np.float32]
    off: NDArray[np.float32]
    labels: NDArray[np.uint8]


def random_tubes(
    canvas: Canvas, garments: Sequence[WornGarment], group: str, rng: np.random.Generator, held_out: bool
) -> list[Tube]:
    """A skirt, the lower part of a dress that is worn, or the tails of a coat."""
    tubes = []
    for garment in garments:
        if garment.name == "dress":
            covered = canvas.vertices.rest[garment.cut(canvas.vertices) > 0, 1]
            tubes.append((ParseClass.SKIRT, garment.fabric, float(covered.min())))
        elif garment.name == "jacket" and rng.random() < COAT_SHARE:
            tubes.append((ParseClass.OUTER, garment.fabric, rng.uniform(-0.95, -0.45)))
    if not any(label == ParseClass.SKIRT for label, _, _ in tubes) and group != "male" and rng.random() < SKIRT_SHARE:
        fabric = Draw(rng, group, shipped_garments().fabrics["held_out" if held_out else "train"]).value(
            {"fabric": "any"}
        )
        tubes.insert(0, (ParseClass.SKIRT, fabric, rng.uniform(-1.1, -0.42)))
    return [
        Tube(
            label, fabric, rng.uniform(-0.2, -0.1), hem, rng.choice([0.0, rng.uniform(0, 0.8)]), rng.uniform(0, 0.012),
            int(rng.integers(2**31)),
        )
        for label, fabric, hem in tubes
    ]  # fmt: skip


def _painted_hair(canvas: Canvas, person: _Surface, looks: Looks) -> _Surface:
    cover = hair_cover(canvas.texels, looks)[:, None]
    colour = person.colour + cover * (paint_hair(canvas.texels, looks) - person.colour)
    off = np.maximum(person.off, looks.volume * hair_cover(canvas.vertices, looks) * _locks(canvas.vertices, looks))
    # A beard counts as part of the face.
    on_head = hair_cover(canvas.texels, replace(looks, beard=0.0)) > 0.5
    return _Surface(colour, off.astype(np.float32), np.where(on_head, ParseClass.HAIR, person.labels).astype(np.uint8))


def _procedural(canvas: Canvas, person: _Surface, garments: Sequence[WornGarment]) -> _Surface:
    return _Surface(
        paint_over(canvas.texels, person.colour, garments),
        np.maximum(person.off, stand_off(canvas.vertices, garments)),
        label_over(canvas.texels, person.labels, garments),
    )


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
    person: _Surface,
    layer: WardrobeLayer,
    rng: np.random.Generator,
    thickness: float,
    slack: float,
    side: int = 0,
    hue: bool = True,
    tint: Floats | None = None,
) -> _Surface:
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
    colour = person.colour + texel_cover[:, None] * (np.clip(paint, 0.002, 0.95) - person.colour)
    labels = np.where(texel_cover > 0.5, layer.labels.reshape(-1)[canvas.table.pixel], person.labels).astype(np.uint8)
    body = canvas.body
    corner = np.zeros(len(canvas.vertices), np.int64)
    corner[body.faces.ravel()] = body.face_uv.ravel()
    uv = body.uv[corner]
    vertex_cover = bilinear(cover, np.stack([uv[:, 0], 1 - uv[:, 1]], 1) * cover.shape[0]) * part(canvas.vertices)
    hang = np.clip(1 + 0.7 * fractal3(canvas.vertices.rest, 0.09, rng), 0, 2)
    off = np.maximum(person.off, vertex_cover * (thickness + slack * hang)).astype(np.float32)
    return _Surface(colour.astype(np.float32), off, labels)


def _locks(points: SurfacePoints, looks: Looks) -> NDArray[np.float32]:
    return np.clip(1 + 0.4 * fractal3(points.rest, 0.03, np.random.default_rng(looks.seed + 3)), 0.3, 2)
