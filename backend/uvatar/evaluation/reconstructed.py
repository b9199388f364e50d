"""The people of a folder of photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.files.photo_files import photos_in, read_photo
from uvatar.photos.decoding import PhotoError
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.results.result import PhotoResult


def reconstructed(folder: Path, engine: Engine, console: Console) -> Iterator[tuple[Path, PhotoResult]]:
    """The photos of a folder with their avatars; those that cannot be used are reported and left out."""
    for path in photos_in(folder):
        try:
            yield path, reconstruct((path.name, read_photo(path)), engine)
        except (PhotoError, UvatarError) as error:
            console.print(f"{shown(path.name)}: {error}")
