"""People of the open body on a body in SMPL's format.

What belongs together is known: its vertices were the open body's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.atlases import atlas_of
from tests.transfer.smpl_like import Other, write_files
from uvatar.body import BodyError, BodyModel, load_smpl
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.joints import JOINT_NAMES
from uvatar.data.labels import Label
from uvatar.geometry.mesh import face_normals
from uvatar.texturing import Texture, TexturingError
from uvatar.transfer import Registration, register, transfer_fit, transfer_texture
from uvatar.transfer.closest import ClosestPoints, closest_on_triangles, exposed
from uvatar.transfer.smpl import with_uv

LEFT_WRIST, RIGHT_WRIST = JOINT_NAMES.index("left_wrist"), JOINT_NAMES.index("right_wrist")


def fit_of(body: BodyModel, seed: int, dressed: bool = False) -> Fit:
    """A person in front of the camera: seed 0 stands with hanging arms, 1 sits and waves with the left hand, others are
    as they come.
    """
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.15, (23, 3))
    pose[[15, 16]] = [(0, 0, -1.1), (0, 0, 1.1)]
    if seed == 1:
        pose[[0, 1]], pose[[3, 4]] = (-1.5, 0, 0), (1.5, 0, 0)  # hips, knees
        pose[15] = (0, 0, 0.9)
    offsets = np.zeros_like(body.data.v_template)
    if dressed:
        offsets[:, 2] = 0.02 * np.sin(20 * body.data.v_template[:, 1])
        offsets[body.data.v_template[:, 1] > 0.45, 1] += 0.03  # hair
    parameters = (rng.normal(0, 0.8, 10), np.array([np.pi - 0.1, 0.3, 0.1]), pose, np.array([0.2, 0.1, 3.5]))
    return Fit(
        BodyParameters(*(values.astype(np.float32) for values in parameters)),
        offsets,
        0.003,
        0.01,
        0.83,
        notes=("a note",),
    )


def skin(body: BodyModel, other: Other) -> NDArray[np.bool_]:
    """(6890,) vertices that can be seen: SMPL has no inside of the mouth."""
    data = body.data
    return np.isin(other.kept, np.unique(data.faces[exposed(data.v_template, data.faces)]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dressed", [False, True])
def test_the_surface_stays_where_it_was_in_the_photo(
    seed: int, dressed: bool, body: BodyModel, smpl: BodyModel, other: Other, registration: Registration
) -> None:
    fit = fit_of(body, seed, dressed)
    transferred = transfer_fit(fit, registration)
    theirs = smpl.posed(transferred.fit.body, transferred.fit.offsets)[0]
    apart = np.linalg.norm(theirs - body.posed(fit.body, fit.offsets)[0][other.kept], axis=1)[skin(body, other)]
    assert apart.mean() < 0.004 and np.percentile(apart, 99) < 0.02 and apart.max() < 0.04
    assert abs(transferred.distance_mean - apart.mean()) < 0.003
    assert transferred.fit.offsets.any() == dressed


def test_clothes_lie_on_the_rest_body_as_they_did(
    body: BodyModel, smpl: BodyModel, other: Other, registration: Registration
) -> None:
    bare, dressed = fit_of(body, 0), fit_of(body, 0, dressed=True)
    data, transferred = smpl.data, transfer_fit(dressed, registration).fit
    np.testing.assert_array_equal(transferred.body.betas, transfer_fit(bare, registration).fit.body.betas)
    seen = skin(body, other)
    assert (
        np.abs(transferred.offsets - dressed.offsets[other.kept])[seen].mean() < 0.003
    )  # the betas say the rest of the form
    rest = data.v_template + data.shapedirs @ transferred.body.betas
    before, after = face_normals(rest, data.faces), face_normals(rest + transferred.offsets, data.faces)
    outside = seen[data.faces].all(1)
    assert ((before * after).sum(1)[outside] < 0).mean() < 0.002  # hardly a triangle turned over
    corners = np.stack([(rest + transferred.offsets)[data.faces], rest[data.faces]])
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=2), axis=3).max(2)
    assert (longest[0] - longest[1])[outside].max() < 0.03  # no spikes


@pytest.mark.parametrize("seed", range(3))
def test_betas_are_refitted_in_the_file_s_own_shape_space(
    seed: int, body: BodyModel, smpl: BodyModel, other: Other, registration: Registration
) -> None:
    betas = fit_of(body, seed).body.betas
    true = np.linalg.solve(other.mixing, betas) + other.shift
    wrong = registration.target_betas(betas) - true
    assert np.abs(wrong).max() < 0.45  # the last ones hardly change the body
    assert np.linalg.norm(smpl.data.shapedirs @ wrong, axis=1)[skin(body, other)].mean() < 0.003
    assert np.abs(registration.source_betas(registration.target_betas(betas)) - betas).max() < 0.1


def test_joints_and_sides_are_kept(body: BodyModel, smpl: BodyModel, registration: Registration) -> None:
    fit = fit_of(body, 1)  # waves with the left hand
    transferred = transfer_fit(fit, registration).fit
    ours, theirs = body.posed(fit.body)[1], smpl.posed(transferred.body)[1]
    assert np.abs(ours - theirs).max() < 0.06  # hips and spine are defined otherwise
    limbs = [
        i
        for i, name in enumerate(JOINT_NAMES)
        if name.split("_")[-1] in ("knee", "ankle", "foot", "elbow", "wrist", "hand")
    ]
    assert np.linalg.norm(ours - theirs, axis=1)[limbs].max() < 0.02
    assert theirs[LEFT_WRIST, 1] < theirs[RIGHT_WRIST, 1] - 0.3  # y points down in the photo
    assert (transferred.confidence, transferred.landmark_error_p95, transferred.notes) == (
        fit.confidence,
        fit.landmark_error_p95,
        fit.notes,
    )


def test_hands_that_another_estimator_has_bent_stay_bent(
    body: BodyModel, smpl: BodyModel, registration: Registration
) -> None:
    fit = fit_of(body, 0)
    fit.body.body_pose[21:] = 0
    straight = transfer_fit(fit, registration).fit.body
    fit.body.body_pose[21] = (0.6, 0.2, -0.1)
    bent = transfer_fit(fit, registration).fit.body
    assert np.linalg.norm(bent.body_pose[21]) == pytest.approx(np.linalg.norm((0.6, 0.2, -0.1)), abs=1e-4)
    assert np.linalg.norm(straight.body_pose[21:]) < 1e-6 and np.linalg.norm(bent.body_pose[22]) < 1e-6


def painted(body: BodyModel, size: int, points: NDArray[Any]) -> tuple[Texture, NDArray[Any]]:
    """A texture whose colour says where on the rest body a texel lies and whose label says which side; and the colour
    of ``points``.
    """

    def colour(where: NDArray[Any]) -> NDArray[Any]:
        return 128 + 100 * np.sin(where * np.array([8, 6, 9]) + 1)

    table, data = atlas_of(body, size).table, body.data
    where = table.interpolate(data.v_template, data.faces)
    labels = np.where(where[:, 0] > 0, Label.SEEN, Label.COMPLETED).astype(np.uint8)
    return Texture(table.picture(colour(where).round().astype(np.uint8)), table.scatter(labels)), colour(points)


@pytest.mark.parametrize("size", [256, 512])
def test_every_texel_shows_what_lies_there(
    size: int, body: BodyModel, smpl: BodyModel, other: Other, registration: Registration
) -> None:
    place = body.data.v_template[other.kept]
    texture, colours = painted(body, 512, place)
    transferred = transfer_texture(texture, registration, size, atlas_of(body, 512).table)
    assert transferred.image.shape == (size, size, 3) and transferred.source.shape == (size, size)
    table, faces = atlas_of(smpl, size).table, smpl.data.faces
    seen = skin(body, other)[faces].all(1)[table.face]
    wrong = np.abs(transferred.image.reshape(-1, 3)[table.pixel] - table.interpolate(colours, faces)).max(1)[seen]
    assert (
        np.median(wrong) < 2.5 and np.percentile(wrong, 99) < 12
    )  # levels of 255; the layout's islands overlap here and there
    side = table.interpolate(place[:, 0], faces)
    sure = seen & (np.abs(side) > 0.005)
    labels = transferred.source.ravel()[table.pixel]
    assert (np.where(side > 0, Label.SEEN, Label.COMPLETED) == labels)[sure].mean() > 0.999
    assert (transferred.source > 0).sum() == len(table)  # and nothing outside the islands
    gutters = np.setdiff1d(np.arange(size * size), table.pixel)
    assert transferred.image.reshape(-1, 3)[gutters].any(1).mean() > 0.99  # are dilated


def test_a_body_without_uv_map_takes_pose_and_shape_but_no_texture(
    body: BodyModel, smpl: BodyModel, registration: Registration, models: Path, tmp_path: Path
) -> None:
    plain = load_smpl(models / "SMPL_NEUTRAL.pkl")
    bare = register(body, plain)
    np.testing.assert_allclose(bare.shape, registration.shape)
    with pytest.raises(TexturingError, match="no UV layout"):
        transfer_texture(painted(body, 64, np.zeros((1, 3)))[0], bare, 64, atlas_of(body, 64).table)
    (tmp_path / "smpl_uv.obj").write_text("vt 0 0\nf 1/1 2/1 3/1\n")
    with pytest.raises(BodyError, match=r"smpl_uv\.obj is not a UV map"):
        with_uv(plain, tmp_path / "smpl_uv.obj")


@pytest.mark.parametrize("broken", ["centimetres", "noise"])
def test_a_mesh_that_is_no_body_in_metres_is_refused(
    broken: str, body: BodyModel, other: Other, tmp_path: Path
) -> None:
    content = dict(other.content)
    vertices = np.asarray(content["v_template"])
    content["v_template"] = (
        100 * vertices if broken == "centimetres" else np.random.default_rng(0).normal(size=vertices.shape)
    )
    path = write_files(replace(other, content=content), tmp_path, uv=False)
    with pytest.raises(BodyError, match="cannot be matched to the open body"):
        register(body, load_smpl(path))


def test_closest_points_of_triangles_are_those_of_a_dense_sampling() -> None:
    rng = np.random.default_rng(0)
    corners, points = rng.normal(size=(200, 3, 3)), rng.normal(size=(200, 3)) * 1.5
    weights = closest_on_triangles(points, corners)
    assert (weights >= -1e-12).all() and np.allclose(weights.sum(1), 1)
    got = np.linalg.norm(np.einsum("nk,nkx->nx", weights, corners) - points, axis=1)
    grid = np.array([(i, j, 60 - i - j) for i in range(61) for j in range(61 - i)]) / 60
    dense = np.linalg.norm(np.einsum("gk,nkx->ngx", grid, corners) - points[:, None], axis=-1).min(1)
    assert (got <= dense + 1e-9).all() and (dense - got).max() < 0.05


def test_surfaces_that_face_away_are_not_the_same_place() -> None:
    """Two parallel sheets, 1 cm apart, that face away from each other, as the two sides of an ear."""
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)
    vertices = np.concatenate([square, square - (0, 0, 0.01)])
    faces = np.array([(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6)])
    mesh, up = ClosestPoints(vertices, faces), np.array([[0, 0, 1.0]])
    near_lower = np.array([[0.6, 0.3, -0.009]])
    for normals, height in ((up, 0.0), (-up, -0.01)):
        found = mesh.closest(near_lower, normals)
        np.testing.assert_allclose(mesh.at(found), [[0.6, 0.3, height]], atol=1e-12)
    assert np.isinf(ClosestPoints(vertices[:4], faces[:2]).closest(near_lower, -up).distance).all()
