"""Clothing offsets on bodies whose clothes are known: a smooth coat is put on, its mask drawn, and the coat
looked for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BODY, BodyModel, load_open_body
from uvatar.clothing.model import ClothingModel, prepare_clothing
from uvatar.clothing.offsets import clothing_offsets
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.person import Person
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.mesh import face_normals, vertex_normals
from uvatar.geometry.raster import rasterize

CAMERA = Camera.for_photo(500, 700)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@cache
def clothing_model(body: BodyModel) -> ClothingModel:
    return prepare_clothing(body)


def standing(body: BodyModel, yaw: float = 0.2, arms: float = 1.0, x: float = 0.1) -> Fit:
    """A body with its arms down and its legs a little apart, four metres in front of the camera."""
    pose = np.zeros((23, 3), np.float32)
    pose[15], pose[16] = (0, 0, -arms), (0, 0, arms)
    pose[0], pose[1] = (0, 0, 0.08), (0, 0, -0.08)
    facing = (Rotation.from_euler("x", np.pi) * Rotation.from_euler("y", yaw)).as_rotvec()
    parameters = BodyParameters(
        np.zeros(10, np.float32), facing.astype(np.float32), pose, np.array([x, -0.3, 4], np.float32)
    )
    return Fit(parameters, np.zeros_like(body.data.v_template), 0.0, 0.0, 1.0)


def coat(body: BodyModel, thickness: float) -> NDArray[Any]:
    """Rest-pose displacements (V, 3) along smoothed normals from the knees to the chest, fading out at both ends."""
    data = body.data
    x, y = data.v_template[:, 0], data.v_template[:, 1]
    normals = vertex_normals(data.v_template, data.faces)
    edges = np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]], data.faces[:, [2, 0]]])
    for _ in range(30):
        summed = normals.copy()
        np.add.at(summed, edges[:, 0], normals[edges[:, 1]])
        np.add.at(summed, edges[:, 1], normals[edges[:, 0]])
        normals = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)
    amount = (
        np.clip((y + 0.75) / 0.2, 0, 1) * np.clip((0.15 - y) / 0.2, 0, 1) * np.clip((0.25 - np.abs(x)) / 0.08, 0, 1)
    )
    return (thickness * amount[:, None] * normals).astype(np.float32)


def seen_as(mask: NDArray[Any], others: NDArray[Any] | None = None) -> Person:
    """A person whose visible part is ``mask`` (H, W), with ``others`` (H, W) in front."""
    others = np.zeros_like(mask) if others is None else others
    mask = mask & ~others
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x0, y0, x1, y1 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    window = max(x0 - 20, 0), max(y0 - 20, 0), min(x1 + 20, mask.shape[1]), min(y1 + 20, mask.shape[0])
    crop = slice(window[1], window[3]), slice(window[0], window[2])
    landmarks = np.tile(np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1], np.float32), (33, 1))  # all are seen
    box = np.array([x0, y0, x1, y1], np.float32)
    return Person(
        box,
        1.0,
        landmarks,
        landmarks,
        window,
        mask[crop].astype(np.uint8) * np.uint8(255),
        others[crop].astype(np.uint8) * np.uint8(255),
    )


def silhouette(body: BodyModel, fit: Fit, offsets: NDArray[Any] | None = None, camera: Camera = CAMERA) -> NDArray[Any]:
    return rasterize(body.posed(fit.body, offsets)[0], body.data.faces, camera).mask


def spoilt_quads(before: NDArray[Any], after: NDArray[Any], faces: NDArray[Any]) -> int:
    """Quads of which a half has turned over, or whose halves have folded onto each other."""
    old, new = (face_normals(vertices, faces) for vertices in (before, after))
    old, new = (n / np.linalg.norm(n, axis=1, keepdims=True) for n in (old, new))
    turned = ((old * new).sum(1) < 0).reshape(-1, 2).any(1)
    flat_before, flat_after = (old[::2] * old[1::2]).sum(1), (new[::2] * new[1::2]).sum(1)
    return int((turned | ((flat_after < 0) & (flat_before > 0.3))).sum())


@pytest.fixture(scope="module")
def dressed(body: BodyModel) -> tuple[Fit, NDArray[Any], NDArray[Any]]:
    """A fit without clothes, the coat's true offsets, and the offsets found from its mask."""
    fit = standing(body)
    true = coat(body, 0.07)
    found = clothing_offsets(fit, seen_as(silhouette(body, fit, true)), CAMERA, clothing_model(body))
    return fit, true, found


def test_the_outline_meets_the_mask(body: BodyModel, dressed: tuple[Fit, NDArray[Any], NDArray[Any]]) -> None:
    fit, true, found = dressed
    mask = silhouette(body, fit, true)
    assert mask_iou(silhouette(body, fit), mask) < 0.9
    assert mask_iou(silhouette(body, fit, found), mask) >= 0.97


def test_a_coat_is_as_deep_as_it_is_wide(body: BodyModel, dressed: tuple[Fit, NDArray[Any], NDArray[Any]]) -> None:
    """The mask shows the width only; belly and back must grow with it, by at least half of what the coat really is."""
    _fit, true, found = dressed
    template = body.data.v_template
    at_the_hips = (np.abs(template[:, 1] + 0.25) < 0.05) & (np.abs(template[:, 0]) < 0.2) & (body.data.part == BODY)
    depth = [np.ptp((template + offsets)[at_the_hips, 2]) for offsets in (np.zeros_like(true), true, found)]
    assert depth[1] > depth[0] + 0.1
    assert depth[0] + 0.5 * (depth[1] - depth[0]) < depth[2] < depth[0] + 1.5 * (depth[1] - depth[0])


def test_offsets_are_close_to_the_true_coat(dressed: tuple[Fit, NDArray[Any], NDArray[Any]]) -> None:
    _, true, found = dressed
    assert np.sqrt(((found - true) ** 2).sum(1).mean()) < 0.6 * np.sqrt((true**2).sum(1).mean())


def test_no_quad_is_turned_over_or_folded(body: BodyModel, dressed: tuple[Fit, NDArray[Any], NDArray[Any]]) -> None:
    fit, _, found = dressed
    template = body.data.v_template
    assert spoilt_quads(template, template + found, body.data.faces) == 0
    assert spoilt_quads(body.posed(fit.body)[0], body.posed(fit.body, found)[0], body.data.faces) == 0


def test_a_jagged_mask_folds_nothing(body: BodyModel) -> None:
    fit = standing(body)
    mask = silhouette(body, fit, coat(body, 0.1))
    rng = np.random.default_rng(0)
    noise = np.kron(rng.random((700 // 10, 500 // 10)) < 0.5, np.ones((10, 10), bool))
    ring = mask & ~silhouette(body, fit)
    jagged = mask & ~(ring & noise)
    found = clothing_offsets(fit, seen_as(jagged), CAMERA, clothing_model(body))
    assert spoilt_quads(body.posed(fit.body)[0], body.posed(fit.body, found)[0], body.data.faces) == 0


def test_a_naked_body_stays_as_it_is(body: BodyModel) -> None:
    fit = standing(body)
    found = clothing_offsets(fit, seen_as(silhouette(body, fit)), CAMERA, clothing_model(body))
    assert np.linalg.norm(found, axis=1).max() < 0.018
    assert np.linalg.norm(found, axis=1).mean() < 0.004


def test_the_face_stays_and_the_eyes_follow_their_sockets_as_a_whole(
    body: BodyModel, dressed: tuple[Fit, NDArray[Any], NDArray[Any]]
) -> None:
    _, _, found = dressed
    data = body.data
    nose = np.linalg.norm(data.v_template - data.landmark_template[0], axis=1) < 0.05
    assert np.linalg.norm(found[nose], axis=1).max() < 0.004
    for eye in (1, 2):
        assert np.ptp(found[data.part == eye], axis=0).max() < 1e-6


def test_a_skirt_closes_the_gap_between_the_legs(body: BodyModel) -> None:
    fit = standing(body, yaw=0)
    mask = silhouette(body, fit).copy()
    joints = CAMERA.project(body.posed(fit.body)[1])
    top, bottom = int(joints[0, 1]), int(joints[[4, 5], 1].mean())
    legs = np.flatnonzero(mask[bottom])
    for row in range(top, bottom):
        share = (row - top) / (bottom - top)
        mask[row, int(legs[0] + 8 * (1 - share)) - 6 : int(legs[-1] - 8 * (1 - share)) + 7] = True
    found = clothing_offsets(fit, seen_as(mask), CAMERA, clothing_model(body))
    before, after = silhouette(body, fit), silhouette(body, fit, found)
    gap = slice(top + (bottom - top) // 2, bottom - 8), slice(int(legs[0]), int(legs[-1]))
    assert before[gap].mean() < 0.9
    assert after[gap].mean() > 0.97


def test_somebody_in_front_is_not_a_hem(body: BodyModel) -> None:
    """Another person hides the left half of the legs: their border must not pull the body in or out there."""
    fit = standing(body, yaw=0)
    true = silhouette(body, fit)
    others = np.zeros_like(true)
    rows, columns = np.flatnonzero(true.any(1)), np.flatnonzero(true.any(0))
    others[int(rows.mean()) :, : int(columns.mean())] = True
    found = clothing_offsets(fit, seen_as(true, others), CAMERA, clothing_model(body))
    assert np.linalg.norm(found, axis=1).max() < 0.02
    assert mask_iou(silhouette(body, fit, found), true) > 0.98


def test_the_edge_of_the_photo_is_not_a_hem(body: BodyModel) -> None:
    fit = standing(body)
    tall = silhouette(body, fit)
    rows = np.flatnonzero(tall.any(1))
    cut = Camera(CAMERA.focal, CAMERA.center, CAMERA.width, int(rows.mean()))
    found = clothing_offsets(fit, seen_as(silhouette(body, fit, camera=cut)), cut, clothing_model(body))
    assert np.linalg.norm(found, axis=1).max() < 0.018
    legs = body.data.v_template[:, 1] < -0.6
    assert np.linalg.norm(found[legs], axis=1).max() < 0.005


def test_displacements_are_limited(body: BodyModel) -> None:
    """A mask far larger than any coat: nothing moves farther than 12 % of the body's height."""
    fit = standing(body)
    mask = silhouette(body, fit)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    mask[rows[0] : rows[-1], columns[0] : columns[-1]] = True
    found = clothing_offsets(fit, seen_as(mask), CAMERA, clothing_model(body))
    assert np.linalg.norm(found, axis=1).max() <= 0.12 * np.ptp(body.data.v_template[:, 1]) + 1e-6


def test_a_mask_somewhere_else_gives_no_clothes(body: BodyModel) -> None:
    fit = standing(body)
    mask = np.zeros((CAMERA.height, CAMERA.width), bool)
    mask[:20, :20] = True
    assert np.abs(clothing_offsets(fit, seen_as(mask), CAMERA, clothing_model(body))).max() < 1e-9


def test_a_body_of_triangles_is_dressed_too(body: BodyModel) -> None:
    """Official SMPL files have no quads."""
    triangles = BodyModel(replace(body.data, quads=None, quad_uv=None))
    fit = standing(body)
    mask = silhouette(body, fit, coat(body, 0.07))
    assert (
        mask_iou(silhouette(body, fit, clothing_offsets(fit, seen_as(mask), CAMERA, clothing_model(triangles))), mask)
        > 0.96
    )


def test_a_limb_twisted_half_around_stays_finite(body: BodyModel) -> None:
    fit = standing(body)
    pose = fit.body.body_pose.copy()
    pose[[17, 19], 0] = np.pi
    twisted = replace(fit, body=replace(fit.body, body_pose=pose))
    found = clothing_offsets(twisted, seen_as(silhouette(body, fit, coat(body, 0.07))), CAMERA, clothing_model(body))
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=1).max() <= 0.12 * np.ptp(body.data.v_template[:, 1]) + 1e-6
