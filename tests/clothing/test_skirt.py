"""Skirts on drawn people: found where they are worn, of the drawn form, moving with the legs, and left out where the
photo tells too little.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tests.clothing.test_offsets import CAMERA, clothing_model, seen_as, silhouette, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.clothing.limbs import limbs
from uvatar.clothing.offsets import clothing_offsets
from uvatar.clothing.sections import hull_reach
from uvatar.clothing.shells import at_rest
from uvatar.clothing.skirt.dressing import BENT, HIDDEN, build_skirt, find_skirt, without_skirt
from uvatar.data.camera import Camera
from uvatar.data.fit import Fit
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.data.landmarks import ANKLES, KNEES
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.shell import Skirt
from uvatar.data.view import View
from uvatar.geometry.masks import mask_iou
from uvatar.geometry.mesh import face_normals, unit
from uvatar.geometry.raster import RayScene, rasterize

WAIST, KNEE, SHIN = 0.1, -0.38, -0.65  # of hems and waistbands, metres above the pelvis


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def tube(centre: NDArray[Any], top: float, hem: float, radii: tuple[float, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A tube about a vertical axis in the camera frame, ``top`` and ``hem`` metres above ``centre``; its vertices and
    triangles.
    """
    rows, columns = 24, 48
    share, turn = np.linspace(0, 1, rows)[:, None], np.linspace(0, 2 * np.pi, columns, endpoint=False)
    radius = radii[0] + share * (radii[1] - radii[0])
    x, z = radius * np.cos(turn), 0.75 * radius * np.sin(turn)
    y = np.broadcast_to(-(top + share * (hem - top)), x.shape)
    points = np.stack([x, y, z], -1) + centre
    row, column = (grid.ravel() for grid in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    corners = [row * columns + column, row * columns + (column + 1) % columns]
    corners += [corner + columns for corner in corners]
    triangles = np.concatenate([np.stack([corners[k] for k in half], 1) for half in ((0, 1, 3), (0, 3, 2))])
    return points.reshape(-1, 3), triangles


def seen_in(body: BodyModel, fit: Fit, tubes: list[Any], camera: Camera = CAMERA) -> View:
    """The person in clothes made of tubes."""
    mask = silhouette(body, fit, camera=camera)
    for vertices, triangles in tubes:
        mask |= rasterize(vertices, triangles, camera).mask
    photo = Photo(np.full((camera.height, camera.width, 3), 120, np.uint8), None, "", "drawn.png")
    person = seen_as(mask)
    landmarks = person.landmarks.copy()
    landmarks[:, 2] = 1
    return View(photo, replace(person, landmarks=landmarks), camera, fit)


def in_skirt(body: BodyModel, hem: float = KNEE, flare: float = 0.34, fit: Fit | None = None) -> View:
    fit = standing(body) if fit is None else fit
    pelvis = body.posed(fit.body)[1][Joint.PELVIS]
    return seen_in(body, fit, [tube(pelvis, WAIST, hem, (0.16, flare))])


@cache
def dressed(body: BodyModel, hem: float = KNEE, flare: float = 0.34) -> tuple[View, Skirt, NDArray[np.float32]]:
    """A person in a skirt, the skirt that was built, and the offsets of the body inside."""
    return dressed_in(in_skirt(body, hem, flare), body)


def dressed_in(view: View, body: BodyModel) -> tuple[View, Skirt, NDArray[np.float32]]:
    """The same of the person of a view."""
    found, _ = find_skirt(view, body)
    assert found is not None
    offsets = clothing_offsets(view.fit, without_skirt(view.person, found), view.camera, clothing_model(body))
    skirt, inside, notes = build_skirt(found, view, body, offsets)
    assert skirt is not None and not notes
    return view, skirt, inside


@pytest.mark.parametrize("hem", [-0.25, KNEE, SHIN])
@pytest.mark.parametrize("flare", [0.26, 0.42])
def test_a_skirt_is_found(body: BodyModel, hem: float, flare: float) -> None:
    found, notes = find_skirt(in_skirt(body, hem, flare), body)
    assert found is not None and not notes
    assert found.picture.s[found.rows.hem] == pytest.approx(-hem, abs=0.04)


@pytest.mark.parametrize("radius", [0.07, 0.10, 0.13])
@pytest.mark.parametrize("hem", [-0.4, -0.82])
def test_trousers_and_shorts_are_no_skirt(body: BodyModel, radius: float, hem: float) -> None:
    fit = standing(body)
    hips = body.posed(fit.body)[1][HIP_JOINTS]
    legs = [tube(hip + (0.035 * side, 0, 0), 0.0, hem, (0.1, radius)) for hip, side in zip(hips, (1, -1), strict=True)]
    assert find_skirt(seen_in(body, fit, legs), body) == (None, ())


def test_a_bare_body_wears_no_skirt(body: BodyModel) -> None:
    assert find_skirt(seen_in(body, standing(body), []), body) == (None, ())


@pytest.mark.parametrize("hem", [KNEE, SHIN])
def test_body_and_skirt_meet_the_mask(body: BodyModel, hem: float) -> None:
    view, skirt, inside = dressed(body, hem)
    shown = silhouette(body, view.fit, inside) | rasterize(skirt.vertices, skirt.triangles, CAMERA).mask
    assert mask_iou(shown, view.person.whole_mask(shown.shape)) > 0.95


def test_a_skirt_is_as_deep_as_its_width_tells(body: BodyModel) -> None:
    """The drawn tube is three quarters as deep as wide."""
    _, skirt, _ = dressed(body, KNEE, 0.42)
    hem = skirt.grid()[-1]
    assert 0.6 < np.ptp(hem[:, 2]) / np.ptp(hem[:, 0]) < 1.0


@pytest.mark.parametrize("waist", [0.17, 0.23])
def test_a_coats_lower_part_begins_on_its_upper_part(body: BodyModel, waist: float) -> None:
    """The coat's upper part is the body's surface, on which the rings begin without a ledge."""
    fit = standing(body)
    view = seen_in(body, fit, [tube(body.posed(fit.body)[1][Joint.PELVIS], 0.3, KNEE, (waist, 0.34))])
    _, skirt, inside = dressed_in(view, body)
    ring = skirt.grid()[1]  # the first one is tucked in
    dressed = body.posed(fit.body, inside)[0][~limbs(body.data)[0]]
    beside = dressed[np.abs(dressed[:, 1] - ring[:, 1].mean()) < 0.012][:, [0, 2]]
    away = ring[:, [0, 2]] - beside.mean(0)
    standing_off = np.linalg.norm(away, axis=1) - hull_reach(beside - beside.mean(0), unit(away))
    assert standing_off.max() < 0.02


def test_the_mesh_is_sound(body: BodyModel) -> None:
    _, skirt, _ = dressed(body)
    assert skirt.quads.max() == len(skirt.vertices) - 1
    assert skirt.quad_uv.max() == len(skirt.uv) - 1
    assert (skirt.uv > 0).all() and (skirt.uv < 1).all()
    assert np.abs(skirt.weights.sum(1) - 1).max() < 1e-5
    assert ((skirt.weights > 0).sum(1) <= 4).all()
    outside = skirt.quads[: (skirt.outer - 1) * skirt.columns]
    normals = face_normals(skirt.vertices, outside[:, :3])
    away = skirt.vertices[outside].mean(1) - skirt.vertices.mean(0)
    assert ((normals * away)[:, [0, 2]].sum(1) > 0).mean() > 0.98
    halves = unit(face_normals(skirt.vertices, skirt.triangles)).reshape(-1, 2, 3)
    assert ((halves[:, 0] * halves[:, 1]).sum(1) > 0.1).mean() > 0.99


def test_the_rest_pose_returns_to_the_photos(body: BodyModel) -> None:
    view, skirt, _ = dressed(body)
    transforms = body.transforms_of(view.fit.body)
    rest = at_rest(skirt, transforms[:24])
    posed = np.einsum("nj,jab,nb->na", skirt.weights, transforms[:24, :, :3], rest)
    posed += np.einsum("nj,ja->na", skirt.weights, transforms[:24, :, 3])
    assert np.abs(posed - skirt.vertices).max() < 1e-4
    assert 0.3 < np.ptp(rest[:, 1]) < 0.7


def crossings(scene: RayScene, start: NDArray[Any], end: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) how often the straight lines between points (N, 3) pass a surface."""
    count, at, done = np.zeros(len(start), int), np.zeros(len(start)), np.zeros(len(start), bool)
    while not done.all():
        left = np.flatnonzero(~done)
        way = end[left] - start[left]
        distance = at[left] + scene.first_hits(start[left] + at[left, None] * way, way)[2]
        done[left] = distance >= 1
        count[left] += distance < 1
        at[left] = distance + 1e-4
    return count


def through_the_skirt(body: BodyModel, view: View, skirt: Skirt, inside: NDArray[Any], pose: dict[Joint, Any]) -> float:
    """Share of the legs' vertices that the skirt hides in the photo and that come more than 1 cm out of it in another
    pose: the way from the pelvis along the bones to them passes the cloth, other than below its hem.
    """
    in_photo = body.posed(view.fit.body, inside)[0]
    rest = at_rest(skirt, body.transforms_of(view.fit.body)[:24])
    body_pose = np.zeros((23, 3), np.float32)
    for joint, angles in pose.items():
        body_pose[joint - 1] = angles
    moved = replace(view.fit.body, global_orient=np.zeros(3, np.float32), transl=np.zeros(3, np.float32))
    moved = replace(moved, body_pose=body_pose)
    vertices, joints = body.posed(moved, inside)[0], body.posed(moved)[1]
    mixed = np.einsum("nj,jab->nab", skirt.weights, body.transforms_of(moved)[:24])
    cloth = np.einsum("nab,nb->na", mixed[:, :, :3], rest) + mixed[:, :, 3]
    outside = skirt.triangles[(skirt.triangles < skirt.outer * skirt.columns).all(1)]
    outside = outside[(outside >= skirt.columns).all(1)]  # but for what is tucked in at the waist
    scene, near = RayScene(cloth, outside), cKDTree(cloth[np.unique(outside)])
    hem = skirt.grid()[-2, :, 1].mean()
    out, hidden = 0, 0
    for side, leg in enumerate(limbs(body.data)[1:]):
        chain = [pair[side] for pair in (HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS)]
        path = np.concatenate([np.linspace(joints[k], joints[j], 20) for k, j in itertools.pairwise(chain)])
        along = np.concatenate([joints[[Joint.PELVIS]], path])
        passed = np.cumsum(crossings(scene, along[:-1], along[1:]))
        chosen = np.flatnonzero(leg & (in_photo[:, 1] < hem))[::3]
        nearest = cKDTree(path).query(vertices[chosen])[1]
        beyond = (passed[nearest] + crossings(scene, path[nearest], vertices[chosen])) % 2 == 1
        out += int((beyond & (near.query(vertices[chosen])[0] > 0.01)).sum())
        hidden += len(chosen)
    return out / hidden


@pytest.mark.parametrize(("hem", "flare"), [(KNEE, 0.34), (SHIN, 0.34), (SHIN, 0.22)])
@pytest.mark.parametrize(("swing", "lifted"), [(0.0, 0.0), (0.3, 0.6), (0.4, 0.8), (0.5, 0.5)])
def test_walking_legs_stay_inside(body: BodyModel, hem: float, flare: float, swing: float, lifted: float) -> None:
    view, skirt, inside = dressed(body, hem, flare)
    left, right = HIP_JOINTS
    pose = {left: (-swing, 0, 0), right: (swing, 0, 0), KNEE_JOINTS[1]: (lifted, 0, 0)}
    assert through_the_skirt(body, view, skirt, inside, pose) < 0.02


@pytest.mark.parametrize(("hem", "flare"), [(KNEE, 0.34), (SHIN, 0.34), (SHIN, 0.22)])
@pytest.mark.parametrize("bend", [0.35, 0.7, 1.2])
def test_squatting_legs_stay_inside(body: BodyModel, hem: float, flare: float, bend: float) -> None:
    view, skirt, inside = dressed(body, hem, flare)
    pose = {joint: (-bend, 0, 0) for joint in HIP_JOINTS} | {joint: (1.15 * bend, 0, 0) for joint in KNEE_JOINTS}
    assert through_the_skirt(body, view, skirt, inside, pose) < 0.02


@pytest.mark.parametrize("flare", [0.22, 0.34])
def test_cloth_goes_along_with_a_raised_thigh(body: BodyModel, flare: float) -> None:
    view, skirt, inside = dressed(body, SHIN, flare)
    pose = {HIP_JOINTS[0]: (-1.57, 0, 0), KNEE_JOINTS[0]: (1.57, 0, 0)}
    assert through_the_skirt(body, view, skirt, inside, pose) < 0.03


def test_the_bodys_clothes_do_not_fill_the_skirt(body: BodyModel) -> None:
    view, _, inside = dressed(body, KNEE, 0.42)
    legs = limbs(body.data)[1] | limbs(body.data)[2]
    moved = np.linalg.norm(inside[legs], axis=1)
    assert np.percentile(moved, 95) < 0.04
    plain = clothing_offsets(view.fit, view.person, view.camera, clothing_model(body))
    assert np.percentile(np.linalg.norm(plain[legs], axis=1), 95) > 0.06


def cut(view: View, left: int, top: int, right: int, bottom: int) -> View:
    """The view through a smaller photo."""
    camera = view.camera
    x0, y0, x1, y1 = view.person.window
    person = view.person
    window = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    part = slice(window[1] - y0, window[3] - y0), slice(window[0] - x0, window[2] - x0)
    moved = window[0] - left, window[1] - top, window[2] - left, window[3] - top
    person = replace(person, window=moved, mask=person.mask[part], others=person.others[part])
    photo = replace(view.photo, pixels=view.photo.pixels[top:bottom, left:right])
    return replace(view, photo=photo, person=person, camera=camera.cropped((left, top, right, bottom)))


def test_a_skirt_that_the_photo_cuts_is_not_built(body: BodyModel) -> None:
    view = in_skirt(body)
    knee = int(view.camera.project(body.posed(view.fit.body)[1][KNEE_JOINTS].mean(0)[None])[0, 1])
    assert find_skirt(cut(view, 0, 0, 500, knee - 30), body)[0] is None


def test_a_skirt_behind_somebody_is_not_built(body: BodyModel) -> None:
    view = in_skirt(body)
    person: Person = view.person
    others = np.zeros_like(person.others)
    others[:, : others.shape[1] // 2] = 255
    hidden = replace(view, person=replace(person, mask=np.where(others > 0, 0, person.mask), others=others))
    found, notes = find_skirt(hidden, body)
    assert found is None and notes in ((), (HIDDEN,))


@pytest.mark.parametrize("lower", [-20, 0, 20])
def test_what_cuts_a_skirt_askew_is_no_hem(body: BodyModel, lower: int) -> None:
    view = in_skirt(body, SHIN, 0.42)
    knee = view.camera.project(body.posed(view.fit.body)[1][KNEE_JOINTS].mean(0)[None])[0]
    x0, y0, x1, y1 = view.person.window
    rows, columns = np.mgrid[y0:y1, x0:x1]
    cut_off = rows > knee[1] + lower + 0.3 * (columns - knee[0])
    mask, others = np.where(cut_off, 0, view.person.mask), np.where(cut_off, 255, 0)
    person = replace(view.person, mask=mask.astype(np.uint8), others=others.astype(np.uint8))
    assert find_skirt(replace(view, person=person), body) == (None, (HIDDEN,))


def test_what_covers_a_hidden_leg_is_no_skirt(body: BodyModel) -> None:
    view = in_skirt(body)
    landmarks = view.person.landmarks.copy()
    landmarks[[KNEES[0], ANKLES[0]], 2] = 0.1
    assert find_skirt(replace(view, person=replace(view.person, landmarks=landmarks)), body) == (None, ())


def test_who_sits_gets_no_skirt(body: BodyModel) -> None:
    fit = standing(body)
    pose = fit.body.body_pose.copy()
    pose[0, 0] = pose[1, 0] = -1.4
    pose[3, 0] = pose[4, 0] = 1.4
    sitting = replace(fit, body=replace(fit.body, body_pose=pose))
    found, notes = find_skirt(in_skirt(body, KNEE, 0.34, sitting), body)
    assert found is None and notes in ((), (BENT,), (HIDDEN,))
