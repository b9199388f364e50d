"""The vendored models are the recorded ones, and a damaged folder is explained."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from uvatar.perception.models import Model, ModelError
from uvatar.perception.people import SIDE

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "perception"


def test_every_vendored_file_is_listed_with_its_checksum_and_licence() -> None:
    sources = json.loads((WEIGHTS / "sources.json").read_text(encoding="utf-8"))
    assert {path.name for path in WEIGHTS.glob("*.tflite")} == {entry["file"] for entry in sources["files"]}
    for entry in sources["files"]:
        assert hashlib.sha256((WEIGHTS / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert sources["packages"][entry["package"]]["version"]
    assert sources["licence"] == "Apache-2.0"
    assert "Apache License" in (WEIGHTS / "LICENSE").read_text(encoding="utf-8")


def copied(folder: Path) -> Path:
    for name in ("sources.json", "person_detector.tflite"):
        shutil.copy(WEIGHTS / name, folder / name)
    return folder


def test_nothing_is_read_before_the_first_call(tmp_path: Path) -> None:
    model = Model(tmp_path, "person_detector.tflite")
    with pytest.raises(ModelError, match=r"sources.json is missing.*fetch_perception_models"):
        model(np.zeros((1, SIDE, SIDE, 3), np.uint8))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = copied(tmp_path) / "person_detector.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"person_detector.tflite.*sha256.*fetch_perception_models"):
        Model(tmp_path, "person_detector.tflite")(np.zeros((1, SIDE, SIDE, 3), np.uint8))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (copied(tmp_path) / "person_detector.tflite").unlink()
    with pytest.raises(ModelError, match=r"person_detector.tflite is missing"):
        Model(tmp_path, "person_detector.tflite")(np.zeros((1, SIDE, SIDE, 3), np.uint8))


def test_a_file_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    (copied(tmp_path) / "other.tflite").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"does not list other.tflite"):
        Model(tmp_path, "other.tflite")(np.zeros(1))
