"""Patterns at the sides: the picture goes on unrolled, not mirrored."""

from __future__ import annotations

import numpy as np

from tests.texturing.conftest import Studio
from uvatar.texturing.layout.surface import Part, build_surface
from uvatar.texturing.pattern.places import _unrolled
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.shells.skirt_pattern import with_pattern


def test_the_sides_lie_outside_the_outline_by_what_they_are_foreshortened(studio: Studio) -> None:
    """On a cylinder of radius r, trusted up to the angle a from its side, the side lies r (a + cos a - 1) outside."""
    surface, settings = build_surface(studio.body.data), PatternSettings()
    leg = surface.part == Part.LEFT_LEG
    vertices = surface.template.astype(np.float64).copy()
    middle, radius = vertices[leg][:, [0, 2]].mean(0), 0.08
    outwards = vertices[:, [0, 2]] - middle
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    vertices[leg, 0] = middle[0] + radius * outwards[leg, 0]
    vertices[leg, 2] = middle[1] + radius * outwards[leg, 1]
    normals = np.stack([outwards[:, 0], np.zeros(len(outwards)), outwards[:, 1]], 1)
    facing, across = np.abs(normals[:, 2]), np.zeros_like(normals)
    across[:, 0] = np.sign(normals[:, 0])
    beyond = _unrolled(vertices, normals, across, facing, surface, settings)
    inner = leg & (np.abs(vertices[:, 1] - np.median(vertices[leg, 1])) < 0.12)
    angle = np.arcsin(settings.cosine)
    expected = radius * (angle + np.cos(angle) - 1)
    side = inner & (facing < 0.15)
    assert side.any()
    assert np.abs(beyond[inner & (facing > settings.cosine)]).max() < 1e-3
    assert abs(np.median(beyond[side]) - expected) < 0.25 * expected


def test_a_skirts_pattern_goes_on_behind_and_is_not_mirrored() -> None:
    """Ramps from dark to light along the cloth, of which the middle of the front is seen."""
    size, pitch = 256, 16
    column = np.arange(size)
    ramp = 0.15 + 0.3 * (column % pitch) / pitch
    colours = np.broadcast_to(ramp[None, :, None], (size, size, 3)).astype(np.float32)
    seen = np.zeros((size, size), bool)
    seen[:, 80:176] = True
    angle = 2 * np.pi * (column / size - 0.5)
    points = np.stack(
        np.broadcast_arrays(0.16 * np.sin(angle), 0.8 * column[:, None] / size, 2 - 0.16 * np.cos(angle)), -1
    )
    smooth = np.full((size, size, 3), 0.3, np.float32)
    made = with_pattern(colours, seen, seen, smooth, points)[..., 0]
    assert np.abs(made[:, 96:160] - ramp[96:160]).max() < 1e-3
    behind = np.concatenate([made[:, 192:248], made[:, 8:64]], 1)
    assert behind.std() > 0.5 * ramp.std()
    step = np.diff(behind, axis=1)
    # a ramp rises slowly and falls at once; its mirror image does the opposite
    assert (step > 0).mean() > 0.75
