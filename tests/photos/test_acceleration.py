"""Gravity from phones' photos, which the tests write as phones do."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from uvatar.data.arrays import Floats
from uvatar.photos.decoding import decode_photo

# What EXIF's Orientation says about where the sensor's right and bottom are in the upright photo (EXIF 2.32, 4.6.5).
AXES = {
    1: ("right", "down"), 2: ("left", "down"), 3: ("left", "up"), 4: ("right", "up"),
    5: ("down", "right"), 6: ("down", "left"), 7: ("up", "left"), 8: ("up", "right"),
}  # fmt: skip
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}
LEANING = np.array([0.1, -0.95, -0.25])  # up, in the frame of the upright photo: looking down, a little tilted


def notes(vector: Floats, tag: int = 8, kind: int = 10, header: bytes = b"Apple iOS\0\0\1MM") -> bytes:
    """Maker notes as Apple writes them: an entry that we do not know, the vector, and the fractions behind."""
    entries = [struct.pack(">HHII", 1, 9, 1, 14), struct.pack(">HHII", tag, kind, 3, 14 + 2 + 24 + 4)]
    fractions = b"".join(struct.pack(">ii", round(value * 10_000), 10_000) for value in vector)
    return header + struct.pack(">H", len(entries)) + b"".join(entries) + b"\0\0\0\0" + fractions


def photo(maker: bytes, orientation: int = 6, lens: str = "iPhone back camera 4.2mm f/1.8") -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[ExifTags.Base.MakerNote], camera[ExifTags.Base.LensModel] = maker, lens
    written = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(written, "JPEG", exif=exif)
    return written.getvalue()


def phone_vector(up: Floats, orientation: int) -> Floats:
    """What a phone writes whose photo, made upright, has ``up`` (3,): its x to the left, y down, z into its face, seen
    from its front; held upright, its photos have the orientation 6.
    """
    unit = up / np.linalg.norm(up)
    right, down = (unit[:2] @ np.array(DIRECTIONS[name], float) for name in AXES[orientation])
    # The sensor's right is the phone's bottom, its bottom the phone's left side, seen from the front.
    return np.array([down, right, unit[2]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_up_is_read_in_every_orientation(orientation: int) -> None:
    up = decode_photo(photo(notes(phone_vector(LEANING, orientation)), orientation)).up
    assert up is not None
    assert np.allclose(up, LEANING / np.linalg.norm(LEANING), atol=2e-4)


def test_a_phone_held_upright_says_that_up_is_up() -> None:
    up = decode_photo(photo(notes(np.array([0.0, -1.0, 0.0])), 6)).up
    assert up is not None and np.allclose(up, (0, -1, 0), atol=1e-4)


@pytest.mark.parametrize(
    "maker",
    [
        b"",
        b"Apple iOS\0",
        notes(LEANING)[:-10],
        notes(LEANING, tag=9),
        notes(LEANING, kind=5),
        notes(LEANING * 1.5),
        notes(np.zeros(3)),
        notes(np.array([0.0, 1.0, 0.0])),
        notes(np.array([0.0, -0.1, -1.0])),
        notes(LEANING, header=b"Nikon iOS\0\0\1MM"),
        b"Apple iOS\0\0\1MM\xff\xff" + b"\0" * 7,
    ],
    ids=[
        "none", "cut after its header", "cut in its fractions", "no vector", "unsigned", "shaken", "no length",
        "upside down", "looking straight down", "another maker", "more entries than there are",
    ],
)  # fmt: skip
def test_unusable_notes_say_nothing(maker: bytes) -> None:
    assert decode_photo(photo(maker)).up is None


def test_the_camera_on_the_front_is_left_out() -> None:
    maker = notes(phone_vector(LEANING, 6))
    assert decode_photo(photo(maker, lens="iPhone 12 front camera 2.71mm f/2.2")).up is None
