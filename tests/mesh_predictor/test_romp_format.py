"""ROMP's result files: what is written is what its scripts expect, what is read runs nothing and is what it says."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from photographed import CAMERA, body_at
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from uvatar.body import BodyError, BodyModel, load_open_body
from uvatar.files.export import save_romp_results
from uvatar.mesh_predictor.prediction import SMPL, Prediction
from uvatar.mesh_predictor.result_file import GivenPeople, ResultFileError, ResultFiles
from uvatar.mesh_predictor.romp_format import fitted_results, predicted_results
from uvatar.mesh_predictor.smpl_files import load_neutral_smpl, neutral_smpl, packed_regressors
from uvatar.mesh_predictor.weak_perspective import PaddedSquare
from uvatar.protocol.options import checked_options

RNG = np.random.default_rng(0)
COUNT = 3
# Keys and shapes of a picture's result, as published.
PUBLISHED = {
    "cam": (3,), "global_orient": (3,), "body_pose": (69,), "smpl_betas": (10,), "smpl_thetas": (72,),
    "center_preds": (2,),
    "center_confs": (1,), "cam_trans": (3,), "verts": (6890, 3), "joints": (71, 3), "pj2d_org": (71, 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def smpl(models: Path) -> BodyModel:
    body = neutral_smpl(models)
    assert body is not None
    return body


def predicted() -> Prediction:
    rng = np.random.default_rng(2)
    pose = (
        Rotation.from_rotvec(rng.normal(0, 0.3, (COUNT * 24, 3)))
        .as_matrix()
        .reshape(COUNT, 24, 3, 3)
        .astype(np.float32)
    )
    pose[:, 0] = np.diag([1, -1, -1]) @ pose[:, 0]
    pose[:, 22:] = np.eye(3)
    return Prediction(
        score=np.array([0.9, 0.6, 0.3], np.float32),
        center=np.array([[100, 200], [320, 240], [500.0, 100]], np.float32),
        camera=np.array([[0.5, -0.4, 0.1], [0.8, 0.0, 0.2], [0.3, 0.6, -0.3]], np.float32),
        pose=pose,
        betas=rng.normal(size=(COUNT, 10)).astype(np.float32),
        betas_of=SMPL,
        square=PaddedSquare.around(640, 480),
    )


def load_results(path: Path, width: int, height: int, photo: str = "photo.jpg") -> Prediction:
    """As the client reads a file and the server, which gets JSON, understands it."""
    numbers = json.loads(json.dumps(ResultFiles(path).people(photo).as_numbers()))
    checked_options({"given_people": [{"photo": photo, **numbers}]})
    return GivenPeople.from_numbers(numbers).prediction(width, height)


def read_as_romp_s_scripts_do(path: Path) -> dict[str, NDArray[Any]]:
    return np.load(path, allow_pickle=True)["results"][()]


def test_prediction_is_written_with_romp_s_keys_shapes_and_numbers(
    smpl: BodyModel, packed: dict[str, torch.Tensor], models: Path, tmp_path: Path
) -> None:
    people = predicted()
    save_romp_results(
        {"body": "smpl-neutral", **predicted_results(people, smpl, packed_regressors(models))}, tmp_path / "photo.npz"
    )
    results = read_as_romp_s_scripts_do(tmp_path / "photo.npz")
    assert {key: value.shape for key, value in results.items()} == {
        key: (COUNT, *shape) for key, shape in PUBLISHED.items()
    }
    vectors = Rotation.from_matrix(people.pose.reshape(-1, 3, 3)).as_rotvec().reshape(COUNT, 72)
    np.testing.assert_allclose(results["smpl_thetas"], vectors, atol=1e-5)
    np.testing.assert_array_equal(
        np.concatenate([results["global_orient"], results["body_pose"]], 1), results["smpl_thetas"]
    )
    np.testing.assert_array_equal(results["body_pose"][:, -6:], 0)  # hands
    np.testing.assert_array_equal(results["cam"], people.camera)
    # 24 of SMPL, 21 vertices, 9 extra, 17 of Human3.6M in ROMP's order
    joints, vertices = results["joints"], results["verts"].astype(float)
    np.testing.assert_allclose(joints[:, 24], vertices[:, 332], atol=1e-6)  # nose
    np.testing.assert_allclose(joints[:, 44], vertices[:, 6133], atol=1e-6)  # the right little finger's tip
    extra = np.einsum("jv,nvc->njc", packed["J_regressor_extra9"].double().numpy(), vertices)
    np.testing.assert_allclose(joints[:, 45:54], extra, atol=1e-5)
    h36m = np.einsum("jv,nvc->njc", packed["J_regressor_h36m17"].double().numpy(), vertices)
    np.testing.assert_allclose(
        joints[:, 54:], h36m[:, [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9]], atol=1e-5
    )
    # u = (s X + tx + 1) S / 2 - left, v likewise with top = 80
    flat = people.camera[:, None, :1] * joints[..., :2] + people.camera[:, None, 1:]
    np.testing.assert_allclose(results["pj2d_org"], (flat + 1) * 320 - [0, 80], atol=1e-3)
    np.testing.assert_array_equal(results["center_preds"], np.round((people.center + [0, 80]) / 640 * 512))
    np.testing.assert_allclose(results["center_confs"][:, 0], people.score)


def test_cam_trans_is_where_romp_s_camera_sees_the_body(smpl: BodyModel) -> None:
    """Against least squares of the reprojection in pixels of 512, with ROMP's focal length of 443.4, by scipy."""
    people = predicted()
    results = predicted_results(people, smpl)
    for person in range(COUNT):
        body = results["joints"][person, :24].astype(float)
        seen = (people.camera[person, 0] * body[:, :2] + people.camera[person, 1:] + 1) * 256

        def missed(shift: NDArray[Any], body: NDArray[Any] = body, seen: NDArray[Any] = seen) -> NDArray[Any]:
            placed = body + shift
            return (placed[:, :2] / placed[:, 2:] * 443.4 + 256 - seen).ravel()

        best = least_squares(missed, [0, 0, 5.0]).x
        np.testing.assert_allclose(
            results["cam_trans"][person], best, atol=0.1 * best[2]
        )  # the body of random numbers is as deep as wide


def test_root_aligned_people_have_their_origin_between_the_hips(smpl: BodyModel, models: Path) -> None:
    raw, people = predicted(), replace(predicted(), root_aligned=True)
    for regressors, hips in ((packed_regressors(models), slice(45, 47)), (None, slice(1, 3))):
        plain, aligned = predicted_results(raw, smpl, regressors), predicted_results(people, smpl, regressors)
        origin = plain["joints"][:, hips].mean(1, keepdims=True)
        np.testing.assert_allclose(aligned["joints"], plain["joints"] - origin, atol=1e-6)
        np.testing.assert_allclose(aligned["verts"], plain["verts"] - origin, atol=1e-6)
        flat = people.camera[:, None, :1] * aligned["joints"][..., :2] + people.camera[:, None, 1:]
        np.testing.assert_allclose(aligned["pj2d_org"], (flat + 1) * 320 - [0, 80], atol=1e-3)


def test_without_the_regressors_rows_are_nan_and_keep_their_numbers(smpl: BodyModel) -> None:
    joints = predicted_results(predicted(), smpl)["joints"]
    assert np.isfinite(joints[:, :45]).all() and np.isnan(joints[:, 45:]).all()


def test_nobody_is_written_and_read_as_nobody(smpl: BodyModel, tmp_path: Path) -> None:
    results = predicted_results(predicted().rows([]), smpl)
    assert {key: value.shape for key, value in results.items()} == {
        key: (0, *shape) for key, shape in PUBLISHED.items()
    }
    save_romp_results({"body": "smpl-neutral", **results}, tmp_path / "nobody.npz")
    assert len(load_results(tmp_path / "nobody.npz", 640, 480)) == 0


def test_what_is_written_is_read_back(smpl: BodyModel, tmp_path: Path) -> None:
    people = predicted()
    save_romp_results({"body": "smpl-neutral", **predicted_results(people, smpl)}, tmp_path / "photo.npz")
    got = load_results(tmp_path / "photo.npz", 640, 480)
    np.testing.assert_allclose(got.pose, people.pose, atol=1e-6)
    for name in ("camera", "betas", "score"):
        np.testing.assert_array_equal(getattr(got, name), getattr(people, name))
    assert got.betas_of == SMPL and got.square == people.square


def test_fitted_people_go_out_and_come_back_to_where_they_stand(tmp_path: Path) -> None:
    body = load_open_body()
    people = [(body_at(-0.6, 1), 0.9), (body_at(0.8, 2, depth=5), 0.7)]
    results = fitted_results(people, body, CAMERA)
    assert results["verts"].shape == (2, len(body.data.v_template), 3)
    joints = np.stack([body.posed(parameters)[1] for parameters, _ in people])
    np.testing.assert_allclose(results["pj2d_org"][:, :24], CAMERA.project(joints), atol=0.01)
    # Through ROMP's camera, 60 degrees across the longer side, vertices plus cam_trans are seen at nearly the same
    # pixels.
    placed = results["joints"][:, :24] + results["cam_trans"][:, None]
    seen = placed[..., :2] / placed[..., 2:] * (640 * np.sqrt(3) / 2) + [320, 240]
    assert np.abs(seen - CAMERA.project(joints)).mean() < 5
    save_romp_results({"body": "open_body", **results}, tmp_path / "photo.npz")
    back = load_results(tmp_path / "photo.npz", 640, 480).bodies(body, CAMERA)
    for got, (parameters, _) in zip(back, people, strict=True):
        np.testing.assert_allclose(got.body_pose, parameters.body_pose, atol=1e-5)
        np.testing.assert_allclose(got.betas, parameters.betas)
        np.testing.assert_allclose(got.transl, parameters.transl, atol=0.05)


def save(path: Path, results: Any, **members: Any) -> Path:
    wrapped = np.empty((), object)
    wrapped[()] = results
    np.savez(path, results=wrapped, **members)
    return path


def minimal() -> dict[str, Any]:
    """What another estimator may give: single precision or double, lists of people, no more than is needed."""
    return {"smpl_thetas": RNG.normal(0, 0.2, (2, 72)), "cam": np.array([[0.5, 0.1, 0.2], [0.4, -0.3, 0]])}


def test_other_estimators_files_need_only_pose_and_place(tmp_path: Path) -> None:
    content = minimal()
    got = load_results(save(tmp_path / "a.npz", content), 640, 480)
    np.testing.assert_allclose(
        got.pose.reshape(-1, 3, 3), Rotation.from_rotvec(content["smpl_thetas"].reshape(-1, 3)).as_matrix(), atol=1e-6
    )
    np.testing.assert_allclose(got.center, (content["cam"][:, 1:] + 1) * 320 - [0, 80], rtol=1e-5)
    split = {"global_orient": content["smpl_thetas"][:, :3], "body_pose": content["smpl_thetas"][:, 3:]}
    split["cam_trans"] = np.array([[0.1, 0.2, 4.0], [0, 0, 8.0]])
    other = load_results(save(tmp_path / "b.npz", split), 640, 480)
    np.testing.assert_allclose(other.pose, got.pose, atol=1e-6)
    scale = np.sqrt(3) / np.array([4.0, 8.0])
    np.testing.assert_allclose(other.camera, np.stack([scale, scale * [0.1, 0], scale * [0.2, 0]], 1), rtol=1e-5)


# What BEV says of two people: s, ty, tx, and where they stand from a camera of 60 degrees.
BEV_CAM = np.array([[0.63, 0.05, 0.55], [0.4, -0.1, -0.3]])
BEV_DEPTH = 1 / (BEV_CAM[:, :1] * np.tan(np.radians(30)) + 1e-3)
BEV_TRANS = np.concatenate([BEV_CAM[:, [2, 1]] * BEV_DEPTH * np.tan(np.radians(30)), BEV_DEPTH], 1)


@pytest.mark.parametrize(("betas", "told"), [(11, True), (11, False), (10, True)])
def test_bev_s_files_have_eleven_betas_and_y_before_x(betas: int, told: bool, tmp_path: Path) -> None:
    """The first ten betas are SMPL's; ``cam_trans`` tells the order where no eleventh beta does."""
    content = {
        **minimal(),
        "smpl_betas": RNG.normal(size=(2, betas)),
        "cam": BEV_CAM,
        **({"cam_trans": BEV_TRANS} if told else {}),
    }
    got = load_results(save(tmp_path / "bev.npz", content), 640, 480)
    np.testing.assert_allclose(got.camera, BEV_CAM[:, [0, 2, 1]], atol=2e-3)
    np.testing.assert_allclose(got.betas, content["smpl_betas"][:, :10], rtol=1e-6)
    np.testing.assert_allclose(got.center, (BEV_CAM[:, [2, 1]] + 1) * 320 - [0, 80], atol=1.0)


def test_romp_s_own_order_stays_with_its_rough_cam_trans(tmp_path: Path) -> None:
    cam = BEV_CAM[:, [0, 2, 1]]
    content = {**minimal(), "cam": cam, "cam_trans": BEV_TRANS * RNG.normal(1, 0.03, (2, 3))}
    np.testing.assert_allclose(load_results(save(tmp_path / "romp.npz", content), 640, 480).camera, cam, rtol=1e-6)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("focal", [True, False])
def test_hmr2_s_files_hold_matrices_and_its_own_camera(inside: bool, focal: bool, tmp_path: Path) -> None:
    turns = Rotation.from_rotvec(RNG.normal(0, 0.3, (48, 3))).as_matrix().reshape(2, 24, 3, 3)
    pose = {"global_orient": turns[:, :1], "body_pose": turns[:, 1:], "betas": RNG.normal(size=(2, 10))}
    metres = np.array([[0.3, -0.2, 30.0], [-1, 0.1, 44]])
    content: dict[str, Any] = {"pred_cam_t_full": metres, "box_center": np.zeros((2, 2))}
    content |= {"pred_smpl_params": np.array(pose, object)} if inside else pose
    if focal:
        content |= {"scaled_focal_length": np.array(2000.0), "img_size": np.array([[640.0, 480]])}
    np.savez(tmp_path / "h.npz", **content)
    got = load_results(tmp_path / "h.npz", 640, 480)
    np.testing.assert_allclose(got.pose.reshape(2, 24, 3, 3), turns, atol=1e-5)
    np.testing.assert_allclose(got.betas, pose["betas"], rtol=1e-6)
    f = 2000.0 if focal else 5000 / 256 * 640
    np.testing.assert_allclose(
        got.center, f * metres[:, :2] / metres[:, 2:] + [320, 240], atol=0.01
    )  # where its pinhole sees the origin


def smplx_joints(turns: NDArray[Any], rest: NDArray[Any]) -> NDArray[Any]:
    """(22, 3) joints of SMPL-X's body: its tree, walked joint by joint."""
    parents = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
    turned, places = [turns[0]], [rest[0]]
    for joint, parent in enumerate(parents[1:], 1):
        places.append(places[parent] + turned[parent] @ (rest[joint] - rest[parent]))
        turned.append(turned[parent] @ turns[joint])
    return np.array(places)


@pytest.mark.parametrize("form", ["vectors", "matrices", "one array"])
def test_smplx_s_bodies_are_posed_and_placed_as_its_own_model_does(form: str, tmp_path: Path) -> None:
    """Fingers, jaw and betas, which are another body's, are left out."""
    vectors = RNG.normal(0, 0.3, (2, 55, 3))
    metres = np.array([[0.3, -0.2, 4.0], [-1, 0.1, 7]])
    place: dict[str, Any] = {"transl": metres, "focal_length": np.array(900.0), "img_size": np.array([640.0, 480])}
    body = vectors[:, :22]
    pose: dict[str, Any]
    if form == "one array":
        pose = {"rotvec": vectors}
    elif form == "vectors":
        pose = {"global_orient": body[:, 0], "body_pose": body[:, 1:].reshape(2, 63)}
    else:
        matrices = Rotation.from_rotvec(body.reshape(-1, 3)).as_matrix().reshape(2, 22, 3, 3)
        pose = {"global_orient": matrices[:, :1], "body_pose": matrices[:, 1:]}
    further: dict[str, Any] = {
        "betas": RNG.normal(size=(2, 16)),
        "left_hand_pose": np.full((2, 45), np.nan),
        "expression": "nonsense",
    }
    np.savez(tmp_path / "x.npz", **pose, **place, **further)
    got = load_results(tmp_path / "x.npz", 640, 480)
    assert not got.betas.any()
    open_body = load_open_body()
    for person in range(2):
        turns = Rotation.from_rotvec(body[person]).as_matrix()
        expected = smplx_joints(turns, open_body.data.joint_template.astype(float))
        joints = open_body.joints(got.betas[person : person + 1], got.pose[person : person + 1])[0]
        np.testing.assert_allclose(joints[:22], expected, atol=1e-5)
    np.testing.assert_allclose(got.center, 900 * metres[:, :2] / metres[:, 2:] + [320, 240], atol=0.01)


def test_an_smplx_pose_without_a_camera_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", rotvec=np.zeros((1, 53, 3)), transl=np.ones((1, 3)))
    with pytest.raises(ResultFileError, match=r"no camera: .* transl with focal_length and img_size"):
        load_results(tmp_path / "x.npz", 640, 480)
    np.savez(tmp_path / "x.npz", rotvec=np.zeros((1, 54, 3)), transl=np.ones((1, 3)))
    with pytest.raises(ResultFileError, match=r"its rotvec of shape"):
        load_results(tmp_path / "x.npz", 640, 480)


def test_a_video_s_file_gives_the_frame_named_like_the_photo(tmp_path: Path) -> None:
    first, second = minimal(), minimal()
    path = save(tmp_path / "video_results.npz", {"00001.jpg": first, "00002.jpg": second})
    np.testing.assert_allclose(
        load_results(path, 9, 9, "00002.png").axis_angles().reshape(2, 72), second["smpl_thetas"], atol=1e-5
    )
    with pytest.raises(ResultFileError, match=r"2 frames, none named like me.jpg"):
        load_results(path, 9, 9, "me.jpg")


def test_a_folder_gives_the_file_named_like_the_photo(tmp_path: Path) -> None:
    save(tmp_path / "me.npz", minimal())
    assert len(load_results(tmp_path, 9, 9, "me.jpg")) == 2
    with pytest.raises(ResultFileError, match=r"you.npz does not exist"):
        load_results(tmp_path, 9, 9, "you.jpg")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("where", ["results", "value", "key beside"])
def test_a_hostile_file_is_refused_and_not_run(where: str, tmp_path: Path) -> None:
    evil = Hostile(tmp_path / "was-run")
    if where == "results":
        path = save(tmp_path / "evil.npz", evil)
    elif where == "value":
        path = save(tmp_path / "evil.npz", {**minimal(), "verts": evil})
    else:
        path = save(tmp_path / "evil.npz", {**minimal(), "note": [evil]})
    with pytest.raises(ResultFileError, match=r"was not loaded: it asks to run '.*mkdir'.*author"):
        load_results(path, 640, 480)
    assert not (tmp_path / "was-run").exists()


def spoilt(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in {**minimal(), **fields}.items() if value is not None}


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (spoilt(smpl_thetas=None), "no pose"),
        (spoilt(cam=None), "no camera"),
        (spoilt(cam=np.zeros((5, 3))), "do not agree on the number of people"),
        (spoilt(smpl_thetas=np.full((2, 72), np.nan)), "finite"),
        (spoilt(smpl_thetas=np.zeros((2, 71))), "cannot be used"),
        (spoilt(cam="here"), "expected an array"),
        (spoilt(smpl_betas=np.zeros((2, 12))), "rows of 10 or 11"),
        (spoilt(smpl_thetas=None, global_orient=np.ones((2, 3, 3)), body_pose=np.ones((2, 23, 3, 3))), "not rotations"),
        (spoilt(smpl_thetas=np.zeros((300, 72))), "300 people; at most 256"),
        ([1, 2], "list, not a dictionary"),
    ],
)
def test_files_that_lack_what_is_needed_say_so(results: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match=words):
        load_results(save(tmp_path / "odd.npz", results), 640, 480)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(ResultFileError, match="does not exist"):
        load_results(path, 640, 480)
    path.write_bytes(b"not a zip")
    with pytest.raises(ResultFileError, match="damaged"):
        load_results(path, 640, 480)
    np.savez(path, poses=np.zeros(3))
    with pytest.raises(ResultFileError, match="no member 'results', only poses"):
        load_results(path, 640, 480)
    whole = save(path, minimal()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultFileError, match="damaged"):
        load_results(path, 640, 480)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results.npy", b"\x93NUMPY\x01\x00 nonsense")
    with pytest.raises(ResultFileError, match="damaged"):
        load_results(path, 640, 480)


def test_packed_smpl_is_the_body_it_was_packed_from(smpl: BodyModel, packed: dict[str, torch.Tensor]) -> None:
    data = smpl.data
    assert data.name == "smpl-neutral" and data.posedirs is not None
    assert (data.faces == packed["f"].numpy()).all()
    # Vertex 5, axis 1 in the packed order of posedirs
    np.testing.assert_allclose(data.posedirs[5, 1], packed["posedirs"][:, 16].numpy(), atol=1e-7)


def test_missing_and_wrong_smpl_files_say_what_to_do(tmp_path: Path) -> None:
    assert neutral_smpl(tmp_path) is None and packed_regressors(tmp_path) is None
    with pytest.raises(BodyError, match=r"SMPL file .*SMPL_NEUTRAL.pkl does not exist.*Download SMPL"):
        load_neutral_smpl(tmp_path / "SMPL_NEUTRAL.pkl")
    torch.save({"v_template": torch.zeros(6890, 3)}, tmp_path / "SMPL_NEUTRAL.pth")
    for load in (neutral_smpl, packed_regressors):
        with pytest.raises(BodyError, match=r"SMPL_NEUTRAL.pth.*Download SMPL"):
            load(tmp_path)
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(b"\x80")
    with pytest.raises(BodyError, match=r"SMPL_NEUTRAL.pkl is damaged"):
        neutral_smpl(tmp_path)
