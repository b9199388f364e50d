"""Finds the photos of a batch."""

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
        key: identifies it from run to run: its path below the folder, or its line in the list.
        path: its file.
    """

    key: str
    path: Path

    def stamp(self) -> str:
        """The file's size and time; if they change, it counts as another photo. Raises OSError."""
        facts = self.path.stat()
        return f"{facts.st_size}-{facts.st_mtime_ns}"


def find_photos(source: Path) -> list[BatchPhoto]:
    """Find the photos of a batch.

    Args:
        source: a folder of photos, subfolders included; a text file that lists photos, relative to that file; or a
            photo.

    Raises:
        UvatarError: there are no photos ("no-photos"), or the text file is not a list of photos ("bad-list").
        OSError: the folder or the list cannot be read.
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
