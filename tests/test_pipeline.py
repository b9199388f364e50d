"""The order of the stages and what happens to photos that cannot be used, with the shipped models on the sample photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import wire
from backend.pipeline import NobodyFound, Options, Pipeline
from backend.wire import OPTIONS

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


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


def test_options_are_the_wire_s() -> None:
    assert {name: getattr(Options(), name) for name in OPTIONS} == wire.checked_options({})


def test_a_photo_becomes_a_result_that_crosses_the_wire(pipeline: Pipeline, portrait: bytes) -> None:
    results, progress = run(pipeline, [("portrait.jpg", portrait)], texture_size=512)
    result = wire.unpack(wire.pack(results[0]))
    assert sum(frame.nbytes for frame in map(memoryview, wire.pack(results[0]))) < 8e6
    assert (result["schema"], result["errors"], len(result["people"])) == (wire.RESULT_SCHEMA, [], 1)
    person = result["people"][0]
    assert person["betas"].shape == (10,) and person["pose"].shape == (24, 3)
    assert person["transl"][2] > 0 and person["metrics"]["mask_iou"] > 0.8
    np.testing.assert_allclose(person["skin_weights"].sum(1), 1, atol=1e-6)
    assert person["metrics"]["texels_seen"] > 0.05
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


def test_an_empty_room_is_told_apart_from_a_broken_photo(pipeline: Pipeline) -> None:
    import io

    from PIL import Image

    wall = np.random.default_rng(0).normal(128, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(wall).save(buffer, "JPEG")
    with pytest.raises(NobodyFound, match=r"No person was found in wall.jpg.*shows a person"):
        pipeline.reconstruct_photo(buffer.getvalue(), "wall.jpg")
