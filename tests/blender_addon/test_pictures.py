"""The add-on's own PNG files, read by Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blender_addon.core.pictures import encode_png, picture_size, write_pictures


@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 5), (130, 64)])  # less than a strip of rows, one, some
def test_pixels_come_back_as_they_were(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = picture[::-1] / np.float32(255)  # Blender's lowest row comes first
    png = encode_png(pixels)
    assert picture_size(png) == (width, height)
    assert np.array_equal(np.array(Image.open(io.BytesIO(png))), picture)


def test_colours_beyond_the_range_are_cut_off() -> None:
    pixels = np.array([[[-0.5, 1.5, 0.5, 1.0]]], np.float32)
    assert Image.open(io.BytesIO(encode_png(pixels))).getpixel((0, 0)) == (0, 255, 128)


def test_files_that_are_png_already_are_written_as_they_are(tmp_path: Path) -> None:
    write_pictures({tmp_path / "made.png": np.zeros((2, 2, 4), np.float32), tmp_path / "packed.png": b"as it is"})
    assert (tmp_path / "packed.png").read_bytes() == b"as it is" and Image.open(tmp_path / "made.png").size == (2, 2)
    with pytest.raises(OSError):
        write_pictures({tmp_path / "missing" / "a.png": b""})
