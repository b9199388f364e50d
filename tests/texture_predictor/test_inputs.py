"""What the network is given, against the photo, the fit and the body that it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.atlases import atlas_of
from uvatar.body import BodyModel, load_open_body
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.geometry.mesh import vertex_normals
from uvatar.texture_predictor.inputs import Crop, pose_of
from uvatar_training.networks.uv_plane import TorchUvPlane, uv_plane

SIZE = 128


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def plane(body: BodyModel) -> TorchUvPlane:
    return uv_plane(body, SIZE)


def test_geometry_maps_lie_where_the_surface_is(body: BodyModel, plane: TorchUvPlane) -> None:
    """Positions looked up at the texture coordinates of vertices are those vertices' places, and so for normals."""
    data = body.data
    inner = np.setdiff1d(np.arange(len(data.v_template)), _seam_vertices(body))
    first = {int(v): int(t) for v, t in zip(data.faces.ravel(), data.face_uv.ravel(), strict=True)}
    chosen = [v for v in inner[::7] if v in first]
    uv = torch.from_numpy(data.uv[[first[v] for v in chosen]])
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None]
    found = torch.nn.functional.grid_sample(plane.geometry, grid, align_corners=False)[0, :, 0].T.numpy()
    solid = found[:, 6] > 0.999
    place = (data.v_template - data.joint_template[0])[chosen]
    assert solid.sum() > 500
    assert np.quantile(np.linalg.norm(found[:, :3] - place, axis=1)[solid], 0.95) < 0.004
    normal = vertex_normals(data.v_template, data.faces)[chosen]
    assert np.median((found[:, 3:6] * normal).sum(1)[solid]) > 0.95
    lengths = plane.geometry[0, 3:6].norm(dim=0)
    torch.testing.assert_close(lengths, plane.geometry[0, 6], atol=1e-5, rtol=0)


def _seam_vertices(body: BodyModel) -> NDArray[Any]:
    pairs = np.unique(np.stack([body.data.faces.ravel(), body.data.face_uv.ravel()], 1), axis=0)
    vertices, count = np.unique(pairs[:, 0], return_counts=True)
    return vertices[count > 1]


def test_mirrored_texture_is_that_of_the_other_side(plane: TorchUvPlane) -> None:
    inside = plane.geometry[:, 6:]
    place = torch.cat([0.5 + 0.4 * plane.geometry[:, :3], inside], 1)
    mirrored = plane.mirrored(place)
    solid = (inside > 0) & (mirrored[:, 3:] > 0.99)
    assert float(solid.sum() / inside.sum()) > 0.9 and not mirrored[:, 3:][inside == 0].any()
    expected = 0.5 + 0.4 * plane.geometry[:, :3] * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    assert float((mirrored[:, :3] - expected).abs().amax(1, keepdim=True)[solid].quantile(0.99)) < 0.01


def test_mirrored_texture_does_not_mix_in_what_is_not_seen(plane: TorchUvPlane) -> None:
    left = plane.geometry[:, :1] > 0
    partial = torch.cat([torch.full((1, 3, SIZE, SIZE), 0.25), left.float() * plane.geometry[:, 6:]], 1)
    partial[:, :3][:, :, ~left[0, 0]] = float("nan")
    mirrored = plane.mirrored(partial)
    assert torch.isfinite(mirrored).all()
    torch.testing.assert_close(
        mirrored[:, :3][:, :, mirrored[0, 3] > 0.01],
        torch.tensor(0.25).expand(1, 3, int((mirrored[0, 3] > 0.01).sum())),
    )
    assert (
        float(mirrored[0, 3][plane.geometry[0, 0] < -0.05].mean())
        > 0.9
        > 0.1
        > float(mirrored[0, 3][plane.geometry[0, 0] > 0.05].mean())
    )


def test_what_is_not_seen_takes_the_colour_of_what_is_near_it_on_the_body(plane: TorchUvPlane) -> None:
    """A red trunk and blue legs of which only the front is seen: red and blue behind too, though the texture's islands
    lie apart.
    """
    inside, height, depth = plane.geometry[0, 6] > 0, plane.geometry[0, 1], plane.geometry[0, 2]
    front = inside & (plane.geometry[0, 5] > 0.3)
    above = height > 0
    truth = torch.where(
        above, torch.tensor([0.8, 0.1, 0.1])[:, None, None], torch.tensor([0.1, 0.1, 0.8])[:, None, None]
    )[None]
    partial = torch.cat([torch.where(front, truth, torch.nan), front.float()[None, None]], 1)
    filled = plane.completed(partial)
    torch.testing.assert_close(filled[..., front], truth[..., front])
    behind = inside & (depth < 0) & (plane.geometry[0, 5] < -0.3) & (height.abs() > 0.15) & (height < 0.4)
    assert behind.sum() > 200 and float((filled - truth).abs().mean(1)[0][behind].quantile(0.95)) < 0.06
    assert torch.isfinite(filled).all() and filled.min() >= 0 and filled.max() <= 1
    nothing = plane.completed(torch.zeros(1, 4, SIZE, SIZE))
    torch.testing.assert_close(nothing, torch.full_like(nothing, 0.5))


def test_what_one_side_shows_goes_to_the_other_before_the_smooth_filling(plane: TorchUvPlane) -> None:
    inside = plane.geometry[0, 6] > 0
    left, low = plane.geometry[0, 0] > 0.02, plane.geometry[0, 1] < -0.4
    colours = torch.where(low, 0.9, 0.2).expand(1, 3, -1, -1)
    partial = torch.cat([colours, (inside & left).float()[None, None]], 1)
    filled = plane.completed(partial, plane.mirrored(partial))
    right = inside & (plane.geometry[0, 0] < -0.04) & ((plane.geometry[0, 1] + 0.4).abs() > 0.03)
    assert float((filled - colours).abs()[0, 0][right].quantile(0.98)) < 0.02


def test_structure_holds_what_it_is_made_of(body: BodyModel, plane: TorchUvPlane) -> None:
    rng = np.random.default_rng(0)
    fit = BodyParameters(*(rng.normal(size=shape).astype(np.float32) for shape in ((10,), (3,), (23, 3), (3,))))
    pose = pose_of(fit)
    expected = Rotation.from_rotvec(np.concatenate([fit.global_orient[None], fit.body_pose])).as_matrix()
    np.testing.assert_allclose(pose[0], expected, atol=1e-5)
    structure = plane.structure(
        torch.from_numpy(pose), torch.zeros(1, 10), torch.zeros(1, 3), torch.rand(1, 4, SIZE, SIZE)
    )
    assert (
        structure.geometry is plane.geometry
        and structure.mirrored is not None
        and structure.mirrored.shape == (1, 4, SIZE, SIZE)
    )
    assert structure.completed is not None and structure.completed.shape == (1, 3, SIZE, SIZE)
    assert len(atlas_of(body, SIZE).table) == int(plane.geometry[0, 6].sum())


@pytest.mark.parametrize("side", [64, 300])
def test_crop_shows_what_lies_there(side: int) -> None:
    """A picture whose colours are its coordinates, cropped smaller and larger, also over its border."""
    y, x = np.mgrid[:400, :600] + 0.5
    picture = np.dstack([x / 600, y / 400, np.ones_like(x)]) * 250
    crop = Crop.around(np.array([350.0, 170, 550, 410]))
    assert crop.side == pytest.approx(264) and crop.left + crop.side / 2 == 450 and crop.top + crop.side / 2 == 290
    cut = crop.cut(picture.round().astype(np.uint8), side).astype(float)
    centres = (np.arange(side) + 0.5) / side * crop.side
    inside = (cut[..., 2] > 249) & (crop.left + centres < 595)[None, :] & (crop.top + centres < 395)[:, None]
    assert inside.mean() > 0.85
    np.testing.assert_allclose(
        cut[..., 0][inside], np.broadcast_to((crop.left + centres) / 600 * 250, cut.shape[:2])[inside], atol=2
    )
    np.testing.assert_allclose(
        cut[..., 1][inside], np.broadcast_to(((crop.top + centres) / 400 * 250)[:, None], cut.shape[:2])[inside], atol=2
    )
    assert not cut[-1, :, 2].any()  # below the picture


def test_person_stands_before_grey_and_the_camera_says_where() -> None:
    pixels, mask = np.full((200, 300, 3), 200, np.uint8), np.zeros((200, 300), np.uint8)
    mask[50:150, 100:140] = 255
    crop = Crop.around(np.array([100.0, 50, 140, 150]))
    person = crop.person(pixels, mask, 110)
    assert (
        person.shape == (1, 3, 110, 110)
        and float(person.min()) == pytest.approx(128 / 255)
        and float(person.max()) == pytest.approx(200 / 255)
    )
    assert float((person > 0.7).mean()) == pytest.approx(100 * 40 / 110**2, rel=0.1)
    camera = Camera(500.0, (150.0, 100.0), 300, 200)
    pelvis = np.array([-0.3, 0.2, 4.0])
    scale, x, y = crop.camera(pelvis, camera)[0].tolist()
    point = camera.project(pelvis + np.array([0.4, -0.1, 0.0]))
    offset = (point - [crop.left, crop.top]) / (crop.side / 2) - 1
    np.testing.assert_allclose([x + 0.4 * scale, y - 0.1 * scale], offset, atol=1e-6)
