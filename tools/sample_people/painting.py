"""Paints skin in the base mesh's UV layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tools.makehuman import ObjMesh
from tools.sample_people.people import LEFT_EYE, RIGHT_EYE, PosedSample, SamplePerson
from uvatar.data.arrays import Floats

PAINT_SIZE = 2048
LIPS, EARS, NAILS = "mpfb_lips.jpg", "mpfb_ears.jpg", "mpfb_fingernails.jpg"


def position_map(base: ObjMesh, rest: Floats, size: int) -> Floats:
    """Rest position (size, size, 3) of every texel of the body's UV layout, decimetres, NaN outside; row 0 is v = 1."""
    from scipy.interpolate import LinearNDInterpolator  # one use, slow to import

    uv, points = [], []
    for polygon, corners, group in zip(base.polygons, base.polygon_uv, base.groups, strict=True):
        if group == "body":
            uv += [base.uv[c] for c in corners]
            points += [rest[v] for v in polygon]
    coarse = size // 4
    grid = (np.arange(coarse) + 0.5) / coarse
    unique, first = np.unique(np.round(uv, 6), axis=0, return_index=True)
    u, v = np.meshgrid(grid, 1 - grid)
    table = LinearNDInterpolator(unique, np.array(points)[first])(u, v)
    return np.repeat(np.repeat(table, 4, 0), 4, 1)


def noise(shape: tuple[int, int], radius: float, rng: np.random.Generator) -> Floats:
    """Smooth noise (H, W) with mean 0 and deviation 1; ``radius`` in pixels."""
    picture = Image.fromarray((rng.random(shape) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    values = np.asarray(picture, np.float64)
    normalised: Floats = (values - values.mean()) / max(values.std(), 1e-6)
    return normalised


def region(makehuman: Path, name: str) -> Floats:
    """One of mpfb2's CC0 region masks (N, N), 0..1, in the body's UV layout."""
    picture = (
        Image.open(makehuman / "textures" / name)
        .convert("L")
        .resize((PAINT_SIZE, PAINT_SIZE))
        .filter(ImageFilter.GaussianBlur(3))
    )
    values = np.asarray(picture, np.float64) / 255
    return values if values.mean() < 0.5 else 1 - values


def paint_skin(person: SamplePerson, posed: PosedSample, makehuman: Path) -> Floats:
    """Skin (N, N, 3), linear RGB, in the body's UV layout: blotches, lips, ears, nails and brows."""
    rng = np.random.default_rng(3)
    size = PAINT_SIZE
    colour = np.broadcast_to(np.array(person.skin), (size, size, 3)).copy()
    blotches = 0.05 * noise((size, size), 30, rng) + 0.03 * noise((size, size), 6, rng)
    colour *= (1 + blotches)[..., None]
    colour[..., 0] *= 1 + 0.03 * noise((size, size), 60, rng)
    for name, tint, strength in (
        (LIPS, (0.62, 0.30, 0.32), 0.85),
        (EARS, (1.0, 0.75, 0.7), 0.5),
        (NAILS, (1.1, 0.95, 0.95), 0.5),
    ):
        mask = strength * region(makehuman, name)[..., None]
        colour *= 1 - mask + mask * np.array(tint)
    points = position_map(posed.base, posed.rest, size)
    eyes = [posed.rest[part].mean(0) for part in (LEFT_EYE, RIGHT_EYE)]
    strands = noise((size, size), 2.0, rng)
    for eye in eyes:
        side = np.sign(eye[0])
        across = (points[..., 0] - eye[0]) * side  # decimetres, outward
        arch = 0.205 + 0.05 * across - 0.45 * (across - 0.05) ** 2
        width = np.interp(across, [-0.19, -0.12, 0.1, 0.27], [0.0, 0.07, 0.055, 0.0])
        distance = np.abs(points[..., 1] - eye[1] - arch) / np.maximum(width, 1e-6)
        brow = (
            np.clip(1.4 - distance, 0, 1)
            * (width > 0)
            * np.clip(1.0 + 0.15 * strands, 0, 1)
            * (points[..., 2] > eye[2])
        )
        brow = np.nan_to_num(brow)[..., None]
        colour = colour * (1 - 0.9 * brow) + 0.9 * brow * np.array(person.hair_colour)
        # Redness and shade around the eyes; without them, eyes look pasted on.
        around = np.nan_to_num(np.exp(-(np.linalg.norm(points - eye - [0, 0, 0.12], axis=-1) ** 2) / 0.02))[..., None]
        colour *= 1 - 0.25 * around * np.array([0.5, 1.0, 1.0])
    scalp = np.nan_to_num(np.clip((points[..., 1] - eyes[0][1] - 0.62) / 0.12, 0, 1))[..., None]
    colour = colour * (1 - 0.9 * scalp) + 0.9 * scalp * np.array(person.hair_colour)
    clipped: Floats = np.clip(colour, 0, 1)
    return clipped
