"""The photo's hair passes gradually into strands, and faces are left as they are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.texturing.conftest import Studio
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.materials.hair_edge import DEFAULT_SETTINGS, with_soft_hair_edge
from uvatar.texturing.materials.labels import HAIR, SKIN


@pytest.mark.parametrize(("cosine", "kept"), [(0.05, 0.0), (0.3, 0.5), (0.8, 1.0)])
def test_hair_seen_from_the_edge_passes_into_strands(studio: Studio, cosine: float, kept: float) -> None:
    atlas = Atlas.of(studio.body, 128)
    count, ones = len(atlas.table), np.ones(len(atlas.table), np.float32)
    colours = np.full((count, 3), 0.2, np.float32)
    at_vertices = np.full((len(atlas.surface.template), 3), 0.2, np.float32)
    seen = SeenColours(colours, ones, ones, 0 * ones, at_vertices, colours[0], atlas)
    scalp = atlas.interpolate(atlas.surface.scalp.astype(np.float32))
    face = atlas.interpolate(atlas.surface.face_front.astype(np.float32)) > 0.99
    labels = np.where(scalp > 0, HAIR, SKIN).astype(np.uint8)
    made = with_soft_hair_edge(seen, np.full(count, cosine, np.float32), labels, DEFAULT_SETTINGS)
    assert made.alpha[scalp > 0.99].mean() == pytest.approx(kept, abs=0.2)
    assert (made.alpha[face & (scalp == 0)] == 1).all()
    assert (made.certain == 1).all()  # it tells the hair's colour all the same
    bald = with_soft_hair_edge(seen, np.full(count, cosine, np.float32), np.full_like(labels, SKIN), DEFAULT_SETTINGS)
    assert (bald.alpha == 1).all()
