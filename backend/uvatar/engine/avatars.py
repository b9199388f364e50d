"""Reconstruction for scripts: photos in, avatars out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress, ignore_progress
from uvatar.engine.jobs import photo_result, run_job
from uvatar.files.avatar import Avatar, avatars_of
from uvatar.files.given_photos import GivenPhoto, photo_files
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.options import Options, read_options

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine

PhotoFailed = Callable[[str, UvatarError], None]  # the photo's name, and why there is no avatar of it


def reconstruct_avatars(
    photos: GivenPhoto | Iterable[GivenPhoto],
    engine: Engine,
    options: Options,
    report: Progress = ignore_progress,
    failed: PhotoFailed | None = None,
) -> Iterator[Avatar]:
    """The avatars of everybody in the photos, photo by photo, as soon as each photo is done.

    Args:
        photos: see `uvatar.files.given_photos.photo_files`.
        failed: told of photos that cannot be used; the others go on. None raises the first one's error.

    Raises UvatarError.
    """
    options = read_options(vars(options))  # raises where a value cannot be used
    engine.check(options)
    files = photo_files(photos)
    if options.same_person:
        yield from _of_one_person(files, engine, options, report, failed)
        return
    for photo in files:
        result = photo_result(photo, options, engine, report)
        if not result["people"]:
            _fail(photo, result, failed)
        yield from avatars_of(result)


def _of_one_person(
    files: list[PhotoFile], engine: Engine, options: Options, report: Progress, failed: PhotoFailed | None
) -> Iterator[Avatar]:
    """Without ``failed``, photos that cannot be used only count where no avatar could be made of the others."""
    results: dict[int, dict[str, Any]] = {}
    run_job(files, options, engine, report, results.__setitem__)
    avatars = [avatar for result in results.values() for avatar in avatars_of(result)]
    for index, result in sorted(results.items()):
        if not result["people"] and (failed or not avatars):
            _fail(files[index], result, failed)
    yield from avatars


def _fail(photo: PhotoFile, result: Mapping[str, Any], failed: PhotoFailed | None) -> None:
    error = UvatarError.from_dict(result["errors"][0])
    if failed is None:
        raise error
    failed(photo[0], error)
