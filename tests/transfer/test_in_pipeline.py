"""The option ``body`` from the job to the result, with perception replaced by a person whose truth is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.fitting.people import CAMERA, Eyes, person_of, standing
from uvatar.body import BodyError, BodyModel
from uvatar.commands.cli import make_app
from uvatar.commands.weights_report import BROKEN, GOOD, brought
from uvatar.data.labels import Label
from uvatar.engine.engine import Engine
from uvatar.engine.pipeline import Pipeline
from uvatar.files.export import Exporter
from uvatar.geometry.raster import rasterize
from uvatar.mesh_predictor.prediction import torso_centers
from uvatar.protocol import framing
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.options import Options, checked_options
from uvatar.protocol.people import people_of
from uvatar.runtime.weights import bodies
from uvatar.transfer import UserSmpl
from uvatar_blender.core.any_result import parse_any

TRUTH = standing(betas=np.array([0.5, -0.6, 0.3, 0, 0.4, 0, 0, 0, 0, 0]))


@pytest.fixture(scope="module")
def photo(body: BodyModel) -> bytes:
    image = np.full((CAMERA.height, CAMERA.width, 3), 40, np.uint8)
    vertices = body.posed(TRUTH)[0]
    seen = rasterize(vertices, body.data.faces, CAMERA)
    left = seen.interpolate(body.data.v_template, body.data.faces)[..., 0] > 0
    image[seen.mask & left], image[seen.mask & ~left] = (200, 60, 40), (40, 90, 200)  # the person's left is red
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


@pytest.fixture(scope="module")
def pipeline(models: Path) -> Callable[..., Pipeline]:
    """The pipeline with these models; the one with the fixture's is kept."""

    @cache
    def build(folder: Path = models) -> Pipeline:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UVATAR_MODELS", str(folder))
            engine = Engine.load(threads=1)
        eyes = Eyes([person_of(engine.body, TRUTH)])
        return Pipeline(engine=replace(engine, perception=eyes))  # type: ignore[arg-type]

    return build


def run(pipeline: Pipeline, photos: list[tuple[str, bytes]], **options: Any) -> dict[str, Any]:
    """The first result, as a client reads it."""
    done: dict[int, dict[str, Any]] = {}
    pipeline.reconstruct(
        photos, {"texture_size": 512, "focal": CAMERA.focal, **options}, lambda *_: None, done.__setitem__
    )
    return framing.unpack(framing.pack(done[0]))


def test_a_photo_becomes_a_person_on_the_smpl_body(
    pipeline: Callable[..., Pipeline], photo: bytes, smpl: BodyModel, tmp_path: Path
) -> None:
    built = pipeline()
    result = run(built, [("me.png", photo)], body="smpl", turntable=True)
    [on_open] = people_of(run(built, [("me.png", photo)]))
    (person,) = people_of(result)
    assert person["body_model"] == "smpl-neutral" and on_open["body_model"] == "open_body"
    assert (
        person["template"].shape == (6890, 3) and person["posedirs"].shape == (6890, 3, 207) and person["quads"] is None
    )
    np.testing.assert_array_equal(person["uv"], smpl.data.uv)
    assert person["metrics"]["mask_iou"] > on_open["metrics"]["mask_iou"] - 0.03
    assert 0 < person["metrics"]["carried_over_mean"] < 0.006 and "carried_over_mean" not in on_open["metrics"]
    assert person["confidence"] == on_open["confidence"] and person["notes"] == on_open["notes"]
    assert abs(person["measurements"]["stature"] - on_open["measurements"]["stature"]) < 4
    assert "Not for commercial use" in person["licence"]["body_model"] and "CC0" in person["licence"]["fitted_on"]
    assert result["timings"]["carrying over"] > 0 and result["camera"]["focal"] == pytest.approx(CAMERA.focal)
    avatar = parse_any(result).people[0]  # what the add-on makes of it
    assert avatar.faces.shape == (13776, 3) and avatar.face_uv is not None
    texture = cv2.imdecode(np.frombuffer(person["texture_png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    labels = cv2.imdecode(np.frombuffer(person["source_png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    middle = (smpl.data.uv[smpl.data.face_uv].mean(1) * 512).astype(int)
    row, column = 511 - middle[:, 1], middle[:, 0]
    side = smpl.data.v_template[smpl.data.faces].mean(1)[:, 0]
    seen = (labels[row, column] == Label.SEEN) & (np.abs(side) > 0.03)
    red = texture[row, column, 0] > texture[row, column, 2]
    assert seen.sum() > 2000 and (red == (side > 0))[seen].mean() > 0.97
    (files,) = Exporter(tmp_path).write(result)
    assert {"texture.png", "texture_source.png", "overlay.jpg", "turntable.png", "result.json"} == {
        p.name for p in files.folder.iterdir()
    }
    assert files.summary["person"]["body_model"] == "smpl-neutral"


def test_without_clothes_it_is_a_plain_smpl_body(
    pipeline: Callable[..., Pipeline], photo: bytes, smpl: BodyModel
) -> None:
    (person,) = people_of(run(pipeline(), [("me.png", photo)], body="smpl", clothing=False))
    assert not person["offsets"].any()


def test_several_photos_of_one_person(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    done: dict[int, dict[str, Any]] = {}
    options = {"body": "smpl", "fast": True, "texture_size": 512, "same_person": True}
    pipeline().reconstruct([("a.png", photo), ("b.png", photo)], options, lambda *_: None, done.__setitem__)
    (result,) = done.values()
    assert result["body"]["body_model"] == "smpl-neutral" and result["people"][0]["texture_png"]


def test_without_uv_map_there_is_an_avatar_and_a_note_instead_of_a_texture(
    pipeline: Callable[..., Pipeline], photo: bytes, models: Path, tmp_path: Path
) -> None:
    shutil.copy(models / "SMPL_NEUTRAL.pkl", tmp_path)
    result = run(pipeline(tmp_path), [("me.png", photo)], body="smpl", fast=True, turntable=True)
    (person,) = people_of(result)
    assert person["texture_png"] == b"" and person["template"].shape == (6890, 3)
    assert str(tmp_path / "smpl_uv.obj") in person["notes"][-1] and "Download" in person["notes"][-1]
    assert parse_any(result).people[0].face_uv is None
    (files,) = Exporter(tmp_path / "out").write(result)
    assert {p.name for p in files.folder.iterdir()} == {"overlay.jpg", "result.json"} and person["notes"][
        -1
    ] in files.summary["notes"]


def test_without_the_file_the_job_is_refused_with_where_it_goes(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    photos = [("me.png", photo)]
    jobs: tuple[Callable[[Pipeline], Any], ...] = (
        lambda loaded: run(loaded, photos, body="smpl"),
        lambda loaded: loaded.complete_texture(photos, "smpl", lambda *_: None),
    )
    for job in jobs:
        with pytest.raises(UvatarError, match=r"SMPL file .*SMPL_NEUTRAL.pkl does not exist.*Download SMPL") as refused:
            job(pipeline(tmp_path))
        assert refused.value.code == "no-body" and str(tmp_path) in refused.value.message
    (tmp_path / "SMPL_NEUTRAL.npz").write_bytes(b"nothing")
    with pytest.raises(UvatarError, match=r"SMPL_NEUTRAL.npz is damaged"):
        run(pipeline(tmp_path), [("me.png", photo)], body="smpl")
    assert run(pipeline(tmp_path), [("me.png", photo)], fast=True)["people"]  # the open body needs none


def test_an_estimator_s_own_smpl_pose_and_betas_are_the_result_where_nothing_is_refined(
    pipeline: Callable[..., Pipeline], photo: bytes, body: BodyModel
) -> None:
    rng = np.random.default_rng(3)
    pose = np.concatenate([TRUTH.global_orient[None], TRUTH.body_pose]).astype(float)
    betas = rng.normal(0, 0.7, 10)
    center = torso_centers([person_of(body, TRUTH)])
    people = {
        "photo": "me.png",
        "betas_of": "smpl",
        "center_in": "photo",
        "thetas": [pose.ravel().tolist()],
        "camera": [[0.9, 0.03, 0.1]],
        "betas": [betas.tolist()],
        "confidence": [[0.9]],
        "center": center.tolist(),
    }
    result = run(pipeline(), [("me.png", photo)], body="smpl", refine=False, given_people=[people], export_npz=True)
    (person,) = people_of(result)
    np.testing.assert_allclose(person["betas"], betas, atol=1e-5)
    np.testing.assert_allclose(person["pose"], pose, atol=1e-4)
    assert result["romp"]["body"] == "smpl-neutral" and person["texture_png"] and not person["offsets"].any()
    np.testing.assert_allclose(result["romp"]["smpl_betas"][0][:10], betas, atol=1e-5)


def test_a_painted_texture_of_an_smpl_avatar_is_completed_in_smpl_s_layout(
    pipeline: Callable[..., Pipeline], smpl: BodyModel
) -> None:
    size = 128
    image, labels = np.full((size, size, 3), (10, 150, 60), np.uint8), np.zeros((size, size), np.uint8)
    labels[:, : size // 2], labels[:, size // 2 :] = Label.SEEN, 3
    image[:, size // 2 :] = (0, 0, 255)  # not marked: to be filled anew
    pictures = [
        (name, cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes())
        for name, picture in (("a.png", image), ("a labels.png", labels))
    ]
    texture = pipeline().complete_texture(pictures, "smpl", lambda *_: None)["texture"]
    assert texture["body_model"] == "smpl-neutral"
    filled = cv2.imdecode(np.frombuffer(texture["texture_png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert (np.abs(filled[:, size // 2 + 8 :] - (10, 150, 60)).max(2) < 40).mean() > 0.9


def test_files_that_change_are_read_anew(body: BodyModel, models: Path, tmp_path: Path) -> None:
    files = UserSmpl(body, tmp_path)
    assert bodies(tmp_path) == ["open_body"] and "smpl_uv.obj" in files.no_texture
    with pytest.raises(BodyError, match=r"SMPL file .* does not exist"):
        files.registration()
    shutil.copy(models / "SMPL_NEUTRAL.pkl", tmp_path)
    assert bodies(tmp_path) == ["open_body", "smpl"]
    first = files.registration()
    assert files.registration() is first and not first.target.data.has_uv
    shutil.copy(models / "smpl_uv.obj", tmp_path)
    second = files.registration()
    assert second is not first and second.target.data.has_uv and files.no_texture == ""


def test_the_list_of_weights_tells_whether_body_and_uv_map_fit(models: Path, tmp_path: Path) -> None:
    names = ("SMPL_NEUTRAL.pkl", "smpl_uv.obj")
    good = {item.name: item.state for item in brought(models)}
    assert [good[name] for name in names] == [GOOD, GOOD]
    shutil.copy(models / "SMPL_NEUTRAL.pkl", tmp_path)
    (tmp_path / "smpl_uv.obj").write_text("vt 0 0\nf 1/1 2/1 3/1\n")
    bad = {item.name: item for item in brought(tmp_path)}
    assert [bad[name].state for name in names] == [GOOD, BROKEN] and "not a UV map" in bad["smpl_uv.obj"].remark


def test_the_option_is_checked_and_explained(tmp_path: Path) -> None:
    assert (
        checked_options({})["body"] == "open_body" == Options().body and replace(Options(), body="smpl").body == "smpl"
    )
    with pytest.raises(UvatarError, match="body must be open_body or smpl"):
        checked_options({"body": "smplx"})
    (tmp_path / "a.jpg").write_bytes(b"")
    for command in ("reconstruct", "batch"):
        helped = CliRunner().invoke(make_app(), [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert "--body" in helped.output and "not for commercial use" in " ".join(helped.output.split())
        refused = CliRunner().invoke(
            make_app(), [command, str(tmp_path), "--body", "smplx", "--out", str(tmp_path / "out")]
        )
        assert refused.exit_code == 2 and "open_body or smpl" in " ".join(refused.output.split())
