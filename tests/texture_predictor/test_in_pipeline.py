"""The Texture Predictor as a stage: its inputs from a fitted person, its place in the pipeline, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.atlases import atlas_of
from tests.fitting.people import Eyes
from tests.mesh_predictor.photographed import CAMERA, body_at, person_of, photo_of
from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import Fit
from uvatar.data.labels import Label
from uvatar.data.photo import Photo
from uvatar.engine.engine import Engine
from uvatar.engine.jobs import present
from uvatar.engine.pipeline import Pipeline
from uvatar.engine.reconstruct import reconstruct
from uvatar.engine.same_person import reconstruct_same_person
from uvatar.protocol.devices import CPU
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.options import DEFAULT_OPTIONS, Options
from uvatar.runtime.devices import Placement
from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.checkpoint import save_checkpoint
from uvatar.texture_predictor.networks.deployed import on_torch
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.predictor import (
    FILE,
    PlacementSettings,
    PredictionError,
    TexturePredictor,
    without_fine_change,
)
from uvatar.texture_predictor.structure import MATERIALS
from uvatar.texturing import Texture, View
from uvatar_training.networks.initialise import with_materials

SIZE = 512
CONFIG = replace(small(), resolution=64, photo_side=64, channel_max=16, trust=0.5)
QUICK = Options(texture_size=SIZE, fast=True, texture="combined")
SOMEBODY = body_at(0.0, 1)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def view(body: BodyModel) -> View:
    photo = Photo(photo_of([SOMEBODY], body), None, "0" * 64)
    return View(
        photo,
        person_of(SOMEBODY, body),
        CAMERA,
        Fit(SOMEBODY, np.zeros((len(body.data.v_template), 3), np.float32), 0.0, 0.0, 1.0),
    )


@pytest.fixture(scope="module")
def partial(body: BodyModel) -> Texture:
    """The front half of a texture whose colours are positions."""
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    place = table.interpolate(surface.template, surface.faces)
    colours = np.clip(128 + 100 * place, 0, 255).astype(np.uint8)
    labels = np.where(place[:, 2] > 0, Label.SEEN, Label.EMPTY).astype(np.uint8)
    return Texture(table.picture(colours), table.scatter(labels))


def network_of(seed: int = 0) -> TextureNetwork:
    torch.manual_seed(seed)
    return TextureNetwork(CONFIG)


def predictor_of(network: TextureNetwork, body: BodyModel) -> TexturePredictor:
    return TexturePredictor(on_torch(network, Placement(CPU)), network.config, body)


@pytest.fixture
def predictor(body: BodyModel) -> TexturePredictor:
    return predictor_of(network_of(), body)


def test_what_the_network_does_not_change_keeps_its_own_sharpness(
    body: BodyModel, view: View, partial: Texture
) -> None:
    """The network is of 64 texels, the texture of 512: an unchanged one comes back as it was, a brighter one brighter
    everywhere.
    """
    network = network_of().requires_grad_(False)
    blocks: Any = network.synthesis.blocks
    for block in blocks:
        block.to_rgb.weight.zero_()
        block.rgb_bias.zero_()
    np.testing.assert_array_equal(predictor_of(network, body).predict(view, partial), partial.image)
    blocks[-1].rgb_bias.fill_(0.2)  # of -1..1
    moved = predictor_of(network, body).predict(view, partial).astype(float) - partial.image
    assert np.abs(moved[partial.image.max(2) < 220] - CONFIG.trust * 0.1 * 255).max() < 1


def test_the_network_is_given_the_fit_and_what_the_photo_shows(
    predictor: TexturePredictor, view: View, partial: Texture, body: BodyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def echo(inputs: dict[str, Any]) -> dict[str, Any]:
        given.update(inputs)
        return {"texture": inputs["partial"][:, :3]}

    monkeypatch.setattr(predictor, "network", echo)
    answer = predictor.predict(view, partial)
    photo, shown_colours, shown_alpha = given["photo"], given["partial"][0, :3], given["partial"][0, 3]
    assert photo.shape == (1, 3, 64, 64) and 0.2 < (photo != np.float32(128 / 255)).mean() * 3 < 2
    np.testing.assert_array_equal(given["betas"][0], SOMEBODY.betas)
    assert given["partial"].shape == (1, 4, 64, 64) and not given["noise"].any() and given["truncation"] == [1]
    shown = (shown_alpha > 0.99) & (predictor.plane.geometry[0, 6] > 0)
    expected = 128 / 255 + 100 / 255 * (predictor.plane.geometry[0, :3] + body.data.joint_template[0][:, None, None])
    assert np.abs(shown_colours - expected)[:, shown].max() < 0.05
    # echoed, enlarged again and compared with what was given
    seen = partial.source == Label.SEEN
    assert np.abs(answer[seen].astype(int) - partial.image[seen]).mean() < 4


def test_a_network_that_takes_materials_is_given_them(body: BodyModel, view: View, partial: Texture) -> None:
    """Trousers and a second garment of the trunk, told apart by height; what is neither is nothing."""
    network = with_materials(network_of())
    predictor, given = predictor_of(network, body), dict[str, Any]()

    def echo(inputs: dict[str, Any]) -> dict[str, Any]:
        given.update(inputs)
        return {"texture": inputs["completed"]}

    predictor.network = echo  # type: ignore[assignment]
    table, surface = atlas_of(body, SIZE).table, atlas_of(body, SIZE).surface
    height = table.interpolate(surface.template, surface.faces)[:, 1]
    low, high = np.quantile(height, (0.4, 0.7))
    codes = np.where(height < low, 1, np.where(height < high, 2, 3)).astype(np.uint8)
    told = replace(partial, materials=table.scatter(codes), material_names=("lower", "upper 2", "cape"))
    predictor.predict(view, told)
    maps, inside = given["materials"][0], predictor.plane.geometry[0, 6] > 0
    assert maps.shape == (len(MATERIALS), 64, 64) and maps.min() >= 0 and maps.max() <= 1
    place = predictor.plane.geometry[0, 1] + body.data.joint_template[0][1]
    for name, own in (("lower", place < low - 0.05), ("upper", (place > low + 0.05) & (place < high - 0.05))):
        solid = cv2.erode((own & inside).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        kind = MATERIALS.index(name)
        assert solid.sum() > 50 and maps[kind][solid].mean() > 0.95 and np.delete(maps, kind, 0)[:, solid].max() < 0.05
    predictor.predict(view, partial)
    assert not given["materials"].any()


def test_a_change_of_clothes_is_coarse_and_one_of_skin_as_it_is() -> None:
    side = 128
    rows = np.arange(side)[:, None, None] * np.ones((1, side, 3), np.float32)
    slope, stripes = (rows / side).astype(np.float32), (0.2 * (rows // 4 % 2)).astype(np.float32)
    materials = np.zeros((side, side, len(MATERIALS)), np.float32)
    materials[:, :40, MATERIALS.index("skin")] = 1
    materials[:, 40:80, MATERIALS.index("upper")] = 1
    materials[:, 80:120, MATERIALS.index("lower")] = 1  # nothing is known of the last columns
    laid = without_fine_change(slope + stripes, materials, PlacementSettings(garment_blur=4 / side))
    np.testing.assert_array_equal(laid[:, :40], (slope + stripes)[:, :40])
    np.testing.assert_array_equal(laid[:, 120:], (slope + stripes)[:, 120:])
    middle = slice(16, side - 16)
    assert np.abs(laid - slope - 0.1)[middle, 40:120].max() < 0.02
    nothing = np.zeros_like(materials)
    np.testing.assert_array_equal(without_fine_change(stripes, nothing, PlacementSettings()), stripes)


def test_answers_have_the_asked_size_filled_gutters_and_one_value_per_seed(
    predictor: TexturePredictor, view: View, partial: Texture
) -> None:
    answer = predictor.predict(view, partial)
    assert answer.shape == (SIZE, SIZE, 3) and answer.dtype == np.uint8
    np.testing.assert_array_equal(answer, predictor.predict(view, partial))
    one, same, other = (predictor.predict(view, partial, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other) and not np.array_equal(one, answer)


def test_nothing_seen_and_numbers_that_are_not_finite_are_refused(
    predictor: TexturePredictor, body: BodyModel, view: View, partial: Texture
) -> None:
    with pytest.raises(PredictionError, match="shows nothing of this person"):
        predictor.predict(view, replace(partial, source=np.zeros_like(partial.source)))
    for name in ("betas", "transl"):
        broken = replace(view.fit.body, **{name: getattr(view.fit.body, name) * np.float32("nan")})
        with pytest.raises(PredictionError, match="not finite"):
            predictor.predict(replace(view, fit=replace(view.fit, body=broken)), partial)
    behind = replace(view.fit.body, transl=-view.fit.body.transl)
    with pytest.raises(PredictionError, match="behind the camera"):
        predictor.predict(replace(view, fit=replace(view.fit, body=behind)), partial)
    network = network_of().requires_grad_(False)
    next(network.synthesis.parameters()).fill_(float("nan"))
    with pytest.raises(PredictionError, match="output is not finite"):
        predictor_of(network, body).predict(view, partial)


@pytest.fixture(scope="module")
def photo(body: BodyModel, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "one.png"
    Image.fromarray(photo_of([SOMEBODY], body)).save(path)
    return path.read_bytes()


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: BodyModel) -> Callable[..., Pipeline]:
    """Makes pipelines, by default with weights that have learnt nothing in the user's own folder."""
    monkeypatch.setenv("UVATAR_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()

    def build(content: bytes | None = None, installed: bool = True) -> Pipeline:
        path = tmp_path / "models" / FILE
        if content is not None:
            path.write_bytes(content)
        elif installed:
            save_checkpoint(network_of(), path)
        engine = replace(Engine.load(threads=1), perception=Eyes([person_of(SOMEBODY, body)]))  # type: ignore[arg-type]
        return Pipeline(engine=engine if installed else replace(engine, texture_predictor=None))

    return build


def labels_of(pipeline: Pipeline, photo: bytes, texture: str | None) -> set[int]:
    return set(
        np.unique(
            reconstruct(("one.png", photo), pipeline.engine, replace(QUICK, texture=texture)).people[0].texture.source
        )
    )


def test_combined_is_the_default_where_there_are_weights(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    built = pipeline()
    assert built.facts["texture_predictor"] == 64
    slow = Options(texture_size=SIZE, clothing=False)
    assert Label.PREDICTED in np.unique(reconstruct(("one.png", photo), built.engine, slow).people[0].texture.source)
    assert Label.PREDICTED not in labels_of(built, photo, None)  # a first look does without
    assert {Label.SEEN, Label.PREDICTED} <= labels_of(built, photo, "combined")
    assert Label.PREDICTED not in labels_of(built, photo, "projected") and labels_of(built, photo, "predicted") == {
        Label.EMPTY,
        Label.PREDICTED,
    }


def test_the_result_names_the_weights_licence_and_a_seed_varies_it(
    pipeline: Callable[..., Pipeline], photo: bytes
) -> None:
    built = pipeline()
    results = [reconstruct(("one.png", photo), built.engine, replace(QUICK, texture_seed=seed)) for seed in (0, 1)]
    person = present(results[0], built.engine, DEFAULT_OPTIONS)["people"][0]
    assert person["licence"]["texture_predictor"] and person["metrics"]["texels_predicted"] > 0.2
    first, second = (result.people[0].texture for result in results)
    certain = (first.source == Label.SEEN) & (second.source == Label.SEEN)
    assert np.abs(first.image[certain].astype(int) - second.image[certain]).mean() < 1
    predicted = first.source == Label.PREDICTED
    assert np.abs(first.image[predicted].astype(int) - second.image[predicted]).mean() > 3


def test_without_weights_the_photo_is_completed_smoothly_and_a_prediction_is_refused(
    pipeline: Callable[..., Pipeline], photo: bytes
) -> None:
    built = pipeline(installed=False)
    assert Label.PREDICTED not in labels_of(built, photo, None)
    for texture in ("combined", "predicted"):
        with pytest.raises(UvatarError, match=FILE) as refused:
            built.reconstruct([("one.png", photo)], {"texture": texture}, lambda *_: None, lambda *_: None)
        assert refused.value.code == "no-weights" and "uvatar weights" in refused.value.fix


def test_a_broken_checkpoint_is_reported_and_left_out(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    built = pipeline(content=b"nothing")
    assert built.engine.texture_predictor is None
    result = reconstruct(("one.png", photo), built.engine, replace(QUICK, texture=None))
    (problem,) = present(result, built.engine, QUICK)["errors"]
    assert (
        problem["code"] == "bad-weights"
        and f"{FILE} is damaged" in problem["message"]
        and "without the Texture Predictor" in problem["fix"]
    )


def test_a_person_whom_it_cannot_predict_is_completed_smoothly_with_a_note(
    pipeline: Callable[..., Pipeline], photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = pipeline()

    def refuse(*_: Any, **__: Any) -> None:
        raise PredictionError("Nothing is seen.")

    monkeypatch.setattr(built.engine.texture_predictor, "predict", refuse)
    (person,) = reconstruct(("one.png", photo), built.engine, QUICK).people
    assert Label.PREDICTED not in np.unique(person.texture.source)
    assert person.fit.notes[-1] == "Nothing is seen. It was completed without the Texture Predictor."


def test_several_photos_of_one_person(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    merged = reconstruct_same_person([("one.png", photo), ("two.png", photo)], pipeline().engine, QUICK)
    assert merged is not None and Label.PREDICTED in np.unique(merged[1].people[0].texture.source)
