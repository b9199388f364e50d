"""Look-up of pictures at scattered points, whatever the library under it makes of its arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from uvatar.photos import sampling

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 4096, 10_000])
def test_linear_interpolation_is_scipys(channels: int | None, count: int) -> None:
    rng = np.random.default_rng(count)
    picture = rng.random((48, 64) if channels is None else (48, 64, channels), np.float32)
    points = rng.uniform(-10, 74, (count, 2)).astype(np.float32)
    found = sampling.bilinear(picture, points)
    planes = np.atleast_3d(picture).transpose(2, 0, 1)
    at = np.clip(points.T[::-1] - 0.5, 0, [[47], [63]])
    expected = np.stack([map_coordinates(plane, at, order=1) for plane in planes], -1).reshape(found.shape)
    assert found.shape == (count, *picture.shape[2:]) and found.dtype == np.float32
    assert np.allclose(found, expected, atol=2 / 64)  # OpenCV 4 rounds points to 1/32 pixel


def test_cubic_interpolation_meets_the_pixels() -> None:
    picture = np.random.default_rng(0).random((20, 30, 3), np.float32)
    rows, columns = np.mgrid[:20, :30]
    found = sampling.bicubic(picture, np.column_stack([columns.ravel(), rows.ravel()]) + 0.5)
    assert np.allclose(found, picture.reshape(-1, 3), atol=1e-5)


@pytest.mark.parametrize("look_up", [sampling.bilinear, sampling.bicubic])
def test_opencv_is_given_one_map_for_each_axis(
    monkeypatch: pytest.MonkeyPatch, look_up: Callable[..., NDArray[Any]]
) -> None:
    """OpenCV 5 gives values that are not finite for one map of both with an empty second, which OpenCV 4 takes."""
    given = []
    real = cv2.remap
    monkeypatch.setattr(
        cv2, "remap", lambda picture, x, y, *rest, **named: given.append((x, y)) or real(picture, x, y, *rest, **named)
    )
    look_up(np.ones((8, 8), np.float32), np.full((5, 2), 3.0))
    [(x, y)] = given
    assert x.shape == y.shape == (1, 4096) and x.dtype == y.dtype == np.float32


def test_so_it_is_wherever_opencv_looks_pictures_up() -> None:
    """Not only for textures: pictures of avatars, outlines and training look up, too."""
    calls = []
    for path in sorted(file for folder in ("backend", "training", "tools") for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "remap":
                calls.append(path.name)
                assert not re.match(r"None|np\.(empty|array|zeros)\b", ast.unparse(node.args[2])), (
                    f"{path.name}: {ast.unparse(node)}"
                )
    assert len(calls) >= 3
