"""Finding the people of photos only, for somebody who then chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress
from uvatar.engine.detect import nobody_found
from uvatar.photos.decoding import PhotoError, decode_photo
from uvatar.results.present import present_failure, present_people

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine
    from uvatar.engine.jobs import PhotoDone


def find_people(photos: Sequence[PhotoFile], engine: Engine, report: Progress, photo_done: PhotoDone) -> None:
    """Find the people of each photo, and call ``photo_done`` with its index and result (docs/result-schema.md)."""
    for index, photo in enumerate(photos):
        report("reading", 0.0, "Reading the photo")
        photo_done(index, _people_of(photo, engine, report))


def _people_of(photo: PhotoFile, engine: Engine, report: Progress) -> dict[str, Any]:
    """The result of one photo; of one that cannot be used, or shows nobody, it says why in ``errors``."""
    name, data = photo
    try:
        decoded = decode_photo(data, name)
        report("finding people", 0.1, "Looking for people")
        glimpses = engine.perception.glimpsed(
            decoded, lambda share: report("finding people", 0.1 + 0.9 * share, "Looking for people")
        )
        if not glimpses:
            nobody_found(decoded.name, 0)
    except PhotoError as error:
        return present_failure(error)
    return present_people(decoded, glimpses)
