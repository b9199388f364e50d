"""The synthetic evaluation: its metrics against independent formulas, its pictures, poses and table."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, Never

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.gravity import Gravity
from uvatar.data.joints import PARENTS
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.texture import Texture
from uvatar.evaluation.outfits import random_outfit
from uvatar.evaluation.pose_metrics import (
    BODY_JOINTS,
    LIMB_JOINTS,
    LIMB_LANDMARKS,
    mpjpe,
    pa_mpjpe,
    procrustes,
    torso_direction_error,
)
from uvatar.evaluation.poses import drawn_poses, evaluation_indices, held_out, load_poses
from uvatar.evaluation.rendering import photograph, random_background, random_light, texture_paint
from uvatar.evaluation.sitters import HEIGHT, WIDTH, Sitter, random_sitter
from uvatar.evaluation.splits import drawn_people
from uvatar.evaluation.standing import STANDING, how_it_stands, kind_of, view_of
from uvatar.evaluation.synthetic import (
    Score,
    by_kind,
    evaluate_synthetic,
    matched,
    score_person,
    summarise,
    with_focal_length,
)
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.photos.encoding import encode_jpeg
from uvatar.results.result import PersonResult, PhotoResult


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def sitter(body: BodyModel) -> Sitter:
    return random_sitter("test", load_poses()[0], body, np.random.default_rng(5))


def truth_as_result(sitter: Sitter, body: BodyModel, betas_change: float = 0.0) -> PhotoResult:
    """What a pipeline without errors would give for a sitter (``betas_change`` added to its stature)."""
    vertices, joints = body.posed(sitter.body)
    pixels = sitter.camera.project(vertices)
    box = np.concatenate([pixels.min(0), pixels.max(0)]).astype(np.float32)
    world = np.zeros((33, 3), np.float32)
    world[LIMB_LANDMARKS] = joints[LIMB_JOINTS] - joints[[1, 2]].mean(0)
    betas = sitter.body.betas.copy()
    betas[0] += betas_change
    fit = Fit(replace(sitter.body, betas=betas), np.zeros_like(vertices), 0.0, 0.0, 1.0)
    blank = np.zeros((64, 64, 3), np.uint8)
    no_mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    person = Person(box, 1.0, np.zeros((33, 3), np.float32), world, (0, 0, WIDTH, HEIGHT), no_mask, no_mask)
    photo = Photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8), None, "")
    return PhotoResult(photo, sitter.camera, [PersonResult(person, fit, Texture(blank, blank[..., 0]))], {})


def test_procrustes_finds_the_transform_a_numerical_search_finds() -> None:
    rng = np.random.default_rng(0)
    points, target = rng.normal(size=(12, 3)), rng.normal(size=(12, 3))
    points[:, 2] *= -1

    def moved(parameters: NDArray[Any]) -> NDArray[Any]:
        return np.exp(parameters[3]) * points @ Rotation.from_rotvec(parameters[:3]).as_matrix().T + parameters[4:]

    searches = [
        minimize(
            lambda p: np.square(moved(p) - target).sum(),
            np.concatenate([start, np.zeros(4)]),
            method="BFGS",
            options={"gtol": 1e-10},
        )
        for start in Rotation.random(12, random_state=1).as_rotvec()
    ]
    best = min(searches, key=lambda search: search.fun)
    np.testing.assert_allclose(procrustes(points, target), moved(best.x), atol=1e-4)
    assert pa_mpjpe(points, target) == pytest.approx(np.linalg.norm(moved(best.x) - target, axis=1).mean(), abs=1e-4)


def test_pa_mpjpe_ignores_similarity_but_not_reflection() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(24, 3))
    turned = 1.7 * points @ Rotation.random(random_state=2).as_matrix().T + [1, 2, 3]
    assert pa_mpjpe(turned, points) < 1e-12
    assert pa_mpjpe(points * [-1, 1, 1], points) > 0.1


def test_mpjpe_is_the_mean_distance_from_the_root() -> None:
    truth = np.zeros((24, 3))
    joints = truth + [5.0, 0, 0]  # the root's own offset must not count
    joints[23] += [0, 0.24, 0]
    assert mpjpe(joints, truth) == pytest.approx(0.01)
    assert mpjpe(joints[[0, 23]], truth[[0, 23]], [0, 1]) == pytest.approx(0.12)


def test_joint_sets_are_those_they_claim_to_be(body: BodyModel) -> None:
    names = np.array(body.data.joint_names)
    assert len(BODY_JOINTS) == 20 and not any("hand" in n or "foot" in n for n in names[BODY_JOINTS])
    landmarks = np.array(body.data.landmark_template)[LIMB_LANDMARKS]
    distance = np.linalg.norm(landmarks - body.data.joint_template[LIMB_JOINTS], axis=1)
    assert distance.max() < 0.06, "a limb joint is compared with another joint's landmark"


def test_torso_direction_is_an_angle_of_the_trunk(body: BodyModel, sitter: Sitter) -> None:
    _, joints = body.posed(sitter.body)
    across = np.cross(joints[[16, 17]].mean(0) - joints[[1, 2]].mean(0), [0, 0, 1.0])
    turn = Rotation.from_rotvec(np.radians(9) * across / np.linalg.norm(across))
    assert torso_direction_error(turn.apply(joints), joints) == pytest.approx(9, abs=1e-3)


def test_held_out_poses_keep_away_from_those_a_prior_sees() -> None:
    count = 8251
    fitted, tested = np.flatnonzero(~held_out(count)), evaluation_indices(count)
    assert 0.05 < len(tested) / count < 0.15
    assert np.abs(tested[:, None] - fitted).min() >= 20


def test_shipped_poses_are_poses_of_people(body: BodyModel) -> None:
    poses = load_poses()
    assert poses.shape[1:] == (24, 3) and len(poses) >= 50
    # Knees and elbows bend one way only: from the rest pose a shin never swings far to the front.
    joints = np.stack(
        [body.posed(replace(rest_body(), global_orient=pose[0], body_pose=pose[1:]))[1] for pose in poses]
    )
    for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
        thigh, shin = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        straight = np.einsum("nc,nc->n", thigh, shin) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)
        bent = straight < np.cos(np.radians(25))
        hip_turns = Rotation.from_rotvec(poses[:, 0]) * Rotation.from_rotvec(poses[:, hip])
        swing = hip_turns.inv().apply(shin)[:, 2]  # forward in the thigh's own axes
        assert (swing[bent] < 0.1).all()
    assert PARENTS[4] == 1 and PARENTS[7] == 4


def rest_body() -> BodyParameters:
    zero = np.zeros(3, np.float32)
    return BodyParameters(np.zeros(10, np.float32), zero, np.zeros((23, 3), np.float32), zero)


def test_sitter_fills_the_picture_and_is_repeatable(body: BodyModel) -> None:
    pose = load_poses()[3]
    first, again = (random_sitter("a", pose, body, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first.body.betas, again.body.betas)
    vertices, _ = body.posed(first.body)
    pixels = first.camera.project(vertices) / [WIDTH, HEIGHT]
    assert (pixels > 0).all() and (pixels < 1).all()
    assert 0.7 < np.ptp(pixels, axis=0).max() < 0.92
    assert 1.0 <= first.camera.focal / HEIGHT <= 1.8


def test_picture_shows_the_body_where_its_mask_is(body: BodyModel, sitter: Sitter) -> None:
    rng = np.random.default_rng(3)
    vertices, _ = body.posed(sitter.body)
    background = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    picture, mask = photograph(
        vertices, body.data, random_outfit(body.data, rng), sitter.camera, random_light(rng), background, rng
    )
    # The mask against an independent outline: the projected triangles filled by OpenCV.
    filled = np.zeros((HEIGHT, WIDTH), np.uint8)
    for triangle in np.round(sitter.camera.project(vertices)[body.data.faces] - 0.5).astype(np.int32):
        cv2.fillConvexPoly(filled, triangle, (1,))
    outline = filled.astype(bool)
    assert (mask & outline).sum() / (mask | outline).sum() > 0.96
    away = ~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.abs(picture[away].astype(float).mean() - 128) < 1
    assert picture[mask].std() > 15


def test_texture_paint_reads_the_texel_under_the_coordinates() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[0, 3] = 255  # top right: u near 1, v near 1
    paint = texture_paint(image)
    uv = np.array([[0.875, 0.875], [0.875, 0.125]])
    np.testing.assert_allclose(paint(np.zeros((2, 3)), uv, np.zeros(2, int)), [[1, 1, 1], [0, 0, 0]], atol=1e-6)


def test_the_truth_scores_perfectly_and_a_taller_fit_does_not(body: BodyModel, sitter: Sitter) -> None:
    _, joints = body.posed(sitter.body)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[100:700, 200:400] = True
    picture = random_background(WIDTH, HEIGHT, np.random.default_rng(0))

    def score(result: PhotoResult) -> Score:
        return score_person(sitter, result.people[0], result.camera, joints, mask, picture, body)

    perfect = score(truth_as_result(sitter, body))
    assert perfect.mpjpe < 0.01 and perfect.pa_mpjpe < 0.01 and perfect.torso_direction < 0.1 and perfect.stature == 0
    assert perfect.landmarks_mpjpe_limbs < 0.01
    taller = score(truth_as_result(sitter, body, betas_change=2.0))
    assert taller.stature > 5 and taller.mpjpe_20 > 1


def test_nobody_near_the_truth_is_no_match(body: BodyModel, sitter: Sitter) -> None:
    result = truth_as_result(sitter, body)
    vertices, _ = body.posed(sitter.body)
    pixels = sitter.camera.project(vertices).astype(int)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[pixels[:, 1], pixels[:, 0]] = True
    assert matched(result, mask) is result.people[0]
    elsewhere = np.zeros_like(mask)
    elsewhere[:40, :40] = True
    assert matched(result, elsewhere) is None
    assert matched(replace(result, people=[]), mask) is None


def test_evaluation_counts_missed_people_and_writes_table_and_sheet(body: BodyModel, tmp_path: Path) -> None:
    def nobody(data: bytes, name: str) -> Never:
        assert data[:2] == b"\xff\xd8"
        raise PhotoError("nobody")

    evaluation = evaluate_synthetic(tmp_path, nobody, count=2, body=body)
    assert evaluation.found == 0 and len(evaluation.scores) == 2 and evaluation.summary == {}
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8")))
    assert [row["found"] for row in rows] == ["False", "False"]
    assert (tmp_path / "sheet_0.jpg").stat().st_size > 10_000
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_summary_leaves_out_the_missed(body: BodyModel, sitter: Sitter) -> None:
    _, joints = body.posed(sitter.body)
    result = truth_as_result(sitter, body, betas_change=2.0)
    mask = np.ones((HEIGHT, WIDTH), bool)
    good = score_person(
        sitter, result.people[0], result.camera, joints, mask, np.zeros((HEIGHT, WIDTH, 3), np.uint8), body
    )
    missed = replace(good, found=False, mpjpe=np.nan)
    assert summarise([good, missed])["mpjpe"][0] == pytest.approx(good.mpjpe)


@pytest.mark.slow
def test_pipeline_on_our_own_people_meets_the_targets_in_3d(tmp_path: Path) -> None:
    evaluation = evaluate_synthetic(tmp_path, count=6)
    assert evaluation.found >= 5
    assert evaluation.summary["mpjpe_20"][1] < 10
    assert evaluation.summary["pa_mpjpe_limbs"][1] < 8.5
    assert evaluation.summary["torso_direction"][1] < 10


@pytest.mark.slow
def test_bodies_of_our_own_people_that_are_only_predicted_are_near_them(tmp_path: Path) -> None:
    evaluation = evaluate_synthetic(tmp_path, count=4, refine=False)
    assert evaluation.found >= 3
    assert evaluation.summary["mpjpe_20"][1] < 12
    assert evaluation.summary["mpjpe_20"][1] < 0.7 * evaluation.summary["standing_mpjpe_20"][1]


def test_splits_share_no_pose_and_know_their_vertical(body: BodyModel) -> None:
    bank = load_poses()
    poses = {}
    for split in ("tuning", "final"):
        people = list(drawn_people(split, bank, 12, 0, body))
        assert {one.sitter.name for one in people} == {f"{i:03d}" for i in range(12)}
        poses[split] = {tuple(one.sitter.body.body_pose.ravel().tolist()) for one in people}
        assert len({one.focal_known for one in people}) == 2
        for one in people:
            assert np.isclose(np.linalg.norm(one.sitter.up), 1) and one.sitter.up[1] < -0.7
    assert len(poses["final"]) == 12 and not poses["final"] & poses["tuning"]
    same = [one.sitter.body.transl for one in drawn_people("all", bank, 3, 0, body)]
    expected = [random_sitter(name, pose, body, rng).body.transl for name, pose, rng in drawn_poses(bank, 3, 0)]
    assert np.allclose(same, expected)


def test_a_body_that_leans_in_its_scene_is_told_from_one_that_the_camera_saw_from_above(body: BodyModel) -> None:
    standing = next(
        one.sitter for one in drawn_people("tuning", load_poses(), 30, 0, body) if kind_of(one.sitter, body) == STANDING
    )
    right = how_it_stands(standing, standing.body, Gravity(up=standing.up), body)
    assert right.gravity < 0.1 and abs(right.lean) < 0.1 and right.feet < 2 and np.isnan(right.below)
    lowest = -float((body.posed(standing.body)[0] @ np.array(standing.up)).min())
    sunk = how_it_stands(standing, standing.body, Gravity(up=standing.up, ground=lowest - 0.05), body)
    assert sunk.below == pytest.approx(5, abs=0.01)
    level = how_it_stands(standing, standing.body, Gravity(), body)
    tilt = float(np.degrees(np.arccos(-standing.up[1])))
    assert level.gravity == pytest.approx(tilt, abs=0.1)
    if view_of(standing.yaw) == "front":
        assert abs(level.lean) > 0.4 * tilt


def test_a_pictures_focal_length_is_told_in_its_exif(sitter: Sitter) -> None:
    picture = encode_jpeg(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 90)
    told = decode_photo(with_focal_length(picture, sitter.camera)).focal
    assert told == pytest.approx(sitter.camera.focal, rel=0.03)


def test_the_kinds_count_whoever_belongs_to_them() -> None:
    scores = [
        Score("a", "male", 0.0, True, STANDING, gravity=3.0, lean=-2.0, feet=1.0, stature=1.0, mpjpe_20=5.0),
        Score("b", "child", 90.0, True, STANDING, gravity=4.0, lean=6.0, below=2.0, wrong_age=1.0, stature=9.0),
        Score("c", "male", 0.0, False),
    ]
    rows = {row["kind"]: row for row in by_kind(scores)}
    assert rows["all"]["people"] == 2 and rows["all"]["gravity, rms"] == pytest.approx(np.sqrt(12.5))
    assert rows["standing, side"]["people"] == 1 and rows["children"]["stature"] == 9.0
    assert rows["all"]["forward"] == 2.0 and rows["all"]["lean, median"] == 4.0
    assert rows["all"]["feet"] == 1.0 and rows["all"]["below"] == 2.0  # of those who have it
    assert rows["children"]["wrong_age"] == 1.0
    assert "not standing" not in rows
