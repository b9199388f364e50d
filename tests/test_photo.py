"""Photos in every form that artists have them, and bad input."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

import uvatar.photos.decoding
from uvatar.data.photo import Photo
from uvatar.photos.decoding import MAX_SCANS, NoMemoryForPhoto, PhotoError, decode_photo
from uvatar.protocol.photo_lists import PHOTO_SUFFIXES
from uvatar.runtime.spawn import environment

WIDTH, HEIGHT = 96, 64


def picture() -> NDArray[Any]:
    """(64, 96, 3): red grows to the right, green grows downwards."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([columns * 255 // WIDTH, rows * 255 // HEIGHT, np.full_like(rows, 40)], -1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def difference(photo: Photo, expected: NDArray[Any]) -> float:
    return float(np.abs(photo.pixels.astype(int) - expected.astype(int)).mean())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_formats(kind: str) -> None:
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    photo = decode_photo(encoded(Image.fromarray(picture()), kind, **options), "a.png")
    assert photo.pixels.dtype == np.uint8 and photo.pixels.shape == (HEIGHT, WIDTH, 3)
    assert difference(photo, picture()) < 4
    assert photo.name == "a.png" and len(photo.digest) == 64 and photo.focal is None


def heif() -> bytes:
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture())).save(stream, quality=95)
    return stream.getvalue()


# By the names that the list of suffixes has; two pictures in one file are what phones write as .mpo, and as .jpg.
KINDS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **{".mpo": "MPO", ".png": "PNG", ".webp": "WEBP", ".heic": "HEIF", ".heif": "HEIF", ".avif": "AVIF"},
    **{".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF"},
}


@pytest.mark.parametrize("suffix", PHOTO_SUFFIXES)
def test_every_suffix_that_is_offered_can_be_read(suffix: str, tmp_path: Path) -> None:
    kind, image = KINDS[suffix], Image.fromarray(picture())
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "MPO", "WEBP", "AVIF") else {}
    path = tmp_path / f"photo{suffix}"
    if kind == "MPO":
        options |= {"save_all": True, "append_images": [image.rotate(180)]}
    path.write_bytes(
        heif() if kind == "HEIF" else encoded(image.quantize(256) if kind == "GIF" else image, kind, **options)
    )
    photo = decode_photo(path.read_bytes(), path.name)
    assert difference(photo, picture()) < 5 and photo.name == path.name


def test_an_avif_of_another_program() -> None:
    """The one that was refused: an AVIF is not told by its suffix."""
    sample = Path(__file__).parents[2] / "shared" / "faults" / "photos" / "a.avif"
    if not sample.is_file():
        pytest.skip(f"{sample} is not there")
    assert decode_photo(sample.read_bytes()).pixels.std() > 10


@pytest.mark.parametrize(("kind", "words"), [("AVIF", "an AVIF photo"), ("HEIF", "a HEIC photo")])
def test_a_format_that_the_installation_lacks_is_named(kind: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = heif() if kind == "HEIF" else encoded(Image.fromarray(picture()), kind)
    monkeypatch.setattr(uvatar.photos.decoding, f"_{kind.lower()}", lambda: ())
    with pytest.raises(PhotoError, match=f"holiday is {words}, which this installation cannot read. Save it as JPEG"):
        decode_photo(data, "holiday")


# As EXIF 2.32 (4.6.5, Orientation) has it: where the picture's first row and column are to be seen.
UPRIGHT = {
    1: picture(),
    2: picture()[:, ::-1],
    3: picture()[::-1, ::-1],
    4: picture()[::-1],
    5: picture().swapaxes(0, 1),
    6: picture().swapaxes(0, 1)[:, ::-1],
    7: picture().swapaxes(0, 1)[::-1, ::-1],
    8: picture().swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [*UPRIGHT, 9])
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photo = decode_photo(
        encoded(Image.fromarray(picture()), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    )
    assert np.array_equal(photo.pixels, UPRIGHT.get(orientation, picture()))


def with_focal(millimetres: int) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = millimetres
    return encoded(Image.fromarray(picture()), "JPEG", exif=exif)


def test_focal_length_relates_to_the_diagonal() -> None:
    focal = decode_photo(with_focal(50)).focal
    assert focal == pytest.approx(50 / 43.27 * np.hypot(WIDTH, HEIGHT), rel=1e-6)


@pytest.mark.parametrize("millimetres", [0, 1, 9000])
def test_absurd_focal_lengths_are_ignored(millimetres: int) -> None:
    assert decode_photo(with_focal(millimetres)).focal is None


def exif_with(*entries: bytes, count: int | None = None) -> bytes:
    """EXIF of these entries (12 bytes each) whose values lie at offset 100, where there is nothing."""
    return (
        b"Exif\0\0II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries) if count is None else count)
        + b"".join(entries)
        + bytes(4)
    )


ORIENTATION = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
# What is damaged, and the orientation that can still be read.
DAMAGED_EXIF = {
    "Make beyond the end": (exif_with(struct.pack("<HHII", 0x010F, 2, 5000, 100), ORIENTATION), 6),
    "XResolution beyond the end": (exif_with(ORIENTATION, struct.pack("<HHII", 0x011A, 5, 1, 60_000)), 6),
    "more entries than there are": (exif_with(ORIENTATION, count=40), 6),
    "a type that does not exist": (exif_with(struct.pack("<HHII", 0x010F, 77, 1, 0), ORIENTATION), 6),
    "the camera's part beyond the end": (exif_with(ORIENTATION, struct.pack("<HHII", 0x8769, 4, 1, 50_000)), 6),
    "resolution over zero": (exif_with(ORIENTATION, struct.pack("<HHII", 0x011A, 5, 1, 34)), 6),
    "cut in its table": (exif_with(ORIENTATION)[:18], 1),
    "cut in its head": (b"Exif\0\0II*", 1),
    "rubbish": (b"Exif\0\0" + bytes(range(256)), 1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", DAMAGED_EXIF)
def test_damaged_exif_is_left_out(damage: str, kind: str) -> None:
    exif, orientation = DAMAGED_EXIF[damage]
    photo = decode_photo(
        encoded(Image.fromarray(picture()), kind, exif=exif, **({} if kind == "PNG" else {"quality": 95}))
    )
    assert photo.pixels.shape == UPRIGHT[orientation].shape and difference(photo, UPRIGHT[orientation]) < 4


def with_scans(count: int) -> bytes:
    """A progressive JPEG with further scans of nothing: they refine, by no bit, a coefficient that is 0 everywhere."""
    plain = encoded(Image.new("L", (WIDTH, HEIGHT), 90), "JPEG", progressive=True)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 1, 0x10) + bytes(WIDTH * HEIGHT // 64 // 8 + 1)
    return plain[:-2] + scan * count + plain[-2:]


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    few = encoded(Image.fromarray(picture()), "JPEG", progressive=True)
    assert 5 < few.count(b"\xff\xda") < 20 and difference(decode_photo(few), picture()) < 8
    with pytest.raises(PhotoError, match=f"more than {MAX_SCANS} scans.*ordinary JPEG"):
        decode_photo(with_scans(20_000))
    for thumbnails in (b"\xff\xda" * 500, few * 60):  # in a file's other parts, or after its end, they cost nothing
        comment = b"\xff\xfe" + struct.pack(">H", 2 + len(thumbnails[:60_000])) + thumbnails[:60_000]
        assert difference(decode_photo(few[:2] + comment + few[2:] + thumbnails), picture()) < 8


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        cv2.error("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 600000000 bytes"),
        OSError("out of memory error when reading image file"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 800000000 bytes."),
    ],
)
def test_no_memory_is_not_told_as_a_damaged_photo(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(picture()), "PNG")

    def fails(*_: object, **__: object) -> None:
        raise failure

    for owner, name in ((uvatar.photos.decoding, "_srgb"), (Image, "open")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, fails)
            with pytest.raises(NoMemoryForPhoto, match="holiday"):
                decode_photo(data, "holiday")


@pytest.mark.skipif(sys.platform != "linux", reason="only there is the address space limited as asked")
def test_decoding_short_of_memory_says_so() -> None:
    """A whole photo, and the memory of the process limited to some megabytes more than it has."""
    code = """if True:
        import io, re, resource
        import numpy as np
        from pathlib import Path
        from PIL import Image
        from uvatar.photos.decoding import NoMemoryForPhoto, decode_photo
        files = []
        for kind, mode in (("PNG", "RGB"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("TIFF", "I;16"), ("AVIF", "RGB")):
            out = io.BytesIO()
            Image.new(mode, (4000, 3000)).save(out, kind)
            files.append(out.getvalue())
        decode_photo(files[0])
        for data in files:
            for megabytes in (8, 30, 60, 90):
                size = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
                resource.setrlimit(resource.RLIMIT_AS, (size + (megabytes << 20), -1))
                try:
                    decode_photo(data)
                    print("read")
                except NoMemoryForPhoto as error:
                    print("no memory")
                except Exception as error:
                    print(data[:4], megabytes, error, repr(error.__cause__))
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(MALLOC_ARENA_MAX="1"), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    outcomes = done.stdout.splitlines()
    assert set(outcomes) <= {"read", "no memory"} and outcomes.count("no memory") >= 10, done.stdout


def test_sixteen_bit_greyscale_is_scaled_not_clipped() -> None:
    grey = (np.linspace(0, 65535, WIDTH)[None] * np.ones((HEIGHT, 1))).astype(np.uint16)
    photo = decode_photo(encoded(Image.fromarray(grey), "PNG"))
    assert difference(photo, np.repeat((grey / 257)[..., None], 3, -1)) < 1


def test_sixteen_bit_colour() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    wide = (picture().astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert difference(decode_photo(data), picture()) < 1


def test_greyscale_and_palette() -> None:
    image = Image.fromarray(picture())
    assert (
        difference(
            decode_photo(encoded(image.convert("L"), "PNG")),
            np.repeat(np.asarray(image.convert("L"))[..., None], 3, -1),
        )
        == 0
    )
    palette = image.quantize(64)
    assert difference(decode_photo(encoded(palette, "PNG")), np.asarray(palette.convert("RGB"))) == 0


def test_transparency_is_laid_over_white() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, WIDTH // 2 :] = 255
    photo = decode_photo(encoded(Image.fromarray(np.dstack([picture(), alpha])), "PNG"))
    assert (photo.pixels[:, : WIDTH // 2] == 255).all()
    assert np.array_equal(photo.pixels[:, WIDTH // 2 :], picture()[:, WIDTH // 2 :])


def test_transparent_palette() -> None:
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    photo = decode_photo(encoded(image, "PNG", transparency=1))
    assert (photo.pixels == 255).all()


def test_cmyk() -> None:
    cmyk = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    red, green, blue = decode_photo(encoded(cmyk, "JPEG", quality=95)).pixels[10, 10]
    assert red > 200 and green < 60 and blue < 60


def test_srgb_and_broken_profiles_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode_photo(encoded(Image.fromarray(picture()), "PNG", icc_profile=srgb))
    assert difference(plain, picture()) < 1.5
    broken = decode_photo(encoded(Image.fromarray(picture()), "PNG", icc_profile=b"no profile"))
    assert np.array_equal(broken.pixels, picture())


def test_wide_gamut_red_becomes_more_saturated_in_srgb() -> None:
    photo = decode_photo(encoded(Image.new("RGB", (WIDTH, HEIGHT), (200, 80, 80)), "PNG", icc_profile=display_p3()))
    red, green, blue = photo.pixels[5, 5].astype(int)
    # reference: linear Display P3 -> linear sRGB by the published matrix (CSS Color 4), sRGB transfer curve on both
    # sides
    linear = np.where((v := np.array([200, 80, 80]) / 255) > 0.04045, ((v + 0.055) / 1.055) ** 2.4, v / 12.92)
    matrix = np.array([[1.2249402, -0.2249402, 0.0], [-0.0420570, 1.0420570, 0.0], [-0.0196376, -0.0786361, 1.0982737]])
    expected = 255 * (1.055 * (matrix @ linear) ** (1 / 2.4) - 0.055)
    assert np.abs(np.array([red, green, blue]) - expected).max() < 3


def display_p3() -> bytes:
    """A minimal matrix profile (ICC version 2) of Display P3: primaries adapted to D50, the sRGB curve."""

    def s15(values: list[float]) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    def xyz(values: list[float]) -> bytes:
        return b"XYZ \0\0\0\0" + s15(values)

    samples = np.linspace(0, 1, 1024)
    linear = np.where(samples > 0.04045, ((samples + 0.055) / 1.055) ** 2.4, samples / 12.92)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.round(linear * 65535).astype(">u2").tobytes()
    text = b"desc\0\0\0\0" + struct.pack(">I", 3) + b"P3\0" + b"\0" * 78
    tags = [
        (b"desc", text),
        (b"cprt", b"text\0\0\0\0CC0\0"),
        (b"wtpt", xyz([0.9642, 1.0, 0.8249])),
        (b"rXYZ", xyz([0.51512, 0.24120, -0.00105])),
        (b"gXYZ", xyz([0.29198, 0.69225, 0.04189])),
        (b"bXYZ", xyz([0.15710, 0.06657, 0.78407])),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    ]
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    header = (
        struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
        + b"\0" * 12
        + b"acsp"
        + b"\0" * 28
    )
    header += s15([0.9642, 1.0, 0.8249])
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    photo = decode_photo(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert photo.pixels[0, 0].tolist() == [255, 0, 0]


def bomb(side: int) -> bytes:
    """A PNG header that promises a side x side picture; decoding it would fail, so a refusal must come before."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + struct.pack(">I", 0)
        + b"IDAT"
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is no photo at all, only some text " * 20, "cannot be read as a photo"),
        (
            encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)), "JPEG")[:4000],
            "damaged or incomplete",
        ),
        (encoded(Image.fromarray(picture()), "PNG")[:-40], "damaged or incomplete"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read as a photo|damaged"),
        (bomb(10_000), "megapixels"),
        (bomb(60_000), "pixels"),
        (encoded(Image.new("RGB", (31, 500)), "PNG"), "too small"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "cannot be read as a photo"),
    ],
)
def test_bad_input_is_named_and_explained(data: bytes, words: str) -> None:
    with pytest.raises(PhotoError, match=words) as caught:
        decode_photo(data, "holiday.jpg")
    assert "holiday.jpg" in str(caught.value)


def test_limit_is_the_callers() -> None:
    data = encoded(Image.fromarray(picture()), "PNG")
    assert decode_photo(data, max_pixels=WIDTH * HEIGHT + 1).pixels.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(PhotoError, match="megapixels"):
        decode_photo(data, max_pixels=WIDTH * HEIGHT)
