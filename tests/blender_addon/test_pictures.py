"""The add-on's own PNG files, read by Pillow."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.blender_addon.busy_disk import hold_back_files
from uvatar_blender.core.pictures import PictureWriter, encode_png, picture_size, write_pictures


@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 5), (130, 64)])  # less than a strip of rows, one, some
def test_pixels_come_back_as_they_were(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = picture[::-1] / np.float32(255)  # Blender's lowest row comes first
    png = encode_png(pixels)
    assert picture_size(png) == (width, height)
    assert np.array_equal(np.array(Image.open(io.BytesIO(png)).convert("RGB")), picture)


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (4, "RGBA")])
def test_transparent_pixels_stay_transparent_where_alpha_is_asked_for(channels: int, mode: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (70, 9, 4), np.uint8)
    read = Image.open(io.BytesIO(encode_png((picture[::-1] / np.float32(255))[:, :, :channels])))
    assert read.mode == mode and np.array_equal(np.array(read), picture[:, :, :channels])


def test_colours_beyond_the_range_are_cut_off() -> None:
    pixels = np.array([[[-0.5, 1.5, 0.5]]], np.float32)
    assert Image.open(io.BytesIO(encode_png(pixels))).getpixel((0, 0)) == (0, 255, 128)


def test_files_that_are_png_already_are_written_as_they_are(tmp_path: Path) -> None:
    write_pictures({tmp_path / "made.png": np.zeros((2, 2, 4), np.float32), tmp_path / "packed.png": b"as it is"})
    assert (tmp_path / "packed.png").read_bytes() == b"as it is" and Image.open(tmp_path / "made.png").size == (2, 2)
    with pytest.raises(FileNotFoundError):
        write_pictures({tmp_path / "missing" / "a.png": b""})


def test_a_file_that_is_cut_off_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(path: Path, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space"):
        write_pictures({tmp_path / "a.png": b"picture"})
    assert not (tmp_path / "a.png").exists()


def test_the_writer_tells_which_files_are_a_moment_away_and_which_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = hold_back_files(monkeypatch)
    good, bad = tmp_path / "a.png", tmp_path / "missing" / "b.png"
    writer = PictureWriter()
    writer.write(good, b"picture")
    writer.write(bad, b"picture")
    assert (
        writer.busy and writer.writing(good) and not good.exists() and not writer.ended()
    )  # asked for, and nobody has waited
    freed.set()
    writer.wait()
    assert good.read_bytes() == b"picture"
    ended = writer.ended()
    assert ended[good] is None and isinstance(ended[bad], FileNotFoundError)
    assert not writer.busy and not writer.writing(good) and not writer.ended()
    writer.close()
