"""Decodes photo files to upright sRGB pixels."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError, features

from uvatar.data.photo import Photo
from uvatar.photos.acceleration import measured_up
from uvatar.photos.deep_pixels import eight_bits
from uvatar.runtime.memory import is_out_of_memory

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # Pillow opens a phone's multi-picture files as JPEG
HEIF, AVIF = "HEIF", "AVIF"
MAX_PIXELS = 100_000_000
MIN_SIDE = 32
# Scans of a progressive JPEG. Encoders write about ten. Each takes as long to decode as all pixels, and a file of a few
# hundred kilobytes can contain tens of thousands. libtiff, which decodes JPEGs inside TIFFs, has the same limit.
MAX_SCANS = 100
FILM_DIAGONAL = 43.27  # mm, of the 36 x 24 mm frame that "35 mm equivalent" refers to
PLAUSIBLE_FOCAL = (0.35, 15.0)  # times the diagonal: from a 15 mm fisheye to a 650 mm telephoto lens
CHOOSE_ANOTHER = "Choose a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF photo."
# First brand of a file in the container that HEIC and AVIF share.
_BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    b"heic": HEIF,
    b"heix": HEIF,
    b"hevc": HEIF,
    b"hevx": HEIF,
    b"mif1": HEIF,
    b"msf1": HEIF,
}
_NO_WEBP_DECODER = "could not create decoder object"  # what Pillow says of damage, and of too little memory
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_MARKER = re.compile(
    rb"\xff+([^\x00\xff])"
)  # what follows 0xFF in a scan's own bytes is 0, or one of these that restart it:
_JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_START_OF_SCAN, _END_OF_JPEG = 0xDA, 0xD9
_TAKEN_AS = -1  # the orientation that a photo had before its decoder made it upright
# EXIF's Orientation -> what makes the picture upright.
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(ValueError):
    """The photo cannot be used; the message tells the artist why and what to do."""


class NoMemoryForPhoto(MemoryError):
    """There is not enough memory to decode the photo, which may be perfectly valid.

    Attributes:
        pixels: the photo's number of pixels; 0 if unknown.
    """

    def __init__(self, message: str, pixels: int = 0) -> None:
        super().__init__(message)
        self.pixels = pixels


def decode_photo(data: bytes, name: str = "photo", max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or the first frame of an animation.

    EXIF orientation is applied, colours are converted to sRGB (embedded profiles, CMYK, L*a*b*, greyscale, palettes,
    more than 8 bits per channel) and transparency is laid over white. Damaged parts of EXIF are ignored.

    Args:
        data: the file's bytes.
        name: the photo's name, for messages.
        max_pixels: a photo of this many pixels or more is refused before its pixels are decoded.

    Raises:
        PhotoError: the bytes are not a usable photo.
        NoMemoryForPhoto: there is not enough memory to decode it.
    """
    if not data:
        raise PhotoError(f"{name} is empty (0 bytes). Copy or export the photo again.")
    image = _opened(data, name)
    width, height = image.size
    if width * height >= max_pixels:
        raise PhotoError(
            f"{name} has {width} x {height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels. Make it "
            "smaller and try again."
        )
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name} is only {width} x {height} pixels, too small to find a person in. Choose a larger photo."
        )
    if _has_too_many_scans(data):
        raise PhotoError(
            f"{name} is a progressive JPEG with more than {MAX_SCANS} scans, which would take too long to decode. "
            "Open it in an image editor and save it as an ordinary JPEG."
        )
    try:
        with _warnings_as_errors(data):
            exif = _exif(image)
            image.load()
            pixels = np.asarray(_srgb(_upright(image, exif), data))
    except Exception as error:  # a damaged file can raise almost anything, and warnings count as errors
        if is_out_of_memory(error):
            raise NoMemoryForPhoto(f"There is not enough memory for {name}.", width * height) from error
        raise PhotoError(f"{name} is damaged or incomplete and cannot be read. Copy or export it again.") from error
    digest = hashlib.sha256(data).hexdigest()
    return Photo(np.ascontiguousarray(pixels), _focal(exif, image.size), digest, name, _up(exif))


def _opened(data: bytes, name: str) -> Image.Image:
    """Open the file and read its header, without decoding pixels."""
    formats = (*FORMATS, *_heif(), *_avif())
    try:
        # Pillow's own limit is a process-wide setting; the size is checked by the caller, before decoding
        with _warnings_as_errors(data):
            return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} has far too many pixels. Make it smaller and try again.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} {_unreadable(data, formats)}") from error
    except Exception as error:
        if is_out_of_memory(error) or (str(error) == _NO_WEBP_DECODER and not _has_memory_for_webp(data)):
            raise NoMemoryForPhoto(f"There is not enough memory for {name}.") from error
        raise PhotoError(f"{name} is damaged and cannot be read. Copy or export it again.") from error


def _has_memory_for_webp(data: bytes) -> bool:
    """Whether the two RGBA canvases that WebP's decoder begins with could be allocated.

    The decoder's error is the same for a damaged file and for too little memory. Sizes: RFC 9649, sections 2.5 to 2.7.
    """
    kind, head = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    try:
        np.empty(2 * 4 * width * height, np.uint8)
    except MemoryError:
        return False
    return True


def _unreadable(data: bytes, formats: Sequence[str]) -> str:
    """The message about a file that no decoder accepts, to follow its name."""
    kind = _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    if kind and kind not in formats:
        what = "an AVIF" if kind == AVIF else "a HEIC"
        return f"is {what} photo, which this installation cannot read. Save it as JPEG, or set up Uvatar again."
    if data.startswith(_TIFF_STARTS):
        return (
            "is a damaged TIFF or one that is not supported. Save it with 8 or 16 bits per channel as RGB, "
            "or as JPEG or PNG."
        )
    return f"cannot be read as a photo. {CHOOSE_ANOTHER}"


@contextmanager
def _warnings_as_errors(data: bytes) -> Iterator[None]:
    """Treat decoders' warnings as errors, except those that the caller checks for and those not about pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours, see `decode_photo`
        warnings.filterwarnings(
            "ignore", "Image appears to be a malformed MPO file"
        )  # it is read as the JPEG that it is
        if not data.startswith(_TIFF_STARTS):  # where EXIF, which is a small TIFF, is not the photo itself
            warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
        yield


def _has_too_many_scans(data: bytes) -> bool:
    """Whether a JPEG has more than `MAX_SCANS` scans."""
    if not data.startswith(b"\xff\xd8") or data.count(bytes((0xFF, _START_OF_SCAN))) <= MAX_SCANS:
        return False  # the usual case, in a fraction of a millisecond
    scans, place = 0, 2
    while found := _JPEG_MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_JPEG:
            break
        if marker not in _JPEG_WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
        scans += marker == _START_OF_SCAN
    return scans > MAX_SCANS


def _heif() -> tuple[str, ...]:
    """HEIF, if pi-heif is installed (it registers itself with Pillow once).

    pillow-heif would do the same, but has an encoder (x265) that is under the GPL.
    """
    try:
        import pi_heif
    except ImportError:
        return ()
    if HEIF not in Image.OPEN:
        pi_heif.register_heif_opener()
    return (HEIF,)


def _avif() -> tuple[str, ...]:
    """AVIF, if this Pillow was built with it (its wheels are, from 11.3 on)."""
    return (AVIF,) if features.check("avif") else ()


def _exif(image: Image.Image) -> Mapping[int, Any]:
    """EXIF's orientation, focal length, lens and maker's notes; damaged entries are left out."""
    told: dict[int, Any] = {}
    with suppress(Exception):  # damaged EXIF can raise almost anything
        exif = image.getexif()
        told[ExifTags.Base.Orientation] = exif.get(ExifTags.Base.Orientation)
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        for tag in (ExifTags.Base.FocalLengthIn35mmFilm, ExifTags.Base.MakerNote, ExifTags.Base.LensModel):
            told[tag] = camera.get(tag)
    if "original_orientation" in image.info:  # of a HEIC photo, which its decoder has made upright
        told[_TAKEN_AS] = image.info["original_orientation"]
    return told


def _up(exif: Mapping[int, Any]) -> tuple[float, float, float] | None:
    """The direction up that the camera measured, in the frame of the upright photo; None if there is none."""
    notes, lens = exif.get(ExifTags.Base.MakerNote), exif.get(ExifTags.Base.LensModel)
    orientation = exif.get(_TAKEN_AS) or exif.get(ExifTags.Base.Orientation)
    if not isinstance(notes, bytes):
        return None
    orientation = orientation if isinstance(orientation, int) else 1
    return measured_up(notes, orientation, lens if isinstance(lens, str) else "")


def _upright(image: Image.Image, exif: Mapping[int, Any]) -> Image.Image:
    """The image rotated according to EXIF. Pillow rotates TIFFs itself."""
    orientation = exif.get(ExifTags.Base.Orientation)
    method = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) and image.format != "TIFF" else None
    return image if method is None else image.transpose(method)


def _focal(exif: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """Focal length in pixels from EXIF's 35 mm equivalent, which refers to the diagonal; None if absent or absurd."""
    try:
        equivalent = float(exif.get(ExifTags.Base.FocalLengthIn35mmFilm) or 0)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    ratio = equivalent / FILM_DIAGONAL
    low, high = PLAUSIBLE_FOCAL
    return ratio * float(np.hypot(*size)) if low <= ratio <= high else None


def _srgb(image: Image.Image, data: bytes) -> Image.Image:
    """Any mode -> RGB in sRGB, transparency over white."""
    image = eight_bits(image, data)
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    image = _colour_managed(image.convert("RGB") if alpha is not None else image)
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def _colour_managed(image: Image.Image) -> Image.Image:
    """Convert with the embedded ICC profile, if there is a usable one for the image's mode."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a broken or mismatched profile: the plain conversion is the best there is
        if converted is not None:
            return converted
    if image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return transform.apply(image)
    return image.convert("RGB")
