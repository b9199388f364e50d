"""Avatars compared with the truth from all sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.evaluation.around import evaluate_around
from uvatar.evaluation.structure_metrics import detail_ratio, patch_distance


def test_a_person_is_scored_from_all_sides(tmp_path: Path) -> None:
    rows = evaluate_around(tmp_path, count=1, size=128)
    assert [row["view"] for row in rows] == ["photo", "front", "side", "back"]
    assert float(rows[0]["PSNR"]) > float(rows[3]["PSNR"]) > 5
    assert (tmp_path / "table.csv").is_file()
    assert (tmp_path / "000.jpg").stat().st_size > 1000


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
