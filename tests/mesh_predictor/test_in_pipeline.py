"""The Mesh Predictor's seat in the pipeline, with perception replaced by people whose truth is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photographed import CAMERA, body_at, person_of, photo_of
from PIL import Image
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation

from tests.fitting.people import Eyes
from uvatar.body import load_open_body
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.engine.engine import Engine
from uvatar.engine.jobs import present
from uvatar.engine.pipeline import Pipeline
from uvatar.engine.reconstruct import reconstruct
from uvatar.files.export import Exporter, save_romp_results
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import MeshPredictor, romp
from uvatar.mesh_predictor.predictor import LIGHT_FILE, Predictor
from uvatar.mesh_predictor.result_file import ResultFiles
from uvatar.mesh_predictor.romp_format import fitted_results
from uvatar.photos.decoding import decode_photo
from uvatar.protocol import framing
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.options import Options
from uvatar.runtime.weights import weights_folder
from uvatar_training.networks.initialise import start_heads

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BODIES = [body_at(-0.6, 1), body_at(0.7, 2)]
QUICK = Options(texture_size=512, fast=True)


@pytest.fixture(scope="module")
def people() -> list[Person]:
    body = load_open_body()
    return [person_of(parameters, body) for parameters in BODIES]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "two.png"
    Image.fromarray(photo_of(BODIES, load_open_body())).save(path)
    return path.read_bytes()


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, people: list[Person]) -> Callable[..., Pipeline]:
    """Makes pipelines without Mesh Predictor; with ``light``, with a light network that has learnt nothing."""
    monkeypatch.setenv("UVATAR_MODELS", str(tmp_path / "models"))

    def build(light: bool = False, seen: list[Person] | None = None) -> Pipeline:
        without = shutil.ignore_patterns("perception", "mesh_predictor.*")
        weights = shutil.copytree(
            weights_folder(), tmp_path / ("light" if light else "none"), ignore=without, dirs_exist_ok=True
        )
        if light:
            torch.manual_seed(0)
            network = MeshPredictor(LightBackbone())
            start_heads(network)
            save_file(network.state_dict(), weights / "mesh_predictor.safetensors")
        eyes = Eyes(people if seen is None else seen)
        return Pipeline(engine=replace(Engine.load(weights, threads=1), perception=eyes))  # type: ignore[arg-type]

    return build


def given(path: Path, bodies: list[BodyParameters]) -> list[dict[str, Any]]:
    """Bodies in the photo two.png, through a result file at ``path`` and to what a client sends of it."""
    body = load_open_body()
    save_romp_results({"body": "open_body", **fitted_results([(b, 0.9) for b in bodies], body, CAMERA)}, path)
    return [{"photo": "two.png", **ResultFiles(path).people("two.png").as_numbers()}]


def test_without_weights_the_stage_is_absent(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    built = pipeline()
    assert built.engine.mesh_predictor is None and built.facts["mesh_predictor"] is None
    result = reconstruct(("two.png", photo), built.engine, QUICK)
    assert "mesh_predictor" not in {person.fit.start for person in result.people} and result.prediction is None


def test_without_weights_no_refinement_is_refused_with_what_to_do(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    with pytest.raises(UvatarError, match=r"mesh_predictor.safetensors.*ROMP.pkl.*models") as refused:
        pipeline().reconstruct([("two.png", photo)], {"refine": False}, lambda *_: None, lambda *_: None)
    assert (
        refused.value.code == "no-weights"
        and "--from-npz" in refused.value.fix
        and str(tmp_path / "models") in refused.value.fix
    )


@pytest.mark.parametrize(("name", "forward"), [("man.jpg", -1), ("woman.jpg", -1), ("man_back.jpg", 1)])
def test_the_network_that_ships_sees_where_people_are_and_which_way_they_face(name: str, forward: int) -> None:
    sample = decode_photo((SAMPLES / name).read_bytes(), name)
    found = Predictor.load(weights_folder() / LIGHT_FILE).look(sample.pixels).found
    (centre,), (pelvis,) = found.center, found.pose[:, 0]
    height, width = sample.pixels.shape[:2]
    assert abs(centre[0] / width - 0.5) < 0.1 and 0.2 < centre[1] / height < 0.5  # the middle of the trunk
    assert pelvis[2, 2] * forward > 0.8 and pelvis[1, 1] < -0.8  # camera axes: y down, z away


def test_with_weights_every_person_is_predicted_and_refined(pipeline: Callable[..., Pipeline], photo: bytes) -> None:
    built = pipeline(light=True)
    assert built.facts["mesh_predictor"] == "light"
    result = reconstruct(("two.png", photo), built.engine, QUICK)
    assert len(result.people) == 2 and result.prediction is not None and result.timings["predicting"] > 0
    assert max(person.fit.landmark_error_median for person in result.people) < 0.01  # a useless prediction does no harm


def test_without_refinement_the_light_prediction_and_the_landmarks_are_the_result(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    built = pipeline(light=True)
    options = replace(QUICK, refine=False, export_npz=True)
    result = reconstruct(("two.png", photo), built.engine, options)
    for person in result.people:
        assert person.fit.start == "mesh_predictor" and not person.fit.offsets.any()
        assert person.fit.landmark_error_median < 0.03  # the network has learnt nothing, and is a small part of it
    entry = present(result, built.engine, options)
    assert entry["people"][0]["licence"]["mesh_predictor"] == "Apache-2.0"
    romp = entry["romp"]
    # The untrained network may put a person where nothing of the photo reaches the texture: that one is an error, the
    # other goes on.
    assert len(result.people) + len(result.failures) == 2
    assert romp["body"] == "open_body" and romp["smpl_thetas"].shape == (len(result.people), 72)
    for row, person in enumerate(result.people):
        np.testing.assert_allclose(romp["body_pose"][row].reshape(23, 3), person.fit.body.body_pose)
    Exporter(tmp_path / "out").write(framing.unpack(framing.pack(entry)))
    stored = np.load(tmp_path / "out" / "two.npz", allow_pickle=True)["results"][()]
    assert set(stored) == set(romp) - {"body"}
    np.testing.assert_array_equal(stored["joints"], romp["joints"])


def test_a_file_without_refinement_is_the_result_as_it_is(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    options = replace(QUICK, refine=False, given_people=given(tmp_path / "two.npz", BODIES[::-1]))
    result = reconstruct(("two.png", photo), pipeline().engine, options)
    for person, truth in zip(result.people, BODIES, strict=True):  # the file's order is another
        np.testing.assert_allclose(person.fit.body.body_pose, truth.body_pose, atol=1e-5)
        np.testing.assert_allclose(person.fit.body.betas, truth.betas, atol=1e-6)
        assert person.fit.landmark_error_p95 < 0.03


def test_people_whom_the_file_does_not_hold_are_left_out_without_refinement(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    one = replace(QUICK, refine=False, given_people=given(tmp_path / "one.npz", BODIES[1:]))
    result = reconstruct(("two.png", photo), pipeline().engine, one)
    np.testing.assert_allclose(
        [person.fit.body.body_pose for person in result.people], [BODIES[1].body_pose], atol=1e-5
    )
    done: list[dict[str, Any]] = []
    options = {"refine": False, "given_people": given(tmp_path / "other.npz", [body_at(0.0, 3, depth=30.0)])}
    pipeline().reconstruct([("two.png", photo)], options, lambda *_: None, lambda index, entry: done.append(entry))
    assert done[0]["errors"][0]["code"] == "bad-npz" and "made from this photo" in done[0]["errors"][0]["message"]


@pytest.mark.parametrize("same_person", [False, True])
def test_a_photo_without_given_people_is_told(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path, same_person: bool
) -> None:
    done: dict[int, dict[str, Any]] = {}
    options = {"given_people": given(tmp_path / "two.npz", BODIES), "same_person": same_person}
    pipeline().reconstruct([("one.png", photo), ("other.png", photo)], options, lambda *_: None, done.__setitem__)
    for index, name in enumerate(("one.png", "other.png")):
        assert done[index]["errors"][0]["code"] == "bad-npz" and name in done[index]["errors"][0]["message"]


def test_fitting_keeps_whichever_start_explains_the_person_better(
    pipeline: Callable[..., Pipeline],
    photo: bytes,
    people: list[Person],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Landmarks in space that are wrong by half a turn, or a handstand in the file: either way the person stands as it
    should.
    """
    monkeypatch.setattr(
        "uvatar.fitting.models.Lifter.load", lambda *_: None
    )  # it would find the turned landmarks out by itself

    def astray(fit: Fit) -> float:
        """Angle between the fitted pelvis and the true one, radians."""
        true, got = (Rotation.from_rotvec(body.global_orient) for body in (truth, fit.body))
        return float((true.inv() * got).magnitude())

    truth = BODIES[0]
    turned = replace(people[0], world_landmarks=people[0].world_landmarks * np.array([1, -1, -1], np.float32))
    good = replace(QUICK, given_people=given(tmp_path / "good.npz", [truth]))
    fit = reconstruct(("two.png", photo), pipeline(seen=[turned]).engine, good).people[0].fit
    assert fit.start == "mesh_predictor" and fit.landmark_error_p95 < 0.02 and astray(fit) < 0.3
    handstand = replace(truth, global_orient=np.array([0.1, 0, 0], np.float32), body_pose=truth.body_pose[::-1].copy())
    bad = replace(QUICK, given_people=given(tmp_path / "bad.npz", [handstand]))
    fit = reconstruct(("two.png", photo), pipeline(seen=people[:1]).engine, bad).people[0].fit
    assert fit.landmark_error_p95 < 0.02 and astray(fit) < 0.3


def test_with_romp_s_weights_and_smpl_the_file_holds_romp_s_own_people(
    pipeline: Callable[..., Pipeline], photo: bytes, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = romp()
    start_heads(network)
    head: Any = network.final_layers["2"]
    torch.nn.init.constant_(head[-1].bias, 0.5)  # somebody everywhere
    torch.save(network.state_dict(), models / "ROMP.pkl")
    monkeypatch.setenv("UVATAR_MODELS", str(models))
    built = pipeline()
    assert built.facts["mesh_predictor"] == "romp"
    options = replace(QUICK, refine=False, export_npz=True, max_people=1)
    result = reconstruct(("two.png", photo), built.engine, options)
    entry = present(result, built.engine, options)
    assert result.prediction is not None and len(result.people) == 1 < len(result.prediction)
    assert not result.people[0].fit.body.betas.any()  # SMPL's betas are nothing to the open body
    assert "non-commercial" in entry["people"][0]["licence"]["mesh_predictor"]
    own = entry["romp"]
    assert own["body"] == "smpl-neutral" and own["verts"].shape == (len(result.prediction), 6890, 3)
    np.testing.assert_array_equal(own["cam"], result.prediction.camera)
    np.testing.assert_array_equal(own["smpl_betas"], result.prediction.betas)
    assert np.isfinite(own["joints"]).all()  # all 71
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "SMPL_NEUTRAL.pkl").write_bytes(b"nothing")
    broken = replace(built.engine, models=tmp_path / "broken")
    entry = present(result, broken, options)
    assert (
        "romp" not in entry
        and entry["errors"][0]["code"] == "bad-weights"
        and "SMPL_NEUTRAL.pkl" in entry["errors"][0]["message"]
    )


def test_a_broken_checkpoint_is_reported_and_left_out(
    pipeline: Callable[..., Pipeline], photo: bytes, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "models" / "ROMP.pkl")
    built = pipeline()
    assert built.engine.mesh_predictor is None
    entry = present(reconstruct(("two.png", photo), built.engine, replace(QUICK, max_people=1)), built.engine, QUICK)
    assert len(entry["people"]) == 1
    problem = entry["errors"][0]
    assert (
        problem["code"] == "bad-weights"
        and "a different network" in problem["message"]
        and str(tmp_path / "models") in problem["fix"]
    )
