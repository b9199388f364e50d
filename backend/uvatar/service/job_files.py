"""The files on disk of each job, beside the journal.

    jobs/<id>/photo-000    a photo as it was sent; deleted when the job is over
    jobs/<id>/job          what the job is (`Manifest`): written last, so a folder that has it has all photos
    jobs/<id>/result-000   a photo's result

The manifest repeats what the journal says, so that a journal that is lost, or set back by a power cut, can be rebuilt.
It is deleted first: a folder without it was never complete, or is being deleted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uvatar.protocol import atomic_files, message_files
from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.private import private_folder

_MANIFEST = "job"


@dataclass(frozen=True)
class Manifest:
    """The description of a job, with its photos in order.

    Attributes:
        names: the photos' names, for display.
        digests: sha256 of each photo's bytes.
        sizes: each photo's size in bytes.
        options: all job options, as `checked_options` gives them.
        created: seconds since the epoch.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    sizes: tuple[int, ...]
    options: dict[str, Any]
    created: float

    @classmethod
    def of(cls, photos: Sequence[tuple[str, bytes]], options: dict[str, Any], created: float) -> Manifest:
        """Make the manifest of photos (name, bytes). Takes a second for a gigabyte."""
        digests = tuple(hashlib.sha256(data).hexdigest() for _, data in photos)
        return cls(tuple(name for name, _ in photos), digests, tuple(len(data) for _, data in photos), options, created)

    @property
    def digest(self) -> str:
        """The identity of a job: a digest of its options and its photos' names, bytes and order."""
        digest = hashlib.sha256(json.dumps(self.options, sort_keys=True).encode())
        for item in zip(self.names, self.digests, strict=True):
            digest.update(json.dumps(item).encode())
        return digest.hexdigest()


class JobFiles:
    """The folders of all jobs. Ids name folders, so they must come from `checked_id`."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder``, for its owner alone, if it is missing. Raises OSError, UvatarError ("data-folder")."""
        self.folder = folder
        private_folder(folder)
        for entry in folder.iterdir():
            if (
                entry.is_symlink()
            ):  # never Uvatar's; from old versions, where others could plant one to have files elsewhere deleted
                entry.unlink()

    def store(self, job: str, manifest: Manifest, photos: Sequence[bytes]) -> None:
        """Write a new job's folder, photos first.

        Raises:
            UvatarError: the disk is full ("disk-full") or the folder cannot be used ("data-folder"). Nothing of the
                job is left then.
        """
        folder = self.folder / job
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            for index, data in enumerate(photos):
                atomic_files.write_atomically(self._photo(job, index), [data], sync_entry=False)
            message_files.dump(asdict(manifest), folder / _MANIFEST)
            atomic_files.sync_folder(self.folder)
        except (OSError, UvatarError) as error:
            self.delete(job)
            raise disk_error(error) from error

    def jobs(self) -> set[str]:
        """Ids of all jobs that have a folder."""
        return {entry.name for entry in self.folder.iterdir()}

    def exists(self, job: str) -> bool:
        """Whether the job was stored and not deleted."""
        return (self.folder / job / _MANIFEST).is_file()

    def manifest(self, job: str) -> Manifest | None:
        """The manifest in the job's folder, None if it is missing or damaged."""
        try:
            stored = message_files.load(self.folder / job / _MANIFEST)
            names, digests, sizes = (tuple(stored[name]) for name in ("names", "digests", "sizes"))
            return Manifest(names, digests, sizes, dict(stored["options"]), float(stored["created"]))
        except (OSError, UvatarError, TypeError, KeyError, ValueError):
            return None

    def has_photo(self, job: str, index: int) -> bool:
        """Whether the photo as it was sent is still there."""
        return self._photo(job, index).is_file()

    def photo(self, job: str, index: int) -> bytes:
        """A photo as it was sent. Raises OSError if it no longer exists."""
        return self._photo(job, index).read_bytes()

    def store_result(self, job: str, index: int, result: dict[str, Any]) -> None:
        """Write a photo's result. Raises UvatarError ("disk-full", "data-folder", or what `framing.pack` raises)."""
        try:
            message_files.dump(result, self._result(job, index))
        except OSError as error:
            raise disk_error(error) from error

    def result(self, job: str, index: int) -> dict[str, Any]:
        """A photo's result. Raises OSError, UvatarError if it is missing or damaged."""
        result: dict[str, Any] = message_files.load(self._result(job, index))
        return result

    def result_bytes(self, job: str, index: int) -> int:
        """Size of a photo's result; 0 if there is none."""
        with suppress(OSError):
            return self._result(job, index).stat().st_size
        return 0

    def result_is_whole(self, job: str, index: int) -> bool:
        """Whether a photo's result exists and is undamaged (its checksum is right)."""
        try:
            self.result(job, index)
            return True
        except (OSError, UvatarError):
            return False

    def delete_photos(self, job: str) -> None:
        """Delete the photos as they were sent."""
        for path in (self.folder / job).glob("photo-*"):
            with suppress(OSError):
                path.unlink()

    def delete_parts(self, job: str) -> None:
        """Delete partial files that a killed writer left behind."""
        for part in (self.folder / job).glob(".*.part"):
            with suppress(OSError):
                part.unlink()

    def disown(self, job: str) -> None:
        """Ensure that the job cannot come back, whatever happens before `delete`. Raises OSError."""
        with suppress(FileNotFoundError):
            (self.folder / job / _MANIFEST).unlink()
        atomic_files.sync_folder(self.folder / job)

    def delete(self, job: str) -> None:
        """Delete the folder and its contents, as far as the system allows."""
        path = self.folder / job
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()

    def size(self, job: str) -> int:
        """Bytes of all files of a job."""
        total = 0
        for path in (self.folder / job).glob("*"):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def _photo(self, job: str, index: int) -> Path:
        return self.folder / job / f"photo-{index:03d}"

    def _result(self, job: str, index: int) -> Path:
        return self.folder / job / f"result-{index:03d}"


def disk_error(error: Exception) -> UvatarError:
    """The error to report when a write fails: "disk-full" or "data-folder"."""
    if isinstance(error, UvatarError):
        return error
    sqlite_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if sqlite_full or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UvatarError(
            "The disk is full.", Code.DISK_FULL, "Free some space on the disk of Uvatar's data folder, then try again."
        )
    return UvatarError(
        f"Uvatar's data folder cannot be used: {error}",
        Code.DATA_FOLDER,
        "Check the data folder's disk and permissions.",
    )
