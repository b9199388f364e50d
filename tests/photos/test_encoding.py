"""Pictures survive their encoding."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uvatar.photos.encoding import encode_jpeg, encode_png


@pytest.mark.parametrize("shape", [(40, 30, 3), (40, 30)])
def test_a_png_is_its_picture(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture[::2, ::-1])))), picture[::2, ::-1])


def test_a_jpeg_is_close_to_its_picture_and_keeps_the_order_of_colours() -> None:
    picture = np.full((32, 32, 3), (200, 100, 20), np.uint8)
    decoded = np.asarray(Image.open(io.BytesIO(encode_jpeg(picture))), int)
    assert np.abs(decoded - picture).max() <= 3
