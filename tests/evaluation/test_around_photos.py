"""People of photos measured from the sides that no photo shows, with several completions."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import uvatar.evaluation.reconstructed
from tests.evaluation.test_photos import body, truth
from uvatar.body import BodyModel
from uvatar.evaluation import around_photos
from uvatar.evaluation.baselines import MATERIALS, SMOOTH
from uvatar.results.result import PhotoResult

__all__ = ["body", "truth"]  # fixtures


def test_people_and_garments_are_listed_by_completion(
    tmp_path: Path, body: BodyModel, truth: PhotoResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    texture = truth.people[0].texture
    sharp = np.where(np.indices(texture.source.shape).sum(0)[..., None] % 8 < 4, 90, 160).repeat(3, 2).astype(np.uint8)
    cloth: dict[str, Any] = {"materials": np.ones_like(texture.source), "material_names": ("upper",)}
    made = {SMOOTH: replace(texture, image=np.full_like(sharp, 120)), MATERIALS: replace(texture, image=sharp, **cloth)}
    makers = {how: (lambda view, one=one: one) for how, one in made.items()}
    monkeypatch.setattr(uvatar.evaluation.reconstructed, "reconstruct", lambda photo, engine: truth)
    monkeypatch.setattr(around_photos, "completions", lambda *arguments: makers)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"any")
    engine: Any = SimpleNamespace(body=body, face=None, atlases=SimpleNamespace(at=lambda size: None))
    rows = around_photos.evaluate_photos_around(tmp_path / "photos", tmp_path / "out", engine)
    assert [row["completion"] for row in rows] == [SMOOTH, MATERIALS]
    assert all(row["people"] == 1 for row in rows)
    assert float(rows[1]["own view"]) > 0 and float(rows[0]["off material"]) >= 0
    with open(tmp_path / "out" / "garments.csv", encoding="utf-8") as file:
        garments = list(csv.DictReader(file))
    assert {row["garment"] for row in garments} == {"upper"}
    assert float(garments[-1]["detail"]) == pytest.approx(1, abs=0.3)
