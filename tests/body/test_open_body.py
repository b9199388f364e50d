"""What artists, riggers and fitting rely on in the open body that ships."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.body import BODY, LEFT_EYE, RIGHT_EYE, BodyModel
from uvatar.body.data import triangulate
from uvatar.data.joints import JOINT_NAMES
from uvatar.data.landmarks import LANDMARK_NAMES
from uvatar.runtime.weights import weights_folder


def at(body: BodyModel, joint: str) -> NDArray[Any]:
    return body.data.joint_template[JOINT_NAMES.index(joint)]


def shaped(body: BodyModel, **betas: float) -> NDArray[Any]:
    """Rest vertices with single betas set by name: b0=2.0."""
    values = np.zeros(10)
    for name, value in betas.items():
        values[int(name[1:])] = value
    return body.data.v_template + body.data.shapedirs @ values


def stature(vertices: NDArray[Any]) -> float:
    return float(np.ptp(vertices[:, 1]))


def test_mesh_is_closed_quads_with_eyes(body: BodyModel) -> None:
    data = body.data
    assert 13_000 < len(data.v_template) < 14_000
    assert data.quads is not None
    assert np.array_equal(data.faces, triangulate(data.quads))
    edges = np.concatenate([data.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    _, uses = np.unique(np.sort(edges, 1), axis=0, return_counts=True)
    assert (uses == 2).all()  # no holes, no edge with three faces
    assert len(np.unique(edges, axis=0)) == len(edges)  # neighbours turn the same way
    corner = data.v_template[data.faces]
    volume = np.einsum("fc,fc->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6
    assert 0.04 < volume < 0.1  # outward
    for eye, side in ((LEFT_EYE, 1), (RIGHT_EYE, -1)):
        assert (data.part == eye).sum() == 72
        assert (data.v_template[data.part == eye, 0] * side > 0).all()
        assert (data.weights[data.part == eye, JOINT_NAMES.index("head")] == 1).all()


def test_uv_atlas_does_not_overlap(body: BodyModel) -> None:
    data = body.data
    assert data.has_uv
    assert data.quad_uv is not None
    assert np.array_equal(data.face_uv, triangulate(data.quad_uv))
    assert data.uv.min() >= 0
    assert data.uv.max() <= 1
    a, b, c = (data.uv[data.face_uv[:, i]].astype(float) for i in range(3))
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert abs(np.sign(area).sum()) == len(area)  # no triangle is flipped or empty
    # Where triangles lie over each other, fewer texels are covered than their areas add up to.
    size = 512
    y, x = (np.indices((size, size)).reshape(2, -1) + 0.5) / size
    covered = np.zeros(size * size, bool)
    for p, q, r in zip(a, b, c, strict=True):
        corners = np.stack([p, q, r]) * size
        low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        box = (np.arange(low[1], high[1])[:, None] * size + np.arange(low[0], high[0])).ravel()
        box = box[box < size * size]
        points = np.stack([x[box], y[box]], 1)
        sides = [
            np.sign((v - u)[0] * (points[:, 1] - u[1]) - (v - u)[1] * (points[:, 0] - u[0]))
            for u, v in ((p, q), (q, r), (r, p))
        ]
        covered[box[(np.abs(sum(sides)) == 3)]] = True
    assert covered.mean() == pytest.approx(np.abs(area).sum(), rel=0.02)


def test_skin_is_light_and_normalised(body: BodyModel) -> None:
    weights = body.data.weights
    assert ((weights > 0).sum(1) <= 4).all()
    assert np.allclose(weights.sum(1), 1, atol=1e-5)
    assert (weights >= 0).all()


def test_joint_regressor_is_sparse_and_convex(body: BodyModel) -> None:
    regressor = body.data.J_regressor
    assert regressor.nnz < 24 * 40
    assert (regressor.data > 0).all()
    assert np.allclose(np.asarray(regressor.sum(1)).ravel(), 1, atol=1e-5)


def test_rest_pose_is_a_plain_t(body: BodyModel) -> None:
    assert np.allclose(at(body, "pelvis"), (0, -0.22, 0.03), atol=4e-3)
    for side, sign in (("left", 1), ("right", -1)):
        for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
            bone = at(body, f"{side}_{end}") - at(body, f"{side}_{start}")
            assert bone[0] * sign / np.linalg.norm(bone) > np.cos(np.radians(2))
        for start, end in (("hip", "knee"), ("knee", "ankle")):
            bone = at(body, f"{side}_{end}") - at(body, f"{side}_{start}")
            assert -bone[1] / np.linalg.norm(bone) > np.cos(np.radians(2))
        assert at(body, f"{side}_foot")[2] > at(body, f"{side}_ankle")[2] + 0.08


def test_everything_is_mirror_symmetric(body: BodyModel) -> None:
    data = body.data
    flip = np.array([-1, 1, 1])
    assert np.array_equal(data.mirror[data.mirror], np.arange(len(data.mirror)))
    assert np.abs(data.v_template[data.mirror] * flip - data.v_template).max() < 1e-4
    assert np.abs(data.shapedirs[data.mirror] * flip[:, None] - data.shapedirs).max() < 2e-4
    other = {"left": "right", "right": "left"}
    swapped = [JOINT_NAMES.index("_".join(other.get(word, word) for word in name.split("_"))) for name in JOINT_NAMES]
    assert np.abs(data.weights[data.mirror][:, swapped] - data.weights).max() < 1e-3
    points = dict(zip(LANDMARK_NAMES, data.landmark_template, strict=True))
    for name, point in points.items():
        if name.startswith("left_"):
            assert np.allclose(points[name.replace("left", "right")] * flip, point, atol=1e-4), name


def test_beta_0_is_stature_and_nothing_else_is(body: BodyModel) -> None:
    middle = stature(shaped(body))
    assert 1.64 < middle < 1.72
    unit = stature(shaped(body, b0=1)) - middle
    assert 0.1 < unit < 0.25
    assert stature(shaped(body, b0=2)) - middle == pytest.approx(2 * unit, abs=0.005)
    for k in range(1, 10):
        for value in (-1.0, 1.0):
            assert abs(stature(shaped(body, **{f"b{k}": value})) - middle) < 0.01, k


def test_beta_1_is_weight(body: BodyModel) -> None:
    def volume(vertices: NDArray[Any]) -> float:
        corner = vertices[body.data.faces]
        return float(np.einsum("fc,fc->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6)

    volumes = [volume(shaped(body, b1=value)) for value in (-2, -1, 0, 1, 2)]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 1.8 * volumes[0]


def test_gender_is_not_stature(body: BodyModel) -> None:
    """Men and women of the same stature differ in hips and shoulders, by a beta that is not beta 0."""
    male, female = (body.data.shape_prior[group] for group in ("male", "female"))
    difference = female.mean - male.mean
    assert difference[2] > 1.5
    assert abs(difference[0]) < difference[2] / 2
    joints = body.data.joint_shapedirs[:, 0, 2]
    assert joints[JOINT_NAMES.index("left_shoulder")] < -0.005  # more feminine: narrower shoulders


def test_shape_priors_cover_people(body: BodyModel) -> None:
    assert set(body.data.shape_prior) == {"male", "female", "child"}
    for prior in body.data.shape_prior.values():
        assert np.linalg.eigvalsh(prior.covariance).min() > 1e-3
    statures = {
        group: stature(body.data.v_template + body.data.shapedirs @ prior.mean)
        for group, prior in body.data.shape_prior.items()
    }
    assert statures["male"] > statures["female"] > statures["child"]
    assert 1.70 < statures["male"] < 1.82
    assert 1.58 < statures["female"] < 1.68


def test_a_child_of_four_has_a_childs_proportions(body: BodyModel) -> None:
    """The likeliest child of 1.05 m: crown to chin is more than a sixth of it, an adult's less than a seventh (growth
    charts).
    """
    prior = body.data.shape_prior["child"]
    wanted = (1.05 - stature(shaped(body))) / (stature(shaped(body, b0=1)) - stature(shaped(body)))
    gain = prior.covariance[:, 0] / prior.covariance[0, 0]
    betas = prior.mean + gain * (wanted - prior.mean[0])
    assert np.abs(betas).max() < 5

    own = np.flatnonzero((body.data.weights[:, JOINT_NAMES.index("head")] > 0.9) & (body.data.v_template[:, 2] > 0.15))
    chin = own[np.argmin(body.data.v_template[own, 1])]

    def head_share(values: NDArray[Any]) -> float:
        vertices = body.data.v_template + body.data.shapedirs @ values
        return float((vertices[:, 1].max() - vertices[chin, 1]) / stature(vertices))

    assert stature(body.data.v_template + body.data.shapedirs @ betas) == pytest.approx(1.05, abs=0.03)
    assert head_share(betas) > 1 / 6
    assert head_share(np.zeros(10)) < 1 / 7


def test_landmarks_lie_where_blazepose_marks_them(body: BodyModel) -> None:
    points = dict(zip(LANDMARK_NAMES, body.data.landmark_template, strict=True))
    for name in LANDMARK_NAMES:
        if "left" in name:
            assert points[name][0] > 0.01, name
    face = body.data.v_template[body.data.part == BODY]
    assert np.linalg.norm(face - points["nose"], axis=1).min() < 0.01
    assert np.linalg.norm(points["left_shoulder"] - at(body, "left_shoulder")) < 0.03
    assert points["left_heel"][2] < points["left_ankle"][2] < points["left_foot_index"][2]
    assert points["left_wrist"][0] < points["left_thumb"][0] < points["left_index"][0]
    assert points["nose"][1] < points["left_eye"][1]
    assert points["left_eye_inner"][0] < points["left_eye"][0] < points["left_eye_outer"][0] < points["left_ear"][0]
    assert np.allclose(body.data.landmark_weights.sum(1), 1)


def test_provenance_names_this_very_file(body: BodyModel) -> None:
    folder = weights_folder()
    digest = hashlib.sha256((folder / "open_body.npz").read_bytes()).hexdigest()
    assert digest in (folder / "open_body.md").read_text(encoding="utf-8")
    assert "CC0" in body.data.licence


def test_betas_have_names_of_their_own(body: BodyModel) -> None:
    assert len(set(body.data.beta_names)) == 10
    assert body.data.beta_names[:2] == ("stature", "body mass index")
