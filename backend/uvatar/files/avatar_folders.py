"""Avatar folders, ``<photo>_p<number>``: their names, the photo each belongs to, and how they are replaced and deleted.

In users' folders only files that a ``result.json`` of Uvatar's lists are touched, as docs/files.md promises.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PureWindowsPath

from uvatar.protocol import message_files
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.photo_lists import shown

SUMMARY = "result.json"
RECORD, THUMBNAILS = "batch.jsonl", "thumbnails"  # of a batch, beside the avatars' folders

TEMPORARY_PREFIX = ".uvatar-"  # of folders in which avatars are written before they are moved into place
STORED_RESULT = "photo.uvatar"
# Seconds without a change after which a temporary folder is abandoned; Blender has five minutes for a person.
ABANDONED = 3600.0

MOST_SUMMARY = 16 << 20  # bytes; a usual one has about 10 kB
LONGEST = 160  # bytes of a stem in UTF-8: with number and suffix well below the 255 that file systems hold
# Bytes that must be free at the start: one person's files take 5 to 20 MB, and as much again while they are written.
ROOM = 64 << 20

# Faults of the disk rather than of one file: all further writes would fail in the same way.
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

_COUNTED = re.compile(r"(.+)-(\d{1,9})", re.DOTALL)
_NUMBERED = re.compile(r"([^\\/:\0]*)_p\d+", re.DOTALL)


@dataclass(frozen=True)
class AvatarFolder:
    """What a folder's ``result.json`` says about its files.

    Attributes:
        folder: the avatar's folder.
        digest: sha256 of the photo, hexadecimal.
        files: names of the files that were written into the folder.
        beside: names of the files that were written beside it.
        made_of: sha256 of all photos, if the avatar is made from several.
    """

    folder: Path
    digest: str
    files: tuple[str, ...]
    beside: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()

    def shows(self, digests: Collection[str]) -> bool:
        """Whether it was made from one of these photos (sha256)."""
        return self.digest in digests or any(digest in digests for digest in self.made_of)


def read_avatar(folder: Path) -> AvatarFolder | None:
    """The avatar in a folder; None if there is none, or if ``result.json`` is not Uvatar's or names files elsewhere."""
    try:
        with (folder / SUMMARY).open("rb") as file:
            summary = json.loads(file.read(MOST_SUMMARY))
        found = [summary["files"], summary.get("beside", []), summary.get("made_of", [])]
        if not all(isinstance(names, list) for names in found):
            return None
        lists = map(tuple, found)
        avatar = AvatarFolder(folder, summary["photo"]["digest"], *lists)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    digests = (avatar.digest, *avatar.made_of)
    usable = all(isinstance(digest, str) for digest in digests) and all(map(_is_plain, (*avatar.files, *avatar.beside)))
    return avatar if usable else None


def _is_plain(name: object) -> bool:
    """Whether this is a plain file name, not a path to somewhere else, on any system."""
    return isinstance(name, str) and not re.search(r"[\\/:\0]", name) and name not in ("", ".", "..")


def delete_avatar(avatar: AvatarFolder) -> bool:
    """Delete the files that were written, and the folder if it holds nothing else.

    ``result.json`` is deleted last, so that an avatar which cannot be deleted completely can be found again.

    Returns:
        whether the folder was deleted.

    Raises:
        OSError: a file cannot be deleted.
    """
    for path in (
        *(avatar.folder.parent / name for name in avatar.beside),
        *(avatar.folder / name for name in avatar.files),
    ):
        if path.name != SUMMARY and not path.is_dir():
            path.unlink(missing_ok=True)
    (avatar.folder / SUMMARY).unlink(missing_ok=True)
    with suppress(OSError):
        avatar.folder.rmdir()
    return not avatar.folder.exists()


def put_in_place(source: Path, files: Sequence[str], target: Path) -> None:
    """Move a folder with an avatar's files into its place, or replace the files of an older avatar there.

    A new avatar appears as a whole or not at all. An old one's ``result.json`` is replaced last, so that the folder
    remains recognisable.

    Raises:
        OSError: a file cannot be moved or replaced.
    """
    if _is_free(target):
        with suppress(FileNotFoundError):
            target.rmdir()  # Windows cannot move a folder onto an existing one
        source.rename(target)
        return
    older = read_avatar(target)
    for name in older.files if older else ():
        if name not in files and not (target / name).is_dir():
            (target / name).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == SUMMARY):
        os.replace(source / name, target / name)


def _is_free(folder: Path) -> bool:
    """Whether nothing of this name exists, or only an empty folder."""
    try:
        return not os.listdir(folder)
    except FileNotFoundError:
        return not folder.is_symlink()
    except NotADirectoryError:
        return False


# -- names ------------------------------------------------------------------------------------------------------------


def stem_of(text: str, keep_end: bool = False) -> str:
    """The default stem of a photo's folders: its name, reduced to what every file system can store.

    Args:
        text: the photo's name, or its path.
        keep_end: shorten long names at the beginning instead of the end, for paths.
    """
    stem = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text)).strip("._").encode("utf-8")
    stem = stem[-LONGEST:] if keep_end else stem[:LONGEST]
    name = stem.decode("utf-8", "ignore").strip("._") or "photo"
    return f"photo_{name}" if PureWindowsPath(f"{name}_").is_reserved() or PureWindowsPath(name).is_reserved() else name


def is_avatar_name(name: str) -> bool:
    """Whether an avatar's folder can have this name."""
    return _NUMBERED.fullmatch(name) is not None


def same_name(stem: str) -> str:
    """A key that is equal for names which some file system considers the same.

    Windows and macOS ignore case, and macOS ignores Unicode composition.
    """
    return unicodedata.normalize("NFC", stem).casefold()


class FolderNames:
    """The names in use in an output folder, from earlier runs and in this one."""

    def __init__(self, out: Path) -> None:
        """Read the output folder. Raises OSError."""
        self._out = out
        self._given: set[str] = set()  # in this run; these and all others as `same_name` has them
        self._names: set[str] = set()
        self._folders: dict[str, list[str]] = defaultdict(list)  # by stem
        self._numbers: dict[str, set[int]] = defaultdict(set)  # with which somebody has a stem too
        for name in os.listdir(out):
            self._names.add(same_name(name))
            if folder := _NUMBERED.fullmatch(name):
                self._folders[same_name(folder[1])].append(name)
                if stem := _COUNTED.fullmatch(folder[1]):
                    self._numbers[same_name(stem[1])].add(int(stem[2]))

    def give(
        self, wanted: str, digest: str, own: Collection[str] = (), beside: str = ""
    ) -> tuple[str, list[AvatarFolder]]:
        """Choose the stem of a photo's folders.

        It is the stem that the photo already has, else ``wanted``, with a number if another photo has that.

        Args:
            wanted: the preferred stem.
            digest: sha256 of the photo.
            own: folders that are known to be this photo's, even if its content was different then.
            beside: suffix of a file that will lie beside the folders, and must not replace another photo's.

        Returns:
            the stem, and the photo's avatars from an earlier run under it.
        """
        known = (f"{wanted}-{number}" for number in sorted(self._numbers.get(same_name(wanted), ())))
        further = (f"{wanted}-{number}" for number in count(2))
        options = ((stem, self._of(stem, digest, own, beside)) for stem in (wanted, *known))
        chosen = next(((stem, ours) for stem, ours in options if ours), None)
        options = ((stem, self._of(stem, digest, own, beside)) for stem in chain([wanted], further))
        stem, ours = chosen or next((stem, ours) for stem, ours in options if ours is not None)
        self._given.add(same_name(stem))
        return stem, ours or []

    def _of(self, stem: str, digest: str, own: Collection[str], beside: str) -> list[AvatarFolder] | None:
        """The photo's avatars under this stem; None if another photo has the stem."""
        if same_name(stem) in self._given:
            return None
        ours = []
        for name in self._folders.get(same_name(stem), ()):
            avatar = read_avatar(self._out / name)
            if avatar and (avatar.digest == digest or name in own):
                ours.append(avatar)
            elif name not in own and not _is_free(self._out / name):
                return None
        taken = (
            bool(beside)
            and same_name(stem + beside) in self._names
            and not any(stem + beside in one.beside for one in ours)
        )
        return None if taken else ours


# -- before and after the work ----------------------------------------------------------------------------------------


def prepare(out: Path) -> None:
    """Create an output folder and check, before hours of work, that it can be written to. Raises UvatarError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=out) as trial:
            Path(trial, STORED_RESULT).write_bytes(
                bytes(4096)
            )  # so named that `delete_abandoned` finds it after a killed run
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise output_error(out, error) from error
    if free < ROOM:
        raise output_error(out, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def output_error(out: Path, error: OSError) -> UvatarError:
    """The error for files that cannot be written: "disk-full" or "unwritable"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "Free some space on it or choose another folder with --out, then run the same command again."
        return UvatarError(f"The disk with {shown(str(out))} is full.", Code.DISK_FULL, fix)
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        words = f"{shown(str(out))} cannot be a folder: a file has this name or the name of one of its parent folders."
        return UvatarError(words, Code.UNWRITABLE, "Choose another folder with --out.")
    fix = "Choose another folder with --out, or change this folder's permissions."
    return UvatarError(f"{shown(str(out))} cannot be written to: {error.strerror or error}.", Code.UNWRITABLE, fix)


def is_disk_fault(error: OSError) -> bool:
    """Whether the disk is at fault, so that continuing is pointless."""
    return error.errno in _DISK_FAULTS


def delete_abandoned(folder: Path, digests: Collection[str] = ()) -> int:
    """Delete temporary folders that killed runs left in a folder.

    Only folders that no run uses any more are deleted, and those of the photos with these sha256.

    Returns:
        how many were deleted.
    """
    deleted = 0
    for place in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            newest = max(path.lstat().st_mtime for path in (place, *place.rglob("*")))
            if _is_temporary_folder(place) and (
                time.time() - newest > ABANDONED or _digest(place / STORED_RESULT) in digests
            ):
                shutil.rmtree(place)
                deleted += 1
    return deleted


def _is_temporary_folder(place: Path) -> bool:
    """Whether it holds only what Uvatar puts there: the photo's result, or a part of it, and folders of people."""
    return place.is_dir() and all(
        re.fullmatch(rf"\d+|\.?{re.escape(STORED_RESULT)}(\..*)?", name) for name in os.listdir(place)
    )


def _digest(stored: Path) -> str:
    try:
        return str(message_files.load(stored)["photo"]["digest"])
    except (OSError, UvatarError, TypeError, KeyError):
        return ""
