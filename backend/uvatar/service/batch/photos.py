"""Which photos a batch has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uvatar.files.photo_files import NO_PHOTOS, has_photo_suffix, photos_in, read_list
from uvatar.protocol import photo_lists
from uvatar.protocol.errors import Code, UvatarError


@dataclass(frozen=True)
class BatchPhoto:
    """One photo of a batch.

    Attributes:
        key: by which it is known from run to run: its place below the folder, or its line in the list.
        path: where it is.
    """

    key: str
    path: Path

    def stamp(self) -> str:
        """Size and time of the file: another stamp is another photo. Raises OSError."""
        facts = self.path.stat()
        return f"{facts.st_size}-{facts.st_mtime_ns}"


def find_photos(source: Path) -> list[BatchPhoto]:
    """The photos of a folder and all folders in it, those that a text file lists (relative to that file), or the one
    that is named.

    Raises UvatarError if there are none, or the list is none ("no-photos", "bad-list"), OSError.
    """
    if source.is_dir():
        found = [BatchPhoto(path.relative_to(source).as_posix(), path) for path in photos_in(source, deep=True)]
        if not found:
            raise UvatarError(NO_PHOTOS, Code.NO_PHOTOS, "Choose another folder.")
        return found
    if has_photo_suffix(source):
        return [BatchPhoto(source.name, source)]
    listed = [BatchPhoto(line, source.parent / line) for line in read_list(source)]
    if not listed:
        raise UvatarError(
            f"{photo_lists.shown(source.name)} lists no photos.", Code.NO_PHOTOS, "Write one path per line."
        )
    return listed
