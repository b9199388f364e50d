"""AGORA in its documented format, written here, and read back against its documented projection."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from uvatar.body import BodyModel
from uvatar_training.data.agora import Agora, camera_of, mask_path, split_of
from uvatar_training.data.problems import DataError

RNG = np.random.default_rng(4)
WIDTH, HEIGHT = 1280, 720
HDRI = "ag_trainset_renderpeople_bfh_hdri_50mm_5_10_00000.png"
ARCHVIZ = "ag_trainset_3dpeople_bfh_archviz_5_10_cam02_00001.png"
WALKING = "ag_trainset_axyz_bfh_construction_5_15_00002.png"


def documented(points: NDArray[Any], image: str, row: dict[str, Any], person: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The documentation's own steps: SMPL points (J, 3) -> camera frame (metres) and pixels of 3840 x 2160."""
    ground = np.zeros(3)
    if "hdri" in image:
        focal, cam, yaw, pitch = 50, (0, 0, 170), 0, 0
    elif "cam02" in image:
        focal, cam, yaw, pitch = 18, (-490, 170, 265), -45, 30
    else:
        focal, cam, yaw, pitch = 28, (row["camX"], row["camY"], row["camZ"]), row["camYaw"], 0
        ground = np.array([0, -1.7, 0])

    def rotation(axis: int, degrees: float) -> NDArray[Any]:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        if axis == 0:
            return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])

    def unreal(x: float, y: float, z: float) -> NDArray[Any]:
        return np.array([y, -z, x]) / 100

    turned = (rotation(1, row["Yaw"][person] - 90) @ (points * [1, -1, -1]).T).T
    world = turned + unreal(row["X"][person], row["Y"][person], row["Z"][person])
    seen = (rotation(0, pitch) @ rotation(1, -yaw) @ (world - (unreal(*cam) + ground)).T).T
    fx, fy = focal / 36 * 3840, focal / 20.25 * 2160
    return seen, np.stack([fx * seen[:, 0] / seen[:, 2] + 1920, fy * seen[:, 1] / seen[:, 2] + 1080], 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, body: BodyModel) -> Path:
    """Three images of one to three people, as the data set stores them; the open body stands for SMPL."""
    root = tmp_path_factory.mktemp("agora")
    for folder in ("images", "fits/smpl_gt", "frames", "plain", "masks"):
        (root / folder).mkdir(parents=True)
    rows = [
        _row(
            root,
            body,
            HDRI,
            {"X": [600.0, 700.0], "Y": [-60.0, 90.0], "Z": [0.0, 0.0], "Yaw": [120.0, -30.0]},
            kid=[False, True],
        ),
        _row(
            root,
            body,
            ARCHVIZ,
            {"X": [-100.0, -60.0, -80.0], "Y": [-250.0, -150.0, -330.0], "Z": [0.0] * 3, "Yaw": [10.0, 80.0, 200.0]},
            occlusion=[5.0, 80.0, 20.0],
            valid=[True, True, False],
        ),
        _row(
            root,
            body,
            WALKING,
            {
                "X": [900.0],
                "Y": [200.0],
                "Z": [10.0],
                "Yaw": [0.0],
                "camX": 300.0,
                "camY": 120.0,
                "camZ": 0.0,
                "camYaw": 20.0,
            },
        ),
    ]
    pd.DataFrame(rows).to_pickle(root / "frames" / "train_0_withjv.pkl")
    pd.DataFrame([{k: v for k, v in row.items() if not k.startswith("gt_joints")} for row in rows]).to_pickle(
        root / "plain" / "train_0.pkl"
    )
    return root


def _row(
    root: Path,
    body: BodyModel,
    image: str,
    where: dict[str, Any],
    kid: list[Any] | None = None,
    occlusion: list[Any] | None = None,
    valid: list[Any] | None = None,
) -> dict[str, Any]:
    count = len(where["X"])
    row = {"imgPath": image, "camX": 0.0, "camY": 0.0, "camZ": 0.0, "camYaw": 0.0, **where}
    row |= {"kid": kid or [False] * count, "occlusion": occlusion or [0.0] * count, "isValid": valid or [True] * count}
    row |= {"gender": ["male"] * count, "gt_path_smpl": [], "gt_joints_2d": [], "gt_joints_3d": []}
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for person in range(count):
        row["gt_path_smpl"].append(f"smpl_gt/scan_{Path(image).stem}_{person}.obj")
        betas, pose, transl = (
            RNG.normal(0, 0.5, (1, 10)),
            RNG.normal(0, 0.2, (1, 24, 3)),
            RNG.normal(0, 0.1, (1, 3)) + [0, 1.2, 0],
        )
        tensors = [torch.from_numpy(value).float() for value in (betas, pose, transl)]
        _fit(root / "fits" / row["gt_path_smpl"][-1], tensors, person, row["kid"][person])
        joints, pixels = documented(body.joints(betas, pose, transl)[0].astype(np.float64), image, row, person)
        row["gt_joints_3d"].append(joints)
        row["gt_joints_2d"].append(pixels)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        low, high = (pixels / 3).min(0).astype(int) - 10, (pixels / 3).max(0).astype(int) + 10
        cv2.rectangle(mask, low.tolist(), high.tolist(), 255, -1)
        picture[mask > 0] = 40 * (person + 1)
        path = mask_path(root / "masks", image, person, small=True)
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), mask)
    cv2.imwrite(str(root / "images" / f"{Path(image).stem}_1280x720.png"), picture)
    return row


def _fit(path: Path, tensors: list[torch.Tensor], person: int, kid: bool) -> None:
    """Written on a GPU: tensors whose storages say cuda:0; both namings; adults with an eleventh beta."""
    betas, pose, transl = tensors
    eleven = torch.cat([betas, torch.full((1, 1), 0.3)], 1)
    names = ("root_pose", "translation") if person % 2 == 0 else ("global_orient", "transl")
    content = {
        "betas": eleven if kid or person == 0 else betas,
        "body_pose": pose[:, 1:],
        names[0]: pose[:, :1],
        names[1]: transl,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        path.with_suffix(".pkl").write_bytes(pickle.dumps(content))


def agora(root: Path, body: BodyModel | None, **changes: object) -> Agora:
    given: dict[str, Any] = {
        "images": root / "images",
        "fits": root / "fits",
        "frames": root / "frames",
        "masks": root / "masks",
        "body": body,
        **changes,
    }
    return Agora(**given)


@pytest.fixture(autouse=True)
def all_scans_train(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "by_scan" not in request.node.name:
        monkeypatch.setattr("uvatar_training.data.agora.split_of", lambda _: "train")


@pytest.mark.parametrize("frames", ["frames", "plain"])
def test_people_stand_where_the_documented_projection_puts_them(root: Path, body: BodyModel, frames: str) -> None:
    data = agora(root, body, frames=root / frames, masks=None)
    samples = {sample.name: sample for sample in data.samples()}
    table = pd.read_pickle(root / "frames" / "train_0_withjv.pkl")
    assert set(samples) == {HDRI, ARCHVIZ, WALKING}
    for _, row in table.iterrows():
        sample = samples[row["imgPath"]]
        for label in sample.people:
            truth = np.asarray(row["gt_joints_3d"][label.facts["person"]])
            if label.facts["kid"]:
                if frames == "frames":
                    np.testing.assert_allclose(label.joints, truth, atol=1e-4)
                continue
            np.testing.assert_allclose(label.joints, truth, atol=1e-4)
            np.testing.assert_allclose(sample.camera.project(label.joints), label.joints_2d, atol=0.05)
            # The parameters alone, in the camera frame, give the same body.
            _, joints = body.posed(label.parameters)
            np.testing.assert_allclose(joints, truth, atol=2e-4)
            np.testing.assert_allclose(
                label.joints_2d, np.asarray(row["gt_joints_2d"][label.facts["person"]]) / 3, atol=0.05
            )


def test_filters_and_flags(root: Path, body: BodyModel) -> None:
    samples = {sample.name: sample for sample in agora(root, body).samples()}
    assert [label.facts["person"] for label in samples[ARCHVIZ].people] == [0]  # 80 % hidden, and invalid, are left out
    assert not samples[ARCHVIZ].labelled and samples[WALKING].labelled
    adult, kid = samples[HDRI].people
    assert adult.betas.shape == (10,) and kid.betas.shape == (11,)
    assert np.isfinite(adult.transl).all() and np.isnan(kid.transl).all()  # no kid template was given
    assert samples[HDRI].image.shape == (HEIGHT, WIDTH, 3) and samples[HDRI].mask is not None
    lenient = {sample.name: sample for sample in agora(root, body, most_occluded=90.0).samples()}
    assert [label.facts["person"] for label in lenient[ARCHVIZ].people] == [0, 1]


def test_focal_lengths_are_the_documented_pixels() -> None:
    from uvatar_training.data.agora import pinhole

    row = {"camX": 0, "camY": 0, "camZ": 0, "camYaw": 0}
    found = [pinhole(camera_of(image, row), 1280, 720).focal for image in (HDRI, WALKING, ARCHVIZ)]
    np.testing.assert_allclose(found, [1777.78, 995.56, 640.0], atol=0.01)


def test_mask_names_are_the_documented_ones(tmp_path: Path) -> None:
    folder = tmp_path / "ag_trainset_3dpeople_bfh_archviz"
    assert (
        mask_path(tmp_path, ARCHVIZ, 4, True)
        == folder / "ag_trainset_3dpeople_bfh_archviz_5_10_mask_cam02_000001_00005_1280x720.png"
    )
    hdri = tmp_path / "ag_trainset_renderpeople_bfh_hdri"
    assert (
        mask_path(tmp_path, HDRI, 0, False)
        == hdri / "ag_trainset_renderpeople_bfh_hdri_50mm_5_10_mask_000000_00001.png"
    )


def test_cut_out_people_stand_alone_on_white(root: Path, body: BodyModel) -> None:
    samples = list(agora(root, body, cut_out=True).samples())
    assert len(samples) == 4
    for sample in samples:
        assert sample.image.shape[0] == sample.image.shape[1] and len(sample.people) == 1 and sample.mask is not None
        assert (sample.image[sample.mask == 0] == 255).all()
        (label,) = sample.people
        np.testing.assert_allclose(sample.camera.project(label.joints), label.joints_2d, atol=0.05)
        cells = label.joints_2d[label.visible].astype(int)
        assert (sample.mask[cells[:, 1], cells[:, 0]] == 1).all()


def test_splits_are_by_scan(root: Path, body: BodyModel) -> None:
    scans = [f"scan_{k}" for k in range(2000)]
    held_out = sum(split_of(scan) == "held_out" for scan in scans)
    assert 60 < held_out < 140
    for split in ("train", "held_out"):
        for sample in agora(root, body, split=split).samples():
            assert sample.split == split and all(split_of(label.facts["scan"]) == split for label in sample.people)


def test_bad_files_are_skipped_counted_and_named(root: Path, body: BodyModel, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "agora"
    shutil.copytree(root, copy)
    fits = {image: copy / f"fits/smpl_gt/scan_{Path(image).stem}_0.pkl" for image in (HDRI, ARCHVIZ, WALKING)}
    fits[HDRI].write_bytes(b"\x80\x04 no pickle")
    content = {
        "betas": np.zeros((1, 10)),
        "body_pose": np.zeros((1, 23, 3)),
        "root_pose": np.full((1, 3), np.nan),
        "transl": np.zeros((1, 3)),
    }
    fits[ARCHVIZ].write_bytes(pickle.dumps(content))
    fits[WALKING].unlink()
    data = agora(copy, body)
    samples = list(data.samples())
    assert [sample.name for sample in samples] == [HDRI] and len(samples[0].people) == 1
    report = data.skipped.report()
    assert len(data.skipped) == 3
    assert str(fits[HDRI]) in report and "is damaged" in report
    assert f"holds numbers in root_pose that are not finite (first: {fits[ARCHVIZ]})" in report
    assert f"is missing (first: {fits[WALKING]})" in report


def test_wrong_folders_are_named(root: Path, body: BodyModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: the folder does not exist"):
        agora(root, body, images=tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no dataframes"):
        agora(root, body, frames=tmp_path)
    with pytest.raises(DataError, match="only be cut out with masks"):
        agora(root, body, masks=None, cut_out=True)
    (tmp_path / "train_0.pkl").write_bytes(pickle.dumps({"imgPath": "a.png"}))
    with pytest.raises(DataError, match=r"train_0\.pkl: holds a dict, not a table"):
        list(agora(root, body, frames=tmp_path).samples())


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this ran",)


@pytest.mark.parametrize("reader", ["read_table", "read_tensors"])
def test_pickles_that_ask_to_run_something_are_refused(
    reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from uvatar_training.data import pickles

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"betas": _Evil()}))
    with pytest.raises(DataError, match=r"evil\.pkl.*asks to run 'builtins.print'"):
        getattr(pickles, reader)(path)
    # Hidden in a storage, where torch's own function would trust it.
    storage = torch.storage._load_from_bytes

    class Nested:
        def __reduce__(self) -> tuple[Any, ...]:
            return storage, (pickle.dumps(_Evil()),)

    path.write_bytes(pickle.dumps({"betas": Nested()}))
    with pytest.raises(DataError, match=r"evil\.pkl"):
        getattr(pickles, reader)(path)
    assert "this ran" not in capsys.readouterr().out
