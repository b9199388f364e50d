"""What `uvatar evaluate light` measures."""

from __future__ import annotations

from pathlib import Path

from uvatar.evaluation.light import evaluate_light, summary


def test_even_light_is_nearer_to_the_truth(tmp_path: Path) -> None:
    rows = evaluate_light(tmp_path, count=2, seed=4, size=128)
    assert [row["light"] for row in rows] == ["soft", "hard"] and (tmp_path / "table.csv").is_file()
    for row in rows:
        assert 0.05 < float(row["seen even"]) < 0.8 * float(row["seen"])
        assert float(row["sides"]) >= 0 and float(row["sides even"]) >= 0
    assert [row["people"] for row in summary(rows)] == [1, 1]
    assert len(list(tmp_path.glob("*.jpg"))) == 2
