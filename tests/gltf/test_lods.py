"""Levels of detail: fewer triangles of the same vertices, and files that are valid."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from tests.gltf.test_glb import plain
from uvatar.gltf.avatar import lods
from uvatar.gltf.decimation import Settings, decimated
from uvatar.gltf.document import Document, Look
from uvatar.gltf.presets import LEVELS, PRESETS
from uvatar.gltf.surface import Skeleton, Surface, body_at_rest
from uvatar.photos.encoding import encode_png
from uvatar.protocol.expressions import EXPRESSIONS

Read = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def smooth(person: dict[str, Any]) -> dict[str, Any]:
    return {**person, "offsets": np.zeros_like(person["offsets"])}


@pytest.fixture(scope="module")
def body(smooth: dict[str, Any]) -> tuple[Surface, Skeleton]:
    return body_at_rest(smooth, False)


@pytest.fixture(scope="module")
def levels(body: tuple[Surface, Skeleton]) -> list[Surface]:
    return decimated(body[0], body[1].heads, [13_000, 5_000, 1_500])


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_files_are_valid_and_share_the_skeleton(smooth: dict[str, Any], read: Read, preset: Any) -> None:
    whole = read(smooth, preset)
    for level, data in zip(LEVELS, lods(smooth, preset, "Anna"), strict=True):
        answer = read(smooth, preset, data=data)
        assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
        assert answer["bones"] == whole["bones"]
        body = answer["meshes"]["Body"]
        assert body["vertices"] < whole["meshes"]["Body"]["vertices"] * level.triangles / 20_000 + 300
        assert body["targets"] == (whole["meshes"]["Body"]["targets"] if level.keys else [])
        assert ("Teeth" in answer["meshes"]) == level.keys  # a part of the face


def test_they_have_as_many_triangles_as_asked_for(levels: list[Surface]) -> None:
    assert [len(level.triangles) for level in levels] == pytest.approx([13_000, 5_000, 1_500], abs=2)


def test_vertices_keep_all_that_they_have(body: tuple[Surface, Skeleton], levels: list[Surface]) -> None:
    whole = body[0]
    assert whole.uv is not None
    rows = {(*p, *t): row for row, (p, t) in enumerate(zip(whole.positions.tolist(), whole.uv.tolist(), strict=True))}
    for level in levels:
        assert level.uv is not None
        own = [rows[*p, *t] for p, t in zip(level.positions.tolist(), level.uv.tolist(), strict=True)]
        assert np.array_equal(level.weights, whole.weights[own]) and np.array_equal(level.joints, whole.joints[own])
        assert np.array_equal(level.normals, whole.normals[own])
        for key in ("jawOpen", "mouthSmileLeft"):
            moved = np.zeros((2, len(whole.positions), 3))
            moved[0, whole.movements[key].vertices] = whole.movements[key].deltas
            moved[1, np.array(own)[level.movements[key].vertices]] = level.movements[key].deltas
            assert np.array_equal(moved[0, own], moved[1, own])


@pytest.mark.parametrize(("level", "farthest", "usual"), [(0, 0.012, 0.0004), (1, 0.025, 0.0015), (2, 0.06, 0.006)])
def test_the_surface_stays_where_it_was(
    body: tuple[Surface, Skeleton], levels: list[Surface], level: int, farthest: float, usual: float
) -> None:
    coarse = levels[level]
    share = np.random.default_rng(0).dirichlet((1, 1, 1), 20)
    points = np.einsum("sk,fkc->fsc", share, coarse.positions[coarse.triangles].astype(float)).reshape(-1, 3)
    distances = cKDTree(points).query(body[0].positions)[0]
    spacing = cKDTree(points).query(points, 2)[0][:, 1]
    assert distances.max() < farthest + spacing.max() and np.median(distances) < usual + np.median(spacing)
    volume = [volume_of(surface) for surface in (body[0], coarse)]
    assert volume[1] / volume[0] == pytest.approx(1, abs=0.01 * (level + 1) ** 2)


def volume_of(surface: Surface) -> float:
    corners = surface.positions[surface.triangles].astype(float)
    return float(np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def test_there_are_no_cracks(body: tuple[Surface, Skeleton], levels: list[Surface]) -> None:
    def open_edges(surface: Surface) -> int:
        corners = np.unique(surface.sources, return_inverse=True)[1][surface.triangles]
        edges = np.sort(np.stack([corners, np.roll(corners, -1, 1)], -1).reshape(-1, 2), 1)
        counts = np.unique(edges, axis=0, return_counts=True)[1]
        assert counts.max() <= 2
        return int((counts == 1).sum())

    assert all(open_edges(level) <= open_edges(body[0]) for level in levels)


def test_the_face_stays_finer_than_the_rest(body: tuple[Surface, Skeleton], levels: list[Surface]) -> None:
    def in_face(surface: Surface) -> float:
        moving = np.zeros(len(surface.positions), bool)
        for name in EXPRESSIONS:
            strong = np.linalg.norm(surface.movements[name].deltas, axis=1) > 0.003
            moving[surface.movements[name].vertices[strong]] = True
        return float(moving.mean())

    [alike] = decimated(body[0], body[1].heads, [5_000], Settings(moving=0.0))
    assert in_face(levels[1]) > 1.5 * in_face(alike)


@pytest.mark.parametrize("webp", [False, True])
def test_smaller_textures_keep_the_colours_under_transparent_texels(webp: bool) -> None:
    picture = np.full((64, 64, 4), (200, 120, 60, 0), np.uint8)
    picture[:20, :, 3] = 255
    document = Document(webp=webp)
    document.add_material("Hair", Look(encode_png(picture), alpha="mask").with_texture_of(32))
    (image,) = document.content.images
    view = document.content.bufferViews[image.bufferView]
    file = document.to_bytes()
    begin = file.index(b"BIN\0") + 4 + (view.byteOffset or 0)
    with Image.open(io.BytesIO(file[begin : begin + view.byteLength])) as small:
        texels = np.asarray(small.convert("RGBA")).astype(int)
    assert texels.shape == (32, 32, 4) and texels[:8, :, 3].min() == 255 and texels[12:, :, 3].max() == 0
    assert np.abs(texels[..., :3] - (200, 120, 60)).max() < 12
