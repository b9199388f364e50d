"""`evaluate_photos` on photos drawn from a known avatar: what it reports must be what is true of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.labels import Label
from uvatar.data.landmarks import COCO_LANDMARKS
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.texture import Texture
from uvatar.evaluation.photos import PersonFigures, evaluate_photos, measure_person
from uvatar.photos.decoding import PhotoError
from uvatar.results.preview import render_textured
from uvatar.results.result import PersonResult, PhotoResult

CAMERA = Camera.for_photo(480, 640)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def truth(body: BodyModel) -> PhotoResult:
    """A photo of an avatar in front of a green wall, and the perfect reconstruction of it."""
    pose = np.zeros((23, 3), np.float32)
    pose[15, 2], pose[16, 2] = -1.1, 1.1
    transl = np.array([0, -0.3, 3.2], np.float32)
    parameters = BodyParameters(np.zeros(10, np.float32), np.array([np.pi, 0, 0], np.float32), pose, transl)
    fit = Fit(parameters, np.zeros_like(body.data.v_template), 0.0, 0.0, 1.0)
    ramp = np.linspace(60, 220, 256)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None]), -1).astype(np.uint8)
    texture = Texture(image, np.full((256, 256), Label.SEEN, np.uint8))
    wall = np.full((CAMERA.height, CAMERA.width, 3), (40, 160, 60), np.uint8)
    picture = render_textured(body.posed(parameters)[0], body.data, image, CAMERA, wall)
    rows, columns = np.flatnonzero(picture.mask.any(1)), np.flatnonzero(picture.mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
    marks = np.concatenate([CAMERA.project(body.landmarks_of(fit.body)), np.ones((33, 1))], 1).astype(np.float32)
    window = (0, 0, CAMERA.width, CAMERA.height)
    mask = np.round(picture.coverage * 255).astype(np.uint8)
    person = Person(box, 1.0, marks, np.zeros((33, 3), np.float32), window, mask, np.zeros_like(mask))
    return PhotoResult(Photo(picture.image, None, "0", "a.png"), CAMERA, [PersonResult(person, fit, texture)], {})


def altered(truth: PhotoResult, **changes: Any) -> PhotoResult:
    """The same photo with its one person's `Person`, `Fit` or `Texture` changed."""
    return replace(truth, people=[replace(truth.people[0], **changes)])


def measured(result: PhotoResult, body: BodyModel) -> PersonFigures:
    return measure_person("a.png", 0, result, result.people[0], body, 1.0)


def test_a_perfect_avatar_scores_perfectly(truth: PhotoResult, body: BodyModel) -> None:
    figures = measured(truth, body)
    assert figures.full
    assert figures.landmark_p95 < 1e-3
    assert figures.iou_body > 0.985 and figures.iou_clothed > 0.985
    assert figures.psnr_overlap > 45 and figures.psnr_flat < 20
    assert figures.ssim_mask > 0.9
    assert figures.black == 0 and figures.background == 0


def test_tables_and_pictures_are_written(truth: PhotoResult, body: BodyModel, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"photo")
    with open(tmp_path / "console.txt", "w", encoding="utf-8") as console:
        (figures,) = evaluate_photos(
            tmp_path / "photos", tmp_path / "out", lambda data, name: truth, body, Console(file=console)
        )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a_overlay.jpg", "a_p0_compare.jpg", "a_p0_turntable.jpg", "table.csv", "table.md",
    }  # fmt: skip
    with open(tmp_path / "out" / "table.csv", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["IoU clothed"]) == pytest.approx(figures.iou_clothed)
    assert "1 of 1" in (tmp_path / "console.txt").read_text(encoding="utf-8")


def test_a_shifted_body_costs_landmarks_outline_and_colour(truth: PhotoResult, body: BodyModel) -> None:
    fit = truth.people[0].fit
    moved = replace(fit, body=replace(fit.body, transl=fit.body.transl + np.array([0.1, 0, 0], np.float32)))
    figures = measured(altered(truth, fit=moved), body)
    side = np.ptp(truth.people[0].person.box[[1, 3]])
    assert figures.landmark_median == pytest.approx(100 * 0.1 * CAMERA.focal / 3.2 / side, rel=0.1)
    assert 0.2 < figures.iou_body < 0.6
    assert figures.psnr_mask < 25


def test_wall_inside_the_mask_is_no_loss_where_the_avatar_has_none(truth: PhotoResult, body: BodyModel) -> None:
    pixels = truth.photo.pixels.copy()
    mask = truth.people[0].person.mask
    rows, columns = np.nonzero(mask > 200)
    middle = int(np.median(rows)), int(np.median(columns))
    hole = np.s_[middle[0] - 15 : middle[0] + 15, middle[1] - 15 : middle[1] + 15]
    pixels[hole] = (40, 160, 60)
    figures = measured(replace(truth, photo=replace(truth.photo, pixels=pixels)), body)
    assert figures.psnr_person > figures.psnr_overlap + 5


def test_clothes_are_measured_apart_from_the_body(truth: PhotoResult, body: BodyModel) -> None:
    fit = truth.people[0].fit
    lowered = replace(fit, offsets=fit.offsets - np.array([0, 0.3, 0], np.float32))
    figures = measured(altered(truth, fit=lowered), body)
    assert figures.iou_body > 0.985 > figures.iou_clothed + 0.2


def test_black_and_background_coloured_texels_are_found(truth: PhotoResult, body: BodyModel) -> None:
    texture = truth.people[0].texture
    black = texture.image.copy()
    black[128:] = 0
    figures = measured(altered(truth, texture=replace(texture, image=black)), body)
    assert figures.black > 0.1
    green = texture.image.copy()
    green[:] = (40, 160, 60)
    figures = measured(altered(truth, texture=replace(texture, image=green)), body)
    assert figures.background > 0.3 and figures.black == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda person: replace(person, landmarks=person.landmarks + np.array([0, 300, 0], np.float32)),
        lambda person: replace(person, landmarks=person.landmarks * np.array([1, 1, 0], np.float32)),
        lambda person: replace(person, others=np.full_like(person.others, 255)),
        lambda person: replace(person, box=person.box * np.array([1, 1, 1, 0.4], np.float32)),
    ],
    ids=["feet outside the photo", "not seen", "behind others", "small"],
)
def test_only_whole_people_count_as_full(
    truth: PhotoResult, body: BodyModel, change: Callable[[Person], Person]
) -> None:
    figures = measured(altered(truth, person=change(truth.people[0].person)), body)
    assert not figures.full


def test_annotated_photos_give_pck_outlines_and_the_missed(truth: PhotoResult, body: BodyModel, tmp_path: Path) -> None:
    person = truth.people[0].person
    keypoints = np.concatenate([person.landmarks[COCO_LANDMARKS, :2], np.full((17, 1), 2)], 1)
    side = float(np.ptp(person.box[[1, 3]]))
    keypoints[:4, 0] += 0.07 * side
    x0, y0, x1, y1 = (float(value) for value in person.box)
    annotation = {
        "bbox": [x0, y0, x1 - x0, y1 - y0], "keypoints": keypoints.ravel().tolist(),
        "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
    }  # fmt: skip
    images = [{"id": number, "file_name": name} for number, name in enumerate(("a.png", "b.png"))]
    document = {"images": images, "annotations": [{"image_id": number, **annotation} for number in range(2)]}
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "LICENSES.tsv").write_text("file\tfull_body\na.png\t1\nb.png\t1\n")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"photo")

    def reconstruct(data: bytes, name: str) -> PhotoResult:
        if name == "b.png":
            raise PhotoError("No person was found in b.png.")
        return truth

    with open(tmp_path / "console.txt", "w", encoding="utf-8") as file:
        figures = evaluate_photos(tmp_path, tmp_path / "out", reconstruct, body, Console(file=file))
    assert len(figures) == 1
    report = (tmp_path / "console.txt").read_text(encoding="utf-8")
    assert "No person was found in b.png." in report
    raw = next(line for line in report.splitlines() if "raw landmarks" in line)
    cells = [cell.strip() for cell in raw.strip("| ").split("|")]
    # group, of, people, missed, PCK 5 %, PCK 10 %: four of 17 keypoints are 7 % off.
    assert cells[2:6] == ["2", "1", "0.765", "1.00"]
    outline = person.mask[int(y0) : int(y1), int(x0) : int(x1)] > 127
    assert float(cells[7]) == pytest.approx(outline.mean(), abs=0.02)
