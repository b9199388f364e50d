"""The order of the stages and what happens to photos that cannot be used, with the shipped models on the sample
photos.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import uvatar.engine.bodies
import uvatar.engine.finish
import uvatar.engine.same_person
import uvatar.perception.perception
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.labels import Label
from uvatar.engine.pipeline import Pipeline
from uvatar.engine.reconstruct import reconstruct
from uvatar.engine.same_person import reconstruct_same_person
from uvatar.fitting.fitter import fit_people
from uvatar.fitting.report import finished, fit_confidence
from uvatar.photos.decoding import decode_photo
from uvatar.photos.encoding import encode_jpeg
from uvatar.protocol import framing
from uvatar.protocol.framing import RESULT_SCHEMA
from uvatar.protocol.options import Options, checked_options
from uvatar.protocol.people import people_of
from uvatar.results.result import NobodyFound, PersonResult
from uvatar.texturing import Texture, texture_person

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
QUICK = Options(texture_size=512, fast=True)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(threads=2)


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return (SAMPLES / "portrait.jpg").read_bytes()


def run(
    pipeline: Pipeline, photos: list[tuple[str, bytes]], **options: Any
) -> tuple[dict[int, dict[str, Any]], list[tuple[str, float, str]]]:
    results: dict[int, dict[str, Any]] = {}
    progress: list[tuple[str, float, str]] = []
    pipeline.reconstruct(photos, options, lambda *said: progress.append(said), results.__setitem__)
    return results, progress


def share_seen(person: PersonResult) -> float:
    """The part of the texture that photos show."""
    return float(np.mean(person.texture.source == Label.SEEN) / np.mean(person.texture.source > 0))


def test_options_are_the_wire_s() -> None:
    of_other_jobs = {"complete_texture": False, "find_people": False}
    assert {**vars(Options()), **of_other_jobs} == checked_options({})


def test_a_photo_becomes_a_result_that_crosses_the_wire(pipeline: Pipeline, portrait: bytes) -> None:
    results, progress = run(pipeline, [("portrait.jpg", portrait)], texture_size=512)
    result = framing.unpack(framing.pack(results[0]))
    assert sum(memoryview(frame).nbytes for frame in framing.pack(results[0])) < 8e6
    assert (result["schema"], result["errors"], len(result["people"])) == (RESULT_SCHEMA, [], 1)
    [person] = people_of(result)
    assert person["betas"].shape == (10,) and person["pose"].shape == (24, 3)
    assert person["transl"][2] > 0 and person["metrics"]["mask_iou"] > 0.8
    np.testing.assert_allclose(person["skin_weights"].sum(1), 1, atol=1e-6)
    assert person["metrics"]["texels_seen"] > 0.05
    camera = result["camera"]
    assert np.isclose(np.linalg.norm(camera["up"]), 1) and camera["up"][1] < -0.8
    assert 0 <= camera["up_confidence"] <= 1 and (camera["ground"] is None or camera["ground"] > 0)
    fractions = [fraction for _, fraction, _ in progress]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {"reading", "finding people", "fitting", "texturing"} <= {stage for stage, _, _ in progress}


def test_a_photo_that_cannot_be_used_says_why_and_the_others_go_on(pipeline: Pipeline, portrait: bytes) -> None:
    photos = [("empty.jpg", b""), ("portrait.jpg", portrait), ("text.jpg", b"no picture at all")]
    results, _ = run(pipeline, photos, texture_size=512, fast=True)
    assert results[1]["people"] and not results[1]["errors"]
    for index, name in ((0, "empty.jpg"), (2, "text.jpg")):
        assert not results[index]["people"] and name in results[index]["errors"][0]["message"]


def test_photos_of_one_person_are_merged_without_the_bad_one(pipeline: Pipeline, portrait: bytes) -> None:
    photos = [("broken.jpg", portrait[:900]), ("a.jpg", portrait), ("b.jpg", portrait)]
    results, _ = run(pipeline, photos, texture_size=512, fast=True, same_person=True)
    merged = [index for index, result in results.items() if result["people"]]
    assert len(merged) == 1 and merged[0] in (1, 2)
    assert "broken.jpg" in results[0]["errors"][0]["message"]


def beside(*names: str) -> bytes:
    """Sample photos side by side in one, half as large."""
    pictures = [
        cv2.resize(cv2.imread(str(SAMPLES / name)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for name in names
    ]
    return cv2.imencode(".png", np.hstack(pictures))[1].tobytes()


@pytest.mark.parametrize("pair", [("man.jpg", "woman.jpg"), ("woman.jpg", "man.jpg")])
def test_the_back_goes_onto_the_one_who_looks_alike(pipeline: Pipeline, pair: tuple[str, str]) -> None:
    photos = [("pair.png", beside(*pair)), ("man_back.jpg", (SAMPLES / "man_back.jpg").read_bytes())]
    failed: list[int] = []
    merged = reconstruct_same_person(photos, pipeline.engine, QUICK, failed=lambda index, error: failed.append(index))
    assert merged is not None and not failed
    side = "left" if pair[0] == "man.jpg" else "right"
    assert merged[1].notes == (f"pair.png shows 2 people; the one on the {side} was used.",)
    alone = reconstruct(("man_back.jpg", photos[1][1]), pipeline.engine, QUICK).people[0]
    (person,) = merged[1].people
    assert share_seen(person) > share_seen(alone) + 0.15  # front and back


def test_a_photo_of_somebody_else_fails_by_name_and_the_others_go_on(pipeline: Pipeline) -> None:
    photos = [(name, (SAMPLES / name).read_bytes()) for name in ("man.jpg", "woman.jpg", "man_back.jpg")]
    results, _ = run(pipeline, photos, texture_size=512, fast=True, same_person=True)
    assert "Nobody in woman.jpg looks like the person in man.jpg and man_back.jpg" in results[1]["errors"][0]["message"]
    (merged,) = (index for index, result in results.items() if result["people"])
    assert set(results) == {1, merged} and merged in (0, 2)
    assert results[merged]["notes"] == ["woman.jpg was left out: nobody in it looks like this person."]


def test_a_sheet_of_front_and_back_is_one_avatar(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    dressed: list[tuple[Any, ...]] = []
    from uvatar.engine.finish import clothe

    def recorded(*given: Any) -> Fit:
        dressed.append(given)
        return clothe(*given)

    monkeypatch.setattr(uvatar.engine.same_person, "clothe", recorded)
    sheet = beside("man.jpg", "man_back.jpg")
    index, result = reconstruct_same_person([("sheet.png", sheet)], pipeline.engine, QUICK) or (None, None)
    assert index == 0 and result.notes == ("2 views of one person in sheet.png became one avatar.",)
    # Each view's clothes know where down is, and what the other view shows.
    assert [len(others) for *_, others in dressed] == [2, 2]
    assert result.gravity.up in [up for *_, up, _ in dressed]
    both = reconstruct(("sheet.png", sheet), pipeline.engine, QUICK)
    assert share_seen(result.people[0]) > max(map(share_seen, both.people)) + 0.15


def test_people_who_look_unlike_in_one_photo_stay_themselves_and_it_is_said(pipeline: Pipeline) -> None:
    pair = beside("man.jpg", "woman.jpg")
    results, _ = run(pipeline, [("pair.png", pair)], texture_size=512, fast=True, same_person=True)
    assert len(results[0]["people"]) == 2
    assert results[0]["notes"] == ["The 2 people in pair.png look different, so each became a separate avatar."]


def test_who_is_uncertain_is_left_out_and_made_when_asked_for(pipeline: Pipeline, shared_faults: Path) -> None:
    horse = [("horse.png", (shared_faults / "photos" / "horse_brown.png").read_bytes())]
    results, _ = run(pipeline, horse, fast=True, texture_size=512)
    assert results[0]["people"] == []
    assert results[0]["errors"][0]["message"].startswith("No person was found in horse.png.")
    results, _ = run(pipeline, horse, fast=True, texture_size=512, uncertain=True)
    assert results[0]["people"]
    for person in results[0]["people"]:
        assert person["confidence"] < 0.3
        assert "It is uncertain whether this is a person, or how they stand: check the overlay." in person["notes"]


@pytest.mark.parametrize(("likelihoods", "made", "words"), [
    ((0.7, 0.3), 1, "One more may be a person and was left out"),
    ((0.3, 0.7, 0.2), 1, "2 more may be people and were left out"),
    ((0.7, 0.05), 1, ""),
    ((0.9, 0.3), 2, ""),
    ((0.9, 0.12), 1, "One more may be a person and was left out"),
    ((0.9, 0.8), 2, ""),
])  # fmt: skip
def test_people_who_are_not_certain_are_told_of(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, likelihoods: tuple[float, ...], made: int, words: str
) -> None:
    people = [
        Image.open(SAMPLES / f"{name}.jpg").resize((480, 720)) for name in ("man", "woman", "man")[: len(likelihoods)]
    ]
    row = Image.fromarray(np.concatenate([np.asarray(person) for person in people], 1))
    data = io.BytesIO()
    row.save(data, "PNG")
    given = iter(likelihoods)
    monkeypatch.setattr(uvatar.perception.perception, "likelihood", lambda evidence: next(given))
    results, _ = run(pipeline, [("people.png", data.getvalue())], fast=True, texture_size=512)
    assert len(results[0]["people"]) == made
    assert [note.startswith(words) for note in results[0]["notes"]] == [True] * bool(words)


def test_the_limit_takes_the_first_of_all_and_says_who_is_left_out(pipeline: Pipeline) -> None:
    pair = beside("man.jpg", "woman.jpg", "man.jpg")
    everybody = reconstruct(("pair.png", pair), pipeline.engine, QUICK)
    assert len(everybody.people) == 3 and not everybody.notes
    for most, made in (
        (1, "an avatar was made of the most prominent one"),
        (2, "avatars were made of the 2 most prominent ones"),
    ):
        some = reconstruct(("pair.png", pair), pipeline.engine, replace(QUICK, max_people=most))
        np.testing.assert_array_equal(
            [one.person.box for one in some.people], [one.person.box for one in everybody.people[:most]]
        )
        assert some.notes == (
            f"3 people were found, and {made}. Increase the option max_people (at most 64) for more.",
        )


def test_an_empty_room_is_told_apart_from_a_broken_photo(pipeline: Pipeline) -> None:
    import io

    from PIL import Image

    wall = np.random.default_rng(0).normal(128, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(wall).save(buffer, "JPEG")
    with pytest.raises(NobodyFound, match=r"No person was found in wall.jpg.*shows a person"):
        reconstruct(("wall.jpg", buffer.getvalue()), pipeline.engine)


def side_by_side(*names: str) -> bytes:
    """A picture of several samples beside each other."""
    pictures = [decode_photo((SAMPLES / name).read_bytes(), name).pixels for name in names]
    return encode_jpeg(np.concatenate([picture[:1080, :720] for picture in pictures], 1))


def test_who_cannot_be_fitted_is_said_and_the_others_go_on(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fit_people

    def broken(*arguments: Any, **options: Any) -> list[Fit]:
        first, second = real(*arguments, **options)
        return [first, replace(second, body=replace(second.body, transl=second.body.transl * np.float32("nan")))]

    monkeypatch.setattr(uvatar.engine.bodies, "fit_people", broken)
    results, _ = run(pipeline, [("two.jpg", side_by_side("man.jpg", "woman.jpg"))], texture_size=512, fast=True)
    assert len(results[0]["people"]) == 1
    [error] = results[0]["errors"]
    assert "two.jpg" in error["message"] and "the computation failed numerically" in error["message"]


@pytest.mark.parametrize("spoil", ["nothing seen", "not finite", "no solution"])
def test_an_avatar_without_the_photo_on_it_is_an_error(
    pipeline: Pipeline, portrait: bytes, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    real = texture_person

    def texture(*arguments: Any, **named: Any) -> Texture:
        if spoil == "not finite":
            raise FloatingPointError("not finite")
        if spoil == "no solution":
            raise RuntimeError("Factor is exactly singular")
        return replace(real(*arguments, **named), seen=1e-4)

    monkeypatch.setattr(uvatar.engine.finish, "texture_person", texture)
    results, _ = run(pipeline, [("portrait.jpg", portrait)], texture_size=512, fast=True)
    assert not results[0]["people"]
    [error] = results[0]["errors"]
    assert "No avatar could be made of the person" in error["message"] and "uvatar doctor" in error["message"]


def test_every_photo_of_one_person_is_told_that_no_avatar_could_be_made(
    pipeline: Pipeline, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def texture(*arguments: Any, **named: Any) -> Texture:
        raise RuntimeError("Factor is exactly singular")

    monkeypatch.setattr(uvatar.engine.finish, "texture_person", texture)
    photos = [("broken.jpg", portrait[:900]), ("a.jpg", portrait), ("b.jpg", portrait)]
    told: list[int] = []
    results: dict[int, dict[str, Any]] = {}

    def done(index: int, result: dict[str, Any]) -> None:
        told.append(index)
        results[index] = result

    pipeline.reconstruct(photos, {"texture_size": 512, "fast": True, "same_person": True}, lambda *said: None, done)
    assert sorted(told) == [0, 1, 2] and not any(result["people"] for result in results.values())
    assert "damaged" in results[0]["errors"][0]["message"]
    assert all("No avatar could be made of the person" in results[index]["errors"][0]["message"] for index in (1, 2))


def test_how_sure_follows_outline_and_texture() -> None:
    empty = BodyParameters(*(np.zeros(shape, np.float32) for shape in (10, 3, (23, 3), 3)))
    fit = Fit(empty, np.zeros((4, 3), np.float32), 0.004, 0.01, 0.9)
    assert finished(fit, 0.9, 0.3) == fit
    for outline, seen in ((0.4, 0.3), (0.9, 0.02), (float("nan"), 0.3)):
        assert finished(fit, outline, seen).confidence < 0.6
    assert any("outline does not match" in note for note in finished(fit, 0.4, 0.3).notes)
    assert fit_confidence(0.2, 1.0, 0.0) < fit_confidence(0.9, 0.5, 0.01) < fit_confidence(1.0, 0.95, 0.004)


@pytest.mark.parametrize("name", ["torso_only.jpg", "woman_neck_to_hips.jpg"])
def test_a_torso_is_where_it_is_and_its_missing_head_is_said(
    pipeline: Pipeline, shared_faults: Path, name: str
) -> None:
    photo = (shared_faults / "photos" / name).read_bytes()
    result = reconstruct((name, photo), pipeline.engine, Options(texture_size=128, fast=True))
    [person] = result.people
    assert any("Outside the photo: head" in note for note in person.fit.notes)
    height, width = result.photo.pixels.shape[:2]
    shoulders, hips = (person.person.landmarks[pair, :2] for pair in ([11, 12], [23, 24]))
    assert (np.abs(shoulders[:, 1]) < 0.2 * height).all(), "the shoulders are at the photo's upper edge"
    assert (hips[:, 1] > 0.5 * height).all() and np.ptp(shoulders[:, 0]) > 0.3 * width
    assert person.fit.confidence < 0.6
