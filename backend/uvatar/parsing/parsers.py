"""Parsers: networks and plug-ins that say what each pixel of a person shows (docs/parsers.md).

A plug-in is a package with an entry point in the group `GROUP`: something that, called without arguments, returns a
`Parser`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass, Parsing
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.parsing.selfie_multiclass import FILE as SELFIE_FILE
from uvatar.parsing.selfie_multiclass import SelfieMulticlass

GROUP = "uvatar.parsers"
CHOICE = "UVATAR_PARSER"  # environment variable: a plug-in's name, or `NONE`
NONE = "none"
MARGIN = 0.075  # of the longer side of a person's mask, around it
LARGEST = 1024  # pixels a side of the picture that a parser is given, at most
STORED = (
    512  # pixels a side of what is kept of its answer, at most: it is looked up at vertices, some millimetres apart
)
TOLERANCE = 0.01  # of probabilities, as half precision rounds them
OUTSIDE = (114, 114, 114)


class ParserError(Exception):
    """A parser is not installed, cannot be loaded, failed or returned something unusable; the message says why."""


@dataclass(frozen=True)
class PersonPicture:
    """What a parser is given: a square of the photo around one person.

    Attributes:
        pixels: (S, S, 3) uint8 sRGB; grey beyond the photo.
        mask: (S, S) uint8, 255 where the person is seen, as found without the parser.
        landmarks: (33, 3) as `Person.landmarks`, in pixels of this picture.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


@runtime_checkable
class Parser(Protocol):
    """Says what each pixel of a person shows."""

    @property
    def classes(self) -> Sequence[ParseClass]:
        """What the channels of `parse` mean."""
        ...

    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        """Probabilities (h, w, len(classes)), of any size up to 4096, over the whole picture."""
        ...


def parser_names() -> list[str]:
    """Installed plug-ins."""
    return sorted(point.name for point in entry_points(group=GROUP))


def find_parser(models: Path, shipped: Callable[[], Parser | None], threads: int = 1) -> Parser | None:
    """The parser to use: the plug-in that `CHOICE` names, the model in the folder ``models``, or the shipped one.

    Raises ParserError.
    """
    chosen = os.environ.get(CHOICE, "").strip()
    if chosen == NONE:
        return None
    if chosen:
        return _plug_in(chosen)
    path = models / SELFIE_FILE
    if not path.is_file():
        return shipped()
    try:
        return SelfieMulticlass(path, threads)
    except (ValueError, OSError) as error:
        raise ParserError(f"{path} cannot be used: {error}") from error


def parsed(parser: Parser, photo: Photo, person: Person) -> Parsing:
    """What the photo shows around a person. Raises ParserError."""
    x0, y0, _, _ = person.window
    rows, columns = np.nonzero(person.mask > 127)
    if not len(rows):
        raise ParserError("The parser was not asked: the person's mask is empty.")
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1.0
    side = float(np.max(high - low)) * (1 + 2 * MARGIN)
    inside_mask = (low + high - side) / 2
    corner = inside_mask + (x0, y0)
    size = max(1, min(LARGEST, round(side)))
    landmarks = person.landmarks.copy()
    landmarks[:, :2] = (landmarks[:, :2] - corner) * (size / side)
    pixels, mask = _cut(photo.pixels, corner, side, size), _cut(person.mask, inside_mask, side, size)
    try:
        found = np.asarray(parser.parse(PersonPicture(pixels, mask, landmarks)), np.float32)
        classes = [int(ParseClass(one)) for one in parser.classes]
    except Exception as error:  # a plug-in can raise anything
        raise ParserError(f"The parser failed: {_in_short(error)}.") from error
    _check(found, len(classes))
    reduced = np.array(found.shape[:2]) / max(1.0, max(found.shape[:2]) / STORED)
    rows, columns = np.maximum(1, np.round(reduced).astype(int))
    probabilities = np.zeros((rows, columns, len(ParseClass)), np.float32)
    for channel, number in enumerate(classes):
        probabilities[..., number] += cv2.resize(found[..., channel], (columns, rows), interpolation=cv2.INTER_AREA)
    left, top = float(corner[0]), float(corner[1])
    return Parsing((left, top, left + side, top + side), probabilities)


def _check(found: NDArray[np.float32], classes: int) -> None:
    """Raise ParserError if what a parser returned are not probabilities (h, w, classes)."""
    if found.ndim != 3 or found.shape[2] != classes or not 0 < min(found.shape) <= max(found.shape) <= 4 * LARGEST:
        raise ParserError(f"The parser returned an array of shape {found.shape} for {classes} classes.")
    least, most = float(found.min()), float(found.sum(-1).max())
    if not (least > -TOLERANCE and most < 1 + TOLERANCE):  # so that numbers that are not finite are refused as well
        raise ParserError(
            f"The parser did not return probabilities: the least is {least:g}, their greatest sum {most:g}."
        )


def _cut(picture: NDArray[np.uint8], corner: NDArray[np.float64], side: float, size: int) -> NDArray[np.uint8]:
    """A square of a picture, ``side`` wide from its ``corner`` (x, y) on, resized to ``size`` pixels without aliasing.

    The square may reach beyond the picture.
    """
    scale = size / side
    around = np.ceil(2 / scale) + 1  # what blurring and interpolation reach
    low = np.maximum(np.floor(corner - around), 0).astype(int)
    high = np.ceil(corner + side + around).astype(int)
    picture = picture[low[1] : high[1], low[0] : high[0]]
    if scale < 0.7:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.45 / scale), np.uint8)
    begin = (low - corner + 0.5) * scale - 0.5  # OpenCV's origin is the first pixel's centre
    matrix = np.array([[scale, 0, begin[0]], [0, scale, begin[1]]])
    fill = OUTSIDE if picture.ndim == 3 else (0,)
    warped = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=fill)
    return np.asarray(warped, np.uint8)


def _plug_in(name: str) -> Parser:
    points: list[EntryPoint] = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        raise ParserError(
            f"There is no parser {name!r} ({CHOICE}). Installed are: {', '.join(parser_names()) or 'none'}."
        )
    try:
        parser = points[0].load()()
    except Exception as error:  # a plug-in can raise anything
        raise ParserError(f"The parser {name} cannot be loaded: {_in_short(error)}.") from error
    if not isinstance(parser, Parser):
        raise ParserError(f"The parser {name} is none: it needs `parse` and `classes`.")
    return parser


def _in_short(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}".rstrip(": .")
