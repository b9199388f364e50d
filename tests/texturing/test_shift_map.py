"""Holes of a structure picture are filled with shifted copies that fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.texturing.pattern import shift_map
from uvatar.texturing.pattern.shift_map import filled

METRE = 500.0  # pixels


@pytest.mark.parametrize("pitch", [11, 25])
def test_stripes_go_on_in_phase(pitch: int) -> None:
    row, column = np.mgrid[:240, :300]
    stripes = 0.4 * np.sign(np.sin(2 * np.pi * (column + 0.2 * row) / pitch))
    truth = np.repeat(stripes[..., None], 3, 2).astype(np.float32)
    known, wanted = np.zeros(stripes.shape, bool), np.ones(stripes.shape, bool)
    known[:, :140] = True
    known[90:150, 50:100] = False
    made = filled(truth, known, wanted, METRE)
    assert np.allclose(made[known], truth[known])
    for hole in (np.s_[90:150, 50:100], np.s_[:, 150:220]):
        assert np.corrcoef(made[hole].ravel(), truth[hole].ravel())[0, 1] > 0.75
        assert made[hole].std() > 0.8 * truth[hole].std()


def test_a_step_in_brightness_is_evened_out() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, (200, 240, 3))
    picture = (noise + np.linspace(-0.3, 0.3, 240)[None, :, None]).astype(np.float32)
    known = np.zeros((200, 240), bool)
    known[:, :80], known[:, 160:] = True, True
    made = filled(picture, known, np.ones_like(known), METRE).mean((0, 2))
    assert np.abs(np.diff(made)).max() < 0.1
    assert made[75:85].mean() == pytest.approx(-0.1, abs=0.05)
    assert made[155:165].mean() == pytest.approx(0.1, abs=0.05)


def test_nothing_known_gives_nothing() -> None:
    nothing = np.zeros((40, 50), bool)
    assert not filled(np.ones((40, 50, 3), np.float32), nothing, ~nothing, METRE).any()


def test_a_small_hole_is_filled_in_a_small_box(monkeypatch: pytest.MonkeyPatch) -> None:
    column = np.mgrid[:400, :500][1]
    stripes = 0.4 * np.sign(np.sin(2 * np.pi * column / 20))
    truth = np.repeat(stripes[..., None], 3, 2).astype(np.float32)
    known = np.ones(stripes.shape, bool)
    known[0:40, 0:40] = known[200:240, 300:340] = False  # one of them at the picture's corner
    sizes = []
    membrane = shift_map._membrane

    def watched(difference: NDArray[np.float32], *rest: Any) -> NDArray[np.float32]:
        sizes.append(difference.shape[0] * difference.shape[1])
        return membrane(difference, *rest)

    monkeypatch.setattr(shift_map, "_membrane", watched)
    alone = known.copy()
    alone[0:40, 0:40] = True
    made = filled(truth, alone, ~alone, METRE)
    assert sizes and max(sizes) < 0.1 * known.size
    assert np.abs(made - truth).mean() < 0.01
    assert np.abs(filled(truth, known, ~known, METRE) - truth).mean() < 0.01
