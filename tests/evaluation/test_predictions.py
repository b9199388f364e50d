"""`evaluate predictions`: people that are not refined, against annotations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer

from uvatar.commands.evaluate import predictions, starts
from uvatar.evaluation.predictions import (
    LANDMARKS,
    NETWORK,
    UNREFINED,
    Agreement,
    evaluate_predictions,
    summary,
)
from uvatar.protocol.errors import UvatarError

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
# Pixels of samples/man.jpg, by COCO's number of the keypoint: nose, shoulders, elbows, hips, knees, ankles.
SEEN = {0: (364, 170), 5: (455, 266), 6: (289, 270), 7: (466, 401), 8: (281, 406), 11: (418, 529), 12: (324, 530),
        13: (429, 726), 14: (328, 724), 15: (439, 922), 16: (335, 913)}  # fmt: skip
BOX = [221, 90, 278, 900]


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """A folder with a sample and its annotation."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(SAMPLES / "man.jpg", folder)
    keypoints = [(*SEEN[k], 2) if k in SEEN else (0, 0, 0) for k in range(17)]
    person = {"image_id": 1, "bbox": BOX, "keypoints": np.ravel(keypoints).tolist(), "segmentation": []}
    data = {"images": [{"id": 1, "file_name": "man.jpg"}], "annotations": [person]}
    (folder / "annotations.json").write_text(json.dumps(data))
    (folder / "LICENSES.tsv").write_text("file\tfull_body\nman.jpg\t1\n")
    return folder


def test_the_summary_pools_keypoints_and_counts_who_is_missed() -> None:
    def one(full: bool, *errors: float) -> Agreement:
        values = np.array(errors, np.float32)
        return Agreement("a.jpg", full, {LANDMARKS: values, UNREFINED: values * 2})

    rows = summary([one(True, 0.01, 0.04, 0.06), one(True, 0.2), Agreement("b.jpg", True), one(False, 0.08)])
    seen, body, *others = rows
    assert (seen["of"], seen["people"], seen["missed"]) == (LANDMARKS, 3, 1)
    assert (seen["PCK 5 %"], seen["PCK 10 %"]) == (0.5, 0.75) and seen["median error %"] == pytest.approx(5.0)
    assert (body["of"], body["PCK 5 %"], body["PCK 10 %"]) == (UNREFINED, 0.25, 0.5)
    assert [row["people"] for row in others] == [1, 1] and others[1]["PCK 10 %"] == 0.0


def test_a_body_that_is_not_refined_is_where_the_photo_shows_the_person(annotated: Path, tmp_path: Path) -> None:
    (one,) = evaluate_predictions(annotated, tmp_path / "out")
    assert one.full_body and {name: len(errors) for name, errors in one.errors.items()} == {
        LANDMARKS: len(SEEN), NETWORK: len(SEEN), UNREFINED: len(SEEN),
    }  # fmt: skip
    assert np.median(one.errors[UNREFINED]) < 0.03 and one.errors[UNREFINED].max() < 0.1
    assert one.errors[UNREFINED].mean() < one.errors[NETWORK].mean()  # the landmarks are of use
    table = (tmp_path / "out" / "predictions.csv").read_text()
    assert len(table.splitlines()) == 4 and UNREFINED in table


def test_a_photo_that_is_missing_is_reported_and_left_out(
    annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (annotated / "man.jpg").unlink()
    assert evaluate_predictions(annotated, tmp_path / "out") == []
    assert "man.jpg" in capsys.readouterr().out


def test_a_file_that_holds_no_network_is_told(
    annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "network.onnx"
    damaged.write_bytes(b"nothing")
    for command in (predictions, starts):
        with pytest.raises(typer.Exit):
            command(annotated, tmp_path / "out", damaged)
        assert "network.onnx" in capsys.readouterr().out


def test_a_folder_without_annotations_is_told(tmp_path: Path) -> None:
    with pytest.raises(UvatarError, match=r"annotations\.json and LICENSES\.tsv"):
        evaluate_predictions(tmp_path, tmp_path / "out")
