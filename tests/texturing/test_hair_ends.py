"""Hair is transparent between its strands at its ends, and nowhere else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.clothing.test_hair import CHEST, haired
from tests.clothing.test_hairstyles import on
from uvatar.body import BodyModel, load_open_body
from uvatar.data.shell import Hair
from uvatar.photos.encoding import encode_png
from uvatar.texturing.shells.hair_ends import DEFAULT_SETTINGS, hair_opacity
from uvatar.texturing.shells.texels import shell_texels

SIZE = 512


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def hairs(body: BodyModel) -> list[Hair]:
    seen = haired(body, CHEST)[0].fit.hair
    assert seen is not None
    return [seen, on(body, "bob"), on(body, "long")]


def of_quads(hair: Hair) -> NDArray[np.bool_]:
    """(SIZE, SIZE) where the texture has quads."""
    place = (hair.uv[hair.quad_uv] * (1, -1) + (0, 1)) * SIZE
    low, high = np.floor(place.min(1)).astype(int), np.ceil(place.max(1)).astype(int)
    covered = np.zeros((SIZE, SIZE), bool)
    for (left, top), (right, bottom) in zip(low, high, strict=True):
        covered[max(top, 0) : bottom, max(left, 0) : right] = True
    return covered


def test_only_the_ends_are_transparent(body: BodyModel) -> None:
    for hair in hairs(body):
        clear = (hair_opacity(hair, SIZE) < 128) & of_quads(hair)
        assert 0.005 < clear.mean() < 0.15
        used = hair.vertices[np.unique(hair.quads)]
        height = shell_texels(hair, SIZE)[0][..., 1]
        # The camera's y points down: the upper half of the hair is whole, but above the face.
        upper = height < np.quantile(used[:, 1], 0.3)
        behind = np.zeros_like(clear)
        behind[:, : SIZE // 5] = behind[:, -SIZE // 5 :] = True
        assert not (clear & upper & behind).any()


def test_strands_end_at_different_heights(body: BodyModel) -> None:
    for hair in hairs(body):
        opacity = hair_opacity(hair, SIZE)
        last = np.where(opacity > 127, np.arange(SIZE)[:, None], 0).max(0)[: SIZE // 5]
        ragged = np.abs(np.diff(last)) * np.ptp(hair.vertices[:, 1]) / SIZE
        assert np.median(ragged) > 0.0005 and np.ptp(last) * np.ptp(hair.vertices[:, 1]) / SIZE > 0.01
        assert np.ptp(last) * np.ptp(hair.vertices[:, 1]) / SIZE < 0.05 + DEFAULT_SETTINGS.most


def test_a_bun_has_no_ends(body: BodyModel) -> None:
    assert (hair_opacity(on(body, "bun"), 64) == 255).all()


def test_alpha_is_kept_in_a_png() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)
