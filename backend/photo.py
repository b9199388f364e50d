"""Photo bytes in, upright sRGB pixels out."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # Pillow opens a phone's multi-picture files as JPEG
HEIF = "HEIF"
MAX_PIXELS = 100_000_000
MIN_SIDE = 32
FILM_DIAGONAL = 43.27  # mm, of the 36 x 24 mm frame that "35 mm equivalent" refers to
PLAUSIBLE_FOCAL = (0.35, 15.0)  # times the diagonal: from a 15 mm fisheye to a 650 mm telephoto lens
CHOOSE_ANOTHER = "Choose a JPEG, PNG, WebP, HEIC, TIFF or BMP photo."


class PhotoError(ValueError):
    """The photo cannot be used; the message tells the artist why and what to do."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, upright (EXIF orientation applied).
        focal: focal length in pixels of ``pixels`` where EXIF gives it (35 mm equivalent), else None.
        digest: sha256 of the original bytes, hexadecimal.
        name: the file name that the artist knows it by (no folder).
    """

    pixels: NDArray[np.uint8]
    focal: float | None
    digest: str
    name: str = "photo"


def decode_photo(data: bytes, name: str = "photo", max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a photo: JPEG, PNG, WebP, HEIC, TIFF, BMP or the first frame of an animation.

    EXIF orientation is applied, colours are converted to sRGB (embedded profiles, CMYK, greyscale, palettes, 16 bits per
    channel) and transparency is laid over white.

    Args:
        data: the file's bytes.
        name: what the artist calls the photo; appears in messages.
        max_pixels: a photo of this many pixels or more is refused before its pixels are decoded.

    Raises:
        PhotoError: the bytes are no usable photo.
    """
    if not data:
        raise PhotoError(f"{name} is empty (0 bytes). Copy or export the photo again.")
    image = _opened(data, name)
    width, height = image.size
    if width * height >= max_pixels:
        raise PhotoError(
            f"{name} has {width} x {height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels. Make it smaller and try again."
        )
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{name} is only {width} x {height} pixels, too small to find a person in. Choose a larger photo.")
    try:
        with _warnings_as_errors():
            focal = _focal(image)
            image.load()
            pixels = np.asarray(_srgb(_upright(image)))
    except Exception as error:  # a damaged file can raise almost anything, and a decoder in doubt is not believed
        raise PhotoError(f"{name} is damaged or cut short and cannot be read. Copy or export it again.") from error
    return Photo(np.ascontiguousarray(pixels), focal, hashlib.sha256(data).hexdigest(), name)


def _opened(data: bytes, name: str) -> Image.Image:
    """The file with its header read, nothing decoded yet."""
    try:
        # Pillow's own limit is a process-wide setting; the size is checked by the caller, before decoding
        with _warnings_as_errors():
            return Image.open(io.BytesIO(data), formats=(*FORMATS, *_heif()))
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} has far too many pixels. Make it smaller and try again.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is not a photo that can be read. {CHOOSE_ANOTHER}") from error
    except Exception as error:
        raise PhotoError(f"{name} is damaged and cannot be read. Copy or export it again.") from error


@contextmanager
def _warnings_as_errors() -> Iterator[None]:
    """Treat what a decoder warns of as an error, but for what the caller checks itself, or what phones' photos bring along."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours, see `decode_photo`
        warnings.filterwarnings("ignore", "Image appears to be a malformed MPO file")  # it is read as the JPEG that it is
        yield


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as EXIF says; as it is where EXIF is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Warning:
        return image


def _heif() -> tuple[str, ...]:
    """HEIF, where pillow-heif is installed (it registers itself with Pillow once)."""
    try:
        import pillow_heif
    except ImportError:
        return ()
    if HEIF not in Image.OPEN:
        pillow_heif.register_heif_opener()
    return (HEIF,)


def _focal(image: Image.Image) -> float | None:
    """Focal length in pixels from the 35 mm equivalent in EXIF, which relates to the diagonal; None where absent or absurd."""
    try:
        equivalent = float(image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError, SyntaxError, Warning):
        return None
    ratio = equivalent / FILM_DIAGONAL
    low, high = PLAUSIBLE_FOCAL
    return ratio * float(np.hypot(*image.size)) if low <= ratio <= high else None


def _srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB in sRGB, transparency over white."""
    image = _eight_bits(image)
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    image = _colour_managed(image.convert("RGB") if alpha is not None else image)
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greyscale with 16 or 32 bits -> 8 bits (Pillow itself would clip; it reads 16-bit colour as 8 bits already)."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.float64)
    top = float(values.max(initial=0.0))
    scale = 1.0 if image.mode == "F" and top <= 1.0 else 255.0 if top <= 255.0 else 65535.0
    eight = Image.fromarray(np.clip(values / scale * 255.0 + 0.5, 0, 255).astype(np.uint8))
    eight.info = dict(image.info)
    return eight


def _colour_managed(image: Image.Image) -> Image.Image:
    """Convert through the embedded ICC profile, where there is a usable one of the image's own kind."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a broken or mismatched profile: the plain conversion is the best there is
        if converted is not None:
            return converted
    return image.convert("RGB")
