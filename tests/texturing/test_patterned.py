"""Which garments are patterned: stripes without a hue are, the noise of a photo is not."""

from __future__ import annotations

import numpy as np
import pytest

from uvatar.data.camera import Camera
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.pattern.sources import clean_sources
from uvatar.texturing.pattern.structure_picture import StructurePicture

SIDE, METRE = 160, 500.0  # pixels, pixels per metre
SMOOTH = np.array([0.2, 0.15, 0.1], np.float32)


@pytest.mark.parametrize(
    ("stripes", "hue", "noise", "patterned"),
    [(0.0, 0.0, 0.15, 0.0), (0.05, 0.0, 0.1, 0.0), (0.6, 0.0, 0.1, 1.0), (0.0, 0.4, 0.1, 1.0)],
    ids=["noise", "folds", "grey stripes", "coloured stripes"],
)
def test_patterns_are_told_from_noise_and_folds(stripes: float, hue: float, noise: float, patterned: float) -> None:
    wave = np.sign(np.sin(np.arange(SIDE) * 2 * np.pi / 20))[:, None, None]
    ratio = np.random.default_rng(0).normal(0, noise, (SIDE, SIDE, 3)) + stripes * wave
    ratio = (ratio + hue * wave * np.array([1.0, 0, -1])).astype(np.float32)
    everywhere = np.ones((SIDE, SIDE), bool)
    zeros = np.zeros((SIDE, SIDE), np.uint8)
    picture = StructurePicture(
        Camera(500, (80, 80), SIDE, SIDE), METRE, ratio, SMOOTH * np.exp(ratio), np.broadcast_to(SMOOTH, ratio.shape),
        everywhere, zeros, zeros, np.full((SIDE, SIDE), np.inf, np.float32),
    )  # fmt: skip
    _, found = clean_sources(ratio, everywhere, picture, np.s_[0:SIDE, 0:SIDE], PatternSettings())
    assert found == pytest.approx(patterned, abs=0.05)
