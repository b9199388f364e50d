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
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uvatar.protocol import atomic_files, message_files
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import is_id
from uvatar.protocol.private_files import private_folder

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
        self.folder = folder

    def make(self, known: bool) -> None:
        """Create the folder, for its owner alone, if it is missing.

        Args:
            known: whether there is a journal, so that the folder is Uvatar's.

        Raises:
            OSError: it cannot be created.
            UvatarError: it is not Uvatar's, or another user's ("data-folder").
        """
        if self.folder.is_symlink() or (not known and self.folder.is_dir() and self._strange()):
            raise UvatarError(
                f"{self.folder} is not Uvatar's: it holds other files, or is a link.",
                Code.DATA_FOLDER,
                "Choose another folder with --data or UVATAR_DATA, or move this one.",
            )
        private_folder(self.folder)

    def _strange(self) -> bool:
        names = os.listdir(self.folder)
        return any(name not in self.jobs() and not name.startswith(".") for name in names)

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
        """Ids of all jobs that have a folder, or a file or link in its place. Anything else there is not Uvatar's."""
        return {entry.name for entry in self.folder.iterdir() if is_id(entry.name)}

    def exists(self, job: str) -> bool:
        """Whether the job was stored and not deleted, nor replaced by a link to some other folder."""
        return (self.folder / job / _MANIFEST).is_file() and not (self.folder / job).is_symlink()

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

    def work(self, job: str, indices: Sequence[int]) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
        """The job's options, and names and bytes of photos. Raises UvatarError ("server-error") if they are lost."""
        manifest = self.manifest(job)
        try:
            if manifest:
                photos = [(manifest.names[index], self._photo(job, index).read_bytes()) for index in indices]
                return manifest.options, photos
            reason = "the job's description is damaged"
        except OSError as error:
            reason = str(error.strerror or error)
        fix = "Send the photo again in a new job."
        raise UvatarError(f"The stored photo cannot be read: {reason}.", Code.SERVER_ERROR, fix)

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
        if self.exists(job):
            (self.folder / job / _MANIFEST).unlink()
            atomic_files.sync_folder(self.folder / job)

    def delete(self, job: str) -> None:
        """Delete the folder and its contents, as far as the system allows; of a link, only the link."""
        path = self.folder / job
        if path.is_dir() and not path.is_symlink():
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
