"""Photos as scripts may give them: paths, bytes, or pairs of name and bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from uvatar.data.photo import PhotoFile
from uvatar.files.photo_files import read_photo
from uvatar.protocol import photo_lists

GivenPhoto = str | os.PathLike[str] | bytes | PhotoFile


def photo_files(photos: GivenPhoto | Iterable[GivenPhoto]) -> list[PhotoFile]:
    """Names and bytes of one photo or of several.

    Args:
        photos: a path, a photo file's bytes, a pair of name and bytes, or a list of these.

    Raises:
        UvatarError: a file cannot be read.
    """
    if isinstance(photos, (str, bytes, os.PathLike)) or _is_pair(photos):
        photos = [photos]  # type: ignore[list-item]
    return [_photo_file(photo, number) for number, photo in enumerate(photos, 1)]


def _is_pair(photo: object) -> bool:
    return isinstance(photo, tuple) and len(photo) == 2 and isinstance(photo[0], str) and isinstance(photo[1], bytes)


def _photo_file(photo: GivenPhoto, number: int) -> PhotoFile:
    if isinstance(photo, bytes):
        return f"photo-{number}", photo
    if isinstance(photo, tuple):
        return photo_lists.photo_name(photo[0]), photo[1]
    path = Path(photo)
    return photo_lists.photo_name(path.name), read_photo(path)
